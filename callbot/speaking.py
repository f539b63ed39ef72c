"""A written sentence to clips: into words a voice can read, through the voice, and back to what was
written, so that "heard" is told in the words of the transcript."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from callbot.conversation.spoken import Token, spoken, text_for_voice
from callbot.media_stream.audio import RATE, SILENCE, seconds
from callbot.media_stream.playback import Clip, clips
from callbot.providers.ports import Speech, TextToSpeech, WordTime

BREATH: Final = 0.18
"""Seconds of silence between two sentences of one reply."""


async def speak(
    voice: TextToSpeech, turn: int, sentence: str, *, breath: bool = False
) -> AsyncIterator[Clip]:
    """The clips of one sentence, as soon as the voice has them; ``breath`` puts a pause before it.

    Raises ``ProviderError``.
    """
    tokens = spoken(sentence, voice.language)
    text = text_for_voice(tokens)
    if not text.strip():
        return
    reading = _Reading(tokens)
    async with aclosing(voice.speak(text)) as pieces:
        async for piece in pieces:
            for clip in reading.clips(turn, piece):
                yield _after_a_breath(clip) if breath else clip
                breath = False


def _after_a_breath(clip: Clip) -> Clip:
    words = tuple(WordTime(word.word, word.start + BREATH, word.end + BREATH) for word in clip.words)
    return Clip(clip.turn, clip.text, SILENCE * round(BREATH * RATE) + clip.audio, words)


class _Reading:
    """How far into the written words the voice has come."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._next = 0
        self._owed = 0
        """Spoken words of the next token that earlier pieces have read already."""

    def clips(self, turn: int, piece: Speech) -> list[Clip]:
        words = self._written(piece.words or _evenly(piece))
        return clips(turn, " ".join(w.word for w in words), piece.audio, words)

    def _written(self, words: tuple[WordTime, ...]) -> tuple[WordTime, ...]:
        """Times of the written words that are read whole by the end of these spoken words."""
        found: list[WordTime] = []
        start: float | None = None
        for word in words:
            self._skip_silent(found, word.start)
            if self._next >= len(self._tokens):
                break
            token = self._tokens[self._next]
            start = word.start if start is None else start
            self._owed += 1
            if self._owed >= len(token.spoken.split()):
                found.append(WordTime(token.written, start, word.end))
                self._next, self._owed, start = self._next + 1, 0, None
        if words:
            self._skip_silent(found, words[-1].end)
        return tuple(found)

    def _skip_silent(self, found: list[WordTime], at: float) -> None:
        """Written words that are not read aloud (a dash, an emoji) take no time."""
        while self._owed == 0 and self._next < len(self._tokens):
            token = self._tokens[self._next]
            if token.spoken.split():
                return
            found.append(WordTime(token.written, at, at))
            self._next += 1


def _evenly(piece: Speech) -> tuple[WordTime, ...]:
    """For a voice that knows no word times: each word gets its share by length."""
    words = piece.text.split()
    letters = sum(len(word) + 1 for word in words)
    found, at = [], 0.0
    for word in words:
        end = at + seconds(piece.audio) * (len(word) + 1) / letters
        found.append(WordTime(word, at, end))
        at = end
    return tuple(found)
