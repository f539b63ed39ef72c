"""Agent to agent: what travels with the caller, and when to stop passing them round."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MOST_SWITCHES: Final = 2
"""So many switches without anything done for the caller in between; the next offers a human."""


NOT_THERE: Final = "they cannot take the call"
"""Why an agent has a call again that it had given away."""


class Passing(StrEnum):
    """What is noticed of handoffs."""

    LOOP = "handoff_loop"
    """One more would only have passed the caller round."""
    FAILED = "handoff_failed"
    """Whom the call was given to could not say a word, and who gave it goes on."""
    QUEUED = "queued_utterance"
    """What the caller said meanwhile went along."""


@dataclass(frozen=True, slots=True)
class SlotValue:
    """One fact about this call. ``said_by`` is ``caller``, ``carrier`` (the number called from),
    ``lookup`` (a tool returned it) or ``agent`` (assumed); ``turn`` is the turn it came from."""

    name: str
    value: Any
    said_by: str
    confirmed: bool = False
    turn: int = 0


@dataclass(frozen=True, slots=True)
class ContextPacket:
    """All that the next agent needs so as never to ask again."""

    from_agent: str
    to_agent: str
    reason: str
    pending: str = ""
    slots: Mapping[str, SlotValue] = field(default_factory=dict)
    tried: tuple[tuple[str, str], ...] = ()
    transcript: tuple[tuple[str, str], ...] = ()


class Switches:
    """Counts handoffs, to catch a caller who is passed round and never helped."""

    def __init__(self) -> None:
        self._since_help = 0

    def helped(self) -> None:
        """Something was done for the caller: looked up, booked, answered, tried."""
        self._since_help = 0

    def allow(self) -> bool:
        """Count one more switch; False when it must not be made."""
        if self._since_help >= MOST_SWITCHES:
            return False
        self._since_help += 1
        return True
