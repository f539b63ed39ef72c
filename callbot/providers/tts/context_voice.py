"""A voice on sockets that calls share, whatever vendor's they are: chunks in, pieces of speech out."""

from collections.abc import AsyncGenerator
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import seconds
from callbot.providers.ports import Speech
from callbot.providers.tts.checking import sound_seconds
from callbot.providers.tts.context_dialect import Chunk
from callbot.providers.tts.context_sockets import Sockets
from callbot.providers.tts.raw_audio import bad_format, check_first, empty, unspoken
from callbot.providers.tts.word_borders import Cutter, cutter

_TOO_LONG: Final = 1.5
"""Sound that lasts so many times longer than its characters may be of another rate."""
_OTHER_RATES: Final = (2, 3, 4, 6)
"""How many times longer: of 16, 24, 32 and 48 kHz, the first of 16 bits at 8 kHz, too."""
_SURE_AFTER: Final = 3
"""Chunks. In one alone there may be the times of some of its characters only (elevenlabs-python#689)."""


class ContextVoice:
    """A ``TextToSpeech``. Each text is a context of its own on a socket that others may share.

    ``times_within`` are the seconds of audio that are held back until it is clear whether the vendor tells
    when its words are said; 0 where the first chunk says so.
    """

    def __init__(self, name: str, sockets: Sockets, *, language: str, times_within: float = 0.0) -> None:
        self.name = name
        self.language = language
        self._sockets = sockets
        self._times_within = times_within

    async def connect(self) -> None:
        """Opens a socket ahead of the first text. Raises ``ProviderError``."""
        await self._sockets.connect()

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        nothing = unspoken(text)
        if nothing is not None:
            if nothing.text:
                yield nothing
            return
        context = self._sockets.speak(" ".join(text.split()))
        try:
            cutting = _Cutting(text, self._times_within)
            length = _Length(self.name)
            while (chunk := await context.next()) is not None:
                if cutting.begins:
                    check_first(self.name, chunk.audio)
                length.check(chunk)
                for speech in cutting.feed(chunk):
                    yield speech
            if cutting.begins:
                raise empty(self.name)
            for speech in cutting.finish():
                yield speech
        except ProviderError as error:
            if error.trouble in (Trouble.BAD_FORMAT, Trouble.EMPTY):
                context.distrust()
            raise
        finally:
            context.leave()


class _Cutting:
    """Chooses the ``Cutter`` of a text when it is known what its voice tells."""

    def __init__(self, text: str, times_within: float) -> None:
        self._text = text
        self._times_within = times_within
        self._cutter: Cutter | None = None
        self._held = b""
        self._given = 0.0
        """Seconds of audio that the cutter has."""
        self.begins = True
        """There was no audio yet."""

    def feed(self, chunk: Chunk) -> list[Speech]:
        self._held += chunk.audio
        self.begins = self.begins and not chunk.audio
        if self._cutter is None:
            if not chunk.characters and seconds(self._held) < self._times_within:
                return []
            self._cutter = cutter(self._text, chunk.characters)
        characters = chunk.characters
        if chunk.of_text:
            characters = tuple(
                (character, start - self._given, end - self._given) for character, start, end in characters
            )
        audio, self._held = self._held, b""
        self._given += seconds(audio)
        return self._cutter.feed(audio, characters)

    def finish(self) -> list[Speech]:
        if self._cutter is None:
            self._cutter = cutter(self._text, ())
        return [*self._cutter.feed(self._held, ()), *self._cutter.finish()]


class _Length:
    """Compares how long the audio is with how long its characters are said to last, from the first chunk on:
    of a wrong rate, nothing should be spoken. Silence, which may come before them, is none of theirs."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._long = self._sounding = self._told = 0.0
        self._chunks = 0

    def check(self, chunk: Chunk) -> None:
        """Raises ``ProviderError``."""
        if not chunk.characters or chunk.of_text:
            return
        self._long += seconds(chunk.audio)
        self._sounding += sound_seconds(chunk.audio)
        self._told += max(end for _, _, end in chunk.characters)
        self._chunks += 1
        if self._sounding <= _TOO_LONG * self._told:
            return
        of_a_rate = any(abs(self._long - rate * self._told) < 0.05 * self._long for rate in _OTHER_RATES)
        if of_a_rate or self._chunks >= _SURE_AFTER:
            raise bad_format(self._provider, "audio of another rate than was asked for")
