"""Names in settings to adapters. An adapter that no setting names is never imported.

Other packages add theirs by entry points in the groups ``callbot.stt``, ``callbot.llm``, ``callbot.tts`` and
``callbot.speech_to_speech``: a function of the name as it was set and of ``Models`` that returns a
``Hearing``, a ``LanguageModel``, a ``TextToSpeech``, or what makes a ``SpeechToSpeech`` for each call. What
stands after the first colon in a name is the adapter's own: ``espeak:es``; for a vendor it is the model, and
for its voices the model and, after a slash, the voice.
"""

import difflib
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from callbot.errors import ConfigurationError, ModelMissing
from callbot.providers.inference import InferencePool
from callbot.providers.ports import LanguageModel, SpeechToSpeech, SpeechToText, TextToSpeech
from callbot.vendors import Accounts

Model = TypeVar("Model")

STT: Final[Mapping[str, str]] = {
    "deepgram": "callbot.providers.stt.deepgram:hearing",
    "deepgram-flux": "callbot.providers.stt.deepgram_flux:hearing",
    "elevenlabs": "callbot.providers.stt.elevenlabs:hearing",
    "fake": "callbot.providers.stt.fake:hearing",
    "moonshine": "callbot.providers.stt.moonshine:hearing",
    "moonshine+whisper": "callbot.providers.stt.detecting:moonshine_and_whisper",
    "openai": "callbot.providers.stt.openai:hearing",
    "openai-file": "callbot.providers.stt.openai_file:hearing",
    "whisper": "callbot.providers.stt.detecting:whisper",
}
LLM: Final[Mapping[str, str]] = {
    "fake": "callbot.providers.llm.fake:language_model",
    "openai": "callbot.providers.llm.openai:language_model",
    "openai-responses": "callbot.providers.llm.openai_responses:language_model",
}
SPEECH_TO_SPEECH: Final[Mapping[str, str]] = {
    "fake": "callbot.providers.speech_to_speech.fake:speech_to_speech",
    "openai-realtime": "callbot.providers.speech_to_speech.openai:speech_to_speech",
}
TTS: Final[Mapping[str, str]] = {
    "cartesia": "callbot.providers.tts.cartesia:voice",
    "deepgram": "callbot.providers.tts.deepgram:voice",
    "elevenlabs": "callbot.providers.tts.elevenlabs:voice",
    "elevenlabs-http": "callbot.providers.tts.elevenlabs_http:voice",
    "espeak": "callbot.providers.tts.espeak:voice",
    "fake": "callbot.providers.tts.fake:voice",
    "hibari": "callbot.providers.tts.hibari:voice",
    "hibari-bright": "callbot.providers.tts.hibari:voice",
    "hibari-low": "callbot.providers.tts.hibari:voice",
    "openai": "callbot.providers.tts.openai:voice",
    "openai-realtime": "callbot.providers.tts.openai_realtime:voice",
}


class Hearing(Protocol):
    """Speech recognition, loaded: it gives each call ears of its own."""

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        """For a caller who speaks one of ``languages`` (ISO 639-1), most likely the first."""


class Models:
    """What the adapters of one process share: threads, and whatever one of them has loaded.

    ``cache`` is a folder where a model may be put together; ``whisper`` is a CTranslate2 folder of
    the user's own, instead of the model that is installed. ``accounts`` are those with vendors.
    """

    def __init__(
        self,
        pool: InferencePool,
        *,
        cache: Path,
        whisper: Path | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        self.pool = pool
        self.cache = cache
        self.whisper = whisper
        self.accounts = accounts or Accounts()
        self._lock = threading.Lock()
        self._loaded: dict[str, Any] = {}
        self._closers: list[Callable[[], Awaitable[None]]] = []

    def once(self, what: str, load: Callable[[], Model]) -> Model:
        """What ``load`` returned the first time that ``what`` was asked for."""
        with self._lock:
            if what not in self._loaded:
                self._loaded[what] = load()
            model: Model = self._loaded[what]
            return model

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """``close`` is awaited by ``aclose``."""
        self._closers.append(close)

    async def aclose(self) -> None:
        """After the last call. The pool, which came from outside, stays open."""
        while self._closers:
            await self._closers.pop()()


def hearing(name: str, models: Models) -> Hearing:
    """Loads the speech recognition that a setting names: up to two seconds, not on the event loop.

    Raises ``ConfigurationError`` for a name that cannot be, and ``ModelMissing``.
    """
    found: Hearing = _adapter(name, STT, "callbot.stt", "speech recognition")(name, models)
    return found


def language_model(name: str, models: Models) -> LanguageModel:
    """The language model that a setting names; nothing is asked of it yet.

    Raises ``ConfigurationError`` for a name that cannot be, or a vendor without a key.
    """
    found: LanguageModel = _adapter(name, LLM, "callbot.llm", "language model")(name, models)
    return found


def speech_to_speech(name: str, models: Models) -> Callable[[], SpeechToSpeech]:
    """What makes each call's own of the model that a setting names.

    Raises ``ConfigurationError`` for a name that cannot be, or a vendor without a key.
    """
    found: Callable[[], SpeechToSpeech] = _adapter(
        name, SPEECH_TO_SPEECH, "callbot.speech_to_speech", "speech-to-speech model"
    )(name, models)
    return found


def voice(name: str, models: Models) -> TextToSpeech:
    """Loads the voice that a setting names: up to two seconds, not on the event loop.

    Raises ``ConfigurationError`` for a name that cannot be, and ``ModelMissing``.
    """
    found: TextToSpeech = _adapter(name, TTS, "callbot.tts", "voice")(name, models)
    return found


def _adapter(name: str, table: Mapping[str, str], group: str, kind: str) -> Callable[[str, Models], Any]:
    key = name.partition(":")[0]
    adapter: Callable[[str, Models], Any]
    if key in table:
        module, _, attribute = table[key].partition(":")
        try:
            adapter = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise ModelMissing(
                f"{kind} {name!r} needs the package {error.name}, which is not installed; "
                "run: pip install 'callbot[local,languages]'"
            ) from error
        return adapter
    theirs = entry_points(group=group)
    for entry in theirs.select(name=key):
        adapter = entry.load()
        return adapter
    known = sorted({*table, *theirs.names})
    near = difflib.get_close_matches(key, known, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise ConfigurationError(f"there is no {kind} {name!r}{meant}; write one of: {', '.join(known)}")
