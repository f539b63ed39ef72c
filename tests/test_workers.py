"""The supervisor in the tests' own process. What callers notice of it is in ``test_workers_live.py``."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from callbot.accepting import listen
from callbot.config import load
from callbot.errors import ConfigurationError
from callbot.workers import FALSE_STARTS, LONGEST_PAUSE, SOUND_AFTER, Restarts, Supervisor
from tests.serving import PUBLIC_URL, TOKEN
from tests.workforce import ROOT, until


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


async def test_what_keeps_the_first_worker_from_starting_is_raised(folder: Path) -> None:
    kept = supervisor("misconfigured", workers=3)
    with pytest.raises(ConfigurationError, match="the company has no agents"):
        await kept.run()
    kept.close()
