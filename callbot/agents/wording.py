"""Words as they are compared: lower case, no accents, no punctuation, no fillers."""

import re
import unicodedata
from collections.abc import Collection

_WORD = re.compile(r"[a-z0-9ñ]+(?:'[a-z]+)?")


def words(text: str) -> tuple[str, ...]:
    """The words of ``text``: ``"It's Café-Móvil!"`` -> ``("it's", "cafe", "movil")``."""
    plain = text.lower().replace("’", "'").replace("ñ", "\0")
    plain = "".join(char for char in unicodedata.normalize("NFD", plain) if not unicodedata.combining(char))
    return tuple(_WORD.findall(plain.replace("\0", "ñ")))


def contains(said: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the words of ``phrase`` stand in ``said``, side by side."""
    size = len(phrase)
    return bool(size) and any(said[start : start + size] == phrase for start in range(len(said) - size + 1))


def after(text: str, opening: str) -> str | None:
    """What ``text`` says behind the words of ``opening``, or None when it does not begin with them.

    >>> after("Yes. And when?", "yes")
    'And when?'
    """
    left = words(opening)
    tokens = text.split()
    for place, token in enumerate(tokens):
        if not left:
            return " ".join(tokens[place:])
        part = words(token)
        if part != left[: len(part)]:
            return None
        left = left[len(part) :]
    return None if left else ""


def without(said: tuple[str, ...], fillers: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    """``said`` with the fillers taken out; all of it when nothing else would remain."""
    left = list(said)
    for filler in sorted(fillers, key=len, reverse=True):
        size = len(filler)
        start = 0
        while size and start <= len(left) - size:
            if tuple(left[start : start + size]) == filler:
                del left[start : start + size]
            else:
                start += 1
    return tuple(left) or said
