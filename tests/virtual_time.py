"""An event loop whose clock jumps: as soon as nothing is left to do now, it is the time of the next timer.

Mark a test, or with ``pytestmark`` a module, ``virtual_time`` and it runs on this loop. A call of ten minutes
takes milliseconds, and always the same way. What can never go on fails at once, by name:

- nothing is ready, no timer is set and no thread is at work, yet the test is not over: ``Deadlock``;
- timers alone have kept the loop busy for ``LONGEST_TEST_S``: ``Deadlock`` as well.

Only ``loop.time()`` is virtual, and all that asyncio builds on it. Work given to ``run_in_executor`` or
``to_thread`` is waited for really, and takes no virtual time. Threads that a library starts by itself
(aiosqlite does) are not seen, and sockets and child processes are refused: whether their bytes are still on
the way nobody can tell, so such tests run in real time.
"""

import asyncio
import contextlib
import selectors
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

LONGEST_TEST_S = 4 * 3600.0
"""Virtual seconds; no carrier lets a call last longer."""

LONGEST_WORK_S = 30.0
"""Real seconds that a thread may work without a result."""

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class Deadlock(AssertionError):
    """The test can never end; the text names the tasks that wait, and where."""

    def __init__(self, reason: str) -> None:
        tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
        super().__init__(
            "\n    ".join([reason, *(f"{task.get_name()} waits {_where(task)}" for task in tasks)])
        )


def _where(task: asyncio.Task[Any]) -> str:
    """File, line and function of the innermost coroutine that ``task`` has come to."""
    place = "nowhere"
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None:
            code = frame.f_code
            place = f"in {code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return place


class _JumpingSelector(selectors.DefaultSelector):
    """Where a loop would sleep until its next timer, this moves ``now`` there instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.work = 0  # how many jobs threads have in hand

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # the first is the loop's own, by which threads wake it
            raise RuntimeError("virtual time cannot wait for sockets and children: run this in real time")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.work:
            ready = super().select(LONGEST_WORK_S)
            if not ready:
                raise Deadlock(f"a thread has been at work for {LONGEST_WORK_S:.0f} real seconds")
        elif timeout is None:
            raise Deadlock(f"{self.now:.3f} s into the test everything waits and no timer is set")
        elif self.now > LONGEST_TEST_S:
            raise Deadlock(f"timers have kept the test going for {self.now:.0f} virtual seconds")
        else:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0.0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._threads = ThreadPoolExecutor(thread_name_prefix="virtual-time")
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*_Arguments], _Result],
        *args: *_Arguments,
    ) -> asyncio.Future[_Result]:
        job = (executor or self._threads).submit(func, *args)
        self._jumping.work += 1
        result = asyncio.wrap_future(job, loop=self)
        # Added after wrap_future's own callback, so the result is in before the work counts as done.
        job.add_done_callback(self._job_done)
        return result

    def _job_done(self, _: Future[Any]) -> None:
        """Runs in the thread that did the work, or here when it was cancelled before it began."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.call_soon_threadsafe(self._work_done)

    def _work_done(self) -> None:
        self._jumping.work -= 1

    def close(self) -> None:
        self._threads.shutdown()
        super().close()
