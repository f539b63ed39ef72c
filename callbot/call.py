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


class EndedReason(StrEnum):
    """Why a call ended; whose doing it was stands first."""

    CALLER_HUNG_UP = "caller-hung-up"
    CALLER_SILENT = "caller-silent"
    AGENT_DONE = "agent-ended-call"
    PROVIDER_DEAF = "provider-hearing-failed"
    """Nobody could hear the caller, and no key was pressed."""
    PROVIDER_MUTE = "provider-replies-failed"
    """Providers failed in one reply after the other, so there was none."""
    SYSTEM_MUTE = "system-replies-failed"
    """The same, with all providers well: it was we."""
    SYSTEM_TOO_LONG = "system-longest-call"
    SYSTEM_LINE = "system-line-broken"
    """The carrier fell silent, or sent what it must not."""
    SYSTEM_BROKE = "system-call-broke"
    """A bug of ours ended the call without a word."""


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
