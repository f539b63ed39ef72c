"""Percentiles of what was measured: nearest rank, so that each is a value that really occurred."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """``None`` where nothing was measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


def nearest_rank(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the ascending values that at least ``percent`` of all do not exceed.

    Raises ``ValueError`` when there are no values, or ``percent`` isn't above 0 and at most 100.
    """
    if not ordered:
        raise ValueError("no values, so no percentile")
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be above 0 and at most 100, not {percent:g}")
    # the round keeps 0.07 * 100 values from being a little more than 7
    return ordered[math.ceil(round(percent * len(ordered) / 100, 9)) - 1]


def summary(values: Collection[float], *, digits: int = 3) -> Summary:
    """What is worth telling of values in any order, rounded."""
    if not values:
        return Summary(0, None, None, None, None)
    ordered = sorted(values)
    p50, p95, p99 = (round(nearest_rank(ordered, percent), digits) for percent in (50, 95, 99))
    return Summary(len(ordered), p50, p95, p99, round(ordered[-1], digits))
