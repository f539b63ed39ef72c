"""What calls tell of their providers, counted."""

from collections.abc import Iterable

from callbot.metrics.instruments import Metrics
from callbot.providers.accounting import Failed, News, Used
from callbot.providers.breaker import Standing, State


class ProviderMeter:
    """Counts for one process. ``told`` belongs to the event loop's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def told(self, news: News) -> None:
        """A ``Report``, or one of those that a call's news goes to: never waits, never raises."""
        metrics = self._metrics
        if isinstance(news, Used):
            metrics.provider_units.labels(news.port, news.provider, news.unit).inc(max(0.0, news.amount))
            return
        if not isinstance(news, Failed):
            return
        metrics.provider_failures.labels(news.port, news.provider, news.trouble).inc()
        if news.instead not in ("", news.provider):
            metrics.provider_switches.labels(news.port, news.provider).inc()

    def stand(self, standings: Iterable[Standing]) -> None:
        """How the providers stand now."""
        for standing in standings:
            gauge = self._metrics.provider_breaker_open.labels(standing.port, standing.provider)
            gauge.set(standing.state is not State.CLOSED)
