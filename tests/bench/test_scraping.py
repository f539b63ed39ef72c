"""What is read off a server's page of metrics: a page as the library writes it."""

import math
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from bench import scraping
from bench.scraping import Look, above, between, look, percentile, read
from bench.statistics import nearest_rank

LIMITS = (0.01, 0.02, 0.05, 0.1)


class Page:
    """A server's numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.frames = Counter("frames_received_total", "Frames.", ["worker"], registry=self.registry)
        self.lag = Histogram("lag_seconds", "Lag.", ["worker"], registry=self.registry, buckets=LIMITS)

    def read(self) -> Look:
        return read(generate_latest(self.registry).decode())


def test_a_counter_is_summed_over_its_labels():
    page = Page()
    page.frames.labels("1").inc(40)
    page.frames.labels("2").inc(2)
    assert page.read().whole("frames_received_total") == 42


def test_what_is_not_on_the_page_is_not_zero():
    assert Page().read().whole("frames_lost_total") is None


def test_only_what_a_histogram_gained_counts():
    page = Page()
    page.lag.labels("1").observe(0.09)
    before = page.read()
    for worker, seconds in (("1", 0.015), ("2", 0.015), ("1", 0.04), ("2", 7.0)):
        page.lag.labels(worker).observe(seconds)
    gained = between(before, page.read(), "lag_seconds")
    assert gained == [(0.01, 0), (0.02, 2), (0.05, 1), (0.1, 0), (math.inf, 1)]


def test_without_both_looks_nothing_was_gained():
    page = Page().read()
    assert between(None, page, "lag_seconds") is None
    assert between(page, None, "lag_seconds") is None
    assert between(page, page, "reply_seconds") is None


def test_no_values_have_no_percentile():
    assert percentile([(0.1, 0), (math.inf, 0)], 99) is None


def test_above_every_limit_only_the_limit_is_known():
    assert percentile([(0.1, 1), (0.2, 0), (math.inf, 99)], 99) == 0.2


def test_values_lie_evenly_in_their_bucket():
    assert percentile([(0.1, 0), (0.2, 100), (math.inf, 0)], 50) == pytest.approx(0.15)


@given(st.lists(st.floats(0.0001, 0.0999), min_size=1, max_size=200), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_in_the_bucket_of_the_value_that_it_estimates(values: list[float], percent: int):
    page = Page()
    lag = page.lag.labels("1")
    before = page.read()
    for value in values:
        lag.observe(value)
    gained = between(before, page.read(), "lag_seconds")
    assert gained is not None
    found = percentile(gained, percent)
    assert found is not None
    exact = nearest_rank(sorted(values), percent)
    floor = max((limit for limit in (0.0, *LIMITS) if limit < exact), default=0.0)
    ceiling = min(limit for limit in LIMITS if limit >= exact)
    assert floor <= found <= ceiling * (1 + 1e-9)


def test_what_is_above_a_limit_is_counted():
    assert above([(0.1, 5), (0.2, 3), (math.inf, 2)], 0.1) == 5
    assert above([(0.1, 5), (0.2, 3), (math.inf, 2)], 0.2) == 2


@pytest.fixture
def server() -> Any:
    """Shows a page at /metrics and nothing elsewhere."""
    numbers = Page()
    numbers.frames.labels("1").inc(7)
    page = generate_latest(numbers.registry)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/metrics"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(page if found else b"nothing here")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_a_page_is_fetched_and_read(server: str):
    found = look(f"{server}/metrics")
    assert found is not None
    assert found.whole("frames_received_total") == 7


def test_a_server_without_the_page_told_nothing(server: str):
    assert look(f"{server}/elsewhere") is None


def test_a_server_that_is_gone_told_nothing(monkeypatch: pytest.MonkeyPatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as gone:
        port = gone.server_port
    monkeypatch.setattr(scraping, "_SECONDS", 2.0)
    assert look(f"http://127.0.0.1:{port}/metrics") is None
