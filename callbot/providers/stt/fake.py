"""Ears that hear what they were told to, for tests of everything behind them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models

_FIRST_PARTIAL, _PARTIAL_EVERY = 8_000, 3_200  # bytes: like a real recogniser


class FakeEars:
    """A ``SpeechToText``: the nth utterance is the nth of ``texts``, and after the last there is silence.

    Partials grow by a word as audio comes. However often an utterance is flushed, its final is the
    whole text.
    """

    def __init__(self, texts: Sequence[str], *, language: str | None = None) -> None:
        self._texts = iter(texts)
        self._language = language
        self._events: asyncio.Queue[Transcribed | None] = asyncio.Queue()
        self._closed = False
        self._utterance = 0
        self._text = ""
        self._sent = 0
        self._shown = 0

    cuts: bool = False

    def start(self, utterance: int) -> None:
        self._utterance, self._text = utterance, next(self._texts, "")
        self._sent = self._shown = 0

    def send(self, audio: bytes) -> None:
        self._sent += len(audio)
        due = (self._sent - _FIRST_PARTIAL) // _PARTIAL_EVERY + 1
        words = self._text.split()
        while self._shown < min(due, len(words)):
            self._shown += 1
            self._tell(" ".join(words[: self._shown]), final=False)

    def flush(self) -> None:
        self._tell(self._text if self._sent else "", final=True)

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed and (event := await self._events.get()) is not None:
            yield event

    async def aclose(self) -> None:
        self._closed = True
        self._events.put_nowait(None)  # wakes who waits

    def _tell(self, text: str, *, final: bool) -> None:
        self._events.put_nowait(Transcribed(self._utterance, text, final, self._language))


@dataclass(frozen=True, slots=True)
class ScriptedHearing:
    """A ``Hearing`` that hears the same texts in every call."""

    texts: tuple[str, ...]

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        return FakeEars(self.texts)


def hearing(name: str, models: Models) -> ScriptedHearing:
    """For the registry: ``fake:Hello there.|Goodbye.`` hears those two utterances."""
    return ScriptedHearing(tuple(name.partition(":")[2].split("|")))
