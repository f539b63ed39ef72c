"""Speech and language providers that cost next to nothing, so that what is measured is ours.

They hold to the ports like any other. Each has a latency that can be set: 0 is as fast as we are.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from callbot.agents.brain import Action, Expect, Expecting, Greet, History, Request, Say
from callbot.providers.ports import Speech, Transcribed
from callbot.providers.tts.fake import FakeVoice

HEARD: Final = "Can you tell me when my order will arrive?"
BEGUN: Final = "Can you tell me when"
WHOLE: Final = 10_400
"""Bytes, 1.3 s: an utterance that is shorter has only begun. The callers' shortest takes 1.5 s."""
GREETING: Final = "Good morning, how can I help you?"
ANSWER: Final = "Your order left the warehouse this morning, and it will be with you on Thursday."


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from the end of an utterance to its final, from a question to the first sentence, and from a
    sentence to its first sound."""

    stt: float = 0.0
    brain: float = 0.0
    tts: float = 0.0


class StandInEars:
    """A ``SpeechToText`` that hears the same in every utterance, but no words before they are said: who is
    flushed too early gets the beginning of a sentence, as from any recogniser."""

    cuts: bool = False

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._events: asyncio.Queue[Transcribed | None] = asyncio.Queue()
        self._utterance = 0
        self._sent = 0

    def start(self, utterance: int) -> None:
        self._utterance, self._sent = utterance, 0

    def send(self, audio: bytes) -> None:
        self._sent += len(audio)
        if self._latency:  # one that is slow tells what it has meanwhile
            self._tell(final=False)

    def flush(self) -> None:
        self._tell(final=True)

    def _tell(self, *, final: bool) -> None:
        heard = Transcribed(self._utterance, HEARD if self._sent >= WHOLE else BEGUN, final)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._events.put_nowait, heard)
        else:
            self._events.put_nowait(heard)

    async def events(self) -> AsyncIterator[Transcribed]:
        while (event := await self._events.get()) is not None:
            yield event

    async def aclose(self) -> None:
        self._events.put_nowait(None)


class StandInBrain:
    """A ``Brain`` that says the same to everyone."""

    def __init__(self, latency: float) -> None:
        self._latency = latency

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        if self._latency:
            await asyncio.sleep(self._latency)
        yield Say(GREETING if isinstance(request, Greet) else ANSWER)
        yield Expect(Expecting.ANYTHING)

    def forget(self) -> None:
        pass

    async def finish(self) -> None:
        pass


class StandInVoice:
    """A ``TextToSpeech`` that hums each text at the pace of speech, rendered once."""

    name = "stand-in"
    language = "en"

    def __init__(self, latency: float) -> None:
        self._latency = latency

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        if self._latency:
            await asyncio.sleep(self._latency)
        for speech in _rendered(text):
            yield speech


@cache
def _rendered(text: str) -> tuple[Speech, ...]:
    async def render() -> tuple[Speech, ...]:
        return tuple([speech async for speech in FakeVoice().speak(text)])

    coroutine = render()
    try:
        coroutine.send(None)
    except StopIteration as done:
        speeches: tuple[Speech, ...] = done.value
        return speeches
    raise RuntimeError("the fake voice waited for something")
