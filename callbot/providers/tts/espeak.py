"""Voices for over a hundred languages: espeak-ng, in a process of its own (see ``espeak_process``)."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from callbot.errors import ConfigurationError, ModelMissing, ProviderError
from callbot.media_stream.audio import RATE
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech, WordTime
from callbot.providers.registry import Models
from callbot.providers.tts.loud import levelled, sounding
from callbot.providers.tts.pieces import Piece, pieces

PROGRAM: Final = (sys.executable, "-m", "callbot.providers.tts.espeak_process")
DEADLINE_SECONDS: Final = 5.0
_LONGEST_LINE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Spoken:
    """16-bit PCM at ``rate``; of each word its place in the text and in the samples."""

    pcm: bytes
    rate: int
    words: tuple[tuple[int, int], ...]


class EspeakProcess:
    """The child process, shared by all voices and calls. It starts with the first request.

    When it has died or hangs, one request fails, and the next one starts another.
    """

    def __init__(
        self, program: Sequence[str] = PROGRAM, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._program = tuple(program)
        self._deadline_seconds = deadline_seconds
        self._one_at_a_time = asyncio.Lock()
        self._child: Process | None = None

    async def speak(self, text: str, language: str) -> Spoken:
        """Raises ``ProviderError``."""
        async with self._one_at_a_time:
            whole = False
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    head, pcm = await self._ask(text, language)
                whole = True
            except TimeoutError as error:
                raise ProviderError("espeak-ng did not answer in time", retryable=True) from error
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                raise ProviderError(f"espeak-ng died: {error}", retryable=True) from error
            finally:
                if not whole:  # cancelled or failed half-way: what the child says next is not ours
                    await self._stop()
        if "error" in head:
            raise ProviderError(head["error"], retryable=False)
        words = tuple((int(position), int(sample)) for position, sample in head["words"])
        return Spoken(pcm, int(head["rate"]), words)

    async def aclose(self) -> None:
        async with self._one_at_a_time:
            await self._stop()

    async def _ask(self, text: str, language: str) -> tuple[dict[str, Any], bytes]:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                *self._program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LONGEST_LINE
            )
        child = self._child
        assert child.stdin
        assert child.stdout
        child.stdin.write(json.dumps({"text": text, "language": language}).encode() + b"\n")
        await child.stdin.drain()
        head: dict[str, Any] = json.loads(await child.stdout.readuntil())
        return head, await child.stdout.readexactly(int(head.get("bytes", 0)))

    async def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        await child.communicate()  # reaps it, and closes its pipes


class EspeakVoice:
    """A ``TextToSpeech`` in any of espeak-ng's languages (``es``, ``pt-br``, ``fr``...)."""

    def __init__(self, language: str, process: EspeakProcess, pool: InferencePool) -> None:
        self.name = f"espeak:{language}"
        self.language = language
        self._process = process
        self._pool = pool

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        for piece in pieces(text):
            spoken = await self._process.speak(piece.text.replace("\0", " "), self.language)

            def finish(piece: Piece = piece, spoken: Spoken = spoken) -> Speech:
                return _speech(piece, spoken)

            yield await asyncio.wrap_future(self._pool.submit(finish, urgent=True))


def _speech(piece: Piece, spoken: Spoken) -> Speech:
    """Resampled in one go: a piece is a sound of its own, as it is for hibari's."""
    samples = np.frombuffer(spoken.pcm, np.int16).astype(np.float32) / np.float32(32768)
    part = sounding(samples, spoken.rate)
    audio = mulaw.encode(levelled(samples[part], spoken.rate), rate=spoken.rate)
    silence = mulaw.encode(np.zeros(round(piece.pause * RATE), np.float32))
    words = _words(piece.text, spoken, part.start, len(audio) / RATE)
    return Speech(piece.text, audio + silence, words)


def _words(text: str, spoken: Spoken, trimmed: int, seconds: float) -> tuple[WordTime, ...]:
    """A word begins with espeak's first word in it, and lasts until the next begins."""
    words: list[WordTime] = []
    events = list(spoken.words)
    next_begins, at = seconds, len(text)
    for word in reversed(text.split()):
        at = text.rindex(word, 0, at)
        inside = [sample for position, sample in events if position >= at]
        events = events[: len(events) - len(inside)]
        start = (inside[0] - trimmed) / spoken.rate if inside else next_begins  # a dash is not spoken
        start = max(0.0, min(start, next_begins))
        words.append(WordTime(word, start, next_begins))
        next_begins = start
    return tuple(reversed(words))


def voice(name: str, models: Models) -> EspeakVoice:
    """For the registry. Raises ``ConfigurationError`` when the name has no language, ``ModelMissing`` when
    there is no espeak-ng for the child to load."""
    if find_spec("espeakng_loader") is None and find_library("espeak-ng") is None:
        raise ModelMissing("espeak-ng is not installed; run: pip install 'callbot[languages]'")
    language = name.partition(":")[2]
    if not language:
        raise ConfigurationError("the voice 'espeak' needs a language; write it after a colon: espeak:es")

    def prepare() -> EspeakProcess:
        process = EspeakProcess()
        models.on_close(process.aclose)
        return process

    return EspeakVoice(language, models.once("espeak", prepare), models.pool)
