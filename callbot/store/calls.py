"""Questions about stored calls. Each function takes the ``session`` to ask through."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from callbot.store.tables import Call, Event, Handoff, Turn, Usage


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call and what was said in it, in order."""

    call: Call
    turns: Sequence[Turn]
    handoffs: Sequence[Handoff]
    usages: Sequence[Usage]


async def get_call(call_sid: str, *, session: AsyncSession) -> StoredCall | None:
    call = await session.get(Call, call_sid)
    if call is None:
        return None
    turns = select(Turn).where(col(Turn.call_sid) == call_sid).order_by(col(Turn.turn))
    handoffs = select(Handoff).where(col(Handoff.call_sid) == call_sid).order_by(col(Handoff.at_ms))
    usages = select(Usage).where(col(Usage.call_sid) == call_sid)
    in_order = usages.order_by(col(Usage.stream), col(Usage.port), col(Usage.provider), col(Usage.unit))
    return StoredCall(
        call,
        (await session.scalars(turns)).all(),
        (await session.scalars(handoffs)).all(),
        (await session.scalars(in_order)).all(),
    )


async def list_calls(
    *, session: AsyncSession, limit: int = 50, before: datetime | None = None
) -> Sequence[Call]:
    """The latest calls first; ``before`` is the ``began_at`` of the last one of the page before."""
    calls = select(Call).where(col(Call.began_at).is_not(None))
    if before is not None:
        calls = calls.where(col(Call.began_at) < before)
    newest_first = calls.order_by(col(Call.began_at).desc(), col(Call.sid)).limit(limit)
    return (await session.scalars(newest_first)).all()


async def list_events(call_sid: str, *, session: AsyncSession) -> Sequence[Event]:
    """The call's log, in order."""
    events = select(Event).where(col(Event.call_sid) == call_sid).order_by(col(Event.n))
    return (await session.scalars(events)).all()
