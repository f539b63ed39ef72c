"""The seating plan, over plain memory: no process, no lock, no clock."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from callbot.seating import LONGEST_REASON, Row, Seating, Standing


def plan(*, rows: int = 2, seats: int = 3, remembered: int = 4) -> Seating:
    memory = bytearray(Seating.size(rows=rows, seats=seats, remembered=remembered))
    laid = Seating.lay(memory, rows=rows, seats=seats, remembered=remembered)
    for _ in range(rows):
        row = laid.enter(0.0)
        assert row is not None
        laid.become(row, Row.OPEN)
    return laid


def seated(laid: Seating, call: str, *, stream: int = 1, row: int = 0, now: float = 0.0) -> None:
    assert laid.reserve(call, stream, now, 30)
    assert laid.occupy(call, stream, row, now)


def test_a_call_gets_a_seat_sits_down_once_and_leaves_it_free() -> None:
    laid = plan()
    assert laid.reserve("CA1", 1, 0.0, 30)
    assert laid.standing("CA1") == Standing(1, expected=True)
    assert laid.occupy("CA1", 1, 1, 5.0)
    assert not laid.occupy("CA1", 1, 0, 5.0)
    assert laid.standing("CA1") == Standing(1)
    assert (laid.taken(), laid.worker(1).calls) == (1, 1)
    laid.leave("CA1", 1)
    assert (laid.taken(), laid.worker(1).calls) == (0, 0)
    assert laid.standing("CA1") == Standing(1)


def test_who_asks_twice_has_one_seat() -> None:
    laid = plan()
    for _ in range(5):
        assert laid.reserve("CA1", 1, 0.0, 30)
    assert laid.taken() == 1


def test_beyond_the_last_seat_nobody_is_let_in_until_somebody_leaves() -> None:
    laid = plan(seats=2)
    seated(laid, "CA1")
    seated(laid, "CA2")
    assert not laid.reserve("CA3", 1, 0.0, 30)
    assert not laid.room(0.0)
    laid.leave("CA1", 1)
    assert laid.reserve("CA3", 1, 0.0, 30)


def test_a_seat_whose_call_never_came_lapses_and_its_stream_with_it() -> None:
    laid = plan(seats=1)
    assert laid.reserve("CA1", 1, 0.0, 30)
    assert not laid.reserve("CA2", 1, 29.9, 30)
    assert not laid.occupy("CA1", 1, 0, 30.0)
    assert laid.reserve("CA2", 1, 30.0, 30)
    assert laid.standing("CA1") == Standing(1)


def test_the_earliest_reservation_lapses_first_whatever_the_order() -> None:
    laid = plan(seats=2)
    assert laid.reserve("late", 1, 0.0, 60)
    assert laid.reserve("early", 1, 0.0, 10)
    assert laid.reserve("next", 1, 10.0, 30)
    assert laid.standing("late").expected
    assert not laid.reserve("another", 1, 39.0, 30)
    assert laid.reserve("another", 1, 40.0, 30)


def test_a_stream_that_the_call_has_had_gets_no_seat_again() -> None:
    laid = plan()
    seated(laid, "CA1")
    laid.leave("CA1", 1)
    assert laid.reserve("CA1", 1, 1.0, 30), "no refusal: its token is worth nothing"
    assert laid.taken() == 0
    assert not laid.occupy("CA1", 1, 0, 1.0)


def test_a_call_that_lost_its_stream_keeps_its_seat_for_the_next_whoever_had_it() -> None:
    laid = plan(seats=1)
    seated(laid, "CA1", row=0)
    assert laid.reserve("CA1", 2, 1.0, 30)
    assert laid.worker(0).calls == 0
    assert laid.occupy("CA1", 2, 1, 2.0)
    laid.leave("CA1", 1)  # the first worker notices at last
    assert laid.worker(1).calls == 1
    laid.leave("CA1", 2)
    assert laid.taken() == 0


def test_a_call_that_ended_gets_no_other_stream() -> None:
    laid = plan()
    seated(laid, "CA1")
    laid.ended("CA1")
    assert laid.standing("CA1") == Standing(1, ended=True)
    laid.leave("CA1", 1)
    assert laid.standing("CA1") == Standing(1, ended=True)
    assert laid.reserve("CA1", 2, 0.0, 30)
    assert laid.taken() == 0


def test_a_caller_who_hangs_up_before_the_stream_starts_frees_the_seat() -> None:
    laid = plan()
    laid.reserve("CA1", 1, 0.0, 30)
    laid.ended("CA1")
    assert laid.taken() == 0
    assert not laid.occupy("CA1", 1, 0, 0.0)


def test_of_calls_long_gone_the_oldest_is_forgotten() -> None:
    laid = plan(remembered=4)
    for n in range(6):
        laid.ended(f"CA{n}")
    assert [laid.standing(f"CA{n}").ended for n in range(6)] == [False, False, True, True, True, True]
    laid.ended("CA5")
    assert laid.standing("CA2").ended, "who is remembered takes no second place"


def test_a_worker_that_is_gone_frees_its_seats_and_no_others() -> None:
    laid = plan(seats=3)
    seated(laid, "CA1", row=0)
    seated(laid, "CA2", row=1)
    seated(laid, "CA3", row=0)
    assert laid.vacate(0) == 2
    assert [worker.row for worker in laid.workers()] == [1]
    assert (laid.taken(), laid.worker(1).calls) == (1, 1)
    assert laid.standing("CA1") == Standing(1), "it may go on, elsewhere"
    assert laid.enter(1.0) == 0
    assert laid.worker(0).calls == 0


def test_when_every_row_is_somebodys_nobody_enters() -> None:
    assert plan(rows=2).enter(0.0) is None


def test_a_worker_says_how_it_is() -> None:
    laid = plan()
    laid.report(1, 7.5, arriving=3, full="the loop is late")
    worker = laid.worker(1)
    assert (worker.seen, worker.arriving, worker.full) == (7.5, 3, "the loop is late")
    laid.report(1, 8.0, arriving=0, full="é" * 100)
    assert len((laid.worker(1).full or "").encode()) <= LONGEST_REASON + 3
    laid.report(1, 9.0, arriving=0, full=None)
    assert laid.worker(1).full is None


def test_memory_that_holds_no_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="no seating plan"):
        Seating(bytearray(1000))


class Calls(RuleBasedStateMachine):
    """Against a model that is plain Python."""

    SEATS, ROWS = 3, 2
    names = st.sampled_from("abcdefgh")

    def __init__(self) -> None:
        super().__init__()
        self.plan = plan(rows=self.ROWS, seats=self.SEATS, remembered=100)
        self.now = 0.0
        self.reserved: dict[str, tuple[int, float]] = {}
        self.taken: dict[str, tuple[int, int]] = {}
        self.had: dict[str, int] = {}
        self.over: set[str] = set()

    def lapsed(self) -> None:
        for name, (stream, until) in list(self.reserved.items()):
            if self.now >= until:
                del self.reserved[name]
                self.had[name] = stream

    @rule(later=st.floats(0, 20))
    def wait(self, later: float) -> None:
        self.now += later

    @rule(name=names, stream=st.sampled_from([1, 2]))
    def reserve(self, name: str, stream: int) -> None:
        live = name in self.reserved or name in self.taken
        granted = self.plan.reserve(name, stream, self.now, 30)
        if live and max(self.reserved.get(name, (0,))[0], self.taken.get(name, (0,))[0]) >= stream:
            assert granted
            return
        if not live and (name in self.over or self.had.get(name, 0) >= stream):
            assert granted
            return
        if not live and len(self.reserved) + len(self.taken) >= self.SEATS:
            self.lapsed()
            if self.had.get(name, 0) >= stream:
                return
        if live or len(self.reserved) + len(self.taken) < self.SEATS:
            assert granted
            self.taken.pop(name, None)
            self.reserved[name] = stream, self.now + 30
        else:
            assert not granted

    @rule(name=names, stream=st.sampled_from([1, 2]), row=st.integers(0, 1))
    def occupy(self, name: str, stream: int, row: int) -> None:
        expected, until = self.reserved.get(name, (0, 0.0))
        sits = self.plan.occupy(name, stream, row, self.now)
        assert sits == (expected == stream and self.now < until)
        if sits:
            del self.reserved[name]
            self.taken[name] = stream, row

    @rule(name=names, stream=st.sampled_from([1, 2]))
    def leave(self, name: str, stream: int) -> None:
        self.plan.leave(name, stream)
        for seats in (self.reserved, self.taken):
            if name in seats and seats[name][0] == stream:
                del seats[name]
                self.had[name] = stream

    @rule(name=names)
    def end(self, name: str) -> None:
        self.plan.ended(name)
        self.over.add(name)
        if name in self.reserved:
            self.had[name] = self.reserved.pop(name)[0]

    @precondition(lambda self: self.taken)
    @rule(row=st.integers(0, 1))
    def die(self, row: int) -> None:
        its = [name for name, (_, owner) in self.taken.items() if owner == row]
        assert self.plan.vacate(row) == len(its)
        for name in its:
            self.had[name] = self.taken.pop(name)[0]
        assert self.plan.enter(self.now) == row
        self.plan.become(row, Row.OPEN)

    @invariant()
    def the_plan_is_the_models(self) -> None:
        assert self.plan.taken() == len(self.reserved) + len(self.taken)
        for row in range(self.ROWS):
            assert self.plan.worker(row).calls == sum(owner == row for _, owner in self.taken.values())
        for name in self.over - self.reserved.keys() - self.taken.keys():
            assert self.plan.standing(name).ended


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
