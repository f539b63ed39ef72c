"""Measurements as the capacity benchmark makes them, made up for tests."""

from collections.abc import Mapping

from bench.machine import Machine
from bench.peers.climb import Heard
from bench.statistics import Summary
from bench.steps import Capacity, Measured, Rules, Served, Spent, Step, alone_p50, conclusion, held, step

NOTHING = Summary(0, None, None, None, None)
TOLD = Served(frames_received=1000, frames_late=0, own_part_p99=4.0, loop_lag_p99=2.0)
MACHINE = Machine("A processor", 2, 8.0, "Linux", "3.11.2", {"callbot": "0.1.0"}, "0123abc", 0.1)


def spread(p50: float, p95: float, p99: float, count: int = 40) -> Summary:
    return Summary(count, p50, p95, p99, p99)


def measured(
    calls: int,
    *,
    response: Summary | None = None,
    faults: Mapping[str, int] | None = None,
    lasted: int | None = None,
    late: float = 1.0,
    served: Served = TOLD,
    cpu: float = 2.0,
) -> Measured:
    """What nothing is wrong with, but for what is given."""
    heard = Heard(
        calls=calls,
        calls_held=calls if lasted is None else lasted,
        replies=40,
        response_ms=spread(200, 210, 220) if response is None else response,
        barge_in_ms=spread(100, 130, 140),
        faults={"refused": 0, "underruns": 0, **(faults or {})},
        generator_late_ms=spread(0.5, 1.0, late),
    )
    return Measured(heard, 1000, cpu / 2, served, Spent(cpu, cpu * calls / 1000, 45.0), {"calls": calls})


def climbed(*measurements: Measured) -> list[Step]:
    steps: list[Step] = []
    for one in measurements:
        steps.append(step(one, alone_p50(steps)))
    return steps


def capacity(*measurements: Measured) -> Capacity:
    steps = climbed(*measurements)
    said = conclusion(steps, 60)
    return Capacity(MACHINE, "2030-01-01", Rules(), alone_p50(steps), held(steps), said, "", tuple(steps))
