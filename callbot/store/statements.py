"""How each record becomes a row. Every statement may run twice: the second time changes nothing."""

from functools import cache
from typing import Any, assert_never

from sqlalchemy import Table, func, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert
from sqlmodel import SQLModel

from callbot.store import tables
from callbot.store.records import (
    CallbackRequested,
    CallBegan,
    CallEnded,
    HandoffMade,
    Happened,
    MoneySpent,
    ProviderUsed,
    Record,
    StatusReported,
    TurnTaken,
    values,
)


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


_TABLE_OF: dict[type[Any], Table] = {
    CallBegan: _table(tables.Call),
    TurnTaken: _table(tables.Turn),
    HandoffMade: _table(tables.Handoff),
    Happened: _table(tables.Event),
    ProviderUsed: _table(tables.Usage),
    CallEnded: _table(tables.Call),
    StatusReported: _table(tables.Call),
    CallbackRequested: _table(tables.Callback),
    MoneySpent: _table(tables.Spending),
}

_RISING: dict[type[Any], str] = {StatusReported: "carrier_status_rank", MoneySpent: "n"}
"""Kinds whose records come out of order: a row is changed only by one that has more in this column."""

TABLES: list[Table] = list(dict.fromkeys(_TABLE_OF.values()))


def row(record: Record) -> dict[str, Any]:
    """Columns and values; each kind of record fills its own columns and no others."""
    match record:
        case TurnTaken() | HandoffMade() | Happened() | ProviderUsed():
            return values(record)
        case CallbackRequested() | MoneySpent():
            return values(record)
        case CallBegan():
            return {
                "sid": record.call_sid,
                "from_number": record.from_number,
                "to_number": record.to_number,
                "direction": record.direction.value,
                "first_agent": record.agent,
                "began_at": record.at,
            }
        case CallEnded():
            return {
                "sid": record.call_sid,
                "disposition": record.disposition.value,
                "ended_by": record.ended_by.value,
                "duration_ms": record.duration_ms,
                "agents": list(record.agents),
                "slots": record.slots,
                "recording": record.recording,
            }
        case StatusReported():
            return {
                "sid": record.call_sid,
                "carrier_status": record.status,
                "carrier_status_rank": record.rank,
                "carrier_seconds": record.seconds,
            }
        case _:
            assert_never(record)


def upsert(record: Record, dialect: str) -> Insert:
    """The statement that stores ``record`` and all of its kind, in ``sqlite`` or ``postgresql``."""
    kind: Any = type(record)
    return _upsert(kind, tuple(row(record)), dialect)


@cache
def _upsert(kind: Any, columns: tuple[str, ...], dialect: str) -> Insert:
    table = _TABLE_OF[kind]
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    keys = [column.name for column in table.primary_key]
    changes: dict[str, Any] = {name: statement.excluded[name] for name in columns if name not in keys}
    if kind in (CallBegan, CallbackRequested):  # a resumed call began when it first did
        changes = {name: func.coalesce(table.c[name], new) for name, new in changes.items()}
    if kind not in _RISING:
        return statement.on_conflict_do_update(index_elements=keys, set_=changes)
    rank = table.c[_RISING[kind]]
    rises = or_(rank.is_(None), statement.excluded[_RISING[kind]] > rank)
    return statement.on_conflict_do_update(index_elements=keys, set_=changes, where=rises)
