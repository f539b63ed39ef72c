"""What each way to be faster is worth, where vendors' own protocols are spoken over a line of some length.

The adapters, the brain and the voices are the product's. They talk to the doubles of the vendors
(``tests/doubles``, so this is for a checkout), each of which is ``ROUND_TRIP`` away and as slow as a vendor:
Deepgram tells a word ``SLOW.stt`` after it was said, OpenAI's first token comes ``SLOW.brain`` after the
request, and ElevenLabs' first audio ``SLOW.tts`` after the text, the line included. Each stage has one way
more than the one before it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from pydantic import SecretStr

from bench.distance import Distance
from bench.latency import FAR_WORDS, NEVER, SLOW, Stage
from bench.recorded import Recordings, extend
from bench.server import rules, serving
from bench.standins import ANSWER
from callbot.agents.tools import Tools
from callbot.app import create_app
from callbot.business import load as load_business
from callbot.cli.local import Local, Records
from callbot.config import Settings
from callbot.conversation.lateness import Lateness
from callbot.conversation.rules import TurnRules
from callbot.crew import Crew, hire
from callbot.detection import Detection
from callbot.exchange.sounds import FRAME
from callbot.media_stream.vad import SmootherRules
from callbot.providers import registry
from callbot.providers.inference import InferencePool
from callbot.providers.ports import (
    LanguageModel,
    Piece,
    Prompt,
    Speech,
    SpeechToText,
    TextToSpeech,
    Transcribed,
    Words,
)
from callbot.providers.registry import Hearing, Models
from callbot.providers.tts.cached import CachedVoice
from callbot.providers.vad.silero import SileroDetector
from callbot.server import running
from callbot.services import Services
from callbot.session import Observer
from tests.doubles.deepgram import DeepgramDouble
from tests.doubles.elevenlabs import ElevenLabsDouble
from tests.doubles.openai_chat import OpenAiChatDouble
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.plan import Fault, Plan

ROUND_TRIP: Final = 0.04
BETWEEN_TOKENS: Final = 0.02
LATE: Final = 2.5
"""Seconds to the first token of a model that is late; after three another would be asked."""
SPOKEN: Final = f"{ANSWER} Is there anything else that I can do for you today?"

STT, LLM, TTS = "deepgram", "openai", "elevenlabs"
_COMPANY: Final = Path(__file__).parent / "company"
_AGENT: Final = "support"


@dataclass(frozen=True, slots=True)
class Ways:
    """Which of the ways to be faster a stage has."""

    kept: bool = True
    """Connections are opened while the telephone rings, and kept; else each request has its own."""
    early: bool = True
    """The first clause is spoken while the model still writes."""
    ahead: bool = True
    """An answer is thought and spoken while the caller may yet go on."""
    rendered: bool = True
    """Greetings and the call's own phrases are rendered before the call."""
    okay: bool = True
    """Something is said at once where the answer may be expected late."""
    fillers: bool = True
    """Something is said when the answer is late."""

    def rules(self) -> TurnRules:
        ours = rules()
        if not self.ahead:
            ours = replace(ours, most_discarded=0.0)
        if not self.okay:
            ours = replace(ours, acknowledge_if_later_than=NEVER)
        if not self.fillers:
            ours = replace(ours, one_moment=NEVER, still_working=NEVER, still_here=NEVER)
        return ours

    def smoothing(self) -> SmootherRules | None:
        """Without thinking ahead, the recogniser is asked when it is silence."""
        return None if self.ahead else SmootherRules(pause_chunks=SmootherRules().stop_chunks)


NOTHING: Final = Ways(kept=False, early=False, ahead=False, rendered=False, okay=False, fillers=False)
LADDER: Final[Mapping[str, Ways]] = {
    f"{FAR_WORDS}, nothing": NOTHING,
    f"{FAR_WORDS}, kept lines": replace(NOTHING, kept=True),
    f"{FAR_WORDS}, + first clause": replace(NOTHING, kept=True, early=True),
    f"{FAR_WORDS}, + ahead": replace(NOTHING, kept=True, early=True, ahead=True),
    f"{FAR_WORDS}, + phrases": Ways(okay=False, fillers=False),
    f"{FAR_WORDS}, + okay": Ways(fillers=False),
}
"""From one to the next, one way more."""
LATE_MODEL: Final[Mapping[str, Ways]] = {
    f"{FAR_WORDS}, late model": Ways(okay=False, fillers=False),
    f"{FAR_WORDS}, + fillers": Ways(okay=False),
}


# --- without them --------------------------------------------------------------------------------


class _Whole:
    """A ``LanguageModel`` whose answer is there when all of it is."""

    def __init__(self, model: LanguageModel) -> None:
        self.name = model.name
        self._model = model

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        async with aclosing(self._model.stream(prompt)) as stream:
            pieces = [piece async for piece in stream]
        if text := "".join(piece.text for piece in pieces if isinstance(piece, Words)):
            yield Words(text)
        for piece in pieces:
            if not isinstance(piece, Words):
                yield piece


class _Anew:
    """Adapters that are made for one request, and their connections with them."""

    def __init__(self, name: str, settings: Settings, pool: InferencePool) -> None:
        self.name = name
        self._settings = settings
        self._pool = pool

    @asynccontextmanager
    async def models(self) -> AsyncIterator[Models]:
        models = Models(self._pool, cache=self._settings.cache, accounts=self._settings.accounts)
        try:
            yield models
        finally:
            await models.aclose()


class _ModelAnew(_Anew):
    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        async with (
            self.models() as models,
            aclosing(registry.language_model(self.name, models).stream(prompt)) as pieces,
        ):
            async for piece in pieces:
                yield piece


class _VoiceAnew(_Anew):
    language = "en"

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        async with (
            self.models() as models,
            aclosing(registry.voice(self.name, models).speak(text)) as pieces,
        ):
            async for speech in pieces:
                yield speech


class _HearingAnew(_Anew):
    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        return _EarsAnew(self, languages)


class _EarsAnew:
    """A ``SpeechToText`` that connects when the caller speaks, anew for each utterance."""

    cuts = True

    def __init__(self, hearing: _HearingAnew, languages: Sequence[str]) -> None:
        self._hearing = hearing
        self._languages = languages
        self._ears: SpeechToText | None = None
        self._events: asyncio.Queue[Transcribed | None] = asyncio.Queue()
        self._listening: set[asyncio.Task[None]] = set()

    def start(self, utterance: int) -> None:
        for task in self._listening:
            task.cancel()
        self._ears = None
        connected = asyncio.get_running_loop().create_task(self._listen(utterance), name="listen anew")
        self._listening.add(connected)
        connected.add_done_callback(self._listening.discard)
        self._waiting: list[bytes] = []

    def send(self, audio: bytes) -> None:
        if self._ears is None:
            self._waiting.append(audio)
        else:
            self._ears.send(audio)

    def flush(self) -> None:
        if self._ears is not None:
            self._ears.flush()

    async def events(self) -> AsyncIterator[Transcribed]:
        while (event := await self._events.get()) is not None:
            yield event

    async def aclose(self) -> None:
        for task in self._listening:
            task.cancel()
        if self._listening:
            await asyncio.wait(self._listening)
        self._events.put_nowait(None)

    async def _listen(self, utterance: int) -> None:
        async with self._hearing.models() as models:
            ears = registry.hearing(self._hearing.name, models).for_call(self._languages)
            try:
                ears.start(utterance)
                for audio in self._waiting:
                    ears.send(audio)
                self._ears = ears
                async for event in ears.events():
                    self._events.put_nowait(event)
            finally:
                await ears.aclose()


# --- the vendors ---------------------------------------------------------------------------------


def hears(recordings: Recordings) -> Callable[[bytes], str]:
    """What a double hears with: it knows the recordings."""
    end_of = cache(recordings.end_of)

    def hear(audio: bytes) -> str:
        stretches: list[tuple[int, int]] = []
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            end = end_of(audio[at : at + FRAME])
            if end is not None:
                extend(stretches, end - FRAME, end)
        return " ".join(word for stretch in stretches for word in recordings.words(*stretch))

    return hear


@asynccontextmanager
async def vendors(
    recordings: Recordings, *, first_token: float = SLOW.brain
) -> AsyncIterator[dict[str, Any]]:
    """What settings say of them, while they answer."""
    plan = Plan()
    plan.always("tts-context", Fault(delay=SLOW.tts - ROUND_TRIP))
    async with (
        DeepgramDouble(Plan(), hear=hears(recordings), idle=NEVER) as deepgram,
        OpenAiChatDouble(
            Plan(),
            think=lambda request: Answer(text=SPOKEN),
            first_token=first_token - ROUND_TRIP,
            between_tokens=BETWEEN_TOKENS,
        ) as openai,
        ElevenLabsDouble(plan) as elevenlabs,
        Distance(deepgram.url, round_trip=ROUND_TRIP, behind=SLOW.stt - ROUND_TRIP) as to_deepgram,
        Distance(openai.url, round_trip=ROUND_TRIP) as to_openai,
        Distance(elevenlabs.url, round_trip=ROUND_TRIP) as to_elevenlabs,
    ):
        yield {
            "stt": STT,
            "llm": LLM,
            "tts": TTS,
            "deepgram_api_key": SecretStr("dg-key"),
            "deepgram_base_url": to_deepgram.url,
            "openai_api_key": SecretStr(openai.key),
            "openai_base_url": to_openai.url,
            "elevenlabs_api_key": SecretStr("eleven-key"),
            "elevenlabs_base_url": to_elevenlabs.url,
            "company": _COMPANY,
        }


# --- the stages ----------------------------------------------------------------------------------


def stages(recordings: Recordings) -> Iterator[tuple[str, Stage]]:
    """By name, in their order."""
    for name, ways in LADDER.items():
        yield name, _stage(ways, recordings, first_token=SLOW.brain)
    for name, ways in LATE_MODEL.items():
        yield name, _stage(ways, recordings, first_token=LATE)


def _stage(ways: Ways, recordings: Recordings, *, first_token: float) -> Stage:
    @asynccontextmanager
    async def stage(settings: Settings, observer: Observer) -> AsyncIterator[Local]:
        async with AsyncExitStack() as leaving:
            there = await leaving.enter_async_context(vendors(recordings, first_token=first_token))
            given = settings.model_copy(update=there)
            business = load_business(_COMPANY, Tools())
            hired = await asyncio.to_thread(hire, given, business, lambda what: None)
            leaving.push_async_callback(hired.aclose)
            crew = _with(ways, hired, given)
            if ways.rendered:
                await crew.warm()
            records = Records()

            def served(settings: Settings) -> AbstractAsyncContextManager[Services]:
                return serving(
                    settings,
                    crew.equip,
                    crew.detection,
                    observers=(observer,),
                    finished=records.put,
                    ringing=crew.ringing if ways.kept else lambda: None,
                )

            app = create_app(given, services=served)
            port = await leaving.enter_async_context(running(app))
            yield Local(given, port, records, app.state.services)

    return stage


def _with(ways: Ways, crew: Crew, settings: Settings) -> Crew:
    """The crew that has no other ways than these."""
    pool = crew.models.pool
    thinkers: tuple[LanguageModel, ...] = crew.thinkers
    hearings: Mapping[str, Hearing] = crew.hearings
    voices: Mapping[str, tuple[TextToSpeech, ...]] = crew.voices
    fixed: Mapping[str, tuple[TextToSpeech, ...]] = crew.fixed_voices
    if not ways.kept:
        thinkers = tuple(_ModelAnew(one.name, settings, pool) for one in thinkers)
        hearings = {name: _HearingAnew(name, settings, pool) for name in hearings}
        voices = {
            agent: tuple(_VoiceAnew(one.name, settings, pool) for one in chain)
            for agent, chain in voices.items()
        }
    if not ways.early:
        thinkers = tuple(_Whole(one) for one in thinkers)
    if not ways.rendered:
        fixed = voices
    return replace(
        crew,
        rules=ways.rules().for_calls_up_to(settings.max_call_seconds),
        detection=Detection(SileroDetector.load(), ways.smoothing()),
        thinkers=thinkers,
        hearings=hearings,
        voices=voices,
        fixed_voices=cast(Mapping[str, tuple[CachedVoice, ...]], fixed),
        lateness=Lateness(),
    )
