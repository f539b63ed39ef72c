"""A ``SpeechToText`` made of a model that only knows whole utterances."""

import asyncio
from collections.abc import AsyncIterator

from callbot.providers.inference import InferencePool
from callbot.providers.ports import Transcribed
from callbot.providers.stt.listener import DEFAULT_PACE, Listener, Pace, UtteranceModel


class Recognizer:
    """Hears one call with a model that all calls share."""

    def __init__(
        self,
        model: UtteranceModel,
        pool: InferencePool,
        *,
        language: str | None = None,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._news = asyncio.Event()
        self._closed = False
        self._listener = Listener(model, pool, self._news.set, language=language, pace=pace)

    cuts: bool = False

    def start(self, utterance: int) -> None:
        if not self._closed:
            self._listener.start(utterance)

    def send(self, audio: bytes) -> None:
        if not self._closed:
            self._listener.send(audio)

    def flush(self) -> None:
        if not self._closed:
            self._listener.flush()

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed:
            self._news.clear()
            for event in self._listener.collect():
                yield event
            await self._news.wait()

    async def aclose(self) -> None:
        self._closed = True
        self._listener.close()
        self._news.set()
