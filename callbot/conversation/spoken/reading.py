"""Written text to what a voice is given, word by written word."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from callbot.agents.markup import SILENCE, ends_of_lines, masked
from callbot.conversation.spoken import english, english_tables, generic, spanish
from callbot.conversation.spoken.written import Written, split_punctuation

_REMEMBERED: Final = 1_000
"""Sentences: what agents say to every caller is read once."""
_DASHES = frozenset({"-", "–", "—", "--", "|"})
_PUNCTUATION = frozenset(".,?!;'-¿¡")


@dataclass(frozen=True, slots=True)
class Token:
    """A written word, and the words a voice says for it: none, one or several."""

    written: str
    spoken: str


@dataclass(frozen=True, slots=True)
class _Reader:
    """One language's way of reading. ``kept`` are signs that its voice may be given."""

    read: Callable[[Sequence[Written], int], tuple[str, ...]]
    abbreviations: Sequence[str]
    kept: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Place:
    text: str
    start: int


_READERS = {
    "en": _Reader(english.read, tuple(english_tables.ABBREVIATIONS), frozenset()),
    "es": _Reader(spanish.read, tuple(spanish.ABBREVIATIONS), frozenset()),
}
_ANY = _Reader(generic.read, (), generic.KEPT)


@lru_cache(_REMEMBERED)
def spoken(text: str, language: str = "en") -> tuple[Token, ...]:
    """One token for each written word of ``text`` (split at white space), with what to say for it.

    Markup, code, JSON and emoji are silent. English and Spanish come out in letters and punctuation
    alone; other languages keep figures and signs for their voice to read.
    """
    reader = _READERS.get(language.lower().replace("_", "-").split("-")[0], _ANY)
    written = [_Place(match[0], match.start()) for match in re.finditer(r"\S+", text)]
    mask = masked(text)
    visible = [mask[each.start : each.start + len(each.text)].replace(SILENCE, "") for each in written]
    words = _paused(_split(visible, reader), text, written)
    said = _read_all(words, reader)
    return tuple(Token(each.text, voice) for each, voice in zip(written, said, strict=True))


def text_for_voice(tokens: Iterable[Token]) -> str:
    """What a voice is given for ``tokens``."""
    return " ".join(token.spoken for token in tokens if token.spoken)


def _split(visible: Sequence[str], reader: _Reader) -> list[Written]:
    words = []
    for place, token in enumerate(visible):
        after = visible[place + 1] if place + 1 < len(visible) else ""
        abbreviations = reader.abbreviations
        if after[:1].isdigit():
            abbreviations = (*abbreviations, "no.", "min.", "mar.", "sat.", "sun.", "wed.")
        words.append(split_punctuation(token, after, abbreviations))
    return words


def _paused(words: Sequence[Written], text: str, written: Sequence[_Place]) -> list[Written]:
    """``words`` with a full stop where a heading, a list's item or a table's row ends without one."""
    ends = set(ends_of_lines(text))
    return [
        replace(word, tail=".") if place.start + len(place.text) in ends and not word.tail else word
        for word, place in zip(words, written, strict=True)
    ]


def _read_all(words: Sequence[Written], reader: _Reader) -> list[str]:
    said: list[str] = []
    heard = [place for place, word in enumerate(words) if word.core]
    audible = [words[place] for place in heard]
    texts: dict[int, str] = {}
    place = 0
    while place < len(audible):
        for text in reader.read(audible, place):
            texts[heard[place]] = text
            place += 1
    for place, word in enumerate(words):
        text = _finished(texts.get(place, ""), word, reader)
        pause = "," if word.core in _DASHES else word.tail
        if pause and not text and said and said[-1][-1:].isalnum():
            said[-1] += pause  # the mark of a word that is not said
        said.append(text)
    return said


def _finished(text: str, word: Written, reader: _Reader) -> str:
    """``text`` with its punctuation, and nothing in it that a voice must not be given."""
    clean = text if text.isascii() and text.isalpha() else _cleaned(text, reader)
    if not clean:
        return ""
    if word.tail:
        clean = clean.rstrip(",.") + word.tail
    return word.lead + clean


def _cleaned(text: str, reader: _Reader) -> str:
    kept = [
        character if _may_be_said(character, reader) else " "
        for character in unicodedata.normalize("NFC", text)
    ]
    clean = " ".join(
        part for part in "".join(kept).split() if any(map(str.isalnum, part)) or part in reader.kept
    )
    return clean.strip("'-") if not clean.startswith("'") else clean.rstrip("-")


def _may_be_said(character: str, reader: _Reader) -> bool:
    if character in _PUNCTUATION or character in reader.kept or character == ":":
        return character != ":" or bool(reader.kept)
    if reader.kept and character.isdecimal():
        return True
    if character >= "\U0001f000" and not character.isalpha():
        return False  # selectors and tags that only change how the sign before them is drawn
    return unicodedata.category(character)[0] == "L" or unicodedata.category(character) in ("Mn", "Mc")
