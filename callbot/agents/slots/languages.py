"""The languages whose answers we understand."""

from callbot.agents.slots.english import ENGLISH
from callbot.agents.slots.spanish import SPANISH
from callbot.agents.slots.vocabulary import Vocabulary

LANGUAGES = {"en": ENGLISH, "es": SPANISH}


def vocabulary(language: str) -> Vocabulary:
    """The words of ``language`` (ISO 639-1, a region may follow); English for one we do not know."""
    return LANGUAGES.get(primary(language), ENGLISH)


def primary(language: str) -> str:
    """``es`` of ``es-MX``."""
    return language.lower().replace("_", "-").split("-")[0]
