"""Cartesia on loopback: ``/tts/websocket``, as its documentation and its SDK 4.2 tell it.

Not modelled: the wait for more text (``max_buffer_delay_ms``), and voices other than by id.

Faults by endpoint:

``tts``          one for each connection: ``refuse``, ``blackhole``, ``status`` with ``code`` and
                 ``retry_after``, ``delay``, ``stall_after``, ``dribble``, ``cut_after``, ``close_after``,
                 ``empty``, ``silent``, ``wrong_rate``, ``garbage``. A piece is a chunk, counted over all
                 contexts.
``tts-context``  one for each context: the same from ``delay`` (before its first audio) on; ``cut_after`` and
                 ``close_after`` end the whole connection. ``status`` with ``code`` is told in a message, and
                 ends the context alone.
"""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import WSMsgType, web

from tests.doubles.elevenlabs_faults import Gate, Messages, refused
from tests.doubles.plan import Fault, Plan

KEY: Final = "sk_car_of_nobody"
VOICE: Final = "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"
MODELS: Final = ("sonic-3", "sonic-2", "sonic-turbo")
_REQUIRED: Final = {"context_id", "model_id", "transcript", "voice", "output_format"}
_KNOWN: Final = _REQUIRED | {
    "language",
    "continue",
    "flush",
    "max_buffer_delay_ms",
    "add_timestamps",
    "add_phoneme_timestamps",
    "generation_config",
    "pronunciation_dict_id",
    "use_normalized_timestamps",
    "speed",
}
_SAME: Final = ("model_id", "voice", "output_format", "language")
"""What all requests of a context must have in common."""


def error(status: int, code: str) -> dict[str, Any]:
    told = {"title": code.replace("_", " ").capitalize(), "message": f"This is {code}.", "error_code": code}
    return told | {"status_code": status, "request_id": str(uuid.uuid4())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """``speak`` may take its time: it runs in a thread. Seconds of audio in a message, and between two.

    ``timestamps`` come before their audio, after it, or never, as for some languages. ``concurrent`` is how
    many contexts the account may have at once.
    """

    speak: Callable[[str], bytes]
    chunk: float = 0.25
    between: float = 0.0
    timestamps: str = "before"
    concurrent: int = 15
    idle: float = 300.0


@dataclass(eq=False)
class Context:
    first: Mapping[str, Any]
    fault: Fault
    requests: asyncio.Queue[Mapping[str, Any]] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None
    whole: bool = False
    """No more requests may follow."""

    def __post_init__(self) -> None:
        self.gate = Gate(self.fault)


class CartesiaDouble:
    """``async with double: double.url``. For the rest of the arguments see ``Manner``."""

    def __init__(self, plan: Plan, *, speak: Callable[[str], bytes], key: str = KEY, **manner: Any) -> None:
        self.plan = plan
        self._key = key
        self.manner = Manner(speak=speak, **manner)
        self.speaking = 0
        """Contexts of the account that are active."""
        app = web.Application()
        app.router.add_get("/tts/websocket", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault("tts")
        self.plan.note("tts handshake", dict(request.query), dict(request.headers))
        self.plan.open += 1
        try:
            if fault.status is not None:
                headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
                return web.json_response(
                    error(fault.status, fault.code), status=fault.status, headers=headers
                )
            if refusal := await refused(request, fault):
                return refusal
            if not self._knows(request):
                return web.json_response(error(401, "invalid_api_key"), status=401)
            if not (request.headers.get("Cartesia-Version") or request.query.get("cartesia_version")):
                return web.json_response(error(400, "missing_version"), status=400)
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await asyncio.sleep(fault.delay)
            await Connection(self, fault, Messages(request, socket)).run(socket)
            return socket
        finally:
            self.plan.open -= 1

    def _knows(self, request: web.Request) -> bool:
        given = (request.headers.get("X-API-Key"), request.query.get("api_key"))
        return self._key in given or request.headers.get("Authorization") == f"Bearer {self._key}"


class Connection:
    """Reads while it speaks, each context on its own."""

    def __init__(self, double: CartesiaDouble, fault: Fault, messages: Messages) -> None:
        self._double = double
        self._plan = double.plan
        self._manner = double.manner
        self._fault = fault
        self._gate = Gate(fault)
        self._messages = messages
        self._contexts: dict[str, Context] = {}

    async def run(self, socket: web.WebSocketResponse) -> None:
        try:
            while not self._messages.over:
                try:
                    message = await socket.receive(timeout=self._manner.idle)
                except TimeoutError:
                    await self._messages.close(1000, "idle")
                    return
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                elif message.type is WSMsgType.BINARY:
                    await self._fail(None, 400, "invalid_request")
                else:
                    return
        finally:
            tasks = [context.task for context in self._contexts.values() if context.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _take(self, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        self._plan.note("tts", said)
        name = said.get("context_id") if isinstance(said, dict) else None
        if not isinstance(name, str):
            await self._fail(None, 400, "invalid_request")
        elif said.keys() == {"context_id", "cancel"} and said["cancel"] is True:
            if name in self._contexts and (task := self._contexts[name].task) is not None:
                task.cancel()  # and nothing more comes of it
                await asyncio.wait([task])
        elif (wrong := self._wrong(said, self._contexts.get(name))) is not None:
            await self._fail(name, *wrong)
        else:
            context = self._contexts.get(name) or self._open(name, said)
            context.whole = not said.get("continue")
            context.requests.put_nowait(said)

    def _wrong(self, said: Mapping[str, Any], context: Context | None) -> tuple[int, str] | None:
        audio = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
        if not said.keys() >= _REQUIRED or not said.keys() <= _KNOWN or said["output_format"] != audio:
            return 400, "invalid_request"
        if not 0 <= said.get("max_buffer_delay_ms", 0) <= 5_000 or not isinstance(said["transcript"], str):
            return 400, "invalid_request"
        if said["model_id"] not in MODELS:
            return 404, "model_not_found"
        voice = said["voice"]
        if (voice.get("id") if isinstance(voice, dict) else voice) != VOICE:
            return 404, "voice_not_found"
        if context is None:
            if not said["transcript"].strip():
                return 400, "empty_transcript"
            if self._double.speaking >= self._manner.concurrent:
                return 429, "concurrency_limited"
        elif context.whole or any(said.get(part) != context.first.get(part) for part in _SAME):
            return 400, "invalid_context"
        return None

    def _open(self, name: str, said: Mapping[str, Any]) -> Context:
        context = self._contexts[name] = Context(said, self._plan.fault("tts-context"))
        self._double.speaking += 1
        context.task = asyncio.create_task(self._speak(name, context), name="double speaking")
        context.task.add_done_callback(lambda _: self._close(name))
        return context

    def _close(self, name: str) -> None:
        self._double.speaking -= 1
        del self._contexts[name]

    async def _speak(self, name: str, context: Context) -> None:
        fault = context.fault
        if fault.status is not None:
            await self._fail(name, fault.status, fault.code)
            return
        await asyncio.sleep(fault.delay)
        spoken, flushes, more = 0.0, 1, True
        while more:
            said = await context.requests.get()
            more = bool(said.get("continue"))
            if not any(one.empty or one.silent for one in (fault, self._fault)):
                async for message in self._spoken(said, spoken, fault):
                    told = {"context_id": name, "status_code": 206, "done": False, "flush_id": flushes}
                    if message["type"] == "chunk":
                        await self._messages.send(message | told, self._gate, context.gate)
                        spoken += len(base64.b64decode(message["data"])) / 8000
                        await asyncio.sleep(self._manner.between)
                    elif not self._stalled(context):
                        await self._messages.tell(message | told)
            if said.get("flush"):
                flushed = {"type": "flush_done", "flush_done": True, "flush_id": flushes, "done": False}
                await self._messages.tell(flushed | {"context_id": name, "status_code": 206})
                flushes += 1
        if fault.silent or self._fault.silent or self._stalled(context):
            await asyncio.get_running_loop().create_future()
        await self._messages.tell({"type": "done", "done": True, "status_code": 200, "context_id": name})

    def _stalled(self, context: Context) -> bool:
        return self._gate.stalled or context.gate.stalled

    async def _spoken(
        self, said: Mapping[str, Any], begin: float, fault: Fault
    ) -> AsyncIterator[dict[str, Any]]:
        """The audio of a request, and when the words are said that begin in it: every character takes the
        same time."""
        text = said["transcript"]
        audio = await asyncio.to_thread(self._manner.speak, text)
        each = len(audio) / 8000 / max(1, len(text))
        words, at = [], 0
        for word in text.split():
            at = text.index(word, at)
            words.append((word, begin + at * each, begin + (at + len(word)) * each))
            at += len(word)
        if fault.wrong_rate or self._fault.wrong_rate:
            audio = bytes(byte for byte in audio for _ in (0, 1))
        size = round(self._manner.chunk * 8000)
        for start in range(0, len(audio), size):
            end = begin + (start + size) / 8000
            last = start + size >= len(audio)
            due = [word for word in words if word[1] < end or last]
            del words[: len(due)]
            times = _timestamps(due) if due and said.get("add_timestamps") else None
            if times and self._manner.timestamps == "before":
                yield times
            piece = base64.b64encode(audio[start : start + size]).decode()
            yield {"type": "chunk", "data": piece, "step_time": 12.5}
            if times and self._manner.timestamps == "after":
                yield times

    async def _fail(self, context: str | None, status: int, code: str) -> None:
        named = {} if context is None else {"context_id": context}
        await self._messages.tell({"type": "error", "done": True} | named | error(status, code))


def _timestamps(words: list[tuple[str, float, float]]) -> dict[str, Any]:
    said, starts, ends = (list(part) for part in zip(*words, strict=True))
    return {"type": "timestamps", "word_timestamps": {"words": said, "start": starts, "end": ends}}
