"""Languages whose number words we do not write: digits of numbers and ids apart, the rest as it is."""

from collections.abc import Sequence

from callbot.conversation.spoken import shapes
from callbot.conversation.spoken.written import Written

KEPT = frozenset("0123456789%$€£@/+&°_=")
"""Signs that the voice itself knows how to say in its language."""


def read(words: Sequence[Written], place: int) -> tuple[str, ...]:
    groups = shapes.phone_at(words, place)
    if groups:
        return tuple(", ".join(_apart(group.lstrip("+")) for group in each) for each in groups)
    core = words[place].core
    if not core.isascii() or shapes.URL.fullmatch(core) or shapes.EMAIL.fullmatch(core):
        return (core,)
    if core.isdigit() and (len(core) > 4 or core.startswith("0")):
        return (_apart(core),)
    if shapes.MIXED.fullmatch(core) and core[0].isupper() and core[1:].isdigit() and len(core) > 3:
        return (f"{core[0]}, {_apart(core[1:])}",)
    return (core,)


def _apart(digits: str) -> str:
    return " ".join(digits)
