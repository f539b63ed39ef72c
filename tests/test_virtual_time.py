"""The loop whose clock jumps."""

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import virtual_time
from tests.virtual_time import Deadlock, VirtualTimeLoop


def run(test: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(test)


@pytest.mark.virtual_time
async def test_a_marked_test_of_ten_minutes_takes_no_time():
    began = time.perf_counter()
    for _ in range(600 * 50):
        await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() == pytest.approx(600)
    assert time.perf_counter() - began < 10


async def test_an_unmarked_test_runs_in_real_time():
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


@pytest.mark.virtual_time
async def test_timers_fire_in_the_order_of_their_times_and_at_them():
    loop = asyncio.get_running_loop()
    fired: list[tuple[str, float]] = []

    async def note(name: str, after: float) -> None:
        await asyncio.sleep(after)
        fired.append((name, loop.time()))

    async with asyncio.TaskGroup() as tasks:
        for name, after in (("third", 45.0), ("first", 0.02), ("second", 8.0)):
            tasks.create_task(note(name, after))
    assert fired == [("first", 0.02), ("second", 8.0), ("third", 45.0)]


@pytest.mark.virtual_time
async def test_a_wait_with_a_limit_times_out_at_its_limit():
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()
    assert loop.time() == 30


@pytest.mark.virtual_time
async def test_a_threads_work_is_waited_for_and_takes_no_virtual_time():
    async with asyncio.timeout(0.001):
        assert await asyncio.to_thread(lambda: time.sleep(0.05) or "heard") == "heard"
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.virtual_time
async def test_an_executor_of_ones_own_is_waited_for_too():
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as executor:
        async with asyncio.timeout(0.001):
            await asyncio.gather(*(loop.run_in_executor(executor, time.sleep, 0.01) for _ in range(3)))
    assert loop.time() == 0


@pytest.mark.virtual_time
async def test_work_that_fails_hands_its_exception_to_who_awaits_it():
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)
    await asyncio.sleep(5)  # and the clock goes on


@pytest.mark.virtual_time
async def test_work_that_was_cancelled_before_it_began_does_not_hold_the_clock():
    loop = asyncio.get_running_loop()
    release = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        first = loop.run_in_executor(executor, release.wait)
        second = loop.run_in_executor(executor, release.wait)
        second.cancel()
        release.set()
        await first
        await asyncio.sleep(60)
    assert loop.time() == 60


def test_a_deadlock_fails_at_once_and_names_who_waits_and_where():
    async def ear(words: asyncio.Queue[str]) -> None:
        await words.get()

    async def call() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ear(asyncio.Queue()), name="the ear")

    with pytest.raises(Deadlock, match=r"everything waits") as caught:
        run(call())
    assert "the ear waits in Queue.get (queues.py:" in str(caught.value)


def test_after_a_deadlock_the_tasks_are_cancelled_and_clean_up():
    cleaned: list[float] = []

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(2)
            cleaned.append(asyncio.get_running_loop().time())

    with pytest.raises(Deadlock):
        run(call())
    assert cleaned == [2.0]


def test_timers_that_never_end_are_a_deadlock():
    async def heartbeat() -> None:
        for _ in itertools.count():
            await asyncio.sleep(60)

    with pytest.raises(Deadlock, match=r"14\d\d\d virtual seconds\n.* waits in "):
        run(heartbeat())


def test_a_thread_that_never_finishes_is_a_deadlock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(virtual_time, "LONGEST_WORK_S", 0.05)
    release = threading.Event()

    async def listen() -> None:
        try:
            await asyncio.to_thread(release.wait)
        finally:
            release.set()

    with pytest.raises(Deadlock, match="a thread has been at work"):
        run(listen())


def test_sockets_are_refused():
    async def connect() -> None:
        with socket.socket() as listener, socket.socket() as caller:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            caller.setblocking(False)
            await asyncio.get_running_loop().sock_connect(caller, listener.getsockname())
            await asyncio.get_running_loop().sock_recv(caller, 1)

    with pytest.raises(RuntimeError, match="run this in real time"):
        run(connect())
