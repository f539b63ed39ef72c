"""Recogniser text as a list of words that the other modules of this package match against."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WORD = re.compile(
    r"""
      [ap]\.\s?m\b\.?                                   # a.m., p.m.
    | [$€£]?\d+(?:[.,:/-]\d+)*(?:st|nd|rd|th)?\b         # 62.50, 3:30, 555-0142, 24th
    | [$€£]?\d+(?:[.,:/-]\d+)*                           # 3pm, 62x
    | [^\W\d_]+(?:'[^\W\d_]+)*                           # it's, o'clock
    | [@_+]
    """,
    re.VERBOSE,
)
_PAUSE = re.compile(r"[.,;:!?…—–]|\s-\s")


@dataclass(frozen=True, slots=True)
class Word:
    """One word, folded (lower case, no accents). ``pause``: punctuation or the end follows it."""

    text: str
    start: int
    end: int
    pause: bool


def fold(text: str) -> str:
    """Lower case without accents, one character for each of ``text``, so that offsets stay true."""
    return "".join(_fold_character(character) for character in text)


def _fold_character(character: str) -> str:
    if character in "’‘ʼ":
        return "'"
    if character.isdecimal():
        return str(int(character))
    lower = unicodedata.normalize("NFKD", character).lower()
    return lower[0] if lower else character


def split_words(text: str) -> tuple[Word, ...]:
    folded = fold(text)
    matches = list(_WORD.finditer(folded))
    words = []
    for place, match in enumerate(matches):
        until = matches[place + 1].start() if place + 1 < len(matches) else len(folded)
        pause = place + 1 == len(matches) or bool(_PAUSE.search(folded[match.end() : until]))
        form = match[0]
        if form[0] in "ap" and "." in form:
            form = form[0] + "m"
        words.append(Word(form, match.start(), match.end(), pause))
    return tuple(words)


def phrase_at(words: Sequence[Word], place: int, phrase: Sequence[str]) -> bool:
    """Whether the words of ``phrase`` stand at ``place``."""
    if place < 0 or place + len(phrase) > len(words):
        return False
    return all(words[place + offset].text == part for offset, part in enumerate(phrase))


def longest_phrase_at(
    words: Sequence[Word], place: int, phrases: Iterable[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The longest of ``phrases`` that stands at ``place``."""
    standing = [phrase for phrase in phrases if phrase_at(words, place, phrase)]
    return max(standing, key=len, default=None)


def before(words: Sequence[Word], place: int) -> str:
    """The word before ``place``, or ``""``."""
    return words[place - 1].text if 0 < place <= len(words) else ""


def at(words: Sequence[Word], place: int) -> str:
    """The word at ``place``, or ``""``."""
    return words[place].text if 0 <= place < len(words) else ""
