"""A voice that hums, for tests of everything behind it."""

from collections.abc import AsyncGenerator
from typing import Final

import numpy as np

from callbot.media_stream.audio import RATE
from callbot.providers import mulaw
from callbot.providers.ports import Speech, WordTime
from callbot.providers.registry import Models
from callbot.providers.tts.pieces import pieces

CHARACTER_SECONDS: Final = 0.06


class FakeVoice:
    """A ``TextToSpeech``: an audible tone, 60 ms for every character and the space after a word.

    So the length of the audio and the time of each word can be worked out in the head.
    """

    def __init__(self, name: str = "fake", language: str = "en") -> None:
        self.name = name
        self.language = language

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        for piece in pieces(text):
            words: list[WordTime] = []
            at = 0
            for word in piece.text.split():
                end = at + len(word)
                words.append(WordTime(word, at * CHARACTER_SECONDS, end * CHARACTER_SECONDS))
                at = end + 1
            yield Speech(" ".join(piece.text.split()), _tone((at - 1) * CHARACTER_SECONDS), tuple(words))


def _tone(seconds: float) -> bytes:
    times = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    return mulaw.encode(np.float32(0.3) * np.sin(np.float32(2 * np.pi * 440) * times))


def voice(name: str, models: Models) -> FakeVoice:
    """For the registry: ``fake``, or ``fake:es`` for one that says it speaks Spanish."""
    return FakeVoice(name, name.partition(":")[2] or "en")
