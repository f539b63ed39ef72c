import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as sync_connect

import callbot.server
from callbot.accepting import listen
from callbot.app import create_app
from callbot.errors import ConfigurationError
from callbot.load import Limits, Load
from callbot.server import Server, running, serve
from callbot.services import Services
from tests.serving import CALL, PUBLIC_URL, carrier, services_with, settings_in

SERVER = """if True:
    import sys
    from pathlib import Path
    import callbot.logs, callbot.server
    from callbot.accepting import listen
    from tests.serving import services_with, settings_in
    from tests.test_server import with_an_echo

    with_an_echo()
    settings = settings_in(Path(sys.argv[1]), log_format="json")
    callbot.logs.configure(settings)
    callbot.server.serve(settings, services=services_with(), listener=listen("127.0.0.1", 0))
    print("every call is over and stored")
"""


def with_an_echo() -> None:
    """Every app made from now on in this process has a socket at ``/echo``."""
    without = callbot.server.create_app

    def create_app(*arguments: Any, **named: Any) -> Starlette:
        app = without(*arguments, **named)
        app.router.routes.append(WebSocketRoute("/echo", echo))
        return app

    callbot.server.create_app = create_app  # type: ignore[attr-defined]


async def echo(websocket: WebSocket) -> None:
    """A call, as far as the server can tell."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


class Process:
    """``serve`` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def draining(self) -> None:
        await self.line("draining")

    async def line(self, event: str) -> dict[str, str]:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            found: dict[str, str] = json.loads(line)
            if found["event"] == event:
                return found
        raise AssertionError(f"the server ended without {event!r}")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    try:
        server = Process(process, 0)
        url = (await server.line("listening"))["url"]
        yield Process(process, int(url.rpartition(":")[2]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(server: Process) -> tuple[int, str]:
    async with asyncio.timeout(15):
        out, _ = await server.process.communicate()
    assert server.process.returncode is not None
    return server.process.returncode, out.decode()


# --- FAULTS 63: SIGTERM with live calls ----------------------------------------------------------


async def test_faults_63_sigterm_lets_live_calls_finish_and_takes_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, httpx2.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/readyz")).status_code == 200
        async with connect(f"ws://127.0.0.1:{server.port}/echo") as call:
            server.signal(signal.SIGTERM)
            await server.draining()
            assert (await client.get("/readyz")).status_code == 503
            for n in range(50):  # a second of call
                await call.send(str(n))
                assert await call.recv() == str(n)
                await asyncio.sleep(0.02)
            headers = carrier.webhook(PUBLIC_URL + "/twilio/voice", CALL)
            new = await client.post("/twilio/voice", data=dict(CALL), headers=headers)
            assert "<Hangup" in new.text
        # The carrier asks how to go on, on a new connection, after the last call's socket is closed.
        async with httpx2.AsyncClient(base_url=server.url) as other:
            form = dict(CALL) | {"CallStatus": "completed"}
            headers = carrier.webhook(PUBLIC_URL + "/twilio/resume", list(form.items()))
            assert "<Hangup" in (await other.post("/twilio/resume", data=form, headers=headers)).text
        assert await ended(server) == (0, "every call is over and stored\n")


def test_faults_63_a_second_signal_closes_the_calls_that_are_left_as_the_deadline_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs here, in the main thread, where signals arrive; the caller in another."""
    monkeypatch.setattr(callbot.server, "create_app", callbot.server.create_app)
    with_an_echo()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]

    def caller() -> int:
        with sync_connect(f"ws://127.0.0.1:{port}/echo") as call:
            call.send("hello")
            assert call.recv() == "hello"
            os.kill(os.getpid(), signal.SIGTERM)
            while httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                pass
            call.send("still here")
            assert call.recv() == "still here"
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                call.recv()
            assert closed.value.rcvd is not None
            return closed.value.rcvd.code

    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(caller)
        serve(settings_in(tmp_path), services=services_with(), listener=listener)
        assert call.result() == 1012
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_faults_63_a_call_that_outlasts_the_deadline_is_closed() -> None:
    server = Server(echoing(), drain_within=0.3, on_drain=lambda: None)
    with listen("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()
        async with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/") as call:
            started = asyncio.get_running_loop().time()
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await call.recv()
            assert asyncio.get_running_loop().time() - started >= 0.3
        await serving


async def test_a_drained_server_stays_for_the_carriers_last_question() -> None:
    drained: list[None] = []
    server = Server(echoing(), drain_within=60, on_drain=lambda: drained.append(None), linger=0.3)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()
        async with connect(f"ws://127.0.0.1:{port}/") as call:
            await call.send("hello")
            await call.recv()
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(1), httpx2.AsyncClient() as client:
                while not drained:
                    await client.get(f"http://127.0.0.1:{port}/address")
                assert server.open_calls == 1
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/address")).status_code == 200
        async with asyncio.timeout(5):
            await serving
        assert drained == [None]


async def test_a_server_without_calls_leaves_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await ended(server) == (0, "every call is over and stored\n")


# --- running: the server of tests and of one call ------------------------------------------------


def echoing() -> Starlette:
    async def address(request: Request) -> PlainTextResponse:
        assert request.client is not None
        return PlainTextResponse(f"{request.url.scheme} {request.client.host}")

    return Starlette(routes=[WebSocketRoute("/", echo), Route("/address", address)])


async def test_running_yields_its_port_and_closes_everything_behind_it() -> None:
    async with running(echoing()) as port, connect(f"ws://127.0.0.1:{port}/") as call:
        await call.send("hello")
        assert await call.recv() == "hello"
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "signals are the program's, not ours"
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_an_open_call_does_not_keep_a_running_server_from_ending() -> None:
    async with running(echoing()) as port:
        call = await connect(f"ws://127.0.0.1:{port}/")
    with pytest.raises(ConnectionClosed):
        await call.recv()


async def test_the_port_may_be_known_before_the_app_is_made(tmp_path: Path) -> None:
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(settings_in(tmp_path, public_url=url), services=services_with())
    async with running(app, listener=listener) as port, httpx2.AsyncClient() as client:
        assert url.endswith(f":{port}")
        headers = carrier.webhook(f"{url}/twilio/voice", CALL)
        answer = await client.post(f"{url}/twilio/voice", data=dict(CALL), headers=headers)
        assert f'url="ws://127.0.0.1:{port}/twilio/media"' in answer.text


async def test_services_are_left_when_the_server_is(tmp_path: Path) -> None:
    app = create_app(settings_in(tmp_path), services=services_with())
    async with running(app):
        services: Services = app.state.services
        assert not services.recorder.broken
    assert services.recorder.waiting == 0
    assert not [
        task for task in asyncio.all_tasks() if task.get_name() in ("recorder", "server", "listening")
    ]


async def test_services_that_cannot_start_say_so_to_whoever_runs_the_server(tmp_path: Path) -> None:
    @asynccontextmanager
    async def failing(_: object) -> AsyncIterator[Services]:
        raise ConfigurationError("no company")
        yield

    with pytest.raises(ConfigurationError, match="no company"):
        async with running(create_app(settings_in(tmp_path), services=failing)):
            pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_said_with_what_to_write(host: str) -> None:
    with listen(host, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=re.escape(f"HOST={host} PORT={port}")) as refused:
            listen(host, port)
    assert "Write another PORT" in str(refused.value)


async def test_faults_40_a_frame_of_70_kilobytes_closes_its_socket_with_1009_and_no_other() -> None:
    async with (
        running(echoing()) as port,
        connect(f"ws://127.0.0.1:{port}/") as rude,
        connect(f"ws://127.0.0.1:{port}/") as other,
    ):
        await rude.send("x" * 65_000)
        assert len(await rude.recv()) == 65_000
        await rude.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await rude.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        await other.send("still here")
        assert await other.recv() == "still here"


async def test_messages_are_not_compressed() -> None:
    async with running(echoing()) as port, connect(f"ws://127.0.0.1:{port}/", compression="deflate") as call:
        assert call.protocol.extensions == []


async def test_security_4_the_peer_is_who_connected_whatever_a_header_claims() -> None:
    async with running(echoing()) as port, httpx2.AsyncClient() as client:
        spoofed = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
        answer = await client.get(f"http://127.0.0.1:{port}/address", headers=spoofed)
        assert answer.text == "http 127.0.0.1"
        assert "server" not in answer.headers


async def test_security_34_idle_sockets_do_not_keep_a_caller_out() -> None:
    async with running(echoing()) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        async with connect(f"ws://127.0.0.1:{port}/") as call:
            await call.send("hello")
            assert await call.recv() == "hello"
        for connection in idle:
            connection.close()


async def test_faults_76_a_server_whose_loop_is_late_says_that_it_is_full_until_it_is_not(
    tmp_path: Path,
) -> None:
    app = create_app(settings_in(tmp_path), services=services_with())
    async with app.router.lifespan_context(app):
        services: Services = app.state.services
        services.load = Load(Limits(window=0.6))
        server = Server(app, services=services)
        with listen("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            async with asyncio.timeout(20), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                while (ready := await client.get("/readyz")).status_code == 200:
                    time.sleep(0.3)  # noqa: ASYNC251 - a greedy neighbour
                assert "the event loop is" in ready.json()["reasons"][0]
                while (await client.get("/readyz")).status_code != 200:
                    pass  # each question lets the loop turn
            server.should_exit = True
            await serving
