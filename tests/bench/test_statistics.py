"""Percentiles by nearest rank."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import Summary, nearest_rank, summary

VALUES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1)
PERCENTS = st.floats(min_value=0.01, max_value=100)


@pytest.mark.parametrize(("percent", "value"), [(5, 15), (30, 20), (40, 20), (50, 35), (99, 50), (100, 50)])
def test_a_percentile_is_the_value_of_the_nearest_rank(percent: float, value: float):
    assert nearest_rank([15, 20, 35, 40, 50], percent) == value


@given(VALUES, PERCENTS)
def test_a_percentile_occurred_and_so_many_values_do_not_exceed_it(values: list[float], percent: float):
    ordered = sorted(values)
    found = nearest_rank(ordered, percent)
    assert found in ordered
    not_above = sum(value <= found for value in ordered) * 100 / len(ordered)
    below = sum(value < found for value in ordered) * 100 / len(ordered)
    assert not_above >= percent or math.isclose(not_above, percent)
    assert below < percent


def test_seven_percent_of_a_hundred_values_is_the_seventh():
    assert 0.07 * 100 > 7  # as computers count
    assert nearest_rank(range(1, 101), 7) == 7


@pytest.mark.parametrize("percent", [0, -1, 100.1, math.nan])
def test_what_is_no_percentage_is_refused(percent: float):
    with pytest.raises(ValueError, match="percent"):
        nearest_rank([1], percent)


def test_of_nothing_there_is_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        nearest_rank([], 50)
    assert summary([]) == Summary(0, None, None, None, None)


def test_a_summary_takes_values_in_any_order_and_rounds_them():
    values = [at + 0.00049 for at in range(1, 1001)]
    random.Random(1).shuffle(values)
    assert summary(values) == Summary(1000, 500.0, 950.0, 990.0, 1000.0)
