"""``/v1/speak``: text is collected until it is flushed, and can be cleared while it is spoken."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

from tests.doubles.deepgram_wire import Conduct, Session, Wire, wrong_audio

LONGEST_TEXT: Final = 2_000
MOST_FLUSHES, WINDOW = 20, 60.0
WAV_HEADER: Final = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x07\x00\x01\x00"


class Speaking(Session):
    """Reads while it speaks, so that ``Clear`` is heard at once; one chunk may come before ``Cleared``."""

    def __init__(self, conduct: Conduct, wire: Wire, query: Mapping[str, str]) -> None:
        super().__init__(conduct, wire, query)
        self._text: list[str] = []
        self._flushes: deque[float] = deque()
        self._jobs: asyncio.Queue[str | None] = asyncio.Queue()
        self._generation = 0
        self._sequence = 0

    @staticmethod
    def wrong(query: Mapping[str, str]) -> str:
        if not query.get("model", "").startswith("aura-"):
            return "Bad Request: No such model."
        return wrong_audio(query, ("8000", "16000"))

    async def run(self) -> None:
        await self.wire.tell(
            {
                "type": "Metadata",
                "request_id": self.request_id,
                "model_name": self.query["model"],
                "model_version": "2026-01-01.0",
                "model_uuid": "ecb76e9d-f2db-4127-8060-79b05590d22f",
            }
        )
        speaking = asyncio.create_task(self._speak(), name="double speaking")
        try:
            await self._read()
        finally:
            speaking.cancel()
            await asyncio.wait([speaking])

    async def _read(self) -> None:
        while not self.wire.gone:
            try:
                received = await self.wire.received()
            except ValueError:
                await self.wire.close(1008, "DATA-0000")
                return
            if received is None:
                return
            if isinstance(received, bytes):
                await self.wire.close(1003, "MESSAGE-0000")
                return
            match received:
                case {"type": "Speak", "text": str(text)} if len(text) > LONGEST_TEXT:
                    await self.wire.close(1009, "BIG-0001")
                case {"type": "Speak", "text": str(text)}:
                    self._text.append(text)
                case {"type": "Flush"}:
                    await self._flush()
                case {"type": "Clear"}:
                    self._generation += 1
                    self._text.clear()
                    while not self._jobs.empty():
                        self._jobs.get_nowait()
                    self._jobs.put_nowait(None)
                case {"type": "Close"}:
                    await self.wire.close(1000, "")
                case _:
                    await self.wire.close(1008, "DATA-0000")

    async def _flush(self) -> None:
        now = time.monotonic()
        while self._flushes and self._flushes[0] < now - WINDOW:
            self._flushes.popleft()
        if len(self._flushes) >= MOST_FLUSHES:
            await self.wire.tell(
                {
                    "type": "Warning",
                    "code": "EXCESSIVE_FLUSH",
                    "description": "Flush is not processed until the 60-second window has passed.",
                }
            )
            return
        self._flushes.append(now)
        self._jobs.put_nowait(" ".join(self._text))
        self._text.clear()

    async def _speak(self) -> None:
        while True:
            job = await self._jobs.get()
            if job is None:
                await self.wire.tell({"type": "Cleared", "sequence_id": self._next()})
                continue
            generation = self._generation
            if not self.wire.fault.empty:
                audio = await asyncio.to_thread(self.conduct.speak, job)
                await self._stream(audio, generation)
            if generation == self._generation and not self.wire.fault.silent:
                await self.wire.tell({"type": "Flushed", "sequence_id": self._next()})

    async def _stream(self, audio: bytes, generation: int) -> None:
        fault = self.wire.fault
        if fault.wrong_rate:
            audio = bytes(byte for byte in audio for _ in range(2))
        if fault.garbage:
            audio = WAV_HEADER + audio + b"\x00"
        for at in range(0, len(audio), self.conduct.chunk):
            await self.wire.piece(audio[at : at + self.conduct.chunk])
            await asyncio.sleep(0)
            if generation != self._generation:
                return

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1
