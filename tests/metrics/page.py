"""The page as Prometheus reads it."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from callbot.metrics.instruments import Metrics


class Page:
    """Samples by name and labels: ``page("callbot_turns_total", who="agent")``."""

    def __init__(self, text: bytes) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text.decode())}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    @classmethod
    def of(cls, metrics: Metrics) -> "Page":
        return cls(generate_latest(metrics.registry))

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[name, tuple(sorted(labels.items()))]

    def times(self, histogram: str, **labels: str) -> tuple[int, float]:
        """How many were observed, and their sum rounded to a microsecond."""
        return int(self(f"{histogram}_count", **labels)), round(self(f"{histogram}_sum", **labels), 6)

    def total(self, counter: str) -> float:
        """Over all labels."""
        return sum(value for (name, _), value in self.samples.items() if name == counter)
