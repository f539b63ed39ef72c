"""What a call reports of itself, for the database; and each record's line in the spool.

A record names the row it belongs to, so that storing it twice changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, get_args

from callbot.call import Direction, Disposition, EndedBy


@dataclass(frozen=True, slots=True)
class CallBegan:
    """``at`` is a time of day with its zone."""

    call_sid: str
    from_number: str
    to_number: str
    direction: Direction
    agent: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """``who`` is ``caller`` or ``agent``; ``heard`` and ``agent`` belong to an agent's turn."""

    call_sid: str
    turn: int
    who: str
    text: str
    start_ms: int
    end_ms: int
    agent: str | None = None
    heard: str | None = None
    interrupted: bool = False
    response_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HandoffMade:
    call_sid: str
    from_agent: str
    to_agent: str
    reason: str
    at_ms: int
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """An entry of the call's log; ``n`` counts up within the call."""

    call_sid: str
    n: int
    at_ms: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallEnded:
    call_sid: str
    disposition: Disposition
    ended_by: EndedBy
    duration_ms: int
    agents: tuple[str, ...] = ()
    slots: Mapping[str, Any] = field(default_factory=dict)
    recording: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderUsed:
    """On one ``stream`` of a call. ``cost`` is a decimal number as text; None where no price is known."""

    call_sid: str
    stream: int
    port: str
    provider: str
    unit: str
    amount: float
    wasted: float
    cost: str | None
    currency: str


@dataclass(frozen=True, slots=True)
class MoneySpent:
    """By one process on one day so far. ``day`` is a date in UTC, as in 2026-11-26; ``n`` counts up with each
    amount, which is a decimal number as text."""

    day: str
    process: str
    n: int
    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class StatusReported:
    """The carrier's word on the call. Reports come twice and out of order; ``rank`` is how final."""

    call_sid: str
    status: str
    rank: int
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class CallbackRequested:
    """A caller who could not be taken was promised a call back. ``at`` is a time of day with its zone."""

    call_sid: str
    number: str
    dialled: str
    at: datetime


Record = (
    CallBegan
    | TurnTaken
    | HandoffMade
    | Happened
    | ProviderUsed
    | CallEnded
    | StatusReported
    | MoneySpent
    | CallbackRequested
)

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record)}


def values(record: Record) -> dict[str, Any]:
    """The record's fields by name, not copied."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def to_json(value: object) -> str:
    """JSON of a record's field. What JSON has no form for is written as text."""
    return json.dumps(value, default=_plain)


def to_line(record: Record) -> str:
    """One line of JSON, without its newline."""
    return to_json({"record": type(record).__name__, "fields": values(record)})


def from_line(line: str) -> Record:
    """Raises ``ValueError``, ``KeyError`` or ``TypeError`` when ``to_line`` did not write ``line``."""
    written = json.loads(line)
    kind, given = _KINDS[written["record"]], dict(written["fields"])
    if kind is CallBegan:
        given |= {"at": datetime.fromisoformat(given["at"]), "direction": Direction(given["direction"])}
    if kind is CallbackRequested:
        given |= {"at": datetime.fromisoformat(given["at"])}
    if kind is CallEnded:
        given |= {
            "agents": tuple(given["agents"]),
            "disposition": Disposition(given["disposition"]),
            "ended_by": EndedBy(given["ended_by"]),
        }
    record: Record = kind(**given)
    return record


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return str(value)
