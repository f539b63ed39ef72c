"""An utterance as it comes in, for a model that wants another rate.

All of it is resampled once, while it comes, so that hearing an utterance again costs nothing but the
hearing. Positions are bytes of mu-law since the utterance began.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callbot.media_stream.audio import RATE, Resampler, samples
from callbot.providers import mulaw

MODEL_RATE: Final = 16_000
_PER_BYTE: Final = MODEL_RATE // RATE
_CONTEXT: Final = 400
"""Bytes. The filter sees 16 ms either way; what it is given before the samples wanted is ample."""
_AT_ONCE: Final = 800
"""Bytes, 100 ms. They take 11 microseconds to resample, and 20 ms take 5.5."""
_ROOM: Final = 4 * MODEL_RATE


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of an utterance, which stays what it is while more comes in. Any thread may have it."""

    resampled: NDArray[np.float32]
    """Its beginning, at 16 kHz."""
    held_back: int
    """How many more samples there are, which the resampler has not given yet: up to 216 ms."""
    around: bytes
    """The mu-law of those, and some of before."""

    def samples(self) -> NDArray[np.float32]:
        """float32 at 16 kHz, all of it: as if it were resampled in one go, silence after it. 0.1 ms."""
        if not self.held_back:
            return self.resampled
        tail = mulaw.decode(self.around, rate=MODEL_RATE)[-self.held_back :]
        return np.concatenate((self.resampled, tail))


class UtteranceAudio:
    """What is kept of one utterance, from ``begin`` on: its mu-law, and its samples at 16 kHz."""

    def __init__(self) -> None:
        self.begin = 0
        self._resampler = Resampler(RATE, MODEL_RATE)
        self._mulaw = bytearray()
        self._resampled_to = 0
        self._samples = np.empty(_ROOM, np.float32)
        self._filled = 0
        self._first = 0
        """The sample of the utterance that ``_samples`` begins with."""

    @property
    def end(self) -> int:
        """How much has come in."""
        return self.begin + len(self._mulaw)

    def feed(self, audio: bytes) -> None:
        """Any length."""
        self._mulaw += audio
        if self.end - self._resampled_to >= _AT_ONCE:
            self._resample()

    def up_to(self, end: int) -> Excerpt:
        """What is kept before a position. Nothing is copied but the little that is held back."""
        first, last = _PER_BYTE * self.begin - self._first, _PER_BYTE * end - self._first
        there = self._samples[first : min(last, self._filled)]
        context = max(0, there.size // _PER_BYTE - _CONTEXT)
        around = self._mulaw[context : end - self.begin]
        return Excerpt(there, last - first - there.size, bytes(around))

    def forget(self, before: int) -> None:
        """Keeps only what comes after a position, which must not be later than ``end``."""
        self._resample()
        del self._mulaw[: before - self.begin]
        self.begin = before
        self._move(_PER_BYTE * before, _ROOM)

    def _resample(self) -> None:
        due = self._resampler.feed(samples(bytes(self._mulaw[self._resampled_to - self.begin :])))
        self._resampled_to = self.end
        filled = self._filled + due.size
        if filled > self._samples.size:
            self._move(self._first, 2 * filled)
        self._samples[self._filled : filled] = due
        self._filled = filled

    def _move(self, first: int, room: int) -> None:
        """Into an array of its own: an excerpt's, which a thread may be reading, never changes."""
        first = min(first, self._first + self._filled)  # what is held back is yet to come
        kept = self._samples[first - self._first : self._filled]
        self._samples = np.empty(max(room, kept.size), np.float32)
        self._samples[: kept.size] = kept
        self._first, self._filled = first, kept.size
