"""The one writer: takes calls' records without making anyone wait, and loses none that matters.

    put -> queue -> batch -> database
                        \\-> (it stays broken) spool -> (it works again) database

The audio path calls ``put``; a task of ours does the rest. When more waits than the queue holds, the
log's entries go first, then handoffs; calls and turns are few and small, and are never dropped.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import SQLModel

from callbot.store.engine import open_engine
from callbot.store.records import HandoffMade, Happened, Record
from callbot.store.spool import Spool
from callbot.store.statements import TABLES, row, upsert

CAPACITY: Final = 10_000
BATCH: Final = 200
GATHER: Final = 0.2
"""Seconds that a record may wait for others: a transaction costs far more than a row in it."""
PATIENCE: Final = 10.0
"""Seconds of trying again before records go to the spool."""
PROBE_EVERY: Final = 5.0
"""Seconds between looks at a database that was broken."""
STATEMENT_LIMIT: Final = 15.0

log = structlog.get_logger(__name__)


class _Rank(IntEnum):
    EVENT = 0
    HANDOFF = 1
    CALL = 2


class _UnavailableError(Exception):
    """The database cannot be written now; nothing is wrong with the records."""


class _UnacceptableError(Exception):
    """One of the records can never be a row."""


class Recorder:
    """Stores records in ``database_url``. ``put`` from the event loop's thread only."""

    def __init__(
        self,
        database_url: str,
        *,
        spool: Path,
        capacity: int = CAPACITY,
        patience: float = PATIENCE,
        probe_every: float = PROBE_EVERY,
    ) -> None:
        self.dropped = 0
        """Records that were never stored, because too many waited."""
        self.retries = 0
        """Writes that failed and were tried again."""
        self.rejected = 0
        """Records that the database can never take; they are in the spool's ``rejected`` file."""
        self._engine = open_engine(database_url)
        self._spool = Spool(spool)
        self._capacity = capacity
        self._patience = patience
        self._probe_every = probe_every
        self._queues: dict[_Rank, deque[Record]] = {rank: deque() for rank in _Rank}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._tables_exist = False
        self._broken = False
        self._spooled = False
        self._probe_at = 0.0
        self._writer: asyncio.Task[None] | None = None

    def put(self, record: Record) -> None:
        """Store this soon. Never waits and never raises."""
        if self._closing:
            self.dropped += 1
            log.error("a record came after the recorder was closed", record=type(record).__name__)
            return
        self._queues[_rank(record)].append(record)
        if self.waiting > self._capacity:
            self._drop_one()
        self._idle.clear()
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Records not yet handed to the database or the spool."""
        return sum(map(len, self._queues.values()))

    @property
    def broken(self) -> bool:
        """Whether the database could not be written when last tried."""
        return self._broken

    async def start(self) -> None:
        """Create the tables and begin to write. A database that is down is no error: see ``broken``."""
        self._spooled = await asyncio.to_thread(self._spool.exists)
        try:
            await self._execute([])
        except _UnavailableError as error:
            self._now_broken(error)
        self._wake.set()  # an earlier process may have left a spool
        self._writer = asyncio.create_task(self._write(), name="recorder")

    async def flush(self) -> None:
        """Wait until everything put so far is in the database or the spool."""
        self._hurry.set()
        await self._idle.wait()
        self._hurry.clear()

    async def aclose(self) -> None:
        """Write or spool what waits, then close the database."""
        self._closing = True
        self._wake.set()
        self._hurry.set()
        await (self._writer or self._write())
        await self._engine.dispose()

    async def _write(self) -> None:
        while True:
            await self._pause()
            if (self._broken or self._spooled) and self._now() >= self._probe_at:
                await self._recover()
            while batch := self._take():
                if not await self._store(batch):
                    break
                if len(batch) < BATCH and not (self._closing or self._hurry.is_set()):
                    break  # what came meanwhile waits for company
            if not self.waiting:
                self._idle.set()
            if self._closing:
                return

    async def _pause(self) -> None:
        """Until there is something to write, or a broken database is due for a look."""
        try:
            async with asyncio.timeout_at(self._probe_at if self._broken else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER):
                await self._hurry.wait()

    def _take(self) -> list[Record]:
        """The next batch: calls and turns first, in the order they came."""
        batch: list[Record] = []
        for rank in sorted(_Rank, reverse=True):
            queue = self._queues[rank]
            batch += [queue.popleft() for _ in range(min(len(queue), BATCH - len(batch)))]
        return batch

    async def _store(self, batch: list[Record]) -> bool:
        """Whether the batch has a place now. If not, it is back in the queue."""
        if not self._broken:
            try:
                await self._insist(batch)
            except _UnavailableError as error:
                self._now_broken(error)
            else:
                return True
        try:
            await asyncio.to_thread(self._spool.append, batch)
        except OSError as error:
            log.error(
                "neither the database nor the spool can be written", error=str(error), waiting=len(batch)
            )
            if self._closing:
                self.dropped += len(batch)
                return True
            for record in reversed(batch):
                self._queues[_rank(record)].appendleft(record)
            return False
        self._spooled = True
        return True

    async def _insist(self, batch: Sequence[Record]) -> None:
        """Try for as long as we have patience: a lock goes away by itself."""
        deadline = self._now() + self._patience
        delay = 0.05
        while True:
            try:
                return await self._write_rows(batch)
            except _UnavailableError:
                if self._closing or self._now() + delay > deadline:
                    raise
            self.retries += 1
            await asyncio.sleep(delay)
            delay = min(2 * delay, 1.0)

    async def _recover(self) -> None:
        """Bring the spool home, in its order, then remove it. A crash in between repeats it harmlessly."""
        replayed = 0
        try:
            await self._execute([])
            if self._spooled:
                replayed = await self._replay()
        except (_UnavailableError, OSError) as error:
            self._now_broken(error)
            return
        self._broken = self._spooled = False
        log.info("the database can be written again", replayed=replayed)

    async def _replay(self) -> int:
        replayed = 0
        with closing(self._spool.read(BATCH)) as batches:
            while batch := await asyncio.to_thread(next, batches, None):
                await self._write_rows(batch)
                replayed += len(batch)
        return replayed

    async def _write_rows(self, batch: Sequence[Record]) -> None:
        """Store the batch; a record that no database takes is put aside, and the others are stored."""
        try:
            await self._execute(batch)
        except _UnacceptableError as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._write_rows(batch[:middle])
                await self._write_rows(batch[middle:])
                return
            self.rejected += 1
            log.error(
                "a record was put aside", record=type(batch[0]).__name__, error=type(error.__cause__).__name__
            )
            try:
                await asyncio.to_thread(self._spool.reject, batch)
            except OSError as full:
                raise _UnavailableError(str(full)) from full

    async def _execute(self, batch: Sequence[Record]) -> None:
        """One transaction. Raises ``_UnavailableError`` or ``_UnacceptableError``."""
        kinds: dict[type[Record], list[Record]] = {}
        for record in batch:
            kinds.setdefault(type(record), []).append(record)
        try:
            if not self._tables_exist:
                await self._create_tables()
            async with asyncio.timeout(STATEMENT_LIMIT), self._engine.begin() as connection:
                for records in kinds.values():
                    statement = upsert(records[0], self._engine.dialect.name)
                    await connection.execute(statement, [row(record) for record in records])
        except (IntegrityError, DataError, ProgrammingError, NotSupportedError) as error:
            raise _UnacceptableError from error
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise _UnavailableError(str(getattr(error, "orig", error))) from error
        except (StatementError, ValueError, TypeError, OverflowError) as error:
            raise _UnacceptableError from error

    async def _create_tables(self) -> None:
        if self._engine.dialect.name == "sqlite":
            folder = Path(str(self._engine.url.database)).parent
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        async with asyncio.timeout(STATEMENT_LIMIT), self._engine.begin() as connection:
            await connection.run_sync(lambda sync: SQLModel.metadata.create_all(sync, tables=TABLES))
        self._tables_exist = True

    def _now_broken(self, error: Exception) -> None:
        if not self._broken:
            log.error("the database cannot be written; records go to the spool", error=str(error))
        self._broken = True
        self._tables_exist = False  # what comes back may be another database
        self._probe_at = self._now() + self._probe_every

    def _drop_one(self) -> None:
        for rank in (_Rank.EVENT, _Rank.HANDOFF):
            if self._queues[rank]:
                self._queues[rank].popleft()
                self.dropped += 1
                if self.dropped % 1000 == 1:
                    log.error("too many records wait; the least important are dropped", dropped=self.dropped)
                return

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _rank(record: Record) -> _Rank:
    match record:
        case Happened():
            return _Rank.EVENT
        case HandoffMade():
            return _Rank.HANDOFF
        case _:
            return _Rank.CALL
