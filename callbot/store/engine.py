"""Opens the database, for the one writer and for readers alike."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from callbot.store.records import to_json

BUSY_TIMEOUT = 2.0
"""Seconds that SQLite waits for another writer's lock before it reports that there is one."""


def open_engine(database_url: str, *, busy_timeout: float = BUSY_TIMEOUT) -> AsyncEngine:
    """An engine that connects when first used; ``await engine.dispose()`` closes it."""
    if make_url(database_url).get_backend_name() != "sqlite":
        return create_async_engine(database_url, json_serializer=to_json, pool_pre_ping=True)
    engine = create_async_engine(
        database_url, json_serializer=to_json, connect_args={"timeout": busy_timeout}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _tune(connection: Any, _record: object) -> None:
        # Readers do not block the writer. NORMAL then loses nothing to a crash of ours, only to a power cut.
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine
