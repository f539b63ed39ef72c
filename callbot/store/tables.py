"""The tables: a call, its turns, its handoffs, the log of everything that happened in it, what it used;
promised callbacks; what each day has cost so far.

Rows are written by ``recorder.py`` alone and in any order: a turn may be there before its call. Times
of day are UTC; ``..._ms`` are counted from the start of the call's media.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, DateTime
from sqlmodel import Field, SQLModel


class Call(SQLModel, table=True):
    """The whole contact. What nobody has reported yet is ``None``."""

    __tablename__: ClassVar[Any] = "calls"

    sid: str = Field(primary_key=True)
    from_number: str | None = None
    to_number: str | None = None
    direction: str | None = None
    first_agent: str | None = None
    began_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True), index=True))

    disposition: str | None = None
    ended_by: str | None = None
    duration_ms: int | None = None
    agents: list[str] | None = Field(default=None, sa_column=Column(JSON))
    slots: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    recording: str | None = None

    carrier_status: str | None = None
    carrier_status_rank: int | None = None
    """How final ``carrier_status`` is: it only rises."""
    carrier_seconds: int | None = None


class Turn(SQLModel, table=True):
    """One holding of the floor. ``heard``: of the agent's ``text``, what reached the caller's ear."""

    __tablename__: ClassVar[Any] = "turns"

    call_sid: str = Field(primary_key=True)
    turn: int = Field(primary_key=True)
    who: str
    agent: str | None = None
    text: str
    heard: str | None = None
    start_ms: int
    end_ms: int
    interrupted: bool = False
    response_ms: int | None = None


class Handoff(SQLModel, table=True):
    __tablename__: ClassVar[Any] = "handoffs"

    call_sid: str = Field(primary_key=True)
    at_ms: int = Field(primary_key=True)
    to_agent: str = Field(primary_key=True)
    from_agent: str
    reason: str
    context: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Event(SQLModel, table=True):
    """The call's log, append-only: ``n`` counts up within the call."""

    __tablename__: ClassVar[Any] = "events"

    call_sid: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    at_ms: int
    kind: str
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Usage(SQLModel, table=True):
    """What a provider was used for in a call. ``cost`` is a decimal number in ``currency``, or null where no
    price is known. A call that came back has rows for each of its streams."""

    __tablename__: ClassVar[Any] = "usages"

    call_sid: str = Field(primary_key=True)
    stream: int = Field(primary_key=True)
    port: str = Field(primary_key=True)
    provider: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    amount: float
    wasted: float
    """Of the amount, what nobody heard."""
    cost: str | None = None
    currency: str


class Spending(SQLModel, table=True):
    """What the calls of one ``process`` have cost on one ``day``, written while they go on: also what a call
    had used that the process did not live to finish. ``n`` counts up with each amount. ``day`` is a date in
    UTC, as in 2026-11-26; ``amount`` a decimal number in ``currency``."""

    __tablename__: ClassVar[Any] = "spendings"

    day: str = Field(primary_key=True)
    process: str = Field(primary_key=True)
    n: int
    amount: str
    currency: str


class Callback(SQLModel, table=True):
    """A caller who found every line busy was told that we call back. The call itself was never taken."""

    __tablename__: ClassVar[Any] = "callbacks"

    call_sid: str = Field(primary_key=True)
    number: str
    dialled: str
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), index=True, nullable=False))
