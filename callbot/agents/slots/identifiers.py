"""Order ids and phone numbers, from symbols read out, keyed in, and corrected half-way."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from callbot.agents.slots.alike import sounds_like_a_letter
from callbot.agents.slots.corrections import denied, segments
from callbot.agents.slots.kinds import Parsed
from callbot.agents.slots.symbols import Run, run_text, runs
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, split_words

_ORDER_ID = re.compile(r"[a-z]\d{4}(?!\d)")
_ORDER_ID_LENGTH = 5
_PHONE_LENGTHS = (7, 8, 10, 11)


@dataclass(frozen=True, slots=True)
class Given:
    """What was given of an id or number so far."""

    letters: str
    digits: str


def order_id(words: Sequence[Word], vocabulary: Vocabulary, *, keyed: str = "") -> Parsed | None:
    found = None
    given = ""
    for pieces in _pieces(words, vocabulary):
        text = "".join(pieces)
        whole = next(filter(None, map(_ORDER_ID.search, [*pieces, text])), None)
        if whole:
            given = found = whole[0]
        elif text:
            given = _revise(given, text, _ORDER_ID_LENGTH)
            match = _ORDER_ID.fullmatch(given)
            found = match[0] if match else found
    if keyed:
        match = _ORDER_ID.fullmatch(re.sub(r"\d", "", given) + keyed)
        found = match[0] if match else found
    if found is None:
        return None
    return Parsed(found.upper(), " ".join(found.upper()))


def phone(words: Sequence[Word], vocabulary: Vocabulary, *, keyed: str = "") -> Parsed | None:
    if keyed:
        return _phone(keyed)
    return _phone(_phone_digits(words, vocabulary))


def given(words: Sequence[Word], vocabulary: Vocabulary) -> Given:
    """The letters and digits heard, for a re-ask that says what is missing."""
    text = "".join(piece for pieces in _pieces(words, vocabulary) for piece in pieces)
    return Given("".join(filter(str.isalpha, text)), "".join(filter(str.isdigit, text)))


def id_digits(digits: str, vocabulary: Vocabulary) -> str:
    """``digits`` without a first one that must be the letter of an order id: "three" for "B"."""
    if len(digits) == _ORDER_ID_LENGTH and sounds_like_a_letter(digits[0], vocabulary):
        return digits[1:]
    return digits


def with_letter(before: Sequence[Word], text: str, vocabulary: Vocabulary) -> Parsed | None:
    """The order id whose four digits were given ``before`` and whose letter ``text`` gives by itself."""
    digits = id_digits(given(before, vocabulary).digits, vocabulary)
    if len(digits) != _ORDER_ID_LENGTH - 1 or text.rstrip().endswith("?"):
        return None
    words = split_words(f"{text} {digits}")
    whole = given(words, vocabulary)
    letters = set(whole.letters)
    if len(letters) > 1:
        letters -= vocabulary.article_one  # "it's a B"
    if whole.digits != digits or len(letters) != 1:
        return None
    return order_id(words, vocabulary)


def _phone_digits(words: Sequence[Word], vocabulary: Vocabulary) -> str:
    digits = ""
    for pieces in _pieces(words, vocabulary):
        only = [re.sub(r"\D", "", piece) for piece in pieces]
        whole = [piece for piece in only if len(piece) in _PHONE_LENGTHS and _phone(piece)]
        if whole:
            digits = whole[0]
        elif "".join(only):
            needed = len(digits) if len(digits) > 7 else 7
            digits = _revise(digits, "".join(only), needed)
    return digits


def _phone(digits: str) -> Parsed | None:
    """``digits`` as E.164; seven of them are a number without its area code."""
    if len(digits) in (8, 11) and digits.startswith("1"):
        digits = digits[1:]
    if len(digits) not in (7, 10):
        return None
    parts = [digits[:3], digits[3:]] if len(digits) == 7 else [digits[:3], digits[3:6], digits[6:]]
    return Parsed("+1" + digits, "-".join(parts))


def _pieces(words: Sequence[Word], vocabulary: Vocabulary) -> list[list[str]]:
    """What was given before, between and after corrections; what is denied is left out."""
    found = [
        part
        for run in runs(words, vocabulary)
        for part in _split_at_letters(run)
        if not denied(words, part[0].start, vocabulary)
    ]
    return [
        [run_text(part) for part in found if start <= part[0].start < end]
        for start, end in segments(words, vocabulary)
    ]


def _split_at_letters(run: Run) -> list[Run]:
    """A letter after digits begins another id."""
    starts = [0]
    for place in range(1, len(run)):
        if run[place].text.isalpha() and run[place - 1].text.isdigit():
            starts.append(place)
    return [run[start:end] for start, end in zip(starts, [*starts[1:], len(run)], strict=True)]


def _revise(before: str, correction: str, length: int) -> str:
    """``before`` with its end replaced by ``correction`` so that the whole has ``length`` symbols.

    >>> _revise("5550142", "0177", 7)
    '5550177'
    >>> _revise("555", "0177", 7)
    '5550177'
    """
    if correction.isalpha() and before:
        return correction + before.lstrip("abcdefghijklmnopqrstuvwxyz")
    return before[: max(0, length - len(correction))] + correction
