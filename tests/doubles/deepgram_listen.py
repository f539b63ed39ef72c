"""``/v1/listen``: what is heard is cut into segments where nobody speaks."""

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from multidict import MultiMapping

from callbot.media_stream.audio import samples
from tests.doubles.deepgram_wire import Conduct, Session, Wire, wrong_audio

RATE: Final = 8_000
INTERIM_EVERY: Final = 4_000
LOUD: Final = 0.02
BLOCK: Final = 160
MODELS: Final = ("nova-3", "nova-2", "nova", "enhanced", "base", "whisper")


NOT_HINTED: Final = {"am", "cy", "eu", "ga", "is", "ka", "sq", "sw", "yo"}
"""Some of the many that Nova-3 does not tell apart, and refuses a hint at."""


def hints(query: Mapping[str, str]) -> set[str]:
    """The base of each that is given."""
    every = query.getall("language_hint", []) if isinstance(query, MultiMapping) else []
    return {hint.partition("-")[0].lower() for hint in every}


def is_loud(block: bytes) -> bool:
    return bool(np.abs(samples(block)).max(initial=0.0) > LOUD)


class Listen(Session):
    """Silence and sound are told apart by energy, in blocks of 20 ms."""

    def __init__(self, conduct: Conduct, wire: Wire, query: Mapping[str, str]) -> None:
        super().__init__(conduct, wire, query)
        self._endpointing = _bytes(query.get("endpointing", "10"))
        self._utterance_end = _bytes(query.get("utterance_end_ms", "false"))
        self._interim = query.get("interim_results") == "true"
        self._pending = bytearray()
        """Less than a block."""
        self._segment = bytearray()
        self._begin = 0
        """Bytes of the stream before the segment."""
        self._shown = 0
        self._quiet: float = math.inf
        """Bytes since the last sound."""
        self._told_end = True

    @staticmethod
    def wrong(query: Mapping[str, str]) -> str:
        if not any(query.get("model", "").startswith(model) for model in MODELS):
            return "Bad Request: No such model/language/tier combination found."
        if "utterance_end_ms" in query and query.get("interim_results") != "true":
            return "Bad Request: utterance_end_ms requires interim_results=true."
        if int(query.get("utterance_end_ms", 1000)) < 1000:
            return "Bad Request: utterance_end_ms must be at least 1000."
        if wrong := hints(query) & NOT_HINTED:
            return f"Bad Request: language_hint {min(wrong)}."
        return wrong_audio(query, ("8000", "16000"))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        last, begun = loop.time(), False
        while not self.wire.gone:
            try:
                received = await self.wire.received(max(0.001, last + self.conduct.idle - loop.time()))
            except TimeoutError:
                await self.wire.close_idle()
                return
            except ValueError:
                await self._schema_error()
                continue
            if received is None:
                return
            if isinstance(received, bytes):
                if not received or self.wire.fault.empty:
                    await self._end()
                    return
                last, begun = loop.time(), True
                await self._hear(received)
                continue
            match received.get("type"):
                case "KeepAlive":
                    last = loop.time() if begun else last
                case "Finalize":
                    await self._finalize()
                case "CloseStream":
                    if not self.wire.fault.silent:
                        await self._close_segment(speech_final=False)
                    await self._end()
                    return
                case _:
                    await self._schema_error()

    async def _hear(self, audio: bytes) -> None:
        self.conduct.plan.note("listen audio", audio)
        self._pending += audio
        while len(self._pending) >= BLOCK:
            block = bytes(self._pending[:BLOCK])
            del self._pending[:BLOCK]
            await self._block(block)

    async def _block(self, block: bytes) -> None:
        self._segment += block
        if is_loud(block):
            if self._told_end and self.query.get("vad_events") == "true":
                timestamp = (self._begin + len(self._segment) - BLOCK) / RATE
                await self.wire.tell({"type": "SpeechStarted", "channel": [0, 1], "timestamp": timestamp})
            self._quiet, self._told_end = 0, False
        else:
            self._quiet += BLOCK
        sound = len(self._segment) > self._quiet
        if sound and self._quiet >= self._endpointing:
            await self._close_segment(speech_final=True)
        elif sound and len(self._segment) >= self.conduct.final_every * RATE:
            await self._close_segment(speech_final=False)
        elif sound and self._interim and len(self._segment) - self._shown >= INTERIM_EVERY:
            self._shown = len(self._segment)
            await self.wire.piece(await self._results(final=False))
        if not self._told_end and self._quiet >= self._utterance_end:
            self._told_end = True
            last = (self._begin + len(self._segment) - self._quiet) / RATE
            await self.wire.tell({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last})

    async def _finalize(self) -> None:
        """Not answered if there is no significant amount of audio to process."""
        self._segment += self._pending
        self._pending.clear()
        if len(self._segment) >= self.conduct.enough * RATE:
            await self._close_segment(speech_final=False, from_finalize=True)

    async def _close_segment(self, *, speech_final: bool, from_finalize: bool = False) -> None:
        results = await self._results(final=True)
        results |= {"speech_final": speech_final, "from_finalize": from_finalize}
        self._begin += len(self._segment)
        self._segment.clear()
        self._shown = 0
        await self.wire.final(results)

    async def _results(self, *, final: bool) -> dict[str, Any]:
        audio, start = bytes(self._segment), self._begin / RATE
        sound = len(audio) > self._quiet  # of silence, models make words up
        text = await asyncio.to_thread(self.conduct.hear, audio) if sound else ""
        length = len(audio) / RATE
        words = text.split()
        alternative: dict[str, Any] = {
            "transcript": text,
            "confidence": 0.9 if text else 0.0,
            "words": [
                {
                    "word": word.lower().strip(".,?!"),
                    "start": start + length * place / len(words),
                    "end": start + length * (place + 1) / len(words),
                    "confidence": 0.9,
                    "punctuated_word": word,
                }
                for place, word in enumerate(words)
            ],
        }
        if self.query.get("language") == "multi":
            spanish = any(letter in text for letter in "áéíóúñ¿¡")
            alternative["languages"] = (["es"] if spanish else ["en"]) if text else []
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": length,
            "start": start,
            "is_final": final,
            "speech_final": False,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self.request_id,
                "model_info": {"name": self.query["model"], "version": "2026-01-01.0", "arch": "nova-3"},
                "model_uuid": "40bd3654-e622-47c4-a111-63a61b23bfe8",
            },
            "from_finalize": False,
        }

    async def _schema_error(self) -> None:
        await self.wire.tell(
            {"type": "Error", "variant": "SchemaError", "description": "Could not deserialize the message"}
        )

    async def _end(self) -> None:
        await self.wire.tell(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.request_id,
                "sha256": "0" * 64,
                "created": datetime.now(UTC).isoformat(),
                "duration": self._begin / RATE,
                "channels": 1,
            }
        )
        await self.wire.close(1000, "")


def _bytes(milliseconds: str) -> float:
    return math.inf if milliseconds == "false" else int(milliseconds) * RATE / 1000
