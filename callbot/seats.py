"""The seats of one machine, shared by its workers: who may take a call, and who already did.

The plan (``seating.py``) lies in memory without a file that the supervisor's children inherit; a lock of
the kernel's is held for the microseconds of a change, and falls open by itself when its holder dies. One
server alone has a plan of its own, and no lock.

Times are the event loop's, that is the machine's monotonic clock: the same in every process on it.
"""

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

from callbot.seating import REMEMBERED, Row, Seating, Standing, Worker

SILENT_AFTER: Final = 1.0
"""Seconds without a sign of life after which nobody waits for a worker to accept a connection."""
PAUSE_PER_CALL: Final = 0.002
LONGEST_PAUSE: Final = 0.025


class Seats:
    """The seats as one worker sees them; its own row is ``row``."""

    def __init__(self, plan: Seating, lock: AbstractContextManager[object], row: int, fd: int = -1) -> None:
        self.fd = fd
        """The memory's, for a child to inherit; -1 when nobody can."""
        self.row = row
        self._plan = plan
        self._lock = lock

    @classmethod
    def alone(cls, seats: int) -> "Seats":
        """For one server that shares with nobody; it is open."""
        plan = Seating.lay(bytearray(Seating.size(rows=1, seats=seats)), rows=1, seats=seats)
        row = plan.enter(0.0)
        assert row is not None
        plan.become(row, Row.OPEN)
        return cls(plan, contextlib.nullcontext(), row)

    @classmethod
    def shared(cls, *, rows: int, seats: int, remembered: int = REMEMBERED) -> "Seats":
        """New seats that children may ``join``; whoever makes them is no worker."""
        fd = os.memfd_create("callbot-seats")
        os.ftruncate(fd, Seating.size(rows=rows, seats=seats, remembered=remembered))
        plan = Seating.lay(_map(fd), rows=rows, seats=seats, remembered=remembered)
        return cls(plan, _Locked(fd), -1, fd)

    @classmethod
    def join(cls, fd: int, row: int) -> "Seats":
        """The seats behind an inherited ``fd``, for the worker in ``row``. Raises ``ValueError`` when
        another version laid them out."""
        return cls(Seating(_map(fd)), _Locked(fd), row, fd)

    # --- calls ---------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        return self._plan.seats

    def reserve(self, call_sid: str, stream: int, now: float, lifetime: float) -> bool:
        """Keep a seat for a call whose webhook is about to be answered; False when none is free."""
        with self._lock:
            return self._plan.reserve(call_sid, stream, now, lifetime)

    def occupy(self, call_sid: str, stream: int, now: float) -> bool:
        """The stream has started here. True exactly once for each, in whichever worker it starts."""
        with self._lock:
            return self._plan.occupy(call_sid, stream, self.row, now)

    def leave(self, call_sid: str, stream: int) -> None:
        """The stream is over."""
        with self._lock:
            self._plan.leave(call_sid, stream)

    def ended(self, call_sid: str) -> None:
        """The conversation is over and the line may be cut: said by whoever closes the media socket."""
        with self._lock:
            self._plan.ended(call_sid)

    def has_ended(self, call_sid: str) -> bool:
        return self.standing(call_sid).ended

    def standing(self, call_sid: str) -> Standing:
        with self._lock:
            return self._plan.standing(call_sid)

    def room(self, now: float) -> bool:
        """Whether another call could have a seat."""
        with self._lock:
            return self._plan.room(now)

    def taken(self) -> int:
        return self._plan.taken()

    # --- workers -------------------------------------------------------------------------------------

    def enter(self, now: float) -> int | None:
        """A row for a worker that is being started; None when every row is somebody's."""
        with self._lock:
            return self._plan.enter(now)

    def free(self, row: int) -> int:
        """The worker in ``row`` is gone. The number of calls it had."""
        with self._lock:
            return self._plan.vacate(row)

    def become(self, state: Row) -> None:
        self._plan.become(self.row, state)

    def report(self, now: float, *, arriving: int = 0, full: str | None = None) -> None:
        """This worker's sign of life, several times a second."""
        self._plan.report(self.row, now, arriving=arriving, full=full)

    def arriving(self, connections: int) -> None:
        """Connections of this worker that are so new that they may still become calls."""
        self._plan.arriving(self.row, connections)

    def worker(self, row: int) -> Worker:
        return self._plan.worker(row)

    def calls(self) -> dict[int, int]:
        """Live calls of each worker, by its row."""
        return {worker.row: worker.calls for worker in self._plan.workers()}

    def live_calls(self) -> int:
        """Live calls of this worker."""
        return self._plan.worker(self.row).calls

    def others(self) -> Iterator[Worker]:
        """The workers that are not this one."""
        return (worker for worker in self._plan.workers() if worker.row != self.row)

    def others_are_open(self) -> bool:
        return any(worker.state is Row.OPEN for worker in self.others())

    def why_full(self, now: float) -> str | None:
        """Why no call can be let in, or None: no seat is free, or every open worker says it is full."""
        if not self.room(now):
            return f"all {self.total} seats are taken"
        full = [worker.full for worker in self._plan.workers() if worker.state is Row.OPEN]
        if full and all(full):
            return full[0]
        return None

    def pause(self, now: float) -> float:
        """Seconds to leave a new connection to a worker that has fewer calls, before taking it oneself."""
        others = [other for other in self.others() if _could_take_a_call(other, now)]
        if not others:
            return 0.0
        mine = self._plan.worker(self.row)
        if mine.full:
            return LONGEST_PAUSE
        more = _load(mine) - min(map(_load, others))
        return min(LONGEST_PAUSE, PAUSE_PER_CALL * max(0, more))


def _load(worker: Worker) -> int:
    return worker.calls + worker.arriving


def _could_take_a_call(worker: Worker, now: float) -> bool:
    return worker.state is Row.OPEN and worker.full is None and now - worker.seen < SILENT_AFTER


def _map(fd: int) -> mmap.mmap:
    return mmap.mmap(fd, os.fstat(fd).st_size)


class _Locked:
    """One process at a time. The kernel lets go for a process that dies."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN)
