"""When a worker has enough: by the event loop, by its calls' frames, by the models' queue, by calls."""

import pytest

from callbot.load import WITHOUT_CALLS, Limits, Load

LIMITS = Limits(calls=10)
TICK = 0.1


class Watched:
    def __init__(self) -> None:
        self.load = Load(LIMITS)
        self.now = 0.0

    def spend(
        self, seconds: float, *, lag: float = 0.0, queue: float = 0.0, late: int = 0, busy: float = 0.0
    ) -> None:
        """``late`` of a hundred calls are heard late."""
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            for n in range(100):
                self.load.heard(LIMITS.late_after + 0.001 if n < late else 0.005)
            self.load.tick(self.now, lag=lag, queue=queue, busy=busy)

    def full(self) -> str | None:
        return self.load.full(0)


@pytest.mark.parametrize(
    ("strain", "why"),
    [
        ({"lag": 0.050}, "the event loop is 50 ms late"),
        ({"late": 40}, "40% of the calls are heard late"),
        ({"queue": 6.0}, "6 jobs wait for each of the models' threads"),
    ],
)
def test_what_lasts_makes_a_worker_full_and_its_end_makes_it_free(strain: dict[str, float], why: str) -> None:
    worker = Watched()
    worker.spend(10)
    assert worker.full() is None
    worker.spend(LIMITS.late_for if "late" in strain else 2.0, **strain)  # type: ignore[arg-type]
    assert worker.full() == why
    worker.spend(LIMITS.late_for + 0.1)
    assert worker.full() is None


def test_a_moment_makes_nobody_full() -> None:
    worker = Watched()
    worker.spend(5)
    worker.spend(0.1, lag=2.0)
    worker.spend(0.5, lag=0.1, queue=50.0, late=100)
    assert worker.full() is None
    worker.spend(0.5)
    assert worker.full() is None


def test_the_first_moments_after_a_start_are_not_judged() -> None:
    worker = Watched()
    worker.spend(1.5, lag=1.0)
    assert worker.full() is None
    worker.spend(0.5, lag=1.0)
    assert worker.full() is not None


def test_between_the_limits_it_stays_what_it_was() -> None:
    between = (LIMITS.loop_lag.full_above + LIMITS.loop_lag.free_below) / 2
    worker = Watched()
    worker.spend(10, lag=between)
    assert worker.full() is None
    worker.spend(3, lag=0.1)
    assert worker.full() is not None
    worker.spend(30, lag=between)
    assert worker.full() is not None
    worker.spend(3)
    assert worker.full() is None


def test_without_frames_none_is_late() -> None:
    load = Load(LIMITS)
    for n in range(50):
        load.tick(n * TICK, lag=0.0)
    assert load.full(0) is None


def test_when_calls_that_were_late_have_ended_the_worker_is_free_again() -> None:
    worker = Watched()
    worker.spend(10, late=100)
    assert worker.full() is not None
    for _ in range(round((LIMITS.late_for + WITHOUT_CALLS) / TICK) + 1):
        worker.now += TICK
        worker.load.tick(worker.now, lag=0.0)
    assert worker.full() is None


def test_between_two_looks_at_its_calls_nothing_is_taken_for_good() -> None:
    worker = Watched()
    worker.spend(10, late=100)
    for _ in range(60):  # the calls are looked at once a second, the load ten times
        for _ in range(9):
            worker.now += TICK
            worker.load.tick(worker.now, lag=0.0)
        worker.spend(TICK, late=100)
        assert worker.full() is not None


def test_a_worker_with_all_its_calls_is_full() -> None:
    load = Load(LIMITS)
    assert load.full(9) is None
    assert load.full(10) == "a worker has its 10 calls"


def test_a_busy_worker_is_not_full_and_is_busy_until_it_has_little_to_do() -> None:
    worker = Watched()
    worker.spend(3, busy=0.5)
    assert worker.load.busy
    assert worker.full() is None
    worker.spend(3, busy=0.3)
    assert worker.load.busy
    worker.spend(3, busy=0.1)
    assert not worker.load.busy


def test_a_busy_moment_is_none() -> None:
    worker = Watched()
    worker.spend(3)
    worker.spend(0.5, busy=1.0)
    assert not worker.load.busy
