"""A supervisor with workers, as processes, and callers that cost next to nothing: sockets that send silence.

The workers' speech is faked; everything between the port and the session is real.
"""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from callbot.agents.brain import Action, Request
from callbot.carriers.twilio.signatures import Signatures
from callbot.config import Settings
from callbot.errors import ConfigurationError
from callbot.providers.stt.fake import FakeEars
from callbot.providers.tts.fake import FakeVoice
from callbot.reception import Reception
from callbot.seats import Seats
from callbot.services import Services
from callbot.store.recorder import Recorder
from tests.conversation.script import RULES
from tests.serving import CALL, PUBLIC_URL, TOKEN, carrier
from tests.staff import ScriptedBrain, equipment

ROOT = Path(__file__).parent.parent
SILENCE = base64.b64encode(b"\xff" * 160).decode()


async def until(condition: Callable[[], bool], within: float = 15.0) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - no event crosses over from them
            await asyncio.sleep(0.02)


# --- in the worker -------------------------------------------------------------------------------


@asynccontextmanager
async def quiet(settings: Settings) -> AsyncIterator[Services]:
    """A bot that says nothing and hears nothing."""

    def silent(request: Request) -> list[Action]:
        return []

    brain = ScriptedBrain(silent)
    recorder = Recorder(settings.database_url, spool=settings.spool)
    await recorder.start()
    standard = equipment({"support": brain}, lambda: FakeEars([]), FakeVoice())
    patient = replace(RULES, first_prompt=3000.0, second_prompt=3100.0, goodbye=3200.0)
    reception = Reception(lambda call: replace(standard, rules=patient), recorder, None)
    try:
        yield Services(
            settings=settings,
            recorder=recorder,
            reception=reception,
            missing=tuple,
            signatures=Signatures.of(settings),
        )
    finally:
        await reception.aclose()
        await recorder.aclose()


@asynccontextmanager
async def misconfigured(settings: Settings) -> AsyncIterator[Services]:
    raise ConfigurationError("the company has no agents")
    yield


@asynccontextmanager
async def broken(settings: Settings) -> AsyncIterator[Services]:
    raise RuntimeError("a fault of ours")
    yield


@asynccontextmanager
async def hanging(settings: Settings) -> AsyncIterator[Services]:
    """The first of its workers, and no other, stands still once it is asked to."""
    flag = settings.data / "hang"

    async def watch() -> None:
        await until(flag.exists, within=3600)
        flag.unlink()
        time.sleep(600)  # noqa: ASYNC251 - that is the point

    async with quiet(settings) as services:
        watching = asyncio.create_task(watch())
        yield services
        watching.cancel()


@asynccontextmanager
async def never_loaded(settings: Settings) -> AsyncIterator[Services]:
    """The first of its workers, and no other, stands still while it loads."""
    flag = settings.data / "loading"
    if not flag.exists():
        flag.touch()
        time.sleep(600)  # noqa: ASYNC251 - that is the point
    async with quiet(settings) as services:
        yield services


GARBLED = (
    b"no JSON\n",
    b"[]\n",
    b'{"event": "dancing"}\n',
    b'{"event": "failed"}\n',
    b"\xff" * 200_000 + b"\n",
)


@asynccontextmanager
async def garbling(settings: Settings) -> AsyncIterator[Services]:
    """Says what is no message, on the line to its supervisor."""
    with socket.socket(fileno=os.dup(int(sys.argv[1]))) as line:
        for garbled in GARBLED:
            line.sendall(garbled)
    async with quiet(settings) as services:
        yield services


@asynccontextmanager
async def slow_to_store(settings: Settings) -> AsyncIterator[Services]:
    """Says when its calls are over, and has stored them when it is told to have."""
    async with quiet(settings) as services:
        yield services
        (settings.data / "storing").touch()
        await until((settings.data / "go on").exists)
        (settings.data / "stored").touch()


@asynccontextmanager
async def counting(settings: Settings) -> AsyncIterator[Services]:
    """Leaves a file that tells how many workers its settings know of."""
    (settings.data / f"{os.getpid()}.workers-{settings.workers}").touch()
    async with quiet(settings) as services:
        yield services


# --- the supervisor ------------------------------------------------------------------------------


@dataclass
class Workforce:
    process: asyncio.subprocess.Process
    port: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def live(self) -> dict[int, int]:
        """Live calls of each worker, by its row in the seats."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        memory = next(link for link in folder.iterdir() if "callbot-seats" in os.readlink(link))
        with memory.open("r+b") as file:
            return Seats.join(file.fileno(), 0).calls()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if line.startswith(b"{"):
                self.said.append(json.loads(line))
            else:
                self.text.append(line.decode())
            self._news.set()
        self._news.set()

    def events(self, event: str) -> list[dict[str, Any]]:
        return [said for said in self.said if said["event"] == event]

    async def until(self, event: str, times: int = 1, within: float = 30.0) -> list[dict[str, Any]]:
        """Wait until ``event`` was logged so often."""
        async with asyncio.timeout(within):
            while len(found := self.events(event)) < times:
                self._news.clear()
                await self._news.wait()
        return found

    def forget(self) -> None:
        """What was logged so far."""
        self.said.clear()

    def workers(self) -> list[int]:
        """The processes, the oldest first."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    async def exit_code(self, within: float = 20.0) -> int:
        async with asyncio.timeout(within):
            return await self.process.wait()


@asynccontextmanager
async def workforce(
    folder: Path,
    *,
    workers: int = 2,
    services: str = "quiet",
    port: int = 0,
    patch: str = "",
    **environment: str,
) -> AsyncIterator[Workforce]:
    """``callbot serve``; ``patch`` is run by the supervisor first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"{patch}\nfrom callbot.cli import main; main()", "serve"),
        *("--port", str(port)),
        *("--workers", str(workers), "--services", f"tests.workforce:{services}"),
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("CALLBOT_")}
        | {
            "PYTHONPATH": str(ROOT),
            "CALLBOT_DATA": str(folder),
            "PUBLIC_URL": PUBLIC_URL,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "LOG_FORMAT": "json",
        }
        | environment,
    )
    force = Workforce(process)
    reading = asyncio.create_task(force.read())
    try:
        yield force
    finally:
        if process.returncode is None:
            process.kill()  # its workers notice, and leave
        await process.wait()
        await reading


@asynccontextmanager
async def at_work(folder: Path, *, workers: int = 2, **options: str) -> AsyncIterator[Workforce]:
    """... when all its workers are ready."""
    async with workforce(folder, workers=workers, **options) as force:
        url = (await force.until("listening"))[0]["url"]
        force.port = int(url.rpartition(":")[2])
        await force.until("a worker is ready", workers)
        yield force


# --- callers -------------------------------------------------------------------------------------


def form(n: int, **fields: str) -> list[tuple[str, str]]:
    return list((dict(CALL) | {"CallSid": f"CA{n:032x}"} | fields).items())


async def post(client: httpx2.AsyncClient, path: str, fields: Sequence[tuple[str, str]]) -> str:
    headers = carrier.webhook(PUBLIC_URL + path, fields)
    answer = await client.post(path, data=dict(fields), headers=headers)
    answer.raise_for_status()
    return answer.text


def token_in(twiml: str) -> str | None:
    found = re.search(r'name="token" value="([^"]+)"', twiml)
    return found[1] if found else None


@dataclass
class Caller:
    """A call whose stream is open. ``code`` is how the bot closed it."""

    n: int
    socket: ClientConnection
    code: int | None = None

    async def talk(self, every: float) -> None:
        """Silence, a frame for each ``every`` seconds, until somebody closes."""
        chunk = 0
        try:
            while True:
                chunk += 1
                body = {
                    "track": "inbound",
                    "chunk": str(chunk),
                    "timestamp": str(chunk * 20),
                    "payload": SILENCE,
                }
                message = {"event": "media", "sequenceNumber": str(chunk + 1), "streamSid": self.stream}
                await self.socket.send(json.dumps(message | {"media": body}))
                await asyncio.sleep(every)
        except ConnectionClosed:
            self.code = self.socket.close_code

    @property
    def stream(self) -> str:
        return f"MZ{self.n:032x}"

    async def hang_up(self) -> None:
        stop = {"callSid": f"CA{self.n:032x}"}
        message = {"event": "stop", "sequenceNumber": "9", "streamSid": self.stream, "stop": stop}
        await self.socket.send(json.dumps(message))
        await self.socket.wait_closed()
        self.code = self.socket.close_code


async def ring(force: Workforce, n: int, twiml: str | None = None) -> Caller:
    """Ask the webhook, open the stream, start it."""
    if twiml is None:
        async with httpx2.AsyncClient(base_url=force.url, timeout=20) as client:
            twiml = await post(client, "/twilio/voice", form(n))
    token = token_in(twiml)
    assert token is not None, twiml
    socket = await connect(
        f"ws://127.0.0.1:{force.port}/twilio/media",
        additional_headers=carrier.upgrade(PUBLIC_URL.replace("http", "ws") + "/twilio/media"),
        compression=None,
        ping_interval=None,
        open_timeout=20,
    )
    caller = Caller(n, socket)
    await socket.send('{"event":"connected","protocol":"Call","version":"1.0.0"}')
    body = {
        "accountSid": "AC1",
        "streamSid": caller.stream,
        "callSid": f"CA{n:032x}",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": token},
    }
    message = {"event": "start", "sequenceNumber": "1", "streamSid": caller.stream, "start": body}
    await socket.send(json.dumps(message))
    return caller


@asynccontextmanager
async def calls(
    force: Workforce, count: int, *, first: int = 1, every: float = 0.1
) -> AsyncIterator[list[Caller]]:
    """So many live calls, which talk; they are hung up at the end."""
    callers: list[Caller] = []
    async with AsyncExitStack() as leaving:
        for start in range(first, first + count, 20):
            these = range(start, min(start + 20, first + count))
            callers += await asyncio.gather(*(ring(force, n) for n in these))
        for caller in callers:
            leaving.push_async_callback(caller.socket.close)
        talking = [asyncio.create_task(caller.talk(every)) for caller in callers]
        try:
            yield callers
        finally:
            for task in talking:
                task.cancel()


async def survives_sigterm(
    folder: Path, count: int, *, workers: int = 2, seconds: float = 2.0
) -> list[Caller]:
    """SIGTERM under ``count`` live calls, which go on for so long: the calls that were cut."""
    async with at_work(folder, workers=workers, CALLBOT_MAX_CALLS=str(count)) as force:
        async with calls(force, count) as callers:
            force.signal(signal.SIGTERM)
            await force.until("draining", workers)
            await asyncio.sleep(seconds)
            cut = [caller for caller in callers if caller.code is not None]
            await asyncio.gather(*(caller.hang_up() for caller in callers))
        assert await force.exit_code() == 0
    return cut
