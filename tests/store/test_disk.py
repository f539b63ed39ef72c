import asyncio
import threading

import pytest

from callbot.store.disk import Disk


async def test_work_is_done_in_order_on_one_thread_that_is_not_ours() -> None:
    disk, done = Disk(), []
    jobs = [disk.submit(lambda n=n: done.append((n, threading.get_ident()))) for n in range(100)]  # type: ignore[misc]
    async with asyncio.timeout(5):
        await asyncio.gather(*map(asyncio.wrap_future, jobs))
    assert [n for n, _ in done] == list(range(100))
    assert len({thread for _, thread in done} | {threading.get_ident()}) == 2
    disk.shutdown()


async def test_an_error_is_its_jobs_alone() -> None:
    disk = Disk()
    broken, whole = disk.submit(lambda: 1 / 0), disk.submit(pow, 2, 5)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wrap_future(broken)
    assert await asyncio.wrap_future(whole) == 32
    disk.shutdown()


def test_what_was_given_is_done_before_it_closes() -> None:
    disk = Disk()
    jobs = [disk.submit(str, n) for n in range(50)]
    disk.shutdown()
    assert [job.result(0) for job in jobs] == [str(n) for n in range(50)]
    with pytest.raises(RuntimeError):
        disk.submit(str, 1)


def test_what_is_cancelled_is_not_done() -> None:
    disk, done = Disk(), threading.Event()
    started, go_on = threading.Event(), threading.Event()

    def first() -> None:
        started.set()
        go_on.wait(5)

    disk.submit(first)
    never = disk.submit(done.set)
    assert started.wait(5)
    never.cancel()
    go_on.set()
    disk.shutdown()
    assert not done.is_set()


def test_without_work_there_is_no_thread() -> None:
    before = threading.active_count()
    Disk().shutdown()
    assert threading.active_count() == before
