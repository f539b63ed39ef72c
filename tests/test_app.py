import sys
from pathlib import Path
from types import ModuleType

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

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


def test_the_media_socket_is_the_carriers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def media_endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.url.path)
        await websocket.close()

    module = ModuleType("callbot.carriers.twilio.media")
    module.media_endpoint = media_endpoint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    app = create_app(settings_in(tmp_path), services=services_with())
    with TestClient(app) as client, client.websocket_connect("/twilio/media") as socket:
        assert socket.receive_text() == "/twilio/media"


@pytest.mark.parametrize("path", ["/", "/docs", "/twilio", "/twilio/voice/", "/twilio/media"])
def test_there_is_nothing_else(tmp_path: Path, path: str) -> None:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        assert client.get(path, follow_redirects=False).status_code in (307, 404)
