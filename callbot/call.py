"""A call, its legs, and how it ended."""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Disposition(StrEnum):
    """How a call ended. ``METRICS.md`` of the docs says how each is counted."""

    RESOLVED = "resolved"
    TRANSFERRED = "transferred"
    ABANDONED = "abandoned"
    VOICEMAIL = "voicemail"
    FAILED = "failed"


class EndedBy(StrEnum):
    CALLER = "caller"
    AGENT = "agent"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's connection to the call."""

    sid: str
    number: str


@dataclass(frozen=True, slots=True)
class Call:
    """The whole contact, as the carrier announced it.

    ``from_number`` and ``to_number`` are as received: E.164, ``client:...``, ``sip:...`` or
    ``anonymous``. The caller's number is never proof of who calls.
    """

    sid: str
    from_number: str
    to_number: str
    direction: Direction = Direction.INBOUND
