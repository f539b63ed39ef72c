"""Written words, without their punctuation and markup: what the readers of each language are given."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_OPENING = "\"'([{<¿¡“‘«„*_"
_CLOSING = "\"')]}>.,;:!?…”’»*_"
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8"}
_MARKS = dict.fromkeys(map(ord, "™®©\u00ad\u200b\u200c\u200d\u2060\ufeff"))


@dataclass(frozen=True, slots=True)
class Written:
    """``core`` is the word itself; ``lead`` and ``tail`` what punctuation a voice is given around it."""

    core: str
    lead: str = ""
    tail: str = ""


def plain(token: str) -> str:
    """``token`` in ordinary characters: full-width digits, ligatures and fractions taken apart."""
    token = token.translate(_MARKS)
    for fraction, figures in _VULGAR.items():
        token = re.sub(rf"(?<=\d){fraction}", f"+{figures}", token).replace(fraction, figures)
    return unicodedata.normalize("NFKC", token).replace("’", "'").replace("−", "-").replace("‑", "-")


def split_punctuation(token: str, following: str, abbreviations: Sequence[str]) -> Written:
    """``token`` as ``Written``. The dot of an abbreviation stays with it, and ends a sentence only
    when the text ends there or a capital follows."""
    token = plain(token)
    opened = token.lstrip(_OPENING)
    core = opened.rstrip(_CLOSING)
    if not core:
        return Written("")
    closed = opened[len(core) :]
    if closed.startswith(".") and _is_abbreviation(core, abbreviations):
        core += "."
        ends = not following or (core.lower() in _MAY_END and following[:1].isupper())
        closed = closed if ends else closed[1:]
    lead = "¿" if "¿" in token[: len(token) - len(opened)] else ""
    return Written(core, lead, _tail(closed))


_MAY_END = ("etc.", "a.m.", "p.m.", "inc.", "ltd.", "co.", "corp.", "ave.", "rd.", "blvd.")


def _is_abbreviation(core: str, abbreviations: Sequence[str]) -> bool:
    return f"{core}.".lower() in abbreviations


def _tail(closed: str) -> str:
    """One mark for the voice's melody out of all that closes a word."""
    for mark in "?!":
        if mark in closed:
            return mark
    if "…" in closed or "..." in closed:
        return ","
    if "." in closed:
        return "."
    return "," if any(mark in closed for mark in ",;:)]") else ""
