"""Cuts a text into pieces to be spoken one after the other, so that the first is heard early."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])([\"'”’)\]]*)\s+")
_CLAUSE_END: Final = re.compile(r"(?<=[,;:—])\s+")
_NO_END: Final = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof)|\b[A-Z])\.$")

_LONGEST, _LONGEST_FIRST = 140, 80  # characters: about nine seconds, and five
_AFTER_SENTENCE, _AFTER_CLAUSE = 0.22, 0.1


@dataclass(frozen=True, slots=True)
class Piece:
    """``pause`` is the silence after it, in seconds: none after the last."""

    text: str
    pause: float


def pieces(text: str) -> list[Piece]:
    """Sentences, and clauses of long sentences. Joined, they have all the words of ``text``."""
    found: list[Piece] = []
    for sentence in _sentences(text):
        *before, last = _clauses(sentence, first=not found)
        found += [Piece(clause, _AFTER_CLAUSE) for clause in before]
        found.append(Piece(last, _AFTER_SENTENCE))
    if found:
        found[-1] = Piece(found[-1].text, 0.0)
    return found


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        sentence = text[start : end.end(1)].strip()
        if sentence and not _NO_END.search(sentence):
            yield sentence
            start = end.end()
    if rest := text[start:].strip():
        yield rest


def _clauses(sentence: str, *, first: bool) -> list[str]:
    """The sentence in parts of bearable length, cut where it has punctuation, else between words."""
    if len(sentence) <= _LONGEST:
        return [sentence]
    parts: list[str] = []
    for clause in _CLAUSE_END.split(sentence):
        longest = _LONGEST_FIRST if first and len(parts) <= 1 else _LONGEST
        if parts and len(parts[-1]) + len(clause) < longest:
            parts[-1] += f" {clause}"
        elif len(clause) <= 2 * _LONGEST:
            parts.append(clause)
        else:
            parts += _lines(clause)
    return parts


def _lines(clause: str) -> list[str]:
    lines = [""]
    for word in clause.split():
        if len(lines[-1]) + len(word) > _LONGEST and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
