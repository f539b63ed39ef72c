"""The socket that hears: Scribe (PROTOCOLS D6)."""

import asyncio
import audioop
import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests.doubles.elevenlabs_faults import Gate, Messages
from tests.doubles.plan import Fault, Plan

MODELS: Final = ("scribe_v2_realtime", "scribe_v3_live")
RATES: Final = {
    "ulaw_8000": 8000,
    **{f"pcm_{rate}": rate for rate in (8000, 16000, 22050, 24000, 44100, 48000)},
}
LEAST_TO_COMMIT: Final = 2_400
"""Bytes of mu-law: with less than 0.3 s uncommitted, a commit is refused."""
LONGEST_SEGMENT: Final = 8_000 * 90
"""Bytes of mu-law: then the vendor commits by itself."""
LARGEST_CHUNK: Final = 8_000 * 10
_KEYS: Final = {"message_type", "audio_base_64", "commit", "sample_rate", "previous_text"}


class Scribe:
    """A connection. A segment is what was sent since the last commit."""

    def __init__(
        self,
        plan: Plan,
        fault: Fault,
        query: dict[str, str],
        hear: Callable[[bytes], str],
        messages: Messages,
        *,
        partial_every: int,
        language: str,
        language_first: bool = False,
        commit_every: int = LONGEST_SEGMENT,
    ) -> None:
        self._plan = plan
        self._fault = fault
        self._gate = Gate(fault)
        self._query = query
        self._hear = hear
        self._messages = messages
        self._partial_every = partial_every
        self._language = language
        self._language_first = language_first
        self._commit_every = commit_every
        self._segment = bytearray()
        self._shown = 0
        self._begun = False
        self._jobs: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()

    async def run(self, socket: web.WebSocketResponse) -> None:
        query, fault = self._query, self._fault
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if query.get("model_id") not in MODELS or query.get("audio_format", "pcm_16000") not in RATES:
            await self._fail("invalid_request")
            return
        if query.get("commit_strategy", "manual") != "manual":
            await self._fail("invalid_request")  # the double has no ear for pauses
            return
        if fault.code and fault.status is None:
            await self._fail(fault.code)
            return
        await self._messages.tell(
            {"message_type": "session_started", "session_id": "session-1", "config": self._config()}
        )
        hearing = asyncio.create_task(self._hear_all())
        try:
            await self._read(socket)
        finally:
            hearing.cancel()
            await asyncio.wait([hearing])

    def _config(self) -> dict[str, Any]:
        audio_format = self._query.get("audio_format", "pcm_16000")
        return {
            "model_id": self._query["model_id"],
            "audio_format": audio_format,
            "sample_rate": RATES[audio_format],
            "commit_strategy": "manual",
        }

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                await self._fail("input_error")
                return
            try:
                data = json.loads(message.data)
            except ValueError:
                await self._fail("input_error")
                return
            self._plan.note("stt", data)
            known = isinstance(data, dict) and data.keys() <= _KEYS
            if known and data.get("message_type") == "input_audio_chunk":
                await self._take(data)
            else:
                await self._fail("input_error")
            if self._messages.over:
                return

    async def _take(self, data: dict[str, Any]) -> None:
        rate = RATES[self._query.get("audio_format", "pcm_16000")]
        try:
            audio = base64.b64decode(data["audio_base_64"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            await self._fail("input_error")
            return
        if data.get("sample_rate") != rate or (data.get("previous_text") and self._begun):
            await self._fail("input_error")
            return
        if len(audio) > LARGEST_CHUNK:
            await self._fail("chunk_size_exceeded")
            return
        self._begun = True
        self._segment += self._mulaw(audio, rate)
        if data.get("commit"):
            if len(self._segment) < LEAST_TO_COMMIT:
                await self._refuse_commit()
                return
            self._jobs.put_nowait((bytes(self._segment), True))
            self._segment.clear()
            self._shown = 0
        elif len(self._segment) >= self._commit_every:  # whatever the strategy is
            self._jobs.put_nowait((bytes(self._segment), True))
            self._segment.clear()
            self._shown = 0
        elif len(self._segment) - self._shown >= self._partial_every:
            self._shown = len(self._segment)
            self._jobs.put_nowait((bytes(self._segment), False))

    def _mulaw(self, audio: bytes, rate: int) -> bytes:
        if self._query.get("audio_format", "pcm_16000").startswith("ulaw"):
            return audio
        pcm, _ = audioop.ratecv(audio, 2, 1, rate, 8000, None)
        return audioop.lin2ulaw(pcm, 2)

    async def _refuse_commit(self) -> None:
        """The session goes on."""
        error = (
            f"Commit request ignored: only {len(self._segment) / 8000:.2f}s of uncommitted audio. "
            "You need at least 0.3s of uncommitted audio before committing."
        )
        await self._messages.tell({"message_type": "commit_throttled", "error": error})

    async def _hear_all(self) -> None:
        while True:
            audio, committed = await self._jobs.get()
            if not committed and not self._jobs.empty():
                continue  # newer audio is waiting
            text = "" if self._fault.empty else await asyncio.to_thread(self._hear, audio)
            if self._fault.silent:
                await asyncio.sleep(math.inf)
            if not committed:
                if text:
                    await self._messages.send(
                        {"message_type": "partial_transcript", "text": text}, self._gate
                    )
                continue
            await asyncio.sleep(self._fault.late)
            told = [{"message_type": "committed_transcript", "text": text}] * (1 + self._fault.duplicate)
            if self._query.get("include_language_detection") == "true" and text:
                detected = {"text": text, "language_code": self._language, "words": []}
                identified = {"message_type": "committed_transcript_with_timestamps", **detected}
                told.insert(0 if self._language_first else len(told), identified)
            for message in told:
                await self._messages.send(message, self._gate)

    async def _fail(self, kind: str) -> None:
        await self._messages.tell({"message_type": kind, "error": f"{kind}: told by the double"})
        await self._messages.close(1008, kind)
