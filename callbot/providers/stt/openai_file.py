"""OpenAI's transcription of files, as ears of last resort: an utterance is posted whole when it is flushed.

Partials there are none, and every flush pays for all of the utterance so far; but it needs no socket that
lasts, and no session.
"""

import asyncio
import audioop
import io
import wave
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openai import AsyncOpenAI

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.media_stream.audio import RATE, SILENCE
from callbot.providers.openai_client import FAILURES, LIMITS, from_openai, openai_client
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models
from callbot.providers.stt.openai_commits import SHORTEST

DEFAULT_MODEL: Final = "gpt-transcribe"
KNOW_SEVERAL_LANGUAGES: Final = frozenset({"gpt-transcribe"})


class FileEars:
    """Hears one call. The answers are told in the order of the flushes."""

    def __init__(self, name: str, client: AsyncOpenAI, *, model: str, languages: Sequence[str]) -> None:
        self._name = name
        self._client = client
        self._languages = tuple(languages)
        self._options: dict[str, Any] = {"model": model, "response_format": "json"}
        if model in KNOW_SEVERAL_LANGUAGES:
            self._options["languages"] = list(languages)
        elif len(languages) == 1:
            self._options["language"] = languages[0]
        self._utterance: int | None = None
        self._audio = bytearray()
        self._newest: asyncio.Task[Transcribed] | None = None
        """Of the present utterance, unless audio has come since."""
        self._asked: asyncio.Queue[asyncio.Task[Transcribed] | None] = asyncio.Queue()
        self._running: set[asyncio.Task[Transcribed]] = set()
        self._closed = False

    cuts: bool = False

    def start(self, utterance: int) -> None:
        self._utterance, self._newest = utterance, None
        self._audio.clear()

    def send(self, audio: bytes) -> None:
        if audio and not self._closed:
            self._audio += audio
            self._newest = None

    def flush(self) -> None:
        if self._closed:
            return
        if self._utterance is None:
            raise InvalidState("flush before start")
        if self._newest is None:
            work = self._transcribe(self._utterance, bytes(self._audio))
            self._newest = asyncio.get_running_loop().create_task(work, name=f"ears {self._name}")
            self._running.add(self._newest)
            self._newest.add_done_callback(self._done)
        self._asked.put_nowait(self._newest)

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed and (task := await self._asked.get()) is not None:
            await asyncio.wait([task])
            if not task.cancelled():
                yield task.result()

    async def aclose(self) -> None:
        self._closed = True
        self._asked.put_nowait(None)  # wakes who waits
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _done(self, task: asyncio.Task[Transcribed]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # ``events`` tells it, if somebody still listens

    async def _transcribe(self, utterance: int, audio: bytes) -> Transcribed:
        if not audio:
            return Transcribed(utterance, "", final=True)
        file = ("utterance.wav", wav(audio.ljust(SHORTEST, SILENCE)), "audio/wav")
        try:
            heard = await self._client.audio.transcriptions.create(file=file, timeout=LIMITS, **self._options)
        except FAILURES as error:
            raise from_openai(self._name, error) from error
        text = getattr(heard, "text", None)
        if not isinstance(text, str):
            raise ProviderError(
                f"{self._name}: sent no transcript",
                retryable=True,
                trouble=Trouble.BAD_FORMAT,
                provider=self._name,
            )
        languages = [language.code for language in heard.languages or () if language.code in self._languages]
        return Transcribed(utterance, text.strip(), final=True, language=languages[0] if languages else None)


def wav(audio: bytes) -> bytes:
    """Mu-law as a file of 16-bit PCM, which is what the vendor takes."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        sound.writeframes(audioop.ulaw2lin(audio, 2))
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class FileHearing:
    """A ``Hearing``."""

    name: str
    client: AsyncOpenAI
    model: str

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        return FileEars(self.name, self.client, model=self.model, languages=languages)


def hearing(name: str, models: Models) -> FileHearing:
    """For the registry: ``openai-file``, or ``openai-file:gpt-4o-transcribe``."""
    return FileHearing(name, openai_client(models), name.partition(":")[2] or DEFAULT_MODEL)
