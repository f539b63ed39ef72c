"""Sentences with values in them: ``{slot}``, ``{result.field}``, ``{caller_number}``."""

import re
from collections.abc import Callable

PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[a-z_]+)?)\}")

Lookup = Callable[[str], str | None]
"""A placeholder's name -> the words to put in its place, or None when nobody knows them."""


def names(template: str) -> tuple[str, ...]:
    """The placeholders in ``template``, in order."""
    return tuple(PLACEHOLDER.findall(template))


def fill(template: str, lookup: Lookup) -> str | None:
    """The sentence with its values, or None when one of them is unknown."""
    values = {name: lookup(name) for name in names(template)}
    if any(value is None for value in values.values()):
        return None
    return PLACEHOLDER.sub(lambda found: values[found.group(1)] or "", template)


def sentences(text: str) -> tuple[str, ...]:
    """Split a written text where a sentence ends and another begins."""
    return tuple(part for part in re.split(r"(?<=[.!?])\s+(?=[A-ZÁÉÍÓÚÑ¿¡{])", text.strip()) if part)
