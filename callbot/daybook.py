"""What was spent today, kept where a process that starts, and those that run beside it, can read it.

Once a second each process has the recorder write what its calls have spent today, calls that still go on
among them, and every few seconds it reads what the others have: those beside it, on this machine and on
others, and those that are gone. So who restarts again and again spends no more than the day's budget, but for
what was spent in the last second or so of each life. The day is UTC's in every process, whatever the time
zones of the machines and of the database.

A database that cannot be read keeps nobody from their calls: they go on from what is known, and the log has
it. What was written while it was down is in the recorder's spool, and known once it has been replayed.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from callbot.providers.budget import Purse
from callbot.store.engine import open_engine
from callbot.store.recorder import Recorder
from callbot.store.records import MoneySpent
from callbot.store.spending import spent_by_others

TELL_EVERY: Final = 1.0
LEARN_EVERY: Final = 5.0
READ_WITHIN: Final = 5.0

log = structlog.get_logger(__name__)


def today_in_utc() -> date:
    return datetime.now(UTC).date()


class DayBook:
    """Of one process. Where there is no budget for the day, nothing is read."""

    def __init__(
        self,
        purse: Purse,
        recorder: Recorder,
        database_url: str,
        *,
        today: Callable[[], date] = today_in_utc,
    ) -> None:
        self.process = secrets.token_hex(8)
        self._purse = purse
        self._recorder = recorder
        self._engine = open_engine(database_url)
        self._today = today
        self._told = (today(), Decimal(0))
        self._written = 0
        self._readable = True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Learn what was spent today, then keep the book, until the last call is over. The recorder must have
        been started, and be closed later."""
        await self.learn()
        if known := self._purse.known_on(self._today()):
            log.info("a part of the day's budget is spent", spent=str(known), of=str(self._purse.limits.day))
        keeping = asyncio.create_task(self._keep(), name="day book")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            self.tell()
            await self._engine.dispose()

    def tell(self) -> None:
        """Have what this process has spent today written, if that is more than when it was last told."""
        today = self._today()
        spent = self._purse.spent_on(today)
        if not spent or self._told == (today, spent):
            return
        self._told = (today, spent)
        self._written += 1
        currency = self._purse.prices.currency
        self._recorder.put(MoneySpent(today.isoformat(), self.process, self._written, str(spent), currency))

    async def learn(self) -> None:
        """Ask the database what the others have spent today, and tell the purse."""
        if self._purse.limits.day is None:
            return
        today, currency = self._today(), self._purse.prices.currency
        try:
            async with asyncio.timeout(READ_WITHIN), AsyncSession(self._engine) as session:
                others = await spent_by_others(today.isoformat(), self.process, currency, session=session)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if self._readable:
                log.error(
                    "what was spent today cannot be read; the budget goes by what is known",
                    known=str(self._purse.known_on(today)),
                    error=str(error) or "no answer",
                )
            self._readable = False
            return
        self._purse.learn(others, today)
        if not self._readable:
            log.info("what was spent today can be read again", known=str(self._purse.known_on(today)))
        self._readable = True

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        learn_at = clock() + LEARN_EVERY
        while True:
            await asyncio.sleep(TELL_EVERY)
            self.tell()
            if clock() >= learn_at:
                await self.learn()
                learn_at = clock() + LEARN_EVERY
