"""Workers as they are: real processes on a real port, with live calls."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import psutil
import pytest
import pytest_asyncio

from callbot.accepting import listen
from tests.workforce import Workforce, at_work, calls, form, post, ring, token_in, until, workforce

# --- one service, with what it must survive; each test leaves it with two workers and no call --------

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = itertools.count(1, 1000)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Workforce, Path]]:
    folder = tmp_path_factory.mktemp("service")
    patch = "import callbot.workers; callbot.workers.HUNG_AFTER = 3.0"
    async with at_work(folder, services="hanging", patch=patch) as force:
        yield force, folder


@pytest_asyncio.fixture(loop_scope="module")
async def force(service: tuple[Workforce, Path]) -> AsyncIterator[Workforce]:
    force, _ = service
    force.forget()
    yield force
    await until(lambda: list(force.live().values()) == [0, 0])


@pytest.fixture
def first() -> int:
    """The number of a test's first call: none is used twice."""
    return next(_numbers)


async def test_two_hundred_streams_are_spread_evenly_over_two_workers(force: Workforce, first: int) -> None:
    async with calls(force, 200, first=first, every=1.0) as callers:
        await until(lambda: sum(force.live().values()) == 200)
        one, other = force.live().values()
        assert abs(one - other) <= 30
        await asyncio.gather(*(caller.hang_up() for caller in callers))


async def test_security_1_a_token_is_good_once_whichever_worker_it_is_shown_to(
    force: Workforce, first: int
) -> None:
    async with httpx2.AsyncClient(base_url=force.url) as client:
        twiml = await post(client, "/twilio/voice", form(first))
    shown = await asyncio.gather(*(ring(force, first, twiml) for _ in range(10)))
    await until(lambda: [caller.socket.close_code for caller in shown].count(1008) == 9)
    assert sum(force.live().values()) == 1
    await asyncio.gather(*(caller.hang_up() for caller in shown if caller.socket.close_code is None))


async def test_faults_64_the_other_workers_calls_notice_nothing_of_a_kill_and_the_dead_is_replaced(
    force: Workforce, first: int
) -> None:
    async with calls(force, 20, first=first, every=0.05) as callers:
        victim = force.workers()[0]
        live = force.live()
        os.kill(victim, signal.SIGKILL)
        left = (await force.until("a worker left"))[0]
        assert (left["worker"], left["exit_code"]) == (victim, -signal.SIGKILL)
        survivors = 20 - left["calls_cut"]
        assert left["calls_cut"] in live.values()
        assert 0 < survivors < 20
        await force.until("a worker is ready")
        await asyncio.sleep(0.5)
        cut = [caller for caller in callers if caller.code is not None]
        assert len(cut) == left["calls_cut"]
        assert sum(force.live().values()) == survivors

        async with httpx2.AsyncClient(base_url=force.url) as client:  # the carrier asks how to go on
            twiml = await post(client, "/twilio/resume", form(cut[0].n, CallStatus="in-progress"))
        assert "interrupted" in twiml
        again = await ring(force, cut[0].n, twiml)
        await until(lambda: sum(force.live().values()) == survivors + 1)
        await again.hang_up()
        await asyncio.gather(*(caller.hang_up() for caller in callers if caller.code is None))


async def test_faults_66_a_worker_that_hangs_is_killed_and_replaced(
    force: Workforce, service: tuple[Workforce, Path]
) -> None:
    (service[1] / "hang").touch()
    await force.until("a worker hangs and is killed")
    await force.until("a worker is ready")
    assert len(force.events("a worker left")) == 1


async def test_a_worker_that_was_told_to_leave_by_somebody_else_is_replaced(force: Workforce) -> None:
    os.kill(force.workers()[1], signal.SIGTERM)
    await force.until("a worker is ready")
    assert force.events("a worker left")[0]["exit_code"] == 0


async def test_sighup_replaces_the_workers_without_cutting_a_call_or_losing_a_request(
    force: Workforce, first: int
) -> None:
    old = set(force.workers())
    async with calls(force, 6, first=first) as callers:
        answers: list[int] = []
        asking = True

        async def ask() -> None:
            while asking:
                async with httpx2.AsyncClient(base_url=force.url) as client:
                    answers.append((await client.get("/readyz")).status_code)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask())
            force.signal(signal.SIGHUP)
            await force.until("the workers were replaced")
            await force.until("draining", 2)
            await asyncio.sleep(0.5)
            asking = False
        assert set(answers) == {200}
        assert [caller.code for caller in callers] == [None] * 6
        assert len(force.live()) == 4, "two that drain, two that take calls"
        late = await ring(force, first + 10)
        await asyncio.gather(*(caller.hang_up() for caller in callers), late.hang_up())
        left = await force.until("a worker left", 2)
        assert {said["worker"] for said in left} == old
        assert {said["exit_code"] for said in left} == {0}


async def test_a_replacement_that_cannot_start_changes_nothing(
    force: Workforce, service: tuple[Workforce, Path]
) -> None:
    file = service[1] / ".env"
    file.write_text("CALLBOT_MAX_CALL_SECONDS=1\n")
    force.signal(signal.SIGHUP)
    said = await force.until("a worker cannot start")
    file.unlink()
    assert "CALLBOT_MAX_CALL_SECONDS=1" in said[0]["reason"]
    await force.until("the workers that are there stay")
    async with httpx2.AsyncClient(base_url=force.url) as client:
        assert (await client.get("/readyz")).status_code == 200
    assert force.events("draining") == []


# --- FAULTS 63: SIGTERM with live calls ----------------------------------------------------------


async def test_faults_63_sigterm_under_live_calls_cuts_none_and_the_carrier_is_answered_meanwhile(
    tmp_path: Path,
) -> None:
    """Sent to every process at once, too, as service managers do."""
    async with at_work(tmp_path) as force:
        async with calls(force, 20) as callers:
            for worker in force.workers():
                os.kill(worker, signal.SIGTERM)
            force.signal(signal.SIGTERM)
            await force.until("draining", 2)
            for _ in range(5):  # a new connection each: whichever worker takes it
                async with httpx2.AsyncClient(base_url=force.url) as client:
                    ready = await client.get("/readyz")
                    assert ready.status_code == 503
                    assert "draining" in ready.json()["reasons"][0]
                    assert (await client.get("/healthz")).status_code == 200
                    assert "<Hangup" in await post(client, "/twilio/voice", form(99))
            await asyncio.sleep(1)
            assert [caller.code for caller in callers] == [None] * 20
            await callers[0].hang_up()
            async with httpx2.AsyncClient(base_url=force.url) as client:  # "how do I go on?"
                form_of_one = form(callers[0].n, CallStatus="in-progress")
                assert "<Hangup" in await post(client, "/twilio/resume", form_of_one)
            await asyncio.gather(*(caller.hang_up() for caller in callers[1:]))
        assert await force.exit_code() == 0


async def test_a_second_signal_cuts_the_calls(tmp_path: Path) -> None:
    async with at_work(tmp_path) as force, calls(force, 3) as callers:
        force.signal(signal.SIGINT)
        await force.until("draining", 2)
        force.signal(signal.SIGINT)
        assert await force.exit_code() == 0
        for caller in callers:
            await caller.socket.wait_closed()
        assert [caller.socket.close_code for caller in callers] == [1012] * 3


async def test_workers_whose_supervisor_died_finish_their_calls_and_leave(tmp_path: Path) -> None:
    async with at_work(tmp_path) as force, calls(force, 4) as callers:
        workers = force.workers()
        force.signal(signal.SIGKILL)
        await force.until("draining", 2)
        await asyncio.sleep(0.5)
        assert [caller.code for caller in callers] == [None] * 4
        await asyncio.gather(*(caller.hang_up() for caller in callers))
        await until(lambda: not any(psutil.pid_exists(worker) for worker in workers))


# --- workers that cannot start -------------------------------------------------------------------


async def test_what_keeps_workers_from_starting_is_told_once_and_in_words(tmp_path: Path) -> None:
    async with workforce(tmp_path, workers=3, services="misconfigured") as force:
        assert await force.exit_code() == 2
    text = "".join(force.text)
    assert text.count("the company has no agents") == 1
    assert "Traceback" not in text
    assert len(force.events("a worker was started")) == 1


async def test_a_worker_that_breaks_at_every_start_ends_the_supervisor(tmp_path: Path) -> None:
    patch = "import callbot.workers; callbot.workers.FALSE_STARTS = 2"
    async with workforce(tmp_path, services="broken", patch=patch) as force:
        assert await force.exit_code(60) == 1
    assert len(force.events("a worker was started")) == 2
    assert "a fault of ours" in "".join(force.text)


async def test_a_taken_port_is_told_before_any_worker_starts(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        async with workforce(tmp_path, port=taken.getsockname()[1]) as force:
            assert await force.exit_code() == 2
    assert "Write another PORT" in " ".join("".join(force.text).split())
    assert force.events("a worker was started") == []


# --- FAULTS 75: the last seat ---------------------------------------------------------------------


async def test_faults_75_calls_beyond_the_seats_of_all_workers_overflow_and_the_next_to_end_makes_room(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, CALLBOT_MAX_CALLS="2") as force:
        async with httpx2.AsyncClient(base_url=force.url) as client:
            answers = await asyncio.gather(*(post(client, "/twilio/voice", form(n)) for n in range(1, 12)))
            granted = [n for n, answer in enumerate(answers, 1) if token_in(answer)]
            assert len(granted) == 4, "two workers of two"
            assert all("lines are busy" in answer for answer in answers if not token_in(answer))
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["reasons"]) == (503, ["full: all 4 seats are taken"])
            callers = [await ring(force, n, answers[n - 1]) for n in granted]
            assert token_in(await post(client, "/twilio/voice", form(20))) is None
            await callers[0].hang_up()
            await until(lambda: sum(force.live().values()) == 3)
            assert (await client.get("/readyz")).status_code == 200
            assert token_in(await post(client, "/twilio/voice", form(21))) is not None
        await asyncio.gather(*(caller.hang_up() for caller in callers[1:]))
