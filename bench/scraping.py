"""What a server says of itself on ``/metrics``, and what became of it between two looks."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

_SECONDS = 10.0

Buckets = Sequence[tuple[float, float]]
"""Upper limits in ascending order, the last one infinite, each with how many values were above the one
before it and not above this."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the page. Series that differ in labels only, as those of several workers, are summed."""

    values: Mapping[str, float]
    at_most: Mapping[str, Mapping[float, float]]
    """By histogram: how many values were not above each limit."""

    def whole(self, name: str) -> int | None:
        """A counter, or ``None`` when the page has none of that name."""
        value = self.values.get(name)
        return None if value is None else round(value)


def read(page: str) -> Look:
    """Raises ``ValueError`` when ``page`` isn't in Prometheus's text format."""
    values: Counter[str] = Counter()
    at_most: dict[str, Counter[float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name.endswith("_bucket") and "le" in sample.labels:
                limits = at_most.setdefault(family.name, Counter())
                limits[float(sample.labels["le"])] += sample.value  # type: ignore[assignment]  # a whole number
            else:
                values[sample.name] += sample.value  # type: ignore[assignment]  # any number
    return Look(values, at_most)


def look(url: str) -> Look | None:
    """The page at ``url``; ``None`` when the server has no such page, or is in no state to show it."""
    try:
        answer = httpx.get(url, timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return None
    return read(answer.text) if answer.is_success else None


def between(earlier: Look | None, later: Look | None, name: str) -> Buckets | None:
    """What a histogram gained; ``None`` when it wasn't on both pages."""
    if earlier is None or later is None or name not in earlier.at_most or name not in later.at_most:
        return None
    before, after = earlier.at_most[name], later.at_most[name]
    gained: list[tuple[float, float]] = []
    below = 0.0
    for limit in sorted(after):
        up_to = after[limit] - before.get(limit, 0.0)
        gained.append((limit, up_to - below))
        below = up_to
    return gained


def percentile(buckets: Buckets, percent: float) -> float | None:
    """As Prometheus estimates it: values are taken to lie evenly in their bucket, and of those above every
    finite limit only that limit is known. ``None`` without values."""
    wanted = percent / 100 * sum(count for _, count in buckets)
    if not wanted:
        return None
    floor = 0.0
    for limit, count in buckets:
        if count >= wanted:
            return floor if math.isinf(limit) else floor + (limit - floor) * wanted / count
        wanted -= count
        floor = limit if math.isfinite(limit) else floor
    return floor


def above(buckets: Buckets, limit: float) -> int:
    """How many values were above ``limit``, which is that of a bucket."""
    return round(sum(count for upper, count in buckets if upper > limit))
