"""Whether what a voice gives can be its text, spoken: audio of a wrong rate or format must not reach an ear.

Only what is wrong by a wide margin is refused, for a slow speaker is not a fault. From hibari and espeak a
letter takes 0.05 to 0.12 s, the shortest texts half a second, and no sample is above 0.92 of full scale.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import FRAME_BYTES, RATE
from callbot.providers.ports import Speech

LONGEST_LETTER: Final = 0.15
LONGEST_BESIDES: Final = 1.0
"""Seconds of pauses, whatever the text."""
SHORTEST_LETTER: Final = 0.02
WORTH_MEASURING: Final = 10
"""Letters. Of less, nobody can say that it was said too fast."""
LONGEST_SILENCE: Final = 1.0
"""Seconds before the first sound. Vendors give a tenth."""

_CONTAINERS: Final = (b"RIFF", b"OggS", b"fLaC", b"ID3")
_ENOUGH: Final = 800
"""Bytes from which shares mean something: 100 ms."""
_CLIPPED_SHARE: Final = 0.05
"""Of samples at full scale. In 16-bit samples taken for mu-law it is 0.1 to 0.3, in speech 0."""


class SoundCheck:
    """One voice's audio for ``text``. Raises ``ProviderError``: ``EMPTY`` or ``BAD_FORMAT``."""

    def __init__(self, text: str, provider: str) -> None:
        self._provider = provider
        self._longest = longest(text)
        self._letters = sum(letter.isalpha() for letter in text)
        self._wordless = not any(letter.isalnum() for letter in text)
        self.seconds = 0.0
        self.sounding = 0.0
        """Seconds that are not silence."""

    def feed(self, speech: Speech) -> None:
        """Before a piece is given out."""
        audio = speech.audio
        if not self.seconds and audio.startswith(_CONTAINERS):
            raise self._bad("a file's header where audio should be")
        self.seconds += speech.seconds
        self.sounding += sound_seconds(audio)
        if self.seconds > self._longest:
            raise self._bad(f"{self.seconds:.1f} s and more for {self._letters} letters")
        if speech.words and speech.seconds > longest(speech.text):
            raise self._bad(f"{speech.seconds:.1f} s for a piece that should last {longest(speech.text):.1f}")
        if not self.sounding and self.seconds > LONGEST_SILENCE and not self._wordless:
            raise self._bad("silence")
        if _is_noise(audio):
            raise self._bad("noise")

    def finish(self) -> None:
        """When it has ended."""
        if self._wordless:
            return
        if not self.seconds:
            raise ProviderError(
                f"{self._provider}: no audio", retryable=True, trouble=Trouble.EMPTY, provider=self._provider
            )
        if not self.sounding:
            raise self._bad("silence")
        if too_fast(self._letters, self.sounding):
            raise self._bad(f"{self.sounding:.1f} s for {self._letters} letters")

    def _bad(self, what: str) -> ProviderError:
        return ProviderError(
            f"{self._provider}: {what}",
            retryable=False,
            trouble=Trouble.BAD_FORMAT,
            provider=self._provider,
        )


def too_fast(letters: int, seconds: float) -> bool:
    """Nobody can have said so many letters in so little time."""
    return letters >= WORTH_MEASURING and seconds < SHORTEST_LETTER * letters


def longest(text: str) -> float:
    """Seconds that nobody needs to say it. Figures, signs, other scripts and letters that stand alone are
    whole words when they are spoken."""
    letters = 0
    for word in text.split():
        if len(word) == 1:
            letters += 5
        else:
            letters += sum(_weight(letter) for letter in word)
    return LONGEST_BESIDES + LONGEST_LETTER * letters


def _weight(letter: str) -> int:
    if letter.isalpha() and ord(letter) < 0x250:
        return 1 if letter.islower() else 2
    return 2 if letter in ".,;:!?…'’\"“”()-–—" else 5


def _codes(audio: bytes) -> NDArray[np.uint8]:
    """Mu-law without its sign: 0 is full scale, 127 is zero."""
    codes: NDArray[np.uint8] = np.frombuffer(audio, np.uint8) & np.uint8(0x7F)
    return codes


def sounds(audio: bytes) -> bool:
    """There is more in it than silence."""
    return sound_seconds(audio) > 0


def sound_seconds(audio: bytes) -> float:
    """Seconds, by frames in which one sample in 32 is above -48 dB."""
    if not audio:
        return 0.0
    audible = (_codes(audio) < 0x70).astype(np.intp)
    frames = np.add.reduceat(audible, np.arange(0, len(audio), FRAME_BYTES))
    return float(np.count_nonzero(frames >= FRAME_BYTES // 32)) * FRAME_BYTES / RATE


def _is_noise(audio: bytes) -> bool:
    if len(audio) < _ENOUGH:
        return False
    codes = _codes(audio)
    if np.mean(codes <= 2) >= _CLIPPED_SHARE:
        return True
    signs = np.frombuffer(audio, np.uint8) >> 7
    jumps = np.mean(signs[1:] != signs[:-1])
    return bool(np.mean(codes < 0x10) >= 0.08 and jumps > 0.4)  # random bytes: 0.125 and 0.5
