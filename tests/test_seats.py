"""Seats that processes share: real ones race for them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from callbot.seating import Row
from callbot.seats import LONGEST_PAUSE, PAUSE_PER_CALL, SILENT_AFTER, Seats

ROOT = Path(__file__).parent.parent

RACER = """if True:
    import sys
    from callbot.seats import Seats
    fd, row, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    seats = Seats.join(fd, row)
    print("ready", flush=True)
    for line in sys.stdin:
        what, call = line.split()
        if what == "reserve":
            answer = seats.reserve(call + name, 1, 0.0, 30.0)
        elif what == "occupy":
            answer = seats.occupy(call, 1, 0.0)
        elif what == "spin":  # in the middle of changes when it is killed
            while True:
                seats.reserve(call, 1, 0.0, 30.0), seats.occupy(call, 1, 0.0), seats.leave(call, 1)
                call += "x" if len(call) < 30 else ""
        print(int(answer), flush=True)
"""


class Racer:
    def __init__(self, seats: Seats, name: str) -> None:
        row = seats.enter(0.0)
        assert row is not None
        self.process = subprocess.Popen(
            [sys.executable, "-c", RACER, str(seats.fd), str(row), name],
            pass_fds=[seats.fd],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
        )
        self.row = row
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, what: str, call: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what} {call}\n")

    def answer(self) -> bool:
        assert self.process.stdout is not None
        return self.process.stdout.readline() == "1\n"

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def seats() -> Iterator[Seats]:
    shared = Seats.shared(rows=4, seats=3)
    yield shared
    os.close(shared.fd)


@pytest.fixture
def racers(seats: Seats) -> Iterator[tuple[Racer, Racer]]:
    both = Racer(seats, "a"), Racer(seats, "b")
    yield both
    for racer in both:
        racer.close()


def test_faults_75_of_two_processes_that_race_for_the_last_seat_exactly_one_gets_it(
    seats: Seats, racers: tuple[Racer, Racer]
) -> None:
    assert seats.reserve("one", 1, 0.0, 1e9)
    assert seats.reserve("two", 1, 0.0, 1e9)
    won = [0, 0]
    for n in range(200):
        for racer in racers[:: 1 if n % 2 else -1]:
            racer.ask("reserve", f"CA{n}")
        got = [racer.answer() for racer in racers]
        assert sorted(got) == [False, True], f"round {n}"
        won[got.index(True)] += 1
        assert seats.taken() == 3
        seats.leave(f"CA{n}" + "ab"[got.index(True)], 1)
    assert min(won) > 0, "it was a race"


def test_a_stream_that_two_processes_start_at_once_starts_in_one(
    seats: Seats, racers: tuple[Racer, Racer]
) -> None:
    for n in range(200):
        assert seats.reserve(f"CA{n}", 1, 0.0, 30.0)
        for racer in racers:
            racer.ask("occupy", f"CA{n}")
        got = [racer.answer() for racer in racers]
        assert sorted(got) == [False, True]
        assert seats.calls()[racers[got.index(True)].row] == 1
        seats.leave(f"CA{n}", 1)


def test_a_process_that_is_killed_in_the_middle_of_a_change_blocks_nobody_and_leaves_no_seat_taken(
    seats: Seats,
) -> None:
    for n in range(5):
        racer = Racer(seats, "a")
        racer.ask("spin", f"CA{n}")
        time.sleep(0.05)  # it is at it all the time
        racer.close()
        began = time.monotonic()
        seats.free(racer.row)
        assert seats.room(60.0)
        assert time.monotonic() - began < 1.0
        assert seats.calls() == {}
    assert all(seats.reserve(f"after {n}", 1, 60.0, 30.0) for n in range(3))


def test_a_change_takes_microseconds(seats: Seats) -> None:
    large = Seats.shared(rows=4, seats=2000)
    large.row = large.enter(0.0) or 0
    for n in range(1500):
        assert large.reserve(f"CA{n}", 1, 0.0, 1e9)
    began = time.perf_counter()
    for n in range(300):
        large.reserve(f"CB{n}", 1, 0.0, 1e9), large.occupy(f"CB{n}", 1, 0.0), large.leave(f"CB{n}", 1)
    each = (time.perf_counter() - began) / 900
    os.close(large.fd)
    assert each < 0.001, f"{each * 1e6:.0f} microseconds"


# --- whose turn it is ----------------------------------------------------------------------------


def two(seats: Seats) -> tuple[Seats, Seats]:
    workers = []
    for _ in range(2):
        row = seats.enter(0.0)
        assert row is not None
        worker = Seats.join(seats.fd, row)
        worker.become(Row.OPEN)
        worker.report(0.0)
        workers.append(worker)
    return workers[0], workers[1]


def test_who_has_more_calls_waits_and_who_has_fewer_does_not(seats: Seats) -> None:
    busy, idle = two(seats)
    assert busy.pause(0.0) == idle.pause(0.0) == 0.0
    for call in "ab":
        busy.reserve(call, 1, 0.0, 30)
        busy.occupy(call, 1, 0.0)
    assert busy.pause(0.0) == 2 * PAUSE_PER_CALL
    assert idle.pause(0.0) == 0.0
    idle.arriving(1)
    assert busy.pause(0.0) == PAUSE_PER_CALL
    busy.arriving(1000)
    assert busy.pause(0.0) == LONGEST_PAUSE


def test_nobody_waits_for_a_worker_that_is_silent_full_or_leaving(seats: Seats) -> None:
    busy, idle = two(seats)
    busy.arriving(5)
    assert busy.pause(0.0) > 0
    assert busy.pause(SILENT_AFTER) == 0.0
    idle.report(0.0, full="late")
    assert busy.pause(0.0) == 0.0
    idle.report(0.0)
    idle.become(Row.DRAINING)
    assert busy.pause(0.0) == 0.0
    assert not busy.others_are_open()
    assert idle.others_are_open()


def test_a_full_worker_leaves_connections_to_one_that_is_not(seats: Seats) -> None:
    full, other = two(seats)
    full.report(0.0, full="late")
    other.arriving(10)
    assert full.pause(0.0) == LONGEST_PAUSE
    assert other.pause(0.0) == 0.0


def test_it_is_full_when_no_seat_is_free_or_every_open_worker_says_so(seats: Seats) -> None:
    one, other = two(seats)
    one.report(0.0, full="the loop is late")
    assert seats.why_full(0.0) is None
    other.report(0.0, full="the queue is long")
    assert seats.why_full(0.0) == "the loop is late"
    other.become(Row.DRAINING)
    one.report(0.0)
    assert seats.why_full(0.0) is None
    for call in "abc":
        seats.reserve(call, 1, 0.0, 30)
    assert seats.why_full(0.0) == "all 3 seats are taken"
    assert seats.why_full(30.0) is None


def test_one_server_alone_is_open_and_waits_for_nobody() -> None:
    alone = Seats.alone(2)
    assert alone.pause(0.0) == 0.0
    assert not alone.others_are_open()
    assert alone.reserve("CA1", 1, 0.0, 30)
    assert alone.occupy("CA1", 1, 1.0)
    assert alone.live_calls() == 1
    alone.ended("CA1")
    assert alone.has_ended("CA1")
