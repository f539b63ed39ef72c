import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from callbot.accepting import listen
from tests.cli.conftest import Command

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("company")]


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        return port


def alive(port: int, within: float = 60.0) -> dict[str, str]:
    """What ``/healthz`` says, once somebody listens."""
    deadline = time.monotonic() + within
    while True:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=within, trust_env=False)
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.05)
            continue
        body: dict[str, str] = answer.raise_for_status().json()
        return body


def test_it_says_where_it_listens_and_ends_well_at_sigterm(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("callbot"), "serve", "--port", str(port)],
        cwd=tmp_path,
        env=os.environ | {"LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert alive(port) == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert f"callbot serves on http://127.0.0.1:{port}" in said
    assert "PUBLIC_URL and TWILIO_AUTH_TOKEN are not set" in said
    assert ".env.example says what to write" in " ".join(said.split())
    logged = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert {"listening", "draining"} <= {line["event"] for line in logged}


def test_with_a_carrier_it_says_which_webhook_to_set(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://bot.example.com")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    port = free_port()

    def stop() -> None:
        if alive(port):
            os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop)
    stopping.start()
    assert callbot("serve", "--host", "127.0.0.1", "--port", str(port)) == 0
    stopping.join()
    said = capsys.readouterr().err
    assert "voice webhook to https://bot.example.com/twilio/voice (POST)" in said
    assert "fallback to https://bot.example.com/twilio/fallback" in said
    assert "not set" not in said


def test_a_port_that_is_taken_is_told_in_words(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen("127.0.0.1", 0) as taken:
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        assert callbot("serve") == 2
    assert "Write another PORT" in capsys.readouterr().err


def test_it_says_which_port_zero_was(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [Path(sys.executable).with_name("callbot"), "serve", "--port", "0", "--workers", "2"],
        cwd=tmp_path,
        env=os.environ | {"LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        told = process.stderr.readline()
        found = re.search(r"callbot serves on http://127\.0\.0\.1:(\d+) with 2 workers", told)
        assert found is not None, told
        assert alive(int(found[1])) == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, said


def test_services_that_there_are_not_are_told_in_words(
    callbot: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callbot("serve", "--port", "0", "--services", "nowhere:services") == 2
    assert "nowhere" in capsys.readouterr().err
