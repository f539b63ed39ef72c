"""OpenAI's hearing and speaking on loopback: realtime transcription, file transcription, speech.

Endpoints in the plan, the fields of ``Fault`` they honour, and what a piece is:

- ``realtime``: all but ``wrong_rate``; a piece is a message to the client, ``session.created`` the first.
  ``code`` without ``status`` is told in the session, which is ended (with ``silent``: it is only ended);
  ``empty``: transcripts without words; ``silent``: no word is transcribed, all else is acknowledged;
  ``duplicate`` and ``late`` are about ``...transcription.completed``; with ``?model=`` it answers, too, and
  the faults of one answer are those of ``answers`` (``openai_realtime.py``);
- ``transcriptions``: all but ``wrong_rate`` and ``duplicate``; a piece is an event of the stream, or half of
  the JSON. ``silent`` is headers and nothing more;
- ``speech``: all but ``duplicate`` and ``late``; a piece is a chunk of audio. ``wrong_rate`` is 16 kHz, and
  the content type says so; ``garbage`` is the header of a WAV file and an odd number of bytes.
"""

import asyncio
import io
import json
import socket
import struct
import wave
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from aiohttp import BodyPartReader, web

from callbot.providers import mulaw
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.openai_realtime import ItsConversation
from tests.doubles.openai_transcription import ItsSession
from tests.doubles.plan import Fault, Plan

KEY: Final = "sk-test-openai"
CHUNK: Final = 4_801
"""Bytes of the body of speech: about 0.1 s, and odd, as chunks of a body may be."""
FORMATS: Final = ("mp3", "opus", "aac", "flac", "wav", "pcm")
VOICES: Final = frozenset(
    "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()  # noqa: SIM905
)
SPEECH_MODELS: Final = frozenset({"tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"})
FILE_MODELS: Final = frozenset(
    {
        "gpt-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "whisper-1",
    }
)

Hear = Callable[[bytes], str]
Speak = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class File:
    """One that was sent in a form."""

    name: str
    content: bytes


Form = dict[str, list[str | File]]


class Broken(Exception):
    """The connection was broken as planned; nothing more can be answered."""


def refusal(status: int, message: str, *, code: str | None = None, param: str | None = None) -> web.Response:
    """OpenAI's form of an error."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    if code == "insufficient_quota":
        kind = code
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status)


def abort(request: web.Request) -> None:
    """Break the connection with a reset, not with a goodbye."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()


class OpenAiSpeechDouble:
    """``hear`` and ``speak`` are called in a thread; ``takes`` says how many seconds the transcription of
    the nth commit of a connection takes, so that a later one may be done before an earlier one.

    The double does not find the end of speech: it takes ``turn_detection`` as the vendor does, and
    commits nothing by itself.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        hear: Hear = lambda audio: "",
        speak: Speak = lambda text: b"",
        key: str = KEY,
        takes: Callable[[int], float] = lambda nth: 0.0,
        think: Callable[[dict[str, Any]], Answer] = lambda request: Answer(),
        first_audio: float = 0.0,
        between_chunks: float = 0.0,
    ) -> None:
        self.plan = plan
        self.hear = hear
        self.speak = speak
        self.key = key
        self.takes = takes
        self.think = think
        """What the realtime models answer, to their conversation as a chat request."""
        self.first_audio = first_audio
        self.between_chunks = between_chunks
        self.languages: list[str] | None = None
        """What the models that identify languages say that they heard."""
        self.content_type = "audio/pcm"
        """Of speech."""
        self.url = ""
        self._sessions: set[ItsSession] = set()
        self._over = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/realtime", self._realtime),
            web.post("/v1/audio/transcriptions", self._transcriptions),
            web.post("/v1/audio/speech", self._speech),
        ]

    def hang_up(self) -> None:
        """Ends all sessions."""
        self._over.set()
        for session in tuple(self._sessions):
            session.drop()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None, keepalive_timeout=600
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hang_up()
        await self._runner.cleanup()

    @property
    def sockets(self) -> int:
        """TCP connections that are open now, those without a request too."""
        return len(self._runner.server.connections) if self._runner.server is not None else 0

    async def quiet(self) -> None:
        """Waits until no request and no session is open."""
        async with asyncio.timeout(5):
            await self._quiet.wait()

    async def deserted(self) -> None:
        """Waits until no connection is left, not even an idle one."""
        await self.quiet()
        async with asyncio.timeout(5):
            while self.sockets:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def expire(self) -> None:
        """What the vendor does to a session after 60 minutes, to all that are open."""
        for session in tuple(self._sessions):
            await session.expire()

    # --- what all endpoints do -------------------------------------------------------------------

    @asynccontextmanager
    async def _asked(self, request: web.Request) -> AsyncIterator[None]:
        self.plan.open += 1
        self._quiet.clear()
        try:
            yield
        except (ConnectionError, RuntimeError) as error:  # the client has gone
            raise Broken from error
        finally:
            self.plan.open -= 1
            if not self.plan.open:
                self._quiet.set()

    async def _at_first(self, request: web.Request, fault: Fault) -> web.Response | None:
        """What goes wrong before an answer, or the refusal to answer with."""
        if fault.refuse:
            abort(request)
            return web.Response()
        if fault.blackhole:
            await self._over.wait()
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.status is not None:
            answer = refusal(fault.status, "as planned", code=fault.code or None)
            if fault.retry_after is not None:
                answer.headers["Retry-After"] = f"{fault.retry_after:g}"
                answer.headers["retry-after-ms"] = f"{fault.retry_after * 1000:g}"
            return answer
        bearer = request.headers.get("Authorization", "")
        if not bearer.startswith("Bearer "):
            return refusal(401, "Missing bearer authentication in header")
        if bearer.removeprefix("Bearer ") != self.key:
            told = f"Incorrect API key provided: {bearer.removeprefix('Bearer ')}."
            return refusal(401, told, code="invalid_api_key")
        return None

    async def _stream(
        self, request: web.Request, fault: Fault, pieces: Iterable[bytes], content_type: str
    ) -> web.StreamResponse:
        """A chunked body, piece by piece, as far as the plan lets it come."""
        response = web.StreamResponse(headers={"Content-Type": content_type, "x-request-id": "req_1"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        sent = 0
        for piece in pieces:
            await self._may_send(request, fault, sent)
            if fault.dribble:
                await asyncio.sleep(fault.dribble)
            await response.write(piece)
            sent += 1
        await self._may_send(request, fault, sent)
        await response.write_eof()
        return response

    async def _may_send(self, request: web.Request, fault: Fault, sent: int) -> None:
        """Raises ``Broken``, or never returns, when it may not."""
        if fault.silent or sent == fault.stall_after:
            await self._over.wait()
        if sent == fault.cut_after:
            abort(request)
            raise Broken
        if sent == fault.close_after:
            if request.transport is not None:
                request.transport.close()  # the chunk that says the body is over never comes
            raise Broken

    # --- hearing ---------------------------------------------------------------------------------

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault("realtime")
        self.plan.note("realtime connect", dict(request.query), dict(request.headers))
        with suppress(Broken):
            async with self._asked(request):
                if (refused := await self._at_first(request, Fault(**_without_delay(fault)))) is not None:
                    return refused
                socket = web.WebSocketResponse(max_msg_size=0)
                await socket.prepare(request)
                kind = ItsConversation if "model" in request.query else ItsSession
                session = kind(self, request, socket, fault)
                self._sessions.add(session)
                try:
                    await session.run()
                finally:
                    self._sessions.discard(session)
                return socket
        return web.Response()

    async def _transcriptions(self, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault("transcriptions")
        with suppress(Broken):
            async with self._asked(request):
                if (refused := await self._at_first(request, fault)) is not None:
                    self.plan.note("transcriptions", None, dict(request.headers))
                    return refused
                form = await _read_form(request)
                self.plan.note("transcriptions", form, dict(request.headers))
                return await self._transcribed(request, fault, form)
        return web.Response()

    async def _transcribed(self, request: web.Request, fault: Fault, form: Form) -> web.StreamResponse:
        (model,) = form.get("model", [""])
        if model not in FILE_MODELS:
            return refusal(404, f"The model '{model}' does not exist", code="model_not_found", param="model")
        if "languages[]" in form and model != "gpt-transcribe":
            return refusal(400, "languages is not supported", code="unsupported_parameter", param="languages")
        if form.get("response_format", ["json"]) not in (["json"], ["text"]):
            return refusal(400, "not in this double", code="unsupported_value", param="response_format")
        (file,) = form.get("file", [File("", b"")])
        if not isinstance(file, File) or "." not in file.name:
            return refusal(400, "Invalid file format.", param="file")
        audio = _mulaw_of(file.content)
        if audio is None:
            return refusal(400, "Audio file might be corrupted or unsupported", code="invalid_value")
        if len(audio) < 800:
            return refusal(400, "Audio file is too short. Minimum audio length is 0.1 seconds.", param="file")
        text = "" if fault.empty else await asyncio.to_thread(self.hear, audio)
        if fault.late:
            await asyncio.sleep(fault.late)
        usage = {"type": "tokens", "input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        if form.get("stream") == ["true"] and model != "whisper-1":
            events = [{"type": "transcript.text.delta", "delta": word} for word in _spaced(text)]
            events.append({"type": "transcript.text.done", "text": text, "usage": usage})
            pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
            content_type = "text/event-stream"
        else:
            told: dict[str, Any] = {"text": text, "usage": usage}
            if self.languages is not None and model == "gpt-transcribe":
                told["languages"] = [{"code": code} for code in self.languages]
            body = json.dumps(told).encode()
            pieces, content_type = [body[: len(body) // 2], body[len(body) // 2 :]], "application/json"
        if fault.garbage:
            pieces = [b"<html>\xff"]
        return await self._stream(request, fault, pieces, content_type)

    # --- speaking --------------------------------------------------------------------------------

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault("speech")
        with suppress(Broken):
            async with self._asked(request):
                if (refused := await self._at_first(request, fault)) is not None:
                    self.plan.note("speech", None, dict(request.headers))
                    return refused
                asked = await request.json()
                self.plan.note("speech", asked, dict(request.headers))
                return await self._spoken(request, fault, asked)
        return web.Response()

    async def _spoken(self, request: web.Request, fault: Fault, asked: Any) -> web.StreamResponse:
        known = {"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"}
        for name in asked.keys() - known:
            return refusal(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
        model, text, voice = (asked.get(name) for name in ("model", "input", "voice"))
        if model not in SPEECH_MODELS:
            return refusal(404, f"The model '{model}' does not exist", code="model_not_found", param="model")
        if not isinstance(text, str) or not 1 <= len(text) <= 4096:
            return refusal(400, "Invalid 'input': string of 1 to 4096 characters", param="input")
        if voice not in VOICES:
            return refusal(400, "Invalid value for 'voice'", code="invalid_value", param="voice")
        wanted = asked.get("response_format", "mp3")
        if wanted not in FORMATS:
            return refusal(400, "Invalid 'response_format'", code="invalid_value", param="response_format")
        if wanted != "pcm" or asked.get("stream_format", "audio") != "audio":
            return refusal(400, f"this double speaks pcm, not {wanted}", code="not_in_this_double")
        rate = 16_000 if fault.wrong_rate else 24_000
        sound = mulaw.decode(await asyncio.to_thread(self.speak, text), rate=rate)
        pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
        if fault.garbage:
            pcm = _wav_header() + pcm + b"\0"
        if fault.empty:
            pcm = b""
        pieces = (pcm[at : at + CHUNK] for at in range(0, len(pcm), CHUNK))
        content_type = "audio/pcm;rate=16000" if fault.wrong_rate else self.content_type
        return await self._stream(request, fault, pieces, content_type)


async def _read_form(request: web.Request) -> Form:
    form: Form = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        content = bytes(await part.read(decode=True))
        value = content.decode() if part.filename is None else File(part.filename, content)
        form.setdefault(part.name or "", []).append(value)
    return form


def _without_delay(fault: Fault) -> dict[str, Any]:
    """Of a socket the delay comes after the handshake."""
    return {name: getattr(fault, name) for name in ("refuse", "blackhole", "status", "code", "retry_after")}


def _spaced(text: str) -> list[str]:
    return [word if at == 0 else f" {word}" for at, word in enumerate(text.split())]


def _wav_header() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 24_000, 0, "NONE", "not compressed"))
    return file.getvalue()


def _mulaw_of(content: bytes) -> bytes | None:
    """What a file holds, or None when it is no WAV of 16 bits: mu-law is not taken."""
    try:
        with wave.open(io.BytesIO(content)) as sound:
            if (sound.getnchannels(), sound.getsampwidth()) != (1, 2):
                return None
            rate, pcm = sound.getframerate(), sound.readframes(sound.getnframes())
    except (wave.Error, EOFError):
        return None
    return mulaw.encode(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768, rate=rate)
