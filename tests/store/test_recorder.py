import asyncio
import errno
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from callbot.call import Direction, Disposition, EndedBy
from callbot.routing.handoff import SlotValue
from callbot.store.calls import StoredCall, get_call, list_calls, list_events
from callbot.store.engine import open_engine
from callbot.store.recorder import Recorder
from callbot.store.records import (
    CallbackRequested,
    CallBegan,
    CallEnded,
    HandoffMade,
    Happened,
    Record,
    StatusReported,
    TurnTaken,
    from_line,
    to_line,
)
from callbot.store.spool import Spool

AT = datetime(2026, 11, 5, 10, 0, tzinfo=UTC)


def began(sid: str = "CA1", at: datetime = AT) -> CallBegan:
    return CallBegan(sid, "+15550142", "+15550100", Direction.INBOUND, "support", at)


def turn(number: int, sid: str = "CA1", text: str = "hello") -> TurnTaken:
    return TurnTaken(sid, number, "caller", text, 1000 * number, 1000 * number + 500)


def happened(n: int, sid: str = "CA1") -> Happened:
    return Happened(sid, n, 20 * n, "mark", {"name": str(n)})


def ended(sid: str = "CA1") -> CallEnded:
    return CallEnded(
        sid, Disposition.RESOLVED, EndedBy.CALLER, 61_000, ("support", "sales"), {"order": "B7429"}, "CA1.wav"
    )


WHOLE_CALL: list[Record] = [
    began(),
    turn(1),
    TurnTaken("CA1", 2, "agent", "How can I help?", 1600, 2900, "support", "How can I", True, 240),
    HandoffMade("CA1", "support", "sales", "wants to buy", 3000, {"pending": "a router"}),
    *(happened(n) for n in range(5)),
    ended(),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'db' / 'callbot.db'}"


@asynccontextmanager
async def recording(url: str, spool: Path, **options: float) -> AsyncIterator[Recorder]:
    recorder = Recorder(url, spool=spool, **options)  # type: ignore[arg-type]
    await recorder.start()
    try:
        yield recorder
    finally:
        await recorder.aclose()


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[AsyncSession]:
    engine = open_engine(url)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


async def stored(url: str, sid: str = "CA1") -> StoredCall:
    async with reading(url) as session:
        call = await get_call(sid, session=session)
    assert call is not None
    return call


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds the database's write lock."""
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read(); c.execute('ROLLBACK')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            other.stdin.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what the recorder does by itself, it tells nobody but the log
            await asyncio.sleep(0.01)


async def test_a_whole_call_is_stored_and_read_back(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for record in WHOLE_CALL:
            recorder.put(record)
    call = await stored(url)
    assert call.call.from_number == "+15550142"
    assert (call.call.disposition, call.call.ended_by) == ("resolved", "caller")
    assert call.call.agents == ["support", "sales"]
    assert call.call.slots == {"order": "B7429"}
    assert call.call.recording == "CA1.wav"
    assert [turn.who for turn in call.turns] == ["caller", "agent"]
    said = call.turns[1]
    assert (said.heard, said.interrupted, said.response_ms) == ("How can I", True, 240)
    assert call.handoffs[0].context == {"pending": "a router"}
    async with reading(url) as session:
        assert [event.n for event in await list_events("CA1", session=session)] == [0, 1, 2, 3, 4]


async def test_the_order_in_which_records_come_does_not_matter(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for record in reversed(WHOLE_CALL):
            recorder.put(record)
            await recorder.flush()
    call = await stored(url)
    assert (call.call.first_agent, call.call.disposition, len(call.turns)) == ("support", "resolved", 2)


async def test_a_record_that_comes_twice_is_stored_once(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for record in WHOLE_CALL * 3:
            recorder.put(record)
        await recorder.flush()
        recorder.put(turn(1, text="hello again"))
    call = await stored(url)
    assert [turn.text for turn in call.turns] == ["hello again", "How can I help?"]
    assert len(call.handoffs) == 1


async def test_a_call_that_is_resumed_began_when_it_first_did(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        recorder.put(began())
        await recorder.flush()
        recorder.put(began(at=AT.replace(minute=9)))
    began_at = (await stored(url)).call.began_at
    assert began_at is not None
    assert began_at.minute == 0


async def test_a_status_of_the_carrier_only_becomes_more_final(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for status, rank in (("in-progress", 3), ("completed", 4), ("ringing", 2), ("failed", 4)):
            recorder.put(StatusReported("CA1", status, rank))
            await recorder.flush()
    assert (await stored(url)).call.carrier_status == "completed"


async def test_calls_are_listed_latest_first_page_by_page(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for minute in range(5):
            recorder.put(began(f"CA{minute}", AT.replace(minute=minute)))
        recorder.put(StatusReported("CA9", "no-answer", 4))
    async with reading(url) as session:
        first = await list_calls(session=session, limit=2)
        second = await list_calls(session=session, limit=2, before=first[-1].began_at)
        assert [call.sid for call in (*first, *second)] == ["CA4", "CA3", "CA2", "CA1"]
        assert await get_call("CA8", session=session) is None


async def test_put_waits_for_nothing(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        with locked(tmp_path / "db" / "callbot.db"):
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            for n in range(5000):
                recorder.put(happened(n))
            assert loop.time() - began_at < 0.5


async def test_when_too_much_waits_calls_and_turns_are_kept(url: str, tmp_path: Path) -> None:
    recorder = Recorder(url, spool=tmp_path / "spool.jsonl", capacity=10)
    for number in range(10):
        recorder.put(turn(number))
        recorder.put(happened(number))
        recorder.put(HandoffMade("CA1", "support", "sales", "why", number))
    recorder.put(ended())
    assert recorder.waiting == 11, "more than fits, for all of it must be kept"
    assert recorder.dropped == 20
    await recorder.start()
    await recorder.aclose()
    call = await stored(url)
    assert (len(call.turns), len(call.handoffs), call.call.disposition) == (10, 0, "resolved")


async def test_events_are_dropped_before_handoffs(url: str, tmp_path: Path) -> None:
    recorder = Recorder(url, spool=tmp_path / "spool.jsonl", capacity=2)
    recorder.put(HandoffMade("CA1", "support", "sales", "why", 1))
    for n in range(5):
        recorder.put(happened(n))
    await recorder.start()
    await recorder.aclose()
    assert recorder.dropped == 4
    async with reading(url) as session:
        assert [event.n for event in await list_events("CA1", session=session)] == [4], "the latest is kept"


async def test_what_comes_after_the_end_is_counted_and_harms_nobody(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        pass
    recorder.put(ended())
    assert recorder.dropped == 1


async def test_what_is_put_before_the_start_is_stored_without_one(url: str, tmp_path: Path) -> None:
    recorder = Recorder(url, spool=tmp_path / "spool.jsonl")
    recorder.put(began())
    await recorder.aclose()
    assert (await stored(url)).call.first_agent == "support"


# --- FAULTS 69: the database is down -------------------------------------------------------------


async def test_faults_69_a_database_down_at_the_start_gets_everything_once_it_is_up(
    url: str, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "db"
    in_the_way.write_text("a file where the folder should be")
    async with recording(url, tmp_path / "spool.jsonl", probe_every=0.05) as recorder:
        assert recorder.broken
        for record in WHOLE_CALL:
            recorder.put(record)
        await recorder.flush()
        assert len((tmp_path / "spool.jsonl").read_text().splitlines()) == len(WHOLE_CALL)
        in_the_way.unlink()
        await until(lambda: not recorder.broken)
    assert not (tmp_path / "spool.jsonl").exists()
    call = await stored(url)
    assert (len(call.turns), len(call.handoffs), call.call.disposition) == (2, 1, "resolved")


async def test_faults_69_a_database_down_in_mid_call_is_spooled_for_and_replayed_exactly_once(
    url: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool.jsonl"
    async with recording(url, spool, patience=0.1, probe_every=0.05) as recorder:
        for record in WHOLE_CALL[:4]:
            recorder.put(record)
        await recorder.flush()
        with locked(tmp_path / "db" / "callbot.db"):
            for record in WHOLE_CALL[4:]:
                recorder.put(record)
            await recorder.flush()
            assert recorder.broken
            assert [json.loads(line)["record"] for line in spool.read_text().splitlines()][-1] == "Happened"
        await until(lambda: not recorder.broken)
        assert recorder.dropped == 0
    with sqlite3.connect(tmp_path / "db" / "callbot.db") as connection:
        rows = connection.execute("SELECT n, count(*) FROM events GROUP BY n").fetchall()
    connection.close()
    assert rows == [(n, 1) for n in range(5)]
    assert (await stored(url)).call.disposition == "resolved"


async def test_faults_69_a_spool_left_by_a_process_that_died_is_replayed_at_the_next_start(
    url: str, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append(WHOLE_CALL)
    with spool.path.open("a") as file:
        file.write('{"record": "TurnTaken", "fie')  # torn by the crash
    spool.append([turn(3)])
    async with recording(url, spool.path) as recorder:
        await recorder.flush()
    assert not spool.exists()
    assert len((await stored(url)).turns) == 3
    assert spool.rejected.read_text() == '{"record": "TurnTaken", "fie\n'


async def test_faults_69_a_crash_between_replay_and_removal_changes_nothing(url: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    for _ in range(2):
        spool.append(WHOLE_CALL)
        async with recording(url, spool.path):
            pass
    call = await stored(url)
    assert (len(call.turns), len(call.handoffs)) == (2, 1)


async def test_faults_69_closing_while_the_database_is_down_leaves_everything_in_the_spool(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "db").write_text("a file where the folder should be")
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for record in WHOLE_CALL:
            recorder.put(record)
    assert recorder.dropped == 0
    (tmp_path / "db").unlink()
    async with recording(url, tmp_path / "spool.jsonl"):
        pass
    assert (await stored(url)).call.disposition == "resolved"


# --- FAULTS 70: SQLite is locked -----------------------------------------------------------------


async def test_faults_70_a_lock_is_waited_out_and_nothing_is_lost(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbot.store.recorder.open_engine", lambda url: open_engine(url, busy_timeout=0.05))
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        with locked(tmp_path / "db" / "callbot.db"):
            for record in WHOLE_CALL:
                recorder.put(record)
            await until(lambda: recorder.retries >= 2)
        await recorder.flush()
        assert not recorder.broken
        assert recorder.dropped == 0
    assert not (tmp_path / "spool.jsonl").exists()
    call = await stored(url)
    assert (len(call.turns), call.call.disposition) == (2, "resolved")


async def test_faults_70_readers_do_not_block_the_writer(url: str, tmp_path: Path) -> None:
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        recorder.put(began())
        await recorder.flush()
        async with reading(url) as session:
            assert len(await list_calls(session=session)) == 1  # its transaction stays open
            recorder.put(turn(1))
            await recorder.flush()
        assert recorder.retries == 0
    with sqlite3.connect(tmp_path / "db" / "callbot.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


# --- FAULTS 72: the disk is full -----------------------------------------------------------------


async def test_faults_72_with_database_and_spool_both_gone_records_wait_in_memory(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "db").write_text("a file where the folder should be")
    (tmp_path / "spool").write_text("and here too")
    async with recording(url, tmp_path / "spool" / "spool.jsonl", probe_every=0.05) as recorder:
        for record in WHOLE_CALL:
            recorder.put(record)
        await until(lambda: recorder.waiting == len(WHOLE_CALL))
        (tmp_path / "db").unlink()
        await until(lambda: not recorder.broken)
        await recorder.flush()
    assert (await stored(url)).call.disposition == "resolved"


async def test_faults_72_what_cannot_be_kept_at_the_end_is_counted(url: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text("a file where the folder should be")
    (tmp_path / "spool").write_text("and here too")
    async with recording(url, tmp_path / "spool" / "spool.jsonl") as recorder:
        recorder.put(began())
    assert recorder.dropped == 1


def test_faults_72_a_spool_that_ran_out_of_space_keeps_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append([turn(1)])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            spool.append([turn(2)])
    spool.append([turn(3)])
    assert list(spool.read(10)) == [[turn(1), turn(3)]]


# --- records that no database takes --------------------------------------------------------------


async def test_a_record_that_no_database_takes_is_put_aside_and_the_others_are_stored(
    url: str, tmp_path: Path
) -> None:
    too_large = TurnTaken("CA1", 2**70, "caller", "?", 0, 0)
    unspeakable = turn(7, text="\ud800")
    async with recording(url, tmp_path / "spool.jsonl") as recorder:
        for record in (began(), turn(1), too_large, turn(2), unspeakable, turn(3)):
            recorder.put(record)
    assert recorder.rejected == 2
    assert [turn.turn for turn in (await stored(url)).turns] == [1, 2, 3]
    aside = (tmp_path / "spool.rejected.jsonl").read_text().splitlines()
    assert [from_line(line) for line in aside] == [too_large, unspeakable]


@pytest.mark.parametrize(
    "record",
    [
        *WHOLE_CALL,
        StatusReported("CA1", "completed", 4, 61),
        CallbackRequested("CA1", "+15550142", "+15550100", AT),
    ],
    ids=repr,
)
def test_a_record_survives_the_spool(record: Record) -> None:
    line = to_line(record)
    assert "\n" not in line
    assert from_line(line) == record


def test_values_that_json_has_no_form_for_are_written_as_well_as_can_be() -> None:
    slots = MappingProxyType({"order": SlotValue("order", "B7429", "caller"), "at": AT})
    again = from_line(to_line(CallEnded("CA1", Disposition.RESOLVED, EndedBy.CALLER, 1, (), slots)))
    assert isinstance(again, CallEnded)
    assert again.slots["order"]["value"] == "B7429"
    assert again.slots["at"] == "2026-11-05 10:00:00+00:00"


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"record": "Nobody"}', '{"record": []}'])
def test_a_line_that_is_no_record_is_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_line(line)


def test_workers_that_share_a_spool_lose_nothing_to_each_other(tmp_path: Path) -> None:
    """Four write while two read, and remove what they have read."""
    path = tmp_path / "spool.jsonl"
    wrote = threading.Event()

    def write(worker: int) -> None:
        for n in range(100):
            Spool(path).append([happened(n, f"CA{worker}")])

    def read() -> list[Record]:
        found: list[Record] = []
        while True:
            last = wrote.is_set()
            for batch in Spool(path).read(7):
                found += batch
            if last:
                return found

    with ThreadPoolExecutor(6) as threads:
        reading = [threads.submit(read) for _ in range(2)]
        for writing in [threads.submit(write, worker) for worker in range(4)]:
            writing.result()
        wrote.set()
        found = [record for reader in reading for record in reader.result()]
    assert len(found) == 400
    assert {to_line(record) for record in found} == {
        to_line(happened(n, f"CA{worker}")) for worker in range(4) for n in range(100)
    }
    assert not path.exists()
