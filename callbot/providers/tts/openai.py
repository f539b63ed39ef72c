"""OpenAI's voices: text in pieces, each spoken by a request of its own, whose audio is passed on as it comes.

The vendor does not say when which word is spoken. So a piece's audio is cut into parts of fixed length, and a
part carries the words that end in it if they are spoken at ``SECONDS_PER_LETTER``; the part's own words are
spread over it evenly by whoever plays it. The pace is a slow one, and the last part takes all words that are
left, at least the last: so when the caller interrupts, words that were heard may count as unheard and be said
again, but hardly a word counts as heard that was not, and a sentence that was cut short never counts as heard
to its end. Parts are the same however the network cuts the stream.

The vendor's reference: https://developers.openai.com/api/docs/guides/text-to-speech
"""

import audioop
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import Final

import numpy as np
from openai import AsyncOpenAI

from callbot.errors import ConfigurationError, ProviderError, Trouble
from callbot.media_stream.audio import RATE, Resampler
from callbot.providers.openai_client import FAILURES, LIMITS, from_openai, openai_client
from callbot.providers.ports import Speech
from callbot.providers.registry import Models
from callbot.providers.tts.pieces import pieces

DEFAULT_MODEL: Final = "gpt-4o-mini-tts"
DEFAULT_VOICE: Final = "marin"
VENDORS_RATE: Final = 24_000
SECONDS_PER_LETTER: Final = 0.07
"""Spaces and signs are letters here. English is spoken at 0.06 to 0.07."""

FIRST_PART, PART = 1_600, 4_000  # bytes: 0.2 s and 0.5 s
SHORTEST_LAST_PART: Final = 800
"""A part is passed on when so much more has come: the last one must not be too short for its words."""

_CONTENT_TYPES: Final = ("audio/pcm", "audio/l16", "application/octet-stream", "binary/octet-stream", "")
_OTHER_FORMATS: Final = (b"RIFF", b"OggS", b"fLaC", b"ID3", b'{"', b"<!", b"<ht")
"""How what is no PCM begins: WAV, Opus, FLAC, MP3, JSON, a page. As samples they would be a loud crack."""


class OpenAiVoice:
    """A ``TextToSpeech``. It speaks whatever language its text is in."""

    def __init__(self, name: str, client: AsyncOpenAI, *, model: str, voice: str, language: str) -> None:
        self.name = name
        self.language = language
        self._client = client
        self._model = model
        self._voice = voice

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        for piece in pieces(text):
            if not any(letter.isalnum() for letter in piece.text):
                yield Speech(piece.text, b"")  # a dash is not spoken
                continue
            parts = Parts(piece.text)
            async with aclosing(self._sound(piece.text)) as sound:
                async for audio in sound:
                    for part in parts.feed(audio):
                        yield part
            last = parts.finish()
            if not last.audio:
                raise self._failure("no audio", Trouble.EMPTY)
            yield last

    async def _sound(self, text: str) -> AsyncGenerator[bytes]:
        """Mu-law as it comes. Closing it closes the request."""
        resampler = Resampler(VENDORS_RATE, RATE)
        begun = False
        try:
            async with self._client.audio.speech.with_streaming_response.create(
                model=self._model, voice=self._voice, input=text, response_format="pcm", timeout=LIMITS
            ) as response:
                self._check_type(response.headers.get("content-type", ""))
                chunks = response.iter_bytes()
                try:
                    async with aclosing(self._whole_samples(chunks)) as pcm:
                        async for samples in pcm:
                            begun = True
                            yield _mulaw(resampler.feed(_floats(samples)))
                finally:
                    await response.close()
                    await _run_out(chunks)
        except FAILURES as error:
            raise from_openai(self.name, error, begun=begun) from error
        if begun:
            yield _mulaw(resampler.finish())

    async def _whole_samples(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """Of 16 bits, wherever the chunks are cut. Raises ``ProviderError`` if they begin another format."""
        rest = b""
        begun = False
        async for chunk in chunks:
            rest += chunk
            if not begun and len(rest) < 4:
                continue
            if not begun and rest.startswith(_OTHER_FORMATS):
                raise self._failure("the audio has a header", Trouble.BAD_FORMAT)
            begun = True
            whole = len(rest) & ~1
            if whole:
                yield rest[:whole]
            rest = rest[whole:]

    def _check_type(self, content_type: str) -> None:
        kind, _, parameters = content_type.lower().partition(";")
        if kind.strip() not in _CONTENT_TYPES:
            raise self._failure(f"sent {kind} for audio", Trouble.BAD_FORMAT)
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name == "rate" and value != str(VENDORS_RATE):
                raise self._failure("sent another rate", Trouble.BAD_FORMAT)

    def _failure(self, detail: str, trouble: Trouble) -> ProviderError:
        return ProviderError(f"{self.name}: {detail}", retryable=True, trouble=trouble, provider=self.name)


class Parts:
    """Cuts a piece's audio, and gives each part its words."""

    def __init__(self, text: str) -> None:
        self._words = text.split()
        self._next = 0
        self._letters = 0
        """Of the words that were given away, each with the space after it."""
        self._audio = bytearray()
        self._seconds = 0.0

    def feed(self, audio: bytes) -> Iterator[Speech]:
        self._audio += audio
        while len(self._audio) >= (size := PART if self._seconds else FIRST_PART) + SHORTEST_LAST_PART:
            part = bytes(self._audio[:size])
            del self._audio[:size]
            self._seconds += size / RATE
            yield Speech(" ".join(self._ended()), part)

    def finish(self) -> Speech:
        """The last part. It has no audio if none came at all."""
        return Speech(" ".join(self._words[self._next :]), bytes(self._audio))

    def _ended(self) -> Iterator[str]:
        for word in self._words[self._next : -1]:
            letters = self._letters + len(word) + 1
            if letters * SECONDS_PER_LETTER > self._seconds:
                return
            self._letters = letters
            self._next += 1
            yield word


async def _run_out(chunks: AsyncIterator[bytes]) -> None:
    """Of a stream that is closed. Its generators, one within the other, end here: where the outermost is
    just dropped, the loop ends each of them in a task of its own, later."""
    with suppress(*FAILURES):
        async for _ in chunks:
            pass


def _floats(pcm: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)


def _mulaw(sound: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> bytes:
    pcm = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    return audioop.lin2ulaw(pcm.tobytes(), 2)


def voice(name: str, models: Models) -> OpenAiVoice:
    """For the registry: ``openai``, ``openai:gpt-4o-mini-tts/marin``, or with the language of its texts,
    which is English otherwise, ``openai:gpt-4o-mini-tts/marin/es``."""
    model, _, rest = name.partition(":")[2].partition("/")
    speaker, _, language = rest.partition("/")
    if "/" in language:
        raise ConfigurationError(f"the voice {name!r} has a part too many; write openai:MODEL/VOICE/LANGUAGE")
    return OpenAiVoice(
        name,
        openai_client(models),
        model=model or DEFAULT_MODEL,
        voice=speaker or DEFAULT_VOICE,
        language=language or "en",
    )
