"""The thread that writes recordings: it looks for work now and then, so that giving it some costs little.

To wake a thread takes longer than to give it a piece of a recording, and takes the interpreter away from
the event loop in the middle of a frame. What is written here is in no hurry.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final, ParamSpec, TypeVar

LOOK_EVERY: Final = 0.05

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Disk(Executor):
    """An executor of one thread, which starts with the first work and does all of it in order."""

    def __init__(self) -> None:
        self._work: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(
        self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Result]:
        """From one thread only. Raises ``RuntimeError`` after ``shutdown``."""
        if self._closing.is_set():
            raise RuntimeError("the disk is closed")
        future: Future[Result] = Future()
        self._work.append((future, lambda: fn(*args, **kwargs)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="disk", daemon=True)
            self._thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._closing.set()
        if cancel_futures:
            for future, _ in self._work:
                future.cancel()
        if wait and self._thread is not None:
            self._thread.join()

    def _write(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(LOOK_EVERY)
            while self._work:
                future, work = self._work.popleft()
                if future.set_running_or_notify_cancel():
                    try:
                        result = work()
                    except BaseException as error:  # handed on, as every executor does, not swallowed
                        future.set_exception(error)
                    else:
                        future.set_result(result)
