"""Who answers: the first agent, from the number dialled and, where the number says so, the first words.
And what becomes of a call that cannot be taken now."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LanguageRoute:
    """The agent for callers of one language, and common words that give the language away."""

    agent: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dial:
    """Put the caller through to ``number`` (E.164), after saying ``say``."""

    number: str
    say: str | None = None


@dataclass(frozen=True, slots=True)
class CallBack:
    """Say that we will call back, and store that this was promised."""

    say: str | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """The busy tone; the call is never answered and costs nothing."""


@dataclass(frozen=True, slots=True)
class Sorry:
    """Say so, and hang up."""

    say: str | None = None


Overflow = Dial | CallBack | Busy | Sorry
"""What becomes of a call when every worker has enough."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the business. ``languages`` are those that callers of it may speak, the first one
    spoken until we know better; ``by_words`` maps an agent to phrases that ask for it."""

    dialled: str
    name: str
    agent: str
    languages: tuple[str, ...] = ("en",)
    by_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_language: Mapping[str, LanguageRoute] = field(default_factory=dict)
    overflow: Overflow = Sorry()


@dataclass(frozen=True, slots=True)
class Choice:
    """An agent, and why: one line for the record."""

    agent: str
    reason: str


def number_dialled(numbers: Mapping[str, Number], dialled: str) -> Number:
    """The number a call came in on; the business's first one for a number nobody configured, because a
    caller who reached us is answered. ``numbers`` must not be empty."""
    known = numbers.get(dialled) or numbers.get(f"+{dialled.lstrip('+')}")
    return known or next(iter(numbers.values()))


def by_first_words(number: Number, text: str, *, language: str | None = None) -> Choice | None:
    """The agent that the caller's first words ask for instead of ``number.agent``, or None to stay.

    ``language`` is the ISO 639-1 code that the recogniser found, if it looks for one. Language goes
    before words; phrases of two agents in one sentence leave it to the first one.
    """
    said = _words(text)
    for code, route in number.by_language.items():
        # one word may be a name or a mishearing; two common words of a language are not
        common = sum(_contains(said, _words(word)) for word in route.words)
        by_ear = language is None and common > 0 and (common >= 2 or common == len(said))
        if route.agent != number.agent and (language == code or by_ear):
            return Choice(route.agent, f"the caller speaks {code}")
    asked = {
        agent: phrase
        for agent, phrases in number.by_words.items()
        for phrase in phrases
        if _contains(said, _words(phrase))
    }
    if len(asked) != 1 or number.agent in asked:
        return None
    agent, phrase = next(iter(asked.items()))
    return Choice(agent, f"the caller said {phrase!r}")


def _words(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFD", text.lower().replace("’", "'"))
    return tuple(re.findall(r"[a-z0-9']+", "".join(c for c in plain if not unicodedata.combining(c))))


def _contains(said: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    size = len(phrase)
    return bool(size) and any(said[i : i + size] == phrase for i in range(len(said) - size + 1))
