"""The seating plan: which calls have a place in this machine's workers, as one block of memory.

A call takes a seat before its webhook is answered with a stream, sits down when that stream starts, and
leaves when it is over. Each worker has a row of its own, in which it says how it is. ``seats.py`` puts the
block into memory that processes share and lets one of them change it at a time; here is what the bytes mean.

    rows      one a worker: state, calls, connections that are arriving, last sign of life, why it is full
    seats     one a call: a digest of its id, the number of its stream, who serves it, when the seat lapses
    memory    a ring of the calls that had a seat: how many streams each had, and whether it ended in order

A process may be killed half-way through a change. The order of the writes sees to it that no seat is lost by
that: one that is not free is owned by a worker whose row will be vacated, or lapses.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from mmap import mmap
from typing import Final

REMEMBERED: Final = 10_000
"""Calls that are known after they left: beyond, the oldest is forgotten."""
MOST_ROWS: Final = 254
LONGEST_REASON: Final = 63

_MAGIC: Final = b"seats 01"
_KEY: Final = 16
_NO_KEY: Final = bytes(_KEY)
_ENDED: Final = 0x80
"""Beside the number of streams in a remembered call's byte."""

_HEADER = struct.Struct("=8sIIII")  # magic, rows, seats, remembered, next place in the ring
_RING_AT: Final = 20
_LAPSE_AT: Final = 24  # double: no seat lapses before
_HEADER_SIZE: Final = 32

# A row: state, length of reason; calls, arriving; last sign of life; reason
_ROW_SIZE: Final = 88
_CALLS, _ARRIVING, _SEEN, _REASON = 4, 8, 16, 24
_U32 = struct.Struct("=I")
_F64 = struct.Struct("=d")


class Row(IntEnum):
    """How a worker is. Only an open one is given new calls."""

    EMPTY = 0
    LOADING = 1
    OPEN = 2
    DRAINING = 3
    LEAVING = 4


class Seat(IntEnum):
    FREE = 0
    RESERVED = 1
    TAKEN = 2


@dataclass(frozen=True, slots=True)
class Worker:
    """One row, read. ``arriving``: connections accepted a moment ago, which may become calls."""

    row: int
    state: Row
    calls: int
    arriving: int
    seen: float
    full: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a call: the streams it was given, whether the last one is still expected, and
    whether it ended in order."""

    streams: int = 0
    expected: bool = False
    ended: bool = False


class Seating:
    """``memory`` must be ``size(...)`` long; ``lay`` writes a new plan into it."""

    def __init__(self, memory: bytearray | mmap) -> None:
        self._memory = memory
        magic, rows, seats, remembered, _ = _HEADER.unpack_from(memory)
        if magic != _MAGIC:
            raise ValueError("this memory holds no seating plan that this version can read")
        self.rows: int = rows
        self.seats: int = seats
        self._remembered: int = remembered
        self._states = _HEADER_SIZE + self.rows * _ROW_SIZE
        self._owners = self._states + self.seats
        self._streams = self._owners + self.seats
        self._over = self._streams + self.seats
        self._keys = self._over + self.seats
        self._lapses = self._keys + self.seats * _KEY
        self._had = self._lapses + self.seats * _F64.size
        self._had_keys = self._had + self._remembered

    @staticmethod
    def size(*, rows: int, seats: int, remembered: int = REMEMBERED) -> int:
        """Bytes that a plan takes."""
        return _HEADER_SIZE + rows * _ROW_SIZE + seats * (4 + _KEY + _F64.size) + remembered * (1 + _KEY)

    @classmethod
    def lay(
        cls, memory: bytearray | mmap, *, rows: int, seats: int, remembered: int = REMEMBERED
    ) -> "Seating":
        """An empty plan in ``memory``, which is all zeros."""
        assert 0 < rows <= MOST_ROWS
        assert seats > 0
        _HEADER.pack_into(memory, 0, _MAGIC, rows, seats, remembered, 0)
        return cls(memory)

    # --- calls ---------------------------------------------------------------------------------------

    def reserve(self, call_sid: str, stream: int, now: float, lifetime: float) -> bool:
        """Keep a seat for this stream of the call until ``now + lifetime``; False when none is free.

        Asked again, nothing changes. A call that comes back for a later stream keeps its seat, whoever
        served it; a stream that the call has had already gets none, and that is no refusal.
        """
        key = _digest(call_sid)
        at = self._seat_of(key)
        if at is None:
            known = self._recollection(key)
            if known is not None and (known.ended or known.streams >= stream):
                return True
            at = self._free_seat(now)
            if at is None:
                return False
            self._memory[self._over + at] = 0
            self._set_key(at, key)
        elif self._memory[self._streams + at] >= stream:
            return True
        _F64.pack_into(self._memory, self._lapses + at * _F64.size, now + lifetime)
        _F64.pack_into(self._memory, _LAPSE_AT, min(self._next_lapse or now + lifetime, now + lifetime))
        self._memory[self._streams + at] = stream
        self._pass_to(at, Seat.RESERVED)
        return True

    def occupy(self, call_sid: str, stream: int, row: int, now: float) -> bool:
        """This stream has started, at the worker in ``row``. True exactly once for each stream."""
        at = self._seat_of(_digest(call_sid))
        if at is None or self._memory[self._states + at] != Seat.RESERVED:
            return False
        if self._memory[self._streams + at] != stream or now >= self._lapse(at):
            return False
        self._memory[self._owners + at] = row + 1
        self._count(row, +1)
        self._memory[self._states + at] = Seat.TAKEN
        return True

    def leave(self, call_sid: str, stream: int) -> None:
        """This stream is over. A seat that has passed to a later stream of the call stays."""
        at = self._seat_of(_digest(call_sid))
        if at is not None and self._memory[self._streams + at] == stream:
            self._clear(at)

    def ended(self, call_sid: str) -> None:
        """The call is over, in order: it gets no other stream."""
        key = _digest(call_sid)
        at = self._seat_of(key)
        if at is None:
            known = self._recollection(key) or Standing()
            self._remember(key, known.streams, ended=True)
            return
        self._memory[self._over + at] = 1
        if self._memory[self._states + at] == Seat.RESERVED:  # hung up before the stream started
            self._clear(at)

    def standing(self, call_sid: str) -> Standing:
        key = _digest(call_sid)
        at = self._seat_of(key)
        if at is None:
            return self._recollection(key) or Standing()
        return Standing(
            self._memory[self._streams + at],
            expected=self._memory[self._states + at] == Seat.RESERVED,
            ended=bool(self._memory[self._over + at]),
        )

    def room(self, now: float) -> bool:
        """Whether another call could have a seat."""
        return self._free_seat(now) is not None

    def taken(self) -> int:
        """Seats that are not free."""
        return self.seats - self._memory[self._states : self._owners].count(Seat.FREE)

    # --- workers -------------------------------------------------------------------------------------

    def enter(self, now: float) -> int | None:
        """A row for a worker that is about to load; None when every row is somebody's."""
        for row in range(self.rows):
            if self._memory[self._row(row)] == Row.EMPTY:
                self._forget_row(row)
                _F64.pack_into(self._memory, self._row(row) + _SEEN, now)
                self._memory[self._row(row)] = Row.LOADING
                return row
        return None

    def become(self, row: int, state: Row) -> None:
        self._memory[self._row(row)] = state

    def report(self, row: int, now: float, *, arriving: int, full: str | None) -> None:
        """A worker's sign of life. ``full``: why it should get no more calls, in a few words."""
        at = self._row(row)
        reason = (full or "").encode()[:LONGEST_REASON]
        self._memory[at + _REASON : at + _REASON + len(reason)] = reason
        self._memory[at + 1] = len(reason)
        _U32.pack_into(self._memory, at + _ARRIVING, arriving)
        _F64.pack_into(self._memory, at + _SEEN, now)

    def arriving(self, row: int, connections: int) -> None:
        _U32.pack_into(self._memory, self._row(row) + _ARRIVING, connections)

    def vacate(self, row: int) -> int:
        """The worker is gone: free its row and its calls' seats; how many calls those were."""
        calls = 0
        owner = bytes([row + 1])
        at = self._memory.find(owner, self._owners, self._streams)
        while at >= 0:
            seat = at - self._owners
            if self._memory[self._states + seat] == Seat.TAKEN:
                calls += 1
                self._clear(seat)
            else:  # it died while it sat down or stood up
                self._memory[at] = 0
            at = self._memory.find(owner, at + 1, self._streams)
        self._memory[self._row(row)] = Row.EMPTY
        self._forget_row(row)
        return calls

    def worker(self, row: int) -> Worker:
        at = self._row(row)
        length = self._memory[at + 1]
        reason = bytes(self._memory[at + _REASON : at + _REASON + length])
        return Worker(
            row=row,
            state=Row(self._memory[at]),
            calls=_U32.unpack_from(self._memory, at + _CALLS)[0],
            arriving=_U32.unpack_from(self._memory, at + _ARRIVING)[0],
            seen=_F64.unpack_from(self._memory, at + _SEEN)[0],
            full=reason.decode(errors="replace") if length else None,
        )

    def workers(self) -> Iterator[Worker]:
        """The rows that are somebody's."""
        for row in range(self.rows):
            if self._memory[self._row(row)] != Row.EMPTY:
                yield self.worker(row)

    # --- the bytes -----------------------------------------------------------------------------------

    def _row(self, row: int) -> int:
        return _HEADER_SIZE + row * _ROW_SIZE

    def _forget_row(self, row: int) -> None:
        at = self._row(row)
        self._memory[at + 1 : at + _ROW_SIZE] = bytes(_ROW_SIZE - 1)

    def _count(self, row: int, change: int) -> None:
        at = self._row(row) + _CALLS
        calls = _U32.unpack_from(self._memory, at)[0] + change
        _U32.pack_into(self._memory, at, max(0, calls))

    def _pass_to(self, at: int, state: Seat) -> None:
        """Whoever served this seat does so no more."""
        owner = self._memory[self._owners + at]
        taken = self._memory[self._states + at] == Seat.TAKEN
        self._memory[self._states + at] = state
        if owner and taken:
            self._count(owner - 1, -1)
        self._memory[self._owners + at] = 0

    def _clear(self, at: int) -> None:
        """Free the seat and remember who had it."""
        key = bytes(self._memory[self._keys + at * _KEY : self._keys + (at + 1) * _KEY])
        self._remember(key, self._memory[self._streams + at], ended=bool(self._memory[self._over + at]))
        self._pass_to(at, Seat.FREE)
        self._set_key(at, _NO_KEY)

    def _set_key(self, at: int, key: bytes) -> None:
        self._memory[self._keys + at * _KEY : self._keys + (at + 1) * _KEY] = key

    def _seat_of(self, key: bytes) -> int | None:
        at = self._find(key, self._keys, self.seats)
        return at if at is not None and self._memory[self._states + at] != Seat.FREE else None

    def _free_seat(self, now: float) -> int | None:
        at = self._memory.find(bytes([Seat.FREE]), self._states, self._owners)
        if at < 0 and self._next_lapse and now >= self._next_lapse:
            self._free_lapsed(now)
            at = self._memory.find(bytes([Seat.FREE]), self._states, self._owners)
        return at - self._states if at >= 0 else None

    def _free_lapsed(self, now: float) -> None:
        """Seats whose call never came."""
        next_lapse = 0.0
        at = self._memory.find(bytes([Seat.RESERVED]), self._states, self._owners)
        while at >= 0:
            lapses = self._lapse(at - self._states)
            if now >= lapses:
                self._clear(at - self._states)
            else:
                next_lapse = min(next_lapse or lapses, lapses)
            at = self._memory.find(bytes([Seat.RESERVED]), at + 1, self._owners)
        _F64.pack_into(self._memory, _LAPSE_AT, next_lapse)

    @property
    def _next_lapse(self) -> float:
        """The earliest time at which a reserved seat may lapse; 0 when none is reserved."""
        found: float = _F64.unpack_from(self._memory, _LAPSE_AT)[0]
        return found

    def _lapse(self, at: int) -> float:
        found: float = _F64.unpack_from(self._memory, self._lapses + at * _F64.size)[0]
        return found

    def _recollection(self, key: bytes) -> Standing | None:
        at = self._find(key, self._had_keys, self._remembered)
        if at is None:
            return None
        had = self._memory[self._had + at]
        return Standing(had & ~_ENDED, ended=bool(had & _ENDED))

    def _remember(self, key: bytes, streams: int, *, ended: bool) -> None:
        at = self._find(key, self._had_keys, self._remembered)
        if at is None:
            at = _U32.unpack_from(self._memory, _RING_AT)[0]
            _U32.pack_into(self._memory, _RING_AT, (at + 1) % self._remembered)
        self._memory[self._had + at] = min(streams, _ENDED - 1) | (_ENDED if ended else 0)
        self._memory[self._had_keys + at * _KEY : self._had_keys + (at + 1) * _KEY] = key

    def _find(self, key: bytes, start: int, count: int) -> int | None:
        """The place of ``key`` in an array of keys."""
        at = self._memory.find(key, start, start + count * _KEY)
        while at >= 0 and (at - start) % _KEY:
            at = self._memory.find(key, at + 1, start + count * _KEY)
        return (at - start) // _KEY if at >= 0 else None


def _digest(call_sid: str) -> bytes:
    return blake2b(call_sid.encode(), digest_size=_KEY).digest()
