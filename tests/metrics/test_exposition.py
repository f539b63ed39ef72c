"""``GET /metrics``: what it says, to whom, and for how many processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from callbot.metrics import sharing
from callbot.metrics.exposition import Exposition, metrics_endpoint
from callbot.metrics.instruments import Metrics
from tests.metrics.page import Page

ROOT = Path(__file__).parents[2]
TOKEN = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"


async def scrape(
    token: str | None = None, *, client: str = "127.0.0.1", **headers: str
) -> tuple[httpx.Response, Metrics]:
    metrics = Metrics()
    metrics.calls_started.inc(3)
    app = Starlette(routes=[Route("/metrics", metrics_endpoint)])
    app.state.services = SimpleNamespace(exposition=Exposition(metrics, token=token))
    transport = httpx.ASGITransport(app, client=(client, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.example.com") as reader:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await reader.get("/metrics", headers=sent), metrics


async def test_the_page_is_prometheus_own_text_format():
    response, metrics = await scrape()
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert response.headers["cache-control"] == "no-store"
    assert Page(response.content).samples == Page.of(metrics).samples
    assert Page(response.content)("callbot_calls_started_total") == 3


async def test_every_number_says_in_words_what_it_is():
    response, _ = await scrape()
    for family in Page(response.content).families.values():
        assert len(family.documentation) > 10, family.name
        assert family.documentation.endswith("."), family.name


# --- who may read it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.1", "::1"])
async def test_security_37_without_a_token_this_machine_may_read_it(client: str):
    response, _ = await scrape(client=client)
    assert response.status_code == 200


@pytest.mark.parametrize("client", ["203.0.113.9", "10.0.0.7", "2001:db8::1", "testclient", ""])
async def test_security_37_without_a_token_no_other_machine_may(client: str):
    response, _ = await scrape(client=client)
    assert response.status_code == 403
    assert b"callbot_" not in response.content


@pytest.mark.parametrize("header", ["x_forwarded_for", "x_real_ip", "forwarded", "via", "x_forwarded_host"])
async def test_security_37_what_a_proxy_passed_on_did_not_come_from_this_machine(header: str):
    response, _ = await scrape(**{header: "127.0.0.1"})
    assert response.status_code == 403


async def test_security_37_with_a_token_whoever_has_it_may_read_it_from_anywhere():
    response, _ = await scrape(TOKEN, client="203.0.113.9", authorization=f"Bearer {TOKEN}")
    assert response.status_code == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
async def test_security_37_with_a_token_nobody_else_may_not_even_this_machine(authorization: str):
    response, _ = await scrape(TOKEN, authorization=authorization.encode("latin-1"))  # type: ignore[arg-type]
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert b"callbot_" not in response.content


# --- several workers on one port ---------------------------------------------------------------------


@contextlib.contextmanager
def workers(folder: Path, listener: socket.socket, *calls: int) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.metrics.worker", str(listener.fileno()), str(number)],
            cwd=ROOT,
            env=sharing.environment(folder),
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in calls
    ]
    try:
        for worker in started:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.communicate()


def test_a_scrape_of_any_worker_tells_of_all_and_a_dead_one_is_no_longer_live():
    with (
        sharing.shared_folder() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        workers(folder, listener, 2, 5) as (first, second),
    ):
        page = _scrape(listener)
        assert page("callbot_calls_started_total") == 7
        assert page.times("callbot_response_seconds") == (7, pytest.approx(2.8))
        assert page("callbot_response_seconds_bucket", le="0.4") == 7
        assert page("callbot_calls_live") == 2  # added up
        assert page("callbot_seats") == 200  # the same seats

        first.send_signal(signal.SIGKILL)
        first.wait(10)
        sharing.forget(folder, first.pid)
        page = _scrape(listener)
        assert page("callbot_calls_started_total") == 7  # what it did stays done
        assert page("callbot_calls_live") == 1
        assert second.poll() is None
    assert not folder.exists()


def test_the_pages_of_one_process_and_of_several_have_the_same_numbers_on_them():
    with (
        sharing.shared_folder() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        workers(folder, listener, 1),
    ):
        together = _scrape(listener)
    alone = Page.of(Metrics())
    assert set(together.samples) == set(alone.samples)
    assert {name: family.documentation for name, family in together.families.items()} == {
        name: family.documentation
        for name, family in alone.families.items()
        if family.samples  # providers have some when they are named
    }


def test_the_supervisor_itself_keeps_no_numbers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(sharing.VARIABLE, raising=False)
    with sharing.shared_folder() as folder:
        assert sharing.environment(folder)[sharing.VARIABLE] == str(folder)
        assert sharing.VARIABLE not in os.environ
        assert sharing.folder_of_this_process() is None


def _scrape(listener: socket.socket) -> Page:
    host, port = listener.getsockname()
    response = httpx.get(f"http://{host}:{port}/metrics", trust_env=False, timeout=10)
    assert response.status_code == 200
    return Page(response.content)
