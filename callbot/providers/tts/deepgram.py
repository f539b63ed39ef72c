"""Deepgram's voices behind ``/v1/speak`` (Aura): ``deepgram:aura-2-thalia-en``.

The vendor's documentation: https://developers.deepgram.com/docs, pages streaming-text-to-speech (limits),
tts-ws-flush, tts-ws-clear.

The vendor tells no word times, and audio comes in chunks that end anywhere. So that the first sound is
early, chunks are handed on as they come; and so that what counts as heard was spoken, each is given the
words that a slow speaker would have ended by its end, and the last chunk of a piece the rest. Of a sentence
that is cut off, a few words less than were spoken count as heard; never more, unless the voice is slower
than ``SECONDS_A_CHARACTER``, and never beyond a piece, at whose end the vendor says ``Flushed``.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import FRAME_BYTES, RATE, SILENCE
from callbot.providers.ports import Speech
from callbot.providers.registry import Models
from callbot.providers.tts.deepgram_sockets import FLUSHES, Flushed, Socket, Sockets
from callbot.providers.tts.pieces import pieces

DEFAULT_MODEL: Final = "aura-2-thalia-en"
SECONDS_A_CHARACTER: Final = 0.07
"""With the space after a word. English at 175 words a minute takes 0.057."""
_FIRST, _NEXT = 800, 3_200
"""Bytes of a chunk that is handed on: 0.1 s at first, then what marks can tell apart."""


class DeepgramVoice:
    """A ``TextToSpeech``. Its connections are shared by all calls, each has one while it speaks."""

    def __init__(self, name: str, sockets: Sockets, *, language: str) -> None:
        self.name = name
        self.language = language
        self._sockets = sockets

    async def connect(self) -> None:
        """Opens a connection ahead of the first ``speak``. Raises ``ProviderError``."""
        self._sockets.give(await self._sockets.connect())

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        said = _said(text)
        if not said:
            if text.strip():
                yield Speech(" ".join(text.split()), SILENCE * FRAME_BYTES)
            return
        characters = sum(len(part) for piece in said for part in piece)
        socket = await self._sockets.take(flushes=len(said), characters=characters)
        whole = False
        try:
            try:
                await socket.say(said)
            except ProviderError as error:
                if not socket.kept or error.trouble is not Trouble.CUT:
                    raise
                # it had died while it was kept, which is no failure of the vendor's
                self._sockets.give(socket)
                socket = await self._sockets.connect()
                await socket.say(said)
            for piece in said:
                async with aclosing(_spoken(" ".join(piece), socket, self.name)) as speeches:
                    async for speech in speeches:
                        yield speech
            whole = True
        except ProviderError:
            socket.broken = True
            raise
        finally:
            try:
                if not whole and not socket.broken:
                    await socket.clear()
            finally:
                self._sockets.give(socket)


async def _spoken(text: str, socket: Socket, name: str) -> AsyncGenerator[Speech]:
    """The audio up to the next ``Flushed``, with the words of ``text``."""
    words = _Words(text)
    audio, total = bytearray(), 0
    enough = _FIRST
    while not isinstance(message := await socket.receive(), Flushed):
        if not total and message.startswith(b"RIFF"):
            raise ProviderError(
                f"{name}: a WAV file where mu-law should be",
                retryable=True,
                trouble=Trouble.BAD_FORMAT,
                provider=name,
            )
        audio += message
        total += len(message)
        if len(audio) >= enough + FRAME_BYTES:
            part = bytes(audio[:-FRAME_BYTES])  # the rest of the words need something to go with
            del audio[:-FRAME_BYTES]
            enough = _NEXT
            yield Speech(words.by((total - FRAME_BYTES) / RATE), part)
    if not total:
        raise ProviderError(
            f"{name}: no audio for the text", retryable=True, trouble=Trouble.EMPTY, provider=name
        )
    yield Speech(words.rest(), bytes(audio))


class _Words:
    """How far into a text a slow speaker has come."""

    def __init__(self, text: str) -> None:
        self._words = text.split()
        self._next = 0
        self._characters = 0

    def by(self, moment: float) -> str:
        """The words that end by so many seconds and were not given yet; never the last one."""
        first = self._next
        while self._next < len(self._words) - 1:
            end = self._characters + len(self._words[self._next]) + 1
            if end * SECONDS_A_CHARACTER > moment:
                break
            self._characters = end
            self._next += 1
        return " ".join(self._words[first : self._next])

    def rest(self) -> str:
        first, self._next = self._next, len(self._words)
        return " ".join(self._words[first:])


def _said(text: str) -> list[list[str]]:
    """What is flushed together, in parts that are sent one by one. A dash or dots on their own are not
    spoken: they go with the words before or after them."""
    parts: list[str] = []
    silent = ""
    for piece in pieces(text):
        if any(character.isalnum() for character in piece.text):
            parts.append(f"{silent} {piece.text}".strip())
            silent = ""
        else:
            silent = f"{silent} {piece.text}".strip()
    if parts and silent:
        parts[-1] += f" {silent}"
    alone = [[part] for part in parts[: FLUSHES - 1]]
    return [*alone, parts[FLUSHES - 1 :]] if len(parts) >= FLUSHES else alone


def voice(name: str, models: Models) -> DeepgramVoice:
    """For the registry: ``deepgram``, or ``deepgram:`` and a model, whose name ends in its language.

    Raises ``Unconfigured``.
    """
    model = name.partition(":")[2] or DEFAULT_MODEL
    account = models.accounts["deepgram"]

    def prepare() -> Sockets:
        sockets = Sockets(name, account, model)
        models.on_close(sockets.aclose)
        return sockets

    return DeepgramVoice(name, models.once(f"voice {name}", prepare), language=model.rpartition("-")[2])
