"""E-mail addresses, written or read out: "jo dot smith at example dot com"."""

import re
from collections.abc import Sequence

from callbot.agents.slots.cardinals import digits_at
from callbot.agents.slots.corrections import segments
from callbot.agents.slots.kinds import Parsed
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, at, fold, longest_phrase_at

_WRITTEN = re.compile(r"[a-z0-9][a-z0-9._%+-]*@(?:[a-z0-9-]+\.)+[a-z]{2,}")
_ADDRESS = re.compile(r"[a-z0-9][a-z0-9._+-]*@(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{2,}")
_END = re.compile(r"com|org|net|edu|gov|io|co|uk|us|es|de|fr|it|mx|ca|eu|info|app|dev|me|test")


def email(text: str, words: Sequence[Word], vocabulary: Vocabulary) -> Parsed | None:
    written = _WRITTEN.findall(fold(text))
    if written:
        return Parsed(written[-1], written[-1])
    for start, end in reversed(segments(words, vocabulary)):
        for place in range(start, end):
            address = _address_around(text, words[:end], place, start, vocabulary)
            if address:
                return Parsed(address, address)
    return None


def _address_around(
    text: str, words: Sequence[Word], place: int, start: int, vocabulary: Vocabulary
) -> str | None:
    """The address whose "at" stands at ``place``."""
    sign = longest_phrase_at(words, place, vocabulary.email_at)
    if sign is None:
        return None
    local = _local_part(text, words, start, place, vocabulary)
    domain = _domain(text, words, place + len(sign), vocabulary)
    address = f"{local}@{domain}"
    return address if _ADDRESS.fullmatch(address) else None


def _local_part(text: str, words: Sequence[Word], start: int, sign: int, vocabulary: Vocabulary) -> str:
    """The atoms from the last lead-in word ("my e-mail **is** jo dot smith at") up to the sign."""
    place = start
    for candidate in range(start, sign):
        bound = _mark_at(words, candidate + 1, vocabulary) or _mark_before(words, candidate, vocabulary)
        if words[candidate].text in vocabulary.email_leads and not bound:
            place = candidate + 1
    atoms: list[str] = []
    while place < sign:
        began = place
        atom, place = _atom_at(words, place, vocabulary)
        if atoms and not atom.startswith(".") and _ends_in_dot(text, words, began):
            atoms.append(".")
        atoms.append(atom)
    return "".join(atoms).strip(".")


def _domain(text: str, words: Sequence[Word], place: int, vocabulary: Vocabulary) -> str:
    atoms: list[str] = []
    ended = False
    while place < len(words):
        atom, following = _atom_at(words, place, vocabulary)
        dotted = _dotted(text, words, place)
        if atoms and not atom.startswith(".") and dotted:
            atoms.append(".")
        elif ended and atom != ".":
            break
        atoms.append(atom)
        ended = "." in "".join(atoms) and bool(_END.fullmatch(atom.lstrip(".")))
        place = following
    return "".join(atoms).strip(".")


def _atom_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[str, int]:
    if mark := longest_phrase_at(words, place, vocabulary.email_marks):
        return vocabulary.email_marks[mark], place + len(mark)
    times = vocabulary.repeats.get(words[place].text)
    if times and len(at(words, place + 1)) == 1:
        return at(words, place + 1) * times, place + 2
    if number := digits_at(words, place, vocabulary):
        return number
    name = longest_phrase_at(words, place, vocabulary.letter_names)
    if name and len(name) > 1:
        return vocabulary.letter_names[name], place + len(name)
    return re.sub(r"[^a-z0-9._+-]", "", words[place].text), place + 1


def _mark_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    return longest_phrase_at(words, place, vocabulary.email_marks) is not None


def _mark_before(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    return any(
        longest_phrase_at(words, place - length, vocabulary.email_marks) is not None
        for length in (1, 2)
        if place >= length
    )


def _dotted(text: str, words: Sequence[Word], place: int) -> bool:
    """Whether a written dot joins this word to the one before: "jo.smith", "example. Com"."""
    if place == 0:
        return False
    between = text[words[place - 1].end : words[place].start]
    return between == "." or (between.strip() == "." and bool(_END.fullmatch(words[place].text)))


def _ends_in_dot(text: str, words: Sequence[Word], place: int) -> bool:
    """Whether a dot stands before this word of a name; "J. O. Smith" is the recogniser's spelling."""
    between = text[words[place - 1].end : words[place].start]
    spelled = len(words[place - 1].text) == 1
    return between == "." or (between.strip() == "." and not spelled)
