"""Is this only a goodbye? Then it does not interrupt ours."""

import re
from collections.abc import Mapping
from typing import Final

_ENGLISH: Final = """
bye goodbye thanks thank you very much so too okay ok alright great good nice day night evening have a
take care cheers see later and the same to
"""
_SPANISH: Final = """
adiós adios gracias muchas hasta luego pronto mañana igualmente vale bueno buen buena buenas buenos día días
tarde tardes noche noches que tenga un muy amable y a usted
"""
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "en": frozenset(_ENGLISH.split()),
    "es": frozenset(_SPANISH.split()),
}


def is_farewell(text: str, language: str = "en") -> bool:
    """Every word of it belongs to a goodbye or to thanks."""
    words = re.findall(r"[\w']+", text.lower())
    return bool(words) and all(word in _WORDS.get(language, _WORDS["en"]) for word in words)
