"""What a call's providers tell of themselves: what was used up, and what had to be replaced.

The wrappers around the adapters (``stt/fallback.py`` and its like) tell it, one for each call; the call
keeps it in its record, the metrics count it, and prices make money of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from callbot.errors import Trouble


class Port(StrEnum):
    STT = "stt"
    LLM = "llm"
    TTS = "tts"


class Unit(StrEnum):
    """What vendors charge for."""

    SECONDS_HEARD = "seconds_heard"
    TOKENS_READ = "tokens_read"
    """Of the prompt, those of ``TOKENS_CACHED`` not among them."""
    TOKENS_CACHED = "tokens_cached"
    TOKENS_WRITTEN = "tokens_written"
    AUDIO_TOKENS_READ = "audio_tokens_read"
    """By a model that hears and speaks by itself; none of them is among the others."""
    AUDIO_TOKENS_CACHED = "audio_tokens_cached"
    AUDIO_TOKENS_WRITTEN = "audio_tokens_written"
    CHARACTERS_SPOKEN = "characters_spoken"
    MINUTES_CARRIED = "minutes_carried"
    """By a carrier: ``twilio:inbound``, ``twilio:media-streams``."""


@dataclass(frozen=True, slots=True)
class Used:
    """``amount`` of ``unit`` from ``provider`` (the adapter's name, as in settings)."""

    port: Port
    provider: str
    unit: Unit
    amount: float


Most = Mapping[Unit, float]
"""What a request may use at most, before it is made. Units that its provider does not charge for, for it may
be any of several, do no harm."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A provider failed. ``instead`` is the one that went on, which is the same one if it was tried again,
    and empty if there was none left. ``attempt`` counts from 1 within one request. ``left_alone`` is for how
    many seconds it is not asked now; 0 when it may be."""

    port: Port
    provider: str
    instead: str
    trouble: Trouble
    detail: str
    attempt: int = 1
    left_alone: float = 0.0


class Mending(StrEnum):
    """What a wrapper has put right; the caller need not have noticed."""

    STT_RESUMED = "stt_resumed"
    """What was said was sent again, and there is text of it."""
    DUPLICATE = "dup_final_dropped"
    LLM_RESUMED = "llm_resumed"
    TTS_RESUMED = "tts_resumed"


@dataclass(frozen=True, slots=True)
class Mended:
    """``provider`` is the one that is at work now. ``details`` are numbers: times in ms, words from 1."""

    port: Port
    provider: str
    what: Mending
    details: Mapping[str, int]


class Amounts:
    """What was used, added up."""

    def __init__(self) -> None:
        self._amounts: dict[tuple[Port, str, Unit], float] = {}

    def add(self, used: Used) -> None:
        key = (used.port, used.provider, used.unit)
        self._amounts[key] = self._amounts.get(key, 0.0) + used.amount

    def of(self, port: Port, provider: str, unit: Unit) -> float:
        return self._amounts.get((port, provider, unit), 0.0)

    def items(self) -> list[tuple[tuple[Port, str, Unit], float]]:
        """By port, provider and unit, in the order of their names."""
        return sorted(self._amounts.items())


News = Used | Failed | Mended

Report = Callable[[News], None]
"""Told at once, on the event loop's thread; must not wait or raise."""
