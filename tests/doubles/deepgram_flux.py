"""``/v2/listen``: news for every quarter of a second, and a judgement of whether the turn is over."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final

from tests.doubles.deepgram_listen import BLOCK, RATE, hints, is_loud
from tests.doubles.deepgram_wire import Conduct, Session, Wire, wrong_audio

EVERY: Final = 2_000
MODELS: Final = ("flux-general-en", "flux-general-multi")
SURE_AFTER: Final = 8_000
"""Bytes of silence after speech that make the end of the turn certain."""


class Flux(Session):
    """The turn is over as surely as it has been silent, up to a second."""

    def __init__(self, conduct: Conduct, wire: Wire, query: Mapping[str, str]) -> None:
        super().__init__(conduct, wire, query)
        self._end_at = float(query.get("eot_threshold", 0.7))
        self._eager_at = float(query.get("eager_eot_threshold", math.inf))
        self._timeout = int(query.get("eot_timeout_ms", 5000)) * RATE / 1000
        self._sequence = 0
        self._pending = bytearray()
        self._turn = bytearray()
        self._begin = 0
        self._shown = 0
        self._index = 0
        self._quiet = 0
        self._speaking = self._eager = False
        self._text = ""

    @staticmethod
    def wrong(query: Mapping[str, str]) -> str:
        model = query.get("model")
        if model not in MODELS:
            return "Bad Request: No such model."
        if "language_hint" in query and model != "flux-general-multi":
            return "Bad Request: language_hint is only valid for flux-general-multi."
        if wrong := hints(query) - {"de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru"}:
            return f"Bad Request: language_hint {min(wrong)}."
        if not 0.3 <= float(query.get("eager_eot_threshold", 0.5)) <= 0.9:
            return "Bad Request: eager_eot_threshold."
        return wrong_audio(query, ("8000", "16000"))

    async def run(self) -> None:
        await self._tell({"type": "Connected"})
        while not self.wire.gone:
            try:
                received = await self.wire.received()
            except ValueError:
                await self._fail("UNPARSABLE_CLIENT_MESSAGE", "Not a message.")
                return
            if received is None:
                return
            if isinstance(received, bytes):
                if self.wire.fault.empty:
                    await self.wire.close(1000, "")
                    return
                await self._hear(received)
                continue
            match received.get("type"):
                case "Configure":
                    await self._configure(received)
                case "ForceEndTurn":
                    if self._speaking:
                        await self._end_turn("manual")
                case "CloseStream":
                    await self.wire.close(1000, "")
                    return
                case kind:
                    await self._fail("UNPARSABLE_CLIENT_MESSAGE", f"Unknown message type {kind!r}.")
                    return

    async def _hear(self, audio: bytes) -> None:
        self.conduct.plan.note("flux audio", audio)
        self._pending += audio
        while len(self._pending) >= BLOCK:
            block = bytes(self._pending[:BLOCK])
            del self._pending[:BLOCK]
            self._turn += block
            self._quiet = 0 if is_loud(block) else self._quiet + BLOCK
            if len(self._turn) - self._shown >= EVERY:
                await self._news()

    async def _news(self) -> None:
        self._shown = len(self._turn)
        before = self._text
        if len(self._turn) > self._quiet:  # of silence, models make words up
            self._text = await asyncio.to_thread(self.conduct.hear, bytes(self._turn))
        if not self._speaking:
            if not self._text:
                await self._piece("Update")
                return
            self._speaking = True
            await self._piece("StartOfTurn")
        elif self._eager and (self._text != before or not self._quiet):
            self._eager = False
            await self._piece("TurnResumed")
        elif self._over >= self._end_at or self._quiet >= self._timeout:
            await self._end_turn("model" if self._over >= self._end_at else "timeout")
        elif self._over >= self._eager_at and not self._eager:
            self._eager = True
            await self._piece("EagerEndOfTurn")
        else:
            await self._piece("Update")

    @property
    def _over(self) -> float:
        return min(0.99, self._quiet / SURE_AFTER) if self._speaking else 0.0

    async def _end_turn(self, trigger: str) -> None:
        await self.wire.final(self._turn_info("EndOfTurn") | {"trigger": trigger})
        self._index += 1
        self._begin += len(self._turn)
        self._turn.clear()
        self._shown = 0
        self._text = ""
        self._speaking = self._eager = False

    async def _piece(self, event: str) -> None:
        await self.wire.piece(self._turn_info(event))

    def _turn_info(self, event: str) -> dict[str, Any]:
        words = [{"word": word, "confidence": 0.9} for word in self._text.split()]
        said = {
            "type": "TurnInfo",
            "event": event,
            "turn_index": self._index,
            "audio_window_start": self._begin / RATE,
            "audio_window_end": (self._begin + len(self._turn)) / RATE,
            "transcript": self._text,
            "words": words,
            "end_of_turn_confidence": self._over,
        }
        if self.query["model"] == "flux-general-multi" and self._text:
            said["languages"] = ["es" if any(letter in self._text for letter in "áéíóúñ¿¡") else "en"]
        return self._numbered(said)

    async def _configure(self, asked: Mapping[str, Any]) -> None:
        thresholds = asked.get("thresholds") or {}
        if "language_hints" in asked and self.query["model"] != "flux-general-multi":
            await self._tell({"type": "ConfigureFailure", "code": "INVALID", "description": "language_hints"})
            return
        self._end_at = float(thresholds.get("eot_threshold", self._end_at))
        self._eager_at = float(thresholds.get("eager_eot_threshold", self._eager_at))
        await self._tell(
            {
                "type": "ConfigureSuccess",
                "thresholds": {"eot_threshold": self._end_at},
                "keyterms": asked.get("keyterms", []),
            }
        )

    async def _fail(self, code: str, description: str) -> None:
        await self._tell({"type": "Error", "code": code, "description": description})
        await self.wire.close(1011, code)

    async def _tell(self, said: dict[str, Any]) -> None:
        await self.wire.tell(self._numbered(said))

    def _numbered(self, said: dict[str, Any]) -> dict[str, Any]:
        numbered = said | {"request_id": self.request_id, "sequence_id": self._sequence}
        self._sequence += 1
        return numbered
