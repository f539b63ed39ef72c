"""Threads for model inference, shared by all calls: a local model never runs on the event loop."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
Job = tuple[Future[Any], Callable[[], Any]]


class InferencePool:
    """Runs jobs in a few threads. One thread is kept for urgent jobs: a final never waits for a partial.

    As many threads as cores is right, and at least two: every model here runs single-threaded inside.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.running = 0
        """Jobs that a thread works on now."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._lock = threading.Lock()
        self._closed = False
        self._urgent: deque[Job] = deque()
        self._ordinary: deque[Job] = deque()
        self._room_for_ordinary = max(1, threads - 1)

    def submit(self, work: Callable[[], Result], *, urgent: bool = False) -> Future[Result]:
        """Queues ``work``; cancelling the future before a thread takes it saves the work.

        A closed pool answers with a cancelled future.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            (self._urgent if urgent else self._ordinary).append((future, work))
            self._threads.submit(self._work)
        return future

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._urgent) + len(self._ordinary)

    def close(self) -> None:
        """Cancels what has not begun, and waits for what has."""
        with self._lock:
            self._closed = True
            for future, _ in (*self._urgent, *self._ordinary):
                future.cancel()
        self._threads.shutdown(wait=True)

    def _work(self) -> None:
        """Runs jobs for as long as there is one that this thread may take."""
        while True:
            with self._lock:
                if self._urgent:
                    job, room = self._urgent.popleft(), 0
                elif self._ordinary and self._room_for_ordinary:
                    job, room = self._ordinary.popleft(), 1
                else:
                    return
                self._room_for_ordinary -= room
                self.running += 1
            try:
                _run(*job)
            finally:
                with self._lock:
                    self._room_for_ordinary += room
                    self.running -= 1


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # handed on, as concurrent.futures does, not swallowed
        future.set_exception(error)
    else:
        future.set_result(result)
