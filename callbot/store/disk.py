"""The thread that writes recordings: what many calls give it within a moment is one piece of work.

To wake a thread costs the event loop some fifty microseconds; a process with many calls would wake this one
hundreds of times a second (``docs/performance.md``).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

GATHER: Final = 0.1
"""Seconds from one waking to the next."""

P = ParamSpec("P")
T = TypeVar("T")


class Disk(Executor):
    """Does everything in the order given, on one thread. Use it from the event loop's thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._gathered: list[Callable[[], None]] = []
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._closed:
            raise RuntimeError("the disk is closed")
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # whoever asked for the work is told
                future.set_exception(error)

        if not self._gathered:
            asyncio.get_running_loop().call_later(GATHER, self._hand_over)
        self._gathered.append(work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What was given is done; ``wait`` for it."""
        self._closed = True
        self._hand_over()
        self._thread.shutdown(wait, cancel_futures=cancel_futures)

    def _hand_over(self) -> None:
        works, self._gathered = self._gathered, []
        if works:
            self._thread.submit(_all_of, works)


def _all_of(works: list[Callable[[], Any]]) -> None:
    for work in works:
        work()
