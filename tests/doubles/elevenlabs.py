"""ElevenLabs on loopback: speech over HTTP and over both kinds of WebSocket, and Scribe (PROTOCOLS D).

Faults by endpoint. A request that is refused never gets further, and all endpoints know ``refuse``,
``blackhole`` and ``status`` with ``code`` and ``retry_after``. Of the others:

``tts-http``     ``delay``, ``stall_after``, ``dribble``, ``cut_after``, ``close_after``, ``empty``,
                 ``silent``, ``wrong_rate``, ``clipped``, ``garbage``; a piece is a chunk of audio.
``tts-input``    one for each connection: the same; ``code`` without ``status`` is told in a message, and then
                 the socket is closed. A piece is a message with audio.
``tts-multi``    one for each connection: the same, counted over all its contexts.
``tts-context``  one for each context on such a connection: the same, and ``delay`` is before its first audio.
                 ``cut_after``, ``close_after`` and ``code`` end the whole connection. ``empty``: the last
                 message comes without a close, as when a context was left alone for too long.
``stt``          ``delay``, ``stall_after``, ``dribble``, ``cut_after``, ``close_after``, ``empty`` (finals
                 without words), ``silent``, ``garbage``, ``duplicate``, ``late``, ``code`` without ``status``
                 (told instead of ``session_started``, before the close). A piece is a transcript.
"""

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

import numpy as np
from aiohttp import web

from callbot.providers import mulaw
from tests.doubles.elevenlabs_faults import Gate, Messages, cut, error, refused
from tests.doubles.elevenlabs_hearing import LONGEST_SEGMENT, Scribe
from tests.doubles.elevenlabs_speaking import Manner, Speaker
from tests.doubles.plan import Plan

VOICE: Final = "JBFqnCBsd6RMkjVDRZzb"
KEY: Final = "eleven-key"
CHARACTER_SECONDS: Final = 0.06
_FORMAT: Final = "ulaw_8000"
_SLOW_MODELS: Final = ("eleven_v3", "eleven_v4", "eleven_v4_turbo")
"""Which the sockets do not speak with."""


def hum(text: str) -> bytes:
    """A tone, 60 ms for each character of the text but the space at its end."""
    times = np.arange(round(len(text.strip()) * CHARACTER_SECONDS * 8000), dtype=np.float32) / 8000
    return mulaw.encode(np.float32(0.3) * np.sin(np.float32(2 * np.pi * 440) * times))


def deaf(audio: bytes) -> str:
    return ""


class ElevenLabsDouble:
    """``url`` is what a client is given as the base. ``hear`` takes mu-law and returns its text, ``speak``
    the other way round; both may block. ``manner`` is how the sockets speak."""

    def __init__(
        self,
        plan: Plan,
        *,
        hear: Callable[[bytes], str] = deaf,
        speak: Callable[[str], bytes] = hum,
        key: str = KEY,
        voices: tuple[str, ...] = (VOICE,),
        partial_every: int = 3_200,
        language: str = "en",
        language_first: bool = False,
        commit_every: int = LONGEST_SEGMENT,
        **manner: Any,
    ) -> None:
        self.plan = plan
        self._hear = hear
        self._key = key
        self._voices = voices
        self._partial_every = partial_every
        self._language = language
        self._language_first = language_first
        self._commit_every = commit_every
        self._manner = Manner(speak=speak, **manner)
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/text-to-speech/{voice}/stream", self._stream),
                web.get("/v1/text-to-speech/{voice}/stream-input", self._stream_input),
                web.get("/v1/text-to-speech/{voice}/multi-stream-input", self._multi_stream_input),
                web.get("/v1/speech-to-text/realtime", self._scribe),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        self.url = ""

    async def __aenter__(self) -> "ElevenLabsDouble":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    # --- speech over HTTP ------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault("tts-http")
        self.plan.open += 1
        try:
            body = await request.json()
            asked = body | {"voice": request.match_info["voice"], **request.query}
            self.plan.note("tts-http", asked, dict(request.headers))
            if refusal := await refused(request, fault):
                return refusal
            if request.headers.get("xi-api-key") != self._key:
                return error(401, "invalid_api_key")
            if request.match_info["voice"] not in self._voices:
                return error(404, "voice_not_found")
            if request.query.get("output_format") != _FORMAT or not isinstance(body.get("text"), str):
                wrong = {"loc": ["query", "output_format"], "msg": "not spoken here", "type": "enum"}
                return web.json_response({"detail": [wrong]}, status=422)
            await asyncio.sleep(fault.delay)
            response = web.StreamResponse(headers={"Content-Type": "audio/basic"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            audio = b"" if fault.empty else await asyncio.to_thread(self._manner.speak, body["text"])
            if fault.silent:
                await asyncio.sleep(math.inf)
            if fault.wrong_rate:
                audio = bytes(byte for byte in audio for _ in (0, 1))
            if fault.clipped:
                audio = mulaw.encode(np.clip(8 * mulaw.decode(audio), -1, 1))
            if fault.garbage:
                audio = b"RIFF\x24\x08\x00\x00WAVEfmt " + audio[:-1]
            await self._pieces(request, response, audio, Gate(fault))
            return response
        finally:
            self.plan.open -= 1

    async def _pieces(
        self, request: web.Request, response: web.StreamResponse, audio: bytes, gate: Gate
    ) -> None:
        size = round(self._manner.chunk * 8000)
        for start in [*range(0, len(audio), size), None]:
            if gate.stalled:
                await asyncio.sleep(math.inf)
            if gate.cut:
                cut(request)
                await asyncio.sleep(math.inf)
            if gate.closed and request.transport is not None:
                request.transport.close()
                await asyncio.sleep(math.inf)
            if start is not None:
                await asyncio.sleep(gate.fault.dribble)
                await response.write(audio[start : start + size])
                gate.count += 1
                await asyncio.sleep(self._manner.between)

    # --- the sockets -----------------------------------------------------------------------------

    async def _stream_input(self, request: web.Request) -> web.StreamResponse:
        return await self._speak("tts-input", request)

    async def _multi_stream_input(self, request: web.Request) -> web.StreamResponse:
        return await self._speak("tts-multi", request)

    async def _speak(self, endpoint: str, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault(endpoint)
        query = dict(request.query)
        self.plan.note(endpoint, {"handshake": query}, dict(request.headers))
        self.plan.open += 1
        try:
            if refusal := await refused(request, fault):
                return refusal
            if request.headers.get("xi-api-key") != self._key:
                return error(401, "invalid_api_key")
            if request.match_info["voice"] not in self._voices:
                return error(404, "voice_not_found")
            if query.get("output_format") != _FORMAT or query.get("model_id") in _SLOW_MODELS:
                return error(400, "invalid_parameters")
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            messages = Messages(request, socket)
            await Speaker(endpoint, self.plan, fault, query, self._manner, messages).run(socket)
            return socket
        except ConnectionError:
            return web.Response()  # the client has left before the handshake was answered
        finally:
            self.plan.open -= 1

    async def _scribe(self, request: web.Request) -> web.StreamResponse:
        fault = self.plan.fault("stt")
        query = dict(request.query)
        asked = query | {"secondary_languages": request.query.getall("secondary_languages", [])}
        self.plan.note("stt", {"handshake": asked}, dict(request.headers))
        self.plan.open += 1
        try:
            if refusal := await refused(request, fault):
                return refusal
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            messages = Messages(request, socket)
            if request.headers.get("xi-api-key") != self._key:
                await messages.tell({"message_type": "auth_error", "error": "Invalid API key"})
                await messages.close(1008, "auth_error")
                return socket
            await Scribe(
                self.plan,
                fault,
                query,
                self._hear,
                messages,
                partial_every=self._partial_every,
                language=self._language,
                language_first=self._language_first,
                commit_every=self._commit_every,
            ).run(socket)
            return socket
        finally:
            self.plan.open -= 1
