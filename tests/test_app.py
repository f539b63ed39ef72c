from pathlib import Path

import pytest
from starlette.testclient import TestClient

from callbot.app import create_app
from tests.serving import services_with, settings_in


def test_alive_and_ready(tmp_path: Path) -> None:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        alive, ready = client.get("/healthz"), client.get("/readyz")
        assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert ready.headers["cache-control"] == "no-store"


def test_not_ready_says_why_and_alive_all_the_same(tmp_path: Path) -> None:
    services = services_with(lambda: ("the recogniser is loading",))
    with TestClient(create_app(settings_in(tmp_path), services=services)) as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {"status": "not ready", "reasons": ["the recogniser is loading"]}
        assert client.get("/healthz").status_code == 200


def test_not_ready_while_draining(tmp_path: Path) -> None:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        client.app.state.services.draining = True  # type: ignore[attr-defined]
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "draining" in ready.json()["reasons"][0]


@pytest.mark.parametrize("path", ["/", "/docs", "/twilio", "/twilio/voice/", "/twilio/media"])
def test_there_is_nothing_else(tmp_path: Path, path: str) -> None:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        assert client.get(path, follow_redirects=False).status_code in (307, 404)
