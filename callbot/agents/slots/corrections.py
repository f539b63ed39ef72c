"""Callers who change their mind in mid-answer: "Monday, no, I meant Tuesday", "not Monday, Tuesday"."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from callbot.agents.slots.languages import vocabulary as words_of
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, longest_phrase_at, phrase_at, split_words

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Found(Generic[Value]):
    """A value that words ``start`` to ``end`` may mean. Weak ones count when no strong one is there."""

    value: Value
    start: int
    end: int
    strong: bool = True


def is_correction(text: str, language: str = "en") -> bool:
    """Whether the caller takes back something they said (or we understood)."""
    words = split_words(text)
    vocabulary = words_of(language)
    place = _past_fillers(words, vocabulary)
    for start in range(place, len(words)):
        marker = longest_phrase_at(words, start, vocabulary.strong_corrections)
        if marker and start + len(marker) < len(words):
            return True
    return _contrasts(words, place, vocabulary)


def _contrasts(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    """As in "not Monday, Tuesday": a short denial, a pause, then the right one."""
    negation = longest_phrase_at(words, place, vocabulary.negations)
    if negation is None or words[place + len(negation) - 1].pause:
        return False
    if longest_phrase_at(words, place, vocabulary.no - {negation}):
        return False  # "not really, no"
    denied = words[place + len(negation) : -1]
    return any(word.pause for word in denied[:4]) or any(word.text in ("but", "sino") for word in denied[:5])


def _past_fillers(words: Sequence[Word], vocabulary: Vocabulary) -> int:
    place = 0
    while place < len(words) and words[place].text in vocabulary.fillers:
        place += 1
    return place


def segments(
    words: Sequence[Word], vocabulary: Vocabulary, *, inside: Collection[int] = ()
) -> list[tuple[int, int]]:
    """``words`` cut at the markers of a correction, as (start, end) of each piece that says something.

    The words at the places ``inside`` belong to an answer ("no light") and mark nothing.
    """
    pieces: list[tuple[int, int]] = []
    start = place = 0
    while place < len(words):
        marker = longest_phrase_at(words, place, vocabulary.corrections)
        if marker and place not in inside and _marks(words, place, marker, vocabulary):
            pieces.append((start, place))
            place = start = place + len(marker)
        else:
            place += 1
    pieces.append((start, len(words)))
    return [(start, end) for start, end in pieces if end > start]


def _marks(words: Sequence[Word], place: int, marker: tuple[str, ...], vocabulary: Vocabulary) -> bool:
    """A lone "no" corrects only after or before a pause: "Monday, no, Tuesday"."""
    if marker not in vocabulary.no:
        return True
    return words[place].pause or (marker not in vocabulary.negations and _after_pause(words, place))


def _after_pause(words: Sequence[Word], place: int) -> bool:
    return place == 0 or words[place - 1].pause


def denied(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    """Whether what begins at ``place`` is what the caller does **not** mean: "not the Monday"."""
    while place > 0 and words[place - 1].text in vocabulary.articles:
        place -= 1
    for negation in vocabulary.negations:
        start = place - len(negation)
        if phrase_at(words, start, negation) and not words[place - 1].pause:
            return True
    return False


def choose(
    found: Sequence[Found[Value]],
    words: Sequence[Word],
    vocabulary: Vocabulary,
    accept: Callable[[Value], bool] = lambda value: True,
) -> Found[Value] | None:
    """The value the caller means: not a denied one, the first of the last piece after a correction."""
    meant = [each for each in found if accept(each.value) and not denied(words, each.start, vocabulary)]
    meant = [each for each in meant if each.strong] or meant
    for start, end in reversed(segments(words, vocabulary)):
        inside = [each for each in meant if start <= each.start < end]
        if inside:
            return inside[0]
    return None
