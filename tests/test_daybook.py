"""What was spent today is known to a process that starts, and to those beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from structlog.testing import capture_logs

from callbot.daybook import DayBook
from callbot.providers.accounting import Port, Unit, Used
from callbot.providers.budget import CallPurse, Limits, Purse
from callbot.providers.price_file import parse
from callbot.providers.prices import Prices
from callbot.store.recorder import Recorder
from callbot.store.records import MoneySpent
from callbot.store.statements import upsert

TODAY, TOMORROW = date(2026, 11, 26), date(2026, 11, 27)
PRICES = Prices(
    (
        parse(
            "prices:\n"
            "  - {vendor: acme, model: '*', per: one, page: invented, dated: 2026-11-26,\n"
            "     characters_spoken: 0.01}\n",
            "prices.yaml",
        ),
    )
)


class Process:
    """With a purse and a day book of its own."""

    def __init__(self, purse: Purse, book: DayBook, recorder: Recorder) -> None:
        self.purse = purse
        self.book = book
        self.recorder = recorder

    def speak(self, characters: int, today: date = TODAY) -> None:
        """In a call that does not end."""
        used = Used(Port.TTS, "acme:voice", Unit.CHARACTERS_SPOKEN, characters)
        CallPurse(self.purse).spend(used, "sales", today)

    async def told(self) -> None:
        self.book.tell()
        await self.recorder.flush()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'db' / 'callbot.db'}"


@asynccontextmanager
async def recording(url: str, folder: Path) -> AsyncIterator[Recorder]:
    recorder = Recorder(url, spool=folder / "spool.jsonl", probe_every=0.02)
    await recorder.start()
    try:
        yield recorder
    finally:
        await recorder.aclose()


@asynccontextmanager
async def process(
    url: str, folder: Path, *, day: str | None = "1.00", workers: int = 1, today: date = TODAY
) -> AsyncIterator[Process]:
    limits = Limits(day=None if day is None else Decimal(day))
    purse = Purse(PRICES, limits, sharers=workers)
    async with recording(url, folder) as recorder:
        book = DayBook(purse, recorder, url, today=lambda: today)
        async with book.open():
            yield Process(purse, book, recorder)


async def test_a_process_that_starts_knows_what_those_before_it_have_spent(url: str, tmp_path: Path) -> None:
    for left in ("1.00", "0.70", "0.40", "0.10"):
        async with process(url, tmp_path) as one:
            assert one.purse.left(TODAY) == Decimal(left)
            one.speak(30)
    async with process(url, tmp_path) as another:
        assert another.purse.left(TODAY) == 0
        assert another.purse.known_on(TODAY) == Decimal("1.20")


async def test_what_a_call_has_used_is_known_though_its_process_died_before_the_call_was_over(
    url: str, tmp_path: Path
) -> None:
    async with process(url, tmp_path) as dies:
        dies.speak(80)
        await dies.told()  # and it writes no more
        async with process(url, tmp_path) as born:
            assert born.purse.left(TODAY) == Decimal("0.20")
            born.speak(20)
            assert born.purse.left(TODAY) == 0


async def test_workers_learn_of_each_other_while_they_run(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbot.daybook.TELL_EVERY", 0.01)
    monkeypatch.setattr("callbot.daybook.LEARN_EVERY", 0.01)
    async with process(url, tmp_path, workers=2) as one, process(url, tmp_path, workers=2) as two:
        assert two.purse.left(TODAY) == Decimal("0.50")
        one.speak(50)
        async with asyncio.timeout(10):
            while two.purse.left(TODAY) != Decimal("0.25"):  # noqa: ASYNC110 - no event crosses the database
                await asyncio.sleep(0.01)
            while one.purse.left(TODAY) != Decimal("0.25"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_every_amount_replaces_the_one_before_it_and_is_written_once(url: str, tmp_path: Path) -> None:
    async with process(url, tmp_path) as one:
        for _ in range(3):
            one.speak(10)
            await one.told()
            await one.told()
        assert one.purse.spent_on(TODAY) == Decimal("0.30")
    async with process(url, tmp_path) as another:
        assert another.purse.known_on(TODAY) == Decimal("0.30")


async def test_what_was_spent_on_another_day_is_not_todays(url: str, tmp_path: Path) -> None:
    async with process(url, tmp_path) as one:
        one.speak(70)
    async with process(url, tmp_path, today=TOMORROW) as another:
        assert another.purse.left(TOMORROW) == Decimal("1.00")


async def test_what_was_spent_before_there_was_a_budget_counts(url: str, tmp_path: Path) -> None:
    async with process(url, tmp_path, day=None) as one:
        one.speak(90)
    async with process(url, tmp_path) as another:
        assert another.purse.left(TODAY) == Decimal("0.10")


async def test_a_database_that_is_down_keeps_nobody_from_starting_and_is_read_once_it_is_up(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbot.daybook.TELL_EVERY", 0.01)
    monkeypatch.setattr("callbot.daybook.LEARN_EVERY", 0.01)
    in_the_way = tmp_path / "db"
    in_the_way.write_text("a file where the folder should be")
    with capture_logs() as logged:
        async with process(url, tmp_path) as dies:
            dies.speak(60)
        async with process(url, tmp_path) as born:
            assert born.purse.left(TODAY) == Decimal("1.00"), "nothing is known"
            in_the_way.unlink()
            async with asyncio.timeout(10):
                while born.purse.left(TODAY) != Decimal("0.40"):  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.01)
    events = [line["event"] for line in logged]
    assert "what was spent today cannot be read; the budget goes by what is known" in events
    assert "what was spent today can be read again" in events


async def test_an_amount_that_comes_late_does_not_make_a_day_cheaper(url: str, tmp_path: Path) -> None:
    """As when another process brings the spool home."""
    async with recording(url, tmp_path) as recorder:
        for n, amount in ((1, "0.10"), (3, "0.30"), (2, "0.20")):
            recorder.put(MoneySpent("2026-11-26", "one", n, amount, "USD"))
            await recorder.flush()
    async with process(url, tmp_path) as another:
        assert another.purse.known_on(TODAY) == Decimal("0.30")


async def test_amounts_in_another_currency_are_not_added(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path) as recorder:
        recorder.put(MoneySpent("2026-11-26", "one", 1, "0.30", "EUR"))
    async with process(url, tmp_path) as another:
        assert another.purse.known_on(TODAY) == 0


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_both_databases_are_told_to_keep_the_newest_amount(dialect: str) -> None:
    statement = upsert(MoneySpent("2026-11-26", "one", 1, "0.10", "USD"), dialect)
    compiled = str(statement.compile(dialect={"sqlite": sqlite, "postgresql": postgresql}[dialect].dialect()))
    assert "ON CONFLICT (day, process) DO UPDATE" in compiled
    assert compiled.rstrip().endswith("excluded.n > spendings.n")
