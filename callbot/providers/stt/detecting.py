"""Hears a caller of whom it is not yet known which language they speak.

The first model listens from the start. Once there is enough speech, another thread identifies the
language while the caller goes on. If it is another one, this utterance and all that follow are
heard by the many-language model. A final of the first model never waits for that.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from callbot.errors import ProviderError
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models
from callbot.providers.stt.listener import DEFAULT_PACE, Listener, Pace, UtteranceModel
from callbot.providers.stt.moonshine import MoonshineModel
from callbot.providers.stt.recognizer import Recognizer
from callbot.providers.stt.utterance_audio import MODEL_RATE
from callbot.providers.stt.whisper import WhisperIn, WhisperModel
from callbot.providers.stt.whisper_files import check_folder, joined_in

ENOUGH_SPEECH: Final = 6_400
"""Bytes of loud audio: 0.8 s, which takes a caller about 1.2 s to say. Less identifies badly."""
WHISPER_PACE: Final = Pace(partial_every=9_600, partials_per_length=5)
"""It takes a third of a second for any utterance: partials must leave it time for what follows a pause."""
CLEAR: Final = 0.6
"""The share of probability from which a language has won."""


class DetectingRecognizer:
    """A ``SpeechToText``. ``languages`` are those to tell apart; the first is the first model's."""

    def __init__(
        self,
        first: UtteranceModel,
        others: WhisperModel,
        pool: InferencePool,
        *,
        languages: Sequence[str],
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._others = others
        self._pool = pool
        self._languages = tuple(languages)
        self._news = asyncio.Event()
        self._closed = False
        self._listener = Listener(first, pool, self._news.set, language=self._languages[0], pace=pace)
        self._identifying: asyncio.Future[Mapping[str, float]] | None = None
        self._settled = len(self._languages) == 1
        self._utterance = 0
        self._audio = bytearray()  # of this utterance, kept until the language is settled
        self._flushed_at: int | None = None
        self._ask_at = ENOUGH_SPEECH

    cuts: bool = False

    def start(self, utterance: int) -> None:
        if self._closed:
            return
        self._utterance = utterance
        self._audio.clear()
        self._flushed_at = None
        self._ask_at = ENOUGH_SPEECH
        self._listener.start(utterance)

    def send(self, audio: bytes) -> None:
        if self._closed:
            return
        self._listener.send(audio)
        if self._settled:
            return
        self._audio += audio
        if self._identifying is None and self._listener.speech_bytes >= self._ask_at:
            self._identify()

    def flush(self) -> None:
        if self._closed:
            return
        self._flushed_at = len(self._audio)
        self._listener.flush()

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed:
            self._news.clear()
            self._settle()
            for event in self._listener.collect():
                yield event
            await self._news.wait()

    async def aclose(self) -> None:
        self._closed = True
        if self._identifying:
            self._identifying.cancel()
        self._listener.close()
        self._news.set()

    def _identify(self) -> None:
        audio, languages, model = bytes(self._audio), self._languages, self._others
        self._ask_at = 2 * self._listener.speech_bytes

        def work() -> Mapping[str, float]:
            return model.identify(mulaw.decode(audio, rate=MODEL_RATE), languages)

        self._identifying = asyncio.wrap_future(self._pool.submit(work))
        self._identifying.add_done_callback(lambda _: self._news.set())

    def _settle(self) -> None:
        """Acts on an identification that is done. One that is unclear is tried again on more speech."""
        done = self._identifying
        if done is None or not done.done() or done.cancelled():
            return
        self._identifying = None
        if error := done.exception():
            raise ProviderError(f"the language was not identified: {error}", retryable=False) from error
        language, probability = max(done.result().items(), key=lambda item: item[1])
        if probability < CLEAR:
            return
        self._settled = True
        if language != self._languages[0]:
            self._hear_again_in(language)
        self._audio.clear()

    def _hear_again_in(self, language: str) -> None:
        """Gives the present utterance to the other model, from its beginning."""
        self._listener.close()
        self._listener = Listener(
            WhisperIn(self._others, language),
            self._pool,
            self._news.set,
            language=language,
            pace=WHISPER_PACE,
        )
        self._listener.start(self._utterance)
        if self._flushed_at is not None:
            self._listener.send(bytes(self._audio[: self._flushed_at]))
            self._listener.flush()
        self._listener.send(bytes(self._audio[self._flushed_at or 0 :]))


@dataclass(frozen=True, slots=True)
class ManyLanguagesHearing:
    """A ``Hearing`` for callers of whom several languages are possible. ``english`` is better at that one."""

    whisper: WhisperModel
    pool: InferencePool
    english: UtteranceModel | None = None

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        self.whisper.check_languages(languages)
        first = languages[0]
        if first == "en" and self.english:
            model, pace = self.english, DEFAULT_PACE
        else:
            model, pace = WhisperIn(self.whisper, first), WHISPER_PACE
        if len(languages) == 1:
            return Recognizer(model, self.pool, language=first, pace=pace)
        return DetectingRecognizer(model, self.whisper, self.pool, languages=languages, pace=pace)


def whisper(name: str, models: Models) -> ManyLanguagesHearing:
    """For the registry."""
    return ManyLanguagesHearing(_load_whisper(models), models.pool)


def moonshine_and_whisper(name: str, models: Models) -> ManyLanguagesHearing:
    """For the registry."""
    english = models.once("moonshine", MoonshineModel.load)
    return ManyLanguagesHearing(_load_whisper(models), models.pool, english)


def _load_whisper(models: Models) -> WhisperModel:
    def load() -> WhisperModel:
        folder = check_folder(models.whisper) if models.whisper else joined_in(models.cache)
        return WhisperModel.load(folder, threads=models.pool.threads)

    return models.once("whisper", load)
