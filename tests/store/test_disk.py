"""What recordings give the disk is done on one thread, in order, and several things at one waking."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from callbot.store import disk as disk_module
from callbot.store.disk import Disk


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.shutdown()


async def test_everything_is_done_in_order_on_one_thread_that_is_not_ours(disk: Disk) -> None:
    done: list[tuple[int, int]] = []
    futures = [disk.submit(lambda n=n: done.append((n, threading.get_ident()))) for n in range(5)]
    await asyncio.gather(*map(asyncio.wrap_future, futures))
    assert [n for n, _ in done] == list(range(5))
    assert len({thread for _, thread in done} - {threading.get_ident()}) == 1


async def test_the_thread_is_woken_once_for_what_comes_within_a_moment(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    all_of = disk_module._all_of
    monkeypatch.setattr(disk_module, "_all_of", lambda works: (woken.append(len(works)), all_of(works)))
    for _ in range(2):
        await asyncio.gather(*[asyncio.wrap_future(disk.submit(int)) for _ in range(100)])
    assert woken == [100, 100]


async def test_who_asked_is_told_the_result_or_the_error(disk: Disk) -> None:
    good, bad = disk.submit(int, "7"), disk.submit(int, "seven")
    with pytest.raises(ValueError, match="seven"):
        await asyncio.wrap_future(bad)
    assert good.result() == 7


async def test_what_was_taken_back_is_not_done(disk: Disk) -> None:
    done: list[int] = []
    disk.submit(done.append, 1).cancel()
    await asyncio.wrap_future(disk.submit(done.append, 2))
    assert done == [2]


async def test_what_was_given_before_the_end_is_done_and_nothing_is_taken_after() -> None:
    disk, done = Disk(), list[int]()
    disk.submit(done.append, 1)
    disk.shutdown()
    assert done == [1]
    with pytest.raises(RuntimeError):
        disk.submit(int)
