"""The supervisor in the tests' own process. What callers notice of it is in ``test_workers_live.py``."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from callbot.accepting import listen
from callbot.config import load
from callbot.errors import BadMessage, ConfigurationError
from callbot.seating import Row, Worker
from callbot.workers import (
    FALSE_STARTS,
    HUNG_AFTER,
    HUNG_LEAVING_AFTER,
    HUNG_LOADING_AFTER,
    LONGEST_PAUSE,
    SOUND_AFTER,
    Restarts,
    Said,
    Supervisor,
    hangs,
)
from tests.serving import PUBLIC_URL, TOKEN
from tests.workforce import GARBLED, ROOT, until


def test_the_pause_before_a_restart_grows_and_has_a_limit() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(ready=True, lived=1.0) for _ in range(12)]
    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_worker_that_lived_long_is_started_again_at_once() -> None:
    restarts = Restarts()
    for _ in range(6):
        restarts.pause(ready=True, lived=1.0)
    assert restarts.pause(ready=True, lived=SOUND_AFTER) == 0.1


def test_a_worker_that_never_starts_is_given_up_and_one_good_start_forgives() -> None:
    restarts = Restarts()
    for _ in range(FALSE_STARTS - 1):
        assert restarts.pause(ready=False, lived=1.0) is not None
    assert restarts.pause(ready=True, lived=1.0) is not None
    for _ in range(FALSE_STARTS - 1):
        assert restarts.pause(ready=False, lived=1.0) is not None
    assert restarts.pause(ready=False, lived=1.0) is None


@pytest.mark.parametrize(
    ("state", "patience"),
    [
        (Row.LOADING, HUNG_LOADING_AFTER),
        (Row.OPEN, HUNG_AFTER),
        (Row.DRAINING, HUNG_AFTER),
        (Row.LEAVING, HUNG_LEAVING_AFTER),
    ],
)
def test_a_worker_hangs_when_it_was_silent_for_longer_than_what_it_does_may_take(
    state: Row, patience: float
) -> None:
    worker = Worker(row=0, state=state, calls=0, arriving=0, seen=100.0, full=None)
    assert not hangs(worker, 100.0 + patience)
    assert hangs(worker, 100.1 + patience)


def test_a_row_that_is_nobodys_does_not_hang() -> None:
    assert not hangs(Worker(row=0, state=Row.EMPTY, calls=0, arriving=0, seen=0.0, full=None), 1e6)


def test_a_worker_says_that_it_is_ready_or_why_it_is_not() -> None:
    assert Said.from_line(b'{"event": "ready"}\n') == Said("ready")
    assert Said.from_line(b'{"event": "failed", "reason": "no key"}\n') == Said("failed", "no key")


@given(st.one_of(st.binary(), st.sampled_from(GARBLED)))
def test_what_no_worker_says_is_a_bad_message(line: bytes) -> None:
    with pytest.raises(BadMessage):
        Said.from_line(line)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workers read their settings as an operator's would."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "PYTHONPATH": str(ROOT),
        "CALLBOT_DATA": str(tmp_path),
        "PUBLIC_URL": PUBLIC_URL,
        "TWILIO_AUTH_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def supervisor(services: str = "quiet", workers: int = 1) -> Supervisor:
    return Supervisor(
        load(), services=f"tests.workforce:{services}", workers=workers, listener=listen("127.0.0.1", 0)
    )


async def test_a_worker_is_kept_replaced_started_again_and_let_go(folder: Path) -> None:
    def times(event: str) -> int:
        return sum(line["event"] == event for line in logged)

    def children() -> list[Any]:
        return psutil.Process().children()

    with capture_logs() as logged:
        kept = supervisor()
        running = asyncio.create_task(kept.run())
        await until(lambda: times("a worker is ready") == 1)
        (first,) = children()
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: times("the workers were replaced") == 1)
        await until(lambda: times("a worker left") == 1)
        (second,) = children()
        assert second.pid != first.pid
        second.kill()
        await until(lambda: times("a worker is ready") == 3)
        (third,) = children()
        assert list(kept.seats.calls().values()) == [0]
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
        assert not third.is_running()
    left = [line for line in logged if line["event"] == "a worker left"]
    assert [line["exit_code"] for line in left] == [0, -9, 0]
    kept.close()


async def test_a_third_signal_kills_who_does_not_listen(folder: Path) -> None:
    with capture_logs() as logged:
        kept = supervisor()
        running = asyncio.create_task(kept.run())
        await until(lambda: any(line["event"] == "a worker is ready" for line in logged))
        psutil.Process().children()[0].suspend()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(running, 5) == 0
    kept.close()


async def test_a_worker_that_is_told_again_to_leave_stores_its_calls_first(folder: Path) -> None:
    with capture_logs() as logged:
        kept = supervisor("slow_to_store")
        running = asyncio.create_task(kept.run())
        await until(lambda: any(line["event"] == "a worker is ready" for line in logged))
        (worker,) = psutil.Process().children()
        os.kill(os.getpid(), signal.SIGTERM)
        await until((folder / "storing").exists)
        for number in (signal.SIGTERM, signal.SIGINT):
            worker.send_signal(number)
        (folder / "go on").touch()
        assert await running == 0
    assert (folder / "stored").exists()
    assert [line["exit_code"] for line in logged if line["event"] == "a worker left"] == [0]
    kept.close()


async def test_each_worker_knows_how_many_there_are_whatever_the_settings_say(folder: Path) -> None:
    """For a share of the day's budget."""
    with capture_logs() as logged:
        kept = supervisor("counting", workers=2)
        running = asyncio.create_task(kept.run())
        await until(lambda: [line["event"] for line in logged].count("a worker is ready") == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
    told = [name.partition(".")[2] for name in os.listdir(folder) if "workers-" in name]
    assert told == ["workers-2", "workers-2"]
    kept.close()


async def test_a_worker_that_garbles_its_lines_is_heard_all_the_same(folder: Path) -> None:
    with capture_logs() as logged:
        kept = supervisor("garbling")
        running = asyncio.create_task(kept.run())
        await until(lambda: any(line["event"] == "a worker is ready" for line in logged))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
    assert kept.garbled == len(GARBLED)
    skipped = [line for line in logged if line["event"] == "a worker says what is no message; it is skipped"]
    assert [line["times"] for line in skipped] == [1, 2, 3, 4, 5]
    kept.close()


async def test_a_worker_that_hangs_while_it_loads_is_killed_and_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(event: str) -> list[Any]:
        return [line for line in logged if line["event"] == event]

    with capture_logs() as logged:
        kept = supervisor("never_loaded")
        running = asyncio.create_task(kept.run())
        await until((folder / "loading").exists)
        with monkeypatch.context() as patch:
            patch.setattr("callbot.workers.HUNG_LOADING_AFTER", 0.0)
            await until(lambda: bool(of("a worker hangs and is killed")))
        await until(lambda: bool(of("a worker is ready")))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
    assert [line["doing"] for line in of("a worker hangs and is killed")] == ["loading"]
    assert [line["exit_code"] for line in of("a worker left")] == [-9, 0]
    kept.close()


async def test_a_worker_for_whom_there_was_no_row_is_started_as_soon_as_another_has_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows but the workers' own are taken, as by those that still have calls; and so is the row of the
    first that dies, before it is started again."""

    def slots(event: str) -> list[Any]:
        return [line.get("slot") for line in logged if line["event"] == event]

    with capture_logs() as logged:
        kept = supervisor(workers=2)
        running = asyncio.create_task(kept.run())
        await until(lambda: len(slots("a worker is ready")) == 2)
        while kept.seats.enter(0.0) is not None:
            pass
        free = kept.seats.free

        def free_and_take(row: int) -> int:
            calls = free(row)
            assert kept.seats.enter(0.0) == row
            return calls

        first, second = psutil.Process().children()
        with monkeypatch.context() as patch:
            patch.setattr(kept.seats, "free", free_and_take)
            first.kill()
            await until(
                lambda: slots("too many workers still finish their calls: no other is started") == [0]
            )
        assert slots("a worker was started") == [0, 1]
        second.kill()
        await until(lambda: slots("a worker was started") == [0, 1, 0])
        await until(lambda: len(slots("a worker is ready")) == 3)
        (third,) = psutil.Process().children()
        third.kill()
        await until(lambda: slots("a worker was started") == [0, 1, 0, 1])
        await until(lambda: len(slots("a worker is ready")) == 4)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await running == 0
    kept.close()


async def test_what_keeps_the_first_worker_from_starting_is_raised(folder: Path) -> None:
    kept = supervisor("misconfigured", workers=3)
    with pytest.raises(ConfigurationError, match="the company has no agents"):
        await kept.run()
    kept.close()
