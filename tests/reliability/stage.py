"""A bot whose providers are doubles that can misbehave, a caller who rings it, and what reached the ear.

The doubles hear with Moonshine and speak with hibari, so a call through them is a call. ``Stage.ring`` makes
one; ``Told`` is what a test judges: the exchange's own measurements on the audio, the ear's audio transcribed
again, and the bot's record.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import structlog
import yaml
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from callbot.agents.tools import Tools
from callbot.cli.local import Local, Rung, local, local_settings
from callbot.exchange import ear
from callbot.exchange.callers import Caller, ScriptedCaller
from callbot.exchange.sounds import encode_wav, levels_db
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.stt.moonshine import MoonshineModel
from callbot.providers.tts.hibari import HibariVoice
from callbot.providers.tts.hibari_model import HibariModel
from callbot.store.calls import list_events
from callbot.store.engine import open_engine
from callbot.store.tables import Event
from tests.doubles.cartesia import CartesiaDouble
from tests.doubles.deepgram import DeepgramDouble
from tests.doubles.elevenlabs import ElevenLabsDouble
from tests.doubles.openai import OpenAiDouble
from tests.doubles.openai_chat import OpenAiChatDouble
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.openai_speech import OpenAiSpeechDouble
from tests.doubles.plan import Plan
from tests.metrics.page import Page

COMPANY: Final = Path(__file__).parent / "company"
FIXTURES: Final = Path(__file__).parents[2] / "fixtures" / "audio"
ANSWER: Final = "Your order has been shipped, and it will arrive on Thursday."
KEYS: Final = {
    "openai": "openai-test-key-7f3a",
    "elevenlabs": "eleven-test-key-91bc",
    "deepgram": "dg-test-key-44de",
    "cartesia": "cartesia-test-key-2b90",
}

BILL: Final = "Hello, I have a question about my bill."
"""``"support_bill 1"``."""
HOURS: Final = "What are your opening hours?"
"""``"barge_in 1"``."""
FILLER_MS: Final = 1_500
APOLOGY_MS: Final = 4_000
SILENCE_MS: Final = 6_000
"""What a caller may have to wait for a word, an apology, anything at all."""
OFFER_MS: Final = 12_000
"""...and, with nothing else to be had, for the offer of a person or of a call back to have been made."""
SLACK_MS: Final = 300
"""What a busy machine and the way to the ear add."""
KEPT_COMPANY_MS: Final = 2_500
"""The longest silence with somebody else to go on with."""

Think = Callable[[dict[str, Any]], Answer]


class Engines:
    """The local models, loaded once, as the doubles' ears and mouth."""

    def __init__(self) -> None:
        self.pool = InferencePool(2)
        self.moonshine = MoonshineModel.load()
        self._hear = lru_cache(200)(self._transcribe)
        self._hibari = HibariModel.load()
        self._heard: dict[bytes, str] = {}

    def hear(self, audio: bytes) -> str:
        """Blocking. Mu-law to text. Silence at the end adds no word: with more of it, nothing is recognised
        again."""
        loud = [at for at, level in enumerate(levels_db(audio, step=160)) if level > -48.0]
        return self._hear(audio[: (loud[-1] + 6) * 160]) if loud else ""

    def _transcribe(self, audio: bytes) -> str:
        return self.moonshine.transcribe(mulaw.decode(audio, rate=16_000)) if len(audio) > 1_600 else ""

    def hear_once(self, audio: bytes) -> str:
        """Blocking, but for audio that was heard before."""
        if audio not in self._heard:
            self._heard[audio] = self.hear(audio)
        return self._heard[audio]

    def speak(self, text: str) -> bytes:
        """Blocking. Text to mu-law."""

        async def render() -> bytes:
            voice = HibariVoice("hibari", self._hibari, self.pool)
            return b"".join([speech.audio async for speech in voice.speak(text)])

        return asyncio.run(render())

    def close(self) -> None:
        self.pool.close()


def keep_lines(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: a line belongs to the stage in whose context it was logged."""
    logged = line.pop("stage", None)
    if logged is not None:
        logged.append(dict(line))
    return line


def think(request: dict[str, Any]) -> Answer:
    """The same to everybody."""
    return Answer(text=ANSWER)


def reads_aloud(request: dict[str, Any]) -> Answer | None:
    """What a model says that was given a text to read."""
    first, *others = request["messages"]
    if "Read aloud" not in first["content"]:
        return None
    return Answer(text=others[-1]["content"].strip('"'))


@dataclass(frozen=True, slots=True)
class Told:
    """A finished call. Times are ms since its media stream began."""

    rung: Rung
    engines: Engines
    log: Sequence[Event]
    """The call's, from the database."""
    before: Page
    after: Page
    """What ``/metrics`` said."""

    @property
    def record(self) -> Mapping[str, Any]:
        return self.rung.record

    @property
    def failures(self) -> list[tuple[str, str, str]]:
        """Port, provider and trouble of each failure, in their order."""
        return [(each["port"], each["provider"], each["trouble"]) for each in self.record["failures"]]

    @property
    def noticed(self) -> list[str]:
        """What went wrong and was put right, as the record and the log say."""
        noticed = [each["what"] for each in self.record["noticed"]]
        assert [event.data["what"] for event in self.log if event.kind == "Noticed"] == noticed
        return noticed

    def counted(self, name: str) -> Counter[tuple[str, ...]]:
        """What this call has added to a counter, by the labels' values in the order of their names."""
        grown: Counter[tuple[str, ...]] = Counter()
        for (sample, labels), value in self.after.samples.items():
            if sample == name and value > (was := self.before.samples.get((sample, labels), 0.0)):
                grown[tuple(label for _, label in sorted(labels))] = round(value - was)
        return grown

    def details(self, what: str) -> list[dict[str, Any]]:
        """What there is to know of each thing of this kind that was noticed."""
        return [each["details"] for each in self.record["noticed"] if each["what"] == what]

    @property
    def said(self) -> str:
        """What the record says that the caller heard of the agents."""
        return " ".join(turn["heard"] or "" for turn in self.record["turns"] if turn["who"] == "agent")

    @property
    def caller(self) -> list[str]:
        """The caller's turns, as understood."""
        return [turn["text"] for turn in self.record["turns"] if turn["who"] == "caller"]

    def heard(self, start_ms: int = 0, end_ms: int | None = None) -> str:
        """What reached the caller's ear, transcribed again."""
        audio = self.rung.result.heard[start_ms * 8 : None if end_ms is None else end_ms * 8]
        texts = []
        for segment in _stretches(audio):
            texts.append(self.engines.hear_once(segment))
        return " ".join(texts)

    @property
    def responses_ms(self) -> list[int]:
        """From the end of each of the caller's utterances to the first sound at the ear."""
        return [response.after_ms for response in self.rung.result.responses]

    @property
    def longest_silence_ms(self) -> int:
        """While the caller waited for us."""
        return self.rung.result.hearing.longest_silence_ms


def _stretches(audio: bytes) -> list[bytes]:
    """At most 20 s each, cut in silence: more than that a recogniser does not take at once."""
    found: list[bytes] = []
    start = end = 0
    for segment in ear.speech(audio):
        if segment.end_ms - start > 20_000 and end > start:
            found.append(audio[start * 8 : (end + 100) * 8])
            start = segment.start_ms - 100
        end = segment.end_ms
        start = max(0, start)
    if end > start:
        found.append(audio[start * 8 : (end + 100) * 8])
    return found


@dataclass(slots=True)
class Stage:
    """``deepgram``, ``openai`` (``.speech`` and ``.chat``) and ``elevenlabs`` have a ``plan`` each: what goes
    wrong with their next requests."""

    bot: Local
    engines: Engines
    deepgram: DeepgramDouble
    openai: OpenAiDouble
    elevenlabs: ElevenLabsDouble
    folder: Path
    logged: list[Mapping[str, Any]]
    """The lines of the bot's log."""
    _calls: int = 0
    _clips: int = 0

    async def ring(self, *steps: Mapping[str, Any] | str, within: float = 90.0) -> Told:
        """One call by a caller who does this."""
        return await self.ring_as(self.caller(*steps), within=within)

    def caller(self, *steps: Mapping[str, Any] | str) -> Caller:
        """Who does this (as in ``tests/calls``); ``play`` names a ``clip``, or a fixture's utterance as
        ``"support_bill 1"``."""
        self._calls += 1
        path = self.folder / f"call-{self._calls}.yaml"
        script = {
            "name": f"call {self._calls}",
            "to": "+15550100",
            "from": "+15550142",
            "steps": [_with_clips(step) for step in steps],
        }
        path.write_text(yaml.safe_dump(script), encoding="utf-8")
        return ScriptedCaller(path)

    async def ring_as(
        self,
        caller: Caller,
        *,
        from_number: str = "+15550142",
        to_number: str = "+15550100",
        within: float = 90.0,
    ) -> Told:
        """One call by anybody."""
        before = self._page()
        async with asyncio.timeout(within):
            rung = await self.bot.ring(caller, from_number=from_number, to_number=to_number)
        log = await self._log(rung.result.call_sid)
        return Told(rung, self.engines, log, before, self._page())

    def _page(self) -> Page:
        return Page(self.bot.services.exposition.text())

    async def clip(self, text: str) -> str:
        """The name of a recording of these words, for ``play``."""
        return self.sound(await asyncio.to_thread(self.engines.speak, text))

    def sound(self, audio: bytes) -> str:
        """The name of a recording of this mu-law, for ``play``."""
        self._clips += 1
        path = self.folder / f"clip-{self._clips}.wav"
        path.write_bytes(encode_wav(audio))
        return path.name

    async def _log(self, call_sid: str) -> Sequence[Event]:
        await self.bot.services.recorder.flush()
        engine = open_engine(self.bot.services.settings.database_url)
        try:
            async with AsyncSession(engine) as session:
                return await list_events(call_sid, session=session)
        finally:
            await engine.dispose()


def _with_clips(step: Mapping[str, Any] | str) -> Any:
    if isinstance(step, str):
        return step
    return {name: _clip(value) if name == "play" else _inner(value) for name, value in step.items()}


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping) and "play" in value:
        return {**value, "play": _clip(value["play"])}
    return value


def _clip(name: Any) -> Any:
    if not isinstance(name, str) or name.endswith(".wav"):
        return name
    recording, _, utterance = name.partition(" ")
    return {"file": str(FIXTURES / f"{recording}.wav"), "utterance": int(utterance)}


@asynccontextmanager
async def stage(
    engines: Engines,
    folder: Path,
    *,
    stt: str = "deepgram,openai,moonshine",
    llm: str = "openai:gpt-5.4-mini,openai:gpt-4.1-mini",
    tts: str = "elevenlabs,openai",
    think: Think = think,
    hear: Callable[[bytes], str] | None = None,
    deepgram_idle: float = 10.0,
    settings: Mapping[str, Any] | None = None,
    placed: Callable[[str, str], None] = lambda vendor, url: None,
    company: Path | None = COMPANY,
    tools: Tools | None = None,
) -> AsyncIterator[Stage]:
    """Everything up, and the bot listening. ``hear`` is what the doubles hear with, Moonshine else;
    ``deepgram_idle`` after how many seconds without a word from us Deepgram hangs up. ``placed`` is told the
    address of each vendor's double before the bot is loaded."""
    speaking: Mapping[str, Any] = {"hear": hear or engines.hear, "speak": engines.speak}
    deepgram = DeepgramDouble(Plan(), **speaking, key=KEYS["deepgram"], idle=deepgram_idle)
    openai = OpenAiDouble(
        OpenAiSpeechDouble(
            Plan(),
            **speaking,
            key=KEYS["openai"],
            think=lambda request: reads_aloud(request) or think(request),
            first_audio=0.2,
            between_chunks=0.02,
        ),
        OpenAiChatDouble(
            Plan(),
            think=think,
            key=KEYS["openai"],
            others=["gpt-4.1-mini"],
            first_token=0.1,
            between_tokens=0.005,
        ),
    )
    elevenlabs = ElevenLabsDouble(Plan(), **speaking, key=KEYS["elevenlabs"])
    cartesia = CartesiaDouble(Plan(), speak=engines.speak, key=KEYS["cartesia"])
    logged: list[Mapping[str, Any]] = []
    async with AsyncExitStack() as leaving:
        leaving.enter_context(structlog.contextvars.bound_contextvars(stage=logged))
        for double in (deepgram, openai, elevenlabs, cartesia):
            await leaving.enter_async_context(double)  # type: ignore[arg-type]
        placed("deepgram", deepgram.url)
        placed("openai", openai.url)
        placed("elevenlabs", elevenlabs.url)
        given = local_settings(folder).model_copy(
            update={
                "stt": stt,
                "llm": llm,
                "tts": tts,
                "company": company,
                "openai_api_key": _secret(KEYS["openai"]),
                "openai_base_url": openai.url,
                "elevenlabs_api_key": _secret(KEYS["elevenlabs"]),
                "elevenlabs_base_url": elevenlabs.url,
                "deepgram_api_key": _secret(KEYS["deepgram"]),
                "deepgram_base_url": deepgram.url,
                "cartesia_api_key": _secret(KEYS["cartesia"]),
                "cartesia_base_url": cartesia.url,
                **(settings or {}),
            }
        )
        bot = await leaving.enter_async_context(local(given, tools=tools))
        yield Stage(bot, engines, deepgram, openai, elevenlabs, folder, logged)


def _secret(key: str) -> Any:
    return SecretStr(key)


def patient(*utterances: str, seconds: float = 1.2) -> Sequence[Mapping[str, Any] | str]:
    """As ``steps``, by a caller who, asked for patience, waits so long in silence."""
    found: list[Mapping[str, Any] | str] = [{"wait": "bot_stopped"}]
    for utterance in utterances:
        found += [{"play": utterance}, {"wait": "bot_stopped"}]
        found += [{"wait": {"seconds": seconds}}, {"wait": "bot_stopped"}]
    return [*found, "hang_up"]


def steps(*utterances: str) -> Sequence[Mapping[str, Any] | str]:
    """A caller who listens to the greeting, says these, hears each answer out, and hangs up."""
    found: list[Mapping[str, Any] | str] = [{"wait": "bot_stopped"}]
    for utterance in utterances:
        found += [{"play": utterance}, {"wait": "bot_stopped"}]
    return [*found, "hang_up"]


TWO_QUESTIONS: Final = steps("support_bill 1", "barge_in 1")
"""``BILL``, then ``HOURS``."""
