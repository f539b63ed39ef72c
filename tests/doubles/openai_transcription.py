"""One realtime transcription session of OpenAI's, from the handshake to its end."""

import asyncio
import base64
import binascii
import itertools
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from aiohttp import WSMsgType, web

from callbot.providers import mulaw
from tests.doubles.plan import Fault

if TYPE_CHECKING:
    from tests.doubles.openai_speech import OpenAiSpeechDouble

STREAMING: Final = frozenset({"gpt-live-transcribe", "gpt-realtime-whisper"})
"""They transcribe while audio comes, and do not find the end of speech."""
KNOWING_LANGUAGES: Final = frozenset({"gpt-live-transcribe", "gpt-transcribe"})
MODELS: Final = STREAMING | {
    "gpt-transcribe",
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
}
CLIENT_EVENTS: Final = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
)
LONGEST_APPEND: Final = 15 << 20
_SHORTEST: Final = 0.1  # seconds
_NEWS_EVERY: Final = 0.4
_IDS = itertools.count(1)
DEFAULTS: Final = {
    "format": {"type": "audio/pcm", "rate": 24_000},
    "transcription": None,
    "noise_reduction": None,
    "turn_detection": None,
}


class Refused(Exception):
    """A client's event is answered with an error; the session goes on."""

    def __init__(self, message: str, *, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class ItsSession:
    def __init__(
        self, double: "OpenAiSpeechDouble", request: web.Request, socket: web.WebSocketResponse, fault: Fault
    ) -> None:
        self._double = double
        self._request = request
        self._socket = socket
        self._fault = fault
        self._input: dict[str, Any] = dict(DEFAULTS)
        self._include: list[str] | None = None
        self._id = f"sess_{next(_IDS)}"
        self._buffer = bytearray()
        self._item = f"item_{next(_IDS)}"
        self._last_item: str | None = None
        self._told = ""
        """Of the open item, in deltas."""
        self._told_at = 0.0
        self._commits = 0
        self._sent = 0
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the client goes, or the plan ends it."""
        try:
            if self._fault.delay:
                await asyncio.sleep(self._fault.delay)
            if not {"intent", "model"} & self._request.query.keys():
                await self._send(error_event("You must provide a model parameter.", code="missing_model"))
                await self._socket.close(code=4000, message=b"invalid_request_error.missing_model")
                return
            if self._fault.code and self._fault.status is None:
                if not self._fault.silent:
                    await self._send(error_event("Incorrect API key: sk-1.", code=self._fault.code))
                reason = f"invalid_request_error.{self._fault.code}"
                await self._socket.close(code=3000, message=reason.encode())
                return
            await self._send({"type": "session.created", "session": self._session()})
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
                else:
                    await self._send(error_event("binary messages are not taken", code="invalid_value"))
        finally:
            for task in tuple(self._work):
                task.cancel()
            if self._work:
                await asyncio.wait(tuple(self._work))

    async def expire(self) -> None:
        told = "Your session hit the maximum duration of 60 minutes."
        await self._send(error_event(told, code="session_expired"))
        await self._socket.close(code=1001, message=told.encode())

    def drop(self) -> None:
        """Without a goodbye."""
        transport = self._request.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            transport.abort()

    # --- what the client says --------------------------------------------------------------------

    async def _take(self, text: str) -> None:
        event: dict[str, Any] = {}
        try:
            try:
                event = json.loads(text)
            except ValueError:
                raise Refused("Invalid JSON", code="invalid_json") from None
            if not isinstance(event, dict):
                event = {}
            self._double.plan.note("realtime", event)
            await self._obey(event)
        except Refused as refused:
            await self._send(
                error_event(
                    str(refused), code=refused.code, param=refused.param, event_id=event.get("event_id")
                )
            )

    async def _obey(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "session.update":
                self._update(event.get("session"))
                await self._send({"type": "session.updated", "session": self._session()})
            case "input_audio_buffer.append":
                self._append(event.get("audio"))
                await self._tell_news()
            case "input_audio_buffer.commit":
                await self._commit()
            case "input_audio_buffer.clear":
                self._begin_item()
                await self._send({"type": "input_audio_buffer.cleared"})
            case other:
                known = ", ".join(f"'{name}'" for name in CLIENT_EVENTS)
                raise Refused(f"Invalid value: '{other}'. Supported values are: {known}.", param="type")

    def _update(self, session: Any) -> None:
        only(session, "session", {"type", "audio", "include"})
        if session.get("type") != "transcription":
            raise Refused("Passing a realtime session update event to a transcription session is not allowed")
        only(session.get("audio", {}), "session.audio", {"input"})
        given = session.get("audio", {}).get("input", {})
        only(given, "session.audio.input", set(DEFAULTS))
        wanted = {**self._input, **given}
        check_format(wanted["format"])
        check_transcription(wanted["transcription"])
        check_turn_detection(wanted["turn_detection"], (wanted["transcription"] or {}).get("model"))
        self._input = wanted
        self._include = session.get("include", self._include)

    def _append(self, audio: Any) -> None:
        if not isinstance(audio, str):
            raise Refused("Missing required parameter: 'audio'.", code="missing_required_parameter")
        try:
            sound = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            raise Refused("Invalid 'audio'. Expected base64-encoded audio bytes.", param="audio") from None
        if len(audio) > LONGEST_APPEND:
            raise Refused("the audio is longer than 15 MiB", param="audio")
        self._buffer += sound

    async def _commit(self) -> None:
        if self._seconds < _SHORTEST:
            raise Refused(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {self._seconds * 1000:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        item, before, audio = self._item, self._last_item, self._mulaw()
        told, self._last_item = self._told, item
        self._begin_item()
        self._commits += 1
        await self._send(
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": before}
        )
        content = [{"type": "input_audio", "transcript": None}]
        message = {"id": item, "object": "realtime.item", "type": "message", "status": "completed"}
        message |= {"role": "user", "content": content}
        for what in ("added", "done"):
            await self._send(
                {"type": f"conversation.item.{what}", "item": message, "previous_item_id": before}
            )
        await self._committed(item, audio)
        if self._input["transcription"] is not None and not self._fault.silent:
            work = self._transcribe(item, audio, told, self._double.takes(self._commits))
            task = asyncio.get_running_loop().create_task(work)
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _committed(self, item: str, audio: bytes) -> None:
        """Of a session that does more than transcribe."""

    @property
    def _seconds(self) -> float:
        return len(self._buffer) / (48_000 if self._format == "audio/pcm" else 8_000)

    @property
    def _format(self) -> str:
        kind: str = self._input["format"]["type"]
        return kind

    def _begin_item(self) -> None:
        self._buffer.clear()
        self._item = f"item_{next(_IDS)}"
        self._told, self._told_at = "", 0.0

    def _mulaw(self) -> bytes:
        if self._format == "audio/pcmu":
            return bytes(self._buffer)
        if self._format == "audio/pcm":
            samples = np.frombuffer(bytes(self._buffer[: len(self._buffer) & ~1]), "<i2")
            return mulaw.encode(samples.astype(np.float32) / 32768, rate=24_000)
        raise Refused("this double hears no A-law", code="not_in_this_double")

    # --- what we say -----------------------------------------------------------------------------

    async def _tell_news(self) -> None:
        """Models that stream tell new words while audio comes; what was told is never taken back."""
        model = (self._input["transcription"] or {}).get("model")
        if model not in STREAMING or self._fault.silent or self._fault.empty:
            return
        if self._seconds - self._told_at < _NEWS_EVERY:
            return
        self._told_at = self._seconds
        text = await asyncio.to_thread(self._double.hear, self._mulaw())
        await self._tell_words(self._item, text, self._told)
        self._told = text if text.startswith(self._told) else self._told

    async def _tell_words(self, item: str, text: str, told: str) -> None:
        if not text.startswith(told):
            return
        for word in words(text[len(told) :]):
            await self._send(
                {
                    "type": "conversation.item.input_audio_transcription.delta",
                    "item_id": item,
                    "content_index": 0,
                    "delta": word,
                }
            )

    async def _transcribe(self, item: str, audio: bytes, told: str, seconds: float) -> None:
        text = "" if self._fault.empty else await asyncio.to_thread(self._double.hear, audio)
        if seconds + self._fault.late:
            await asyncio.sleep(seconds + self._fault.late)
        await self._tell_words(item, text, told)
        completed = {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": item,
            "content_index": 0,
            "transcript": text,
            "usage": {"type": "duration", "seconds": len(audio) / 8000},
        }
        await self._send(completed)
        if self._fault.duplicate:
            await self._send(completed)

    async def _send(self, event: dict[str, Any]) -> None:
        fault, sent = self._fault, self._sent
        if fault.stall_after is not None and sent >= fault.stall_after:
            return
        if fault.cut_after is not None and sent >= fault.cut_after:
            self.drop()
            return
        if fault.close_after is not None and sent >= fault.close_after:
            await self._socket.close(code=fault.close_code, message=b"as planned")
            return
        if fault.dribble:
            await asyncio.sleep(fault.dribble)
        self._sent += 1
        text = json.dumps({"event_id": f"event_{next(_IDS)}", **event})
        try:
            await self._socket.send_str(text[: len(text) // 2] if fault.garbage else text)
        except ConnectionError:
            return  # the client has gone

    def _session(self) -> dict[str, Any]:
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": self._id,
            "expires_at": int(time.time()) + 3600,
            "audio": {"input": self._input},
            "include": self._include,
        }


def error_event(
    message: str, *, code: str, param: str | None = None, event_id: str | None = None
) -> dict[str, Any]:
    kind = "invalid_request_error"
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
    return {"type": "error", "error": error}


def words(text: str) -> Iterable[str]:
    """With the space before each that has one."""
    at = 0
    while at < len(text):
        end = text.find(" ", at + 1)
        end = len(text) if end < 0 else end
        yield text[at:end]
        at = end


def only(given: Any, where: str, known: set[str]) -> None:
    if not isinstance(given, dict):
        raise Refused(f"Invalid type for '{where}': expected an object.", code="invalid_type", param=where)
    for name in given.keys() - known:
        raise Refused(
            f"Unknown parameter: '{where}.{name}'.", code="unknown_parameter", param=f"{where}.{name}"
        )


def check_format(given: Any) -> None:
    where = "session.audio.input.format"
    only(given, where, {"type", "rate"})
    kind, rate = given.get("type"), given.get("rate")
    if kind not in ("audio/pcm", "audio/pcmu", "audio/pcma"):
        raise Refused(f"Invalid value: '{kind}'.", param=f"{where}.type")
    if kind != "audio/pcm" and rate is not None:
        raise Refused(f"Unknown parameter: '{where}.rate'.", code="unknown_parameter", param=f"{where}.rate")
    if kind == "audio/pcm" and (not isinstance(rate, int) or rate < 24_000):
        raise Refused(
            f"Invalid '{where}.rate': integer below minimum value. Expected a value >= 24000, "
            f"but got {rate} instead.",
            code="integer_below_min_value",
            param=f"{where}.rate",
        )
    if kind == "audio/pcm" and rate != 24_000:
        raise Refused(f"Invalid '{where}.rate': only 24000 is supported.", param=f"{where}.rate")


def check_transcription(given: Any) -> None:
    where = "session.audio.input.transcription"
    if given is None:
        return
    only(given, where, {"model", "language", "languages", "keywords", "prompt", "delay"})
    model = given.get("model")
    if model not in MODELS:
        raise Refused(f"Invalid value: '{model}'.", param=f"{where}.model")
    allowed: dict[str, Callable[[str], bool]] = {
        "languages": KNOWING_LANGUAGES.__contains__,
        "keywords": KNOWING_LANGUAGES.__contains__,
        "prompt": lambda model: model != "gpt-realtime-whisper",
        "delay": lambda model: model == "gpt-realtime-whisper",
    }
    for name, allows in allowed.items():
        if name in given and not allows(model):
            raise Refused(f"'{name}' is not supported with {model}.", param=f"{where}.{name}")


def check_turn_detection(given: Any, model: str | None) -> None:
    where = "session.audio.input.turn_detection"
    if given is None:
        return
    if model in STREAMING:
        raise Refused(f"Turn detection is not supported with {model}; it must be null.", param=where)
    if not isinstance(given, dict) or given.get("type") not in ("server_vad", "semantic_vad"):
        raise Refused("Invalid value.", param=f"{where}.type")
