"""Frames of one call to speech that starts, is held, and stops.

A neural detector gives a probability per 32 ms chunk. It is a port (``SpeechDetector``) whose run
takes a batch, so one inference can serve many calls: ``feed`` returns the chunks that are due,
anyone runs them, ``decide`` takes the probabilities back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callbot.media_stream.audio import RATE, samples
from callbot.media_stream.hum import is_hum

CHUNK: Final = 256
CONTEXT: Final = 32
CHUNK_SECONDS: Final = CHUNK / RATE
_RECENT: Final = 2048
_TAIL: Final = 0.06
"""The detector calls it speech for a while after the sound has ended: 55 to 145 ms, the median being 91,
measured against the energy of 126 recorded utterances. The least of it is taken off."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak at ``at``, in seconds of the media clock."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechHeld:
    """The caller has been speaking for ``seconds``; ``hum`` when it sounds like a closed mouth."""

    at: float
    seconds: float
    hum: bool


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller paused; the last sound of speech was at ``at``."""

    at: float


Activity = SpeechStarted | SpeechHeld | SpeechStopped


@dataclass(frozen=True, slots=True)
class SmootherRules:
    """When a row of probabilities is speech. Counts are chunks of 32 ms."""

    start_above: float = 0.5
    start_chunks: int = 2
    stop_below: float = 0.35
    stop_chunks: int = 3
    held_chunks: tuple[int, ...] = (5, 10, 19, 31)
    """After so many chunks of speech ``SpeechHeld`` is told: 160 ms, 320 ms, 608 ms, about 1 s."""


class Smoother:
    """Probabilities to activity: hysteresis, and a few chunks of patience in both directions."""

    def __init__(self, rules: SmootherRules) -> None:
        self._rules = rules
        self._speaking = False
        self._run = 0
        self._onset = 0.0
        self._last_speech = 0.0
        self._chunks = 0

    @property
    def speaking(self) -> bool:
        return self._speaking

    def decide(
        self, probability: float, ends_at: float, *, hum: Callable[[], bool] = lambda: False
    ) -> list[Activity]:
        """``ends_at`` is the media time at which the chunk ends. ``hum`` judges the last 160 ms; it is
        asked only when that is told."""
        rules = self._rules
        if not self._speaking:
            if probability < rules.start_above:
                self._run = 0
                return []
            if self._run == 0:
                self._onset = ends_at - CHUNK_SECONDS
            self._run += 1
            if self._run < rules.start_chunks:
                return []
            self._speaking, self._chunks, self._last_speech = True, self._run, ends_at
            self._run = 0
            return [SpeechStarted(self._onset)]
        self._chunks += 1
        if probability >= rules.stop_below:
            self._run = 0
            self._last_speech = ends_at
        else:
            self._run += 1
            if self._run >= rules.stop_chunks:
                self._speaking, self._run = False, 0
                return [SpeechStopped(max(self._onset, self._last_speech - _TAIL))]
        if self._chunks in rules.held_chunks and self._run == 0:
            return [SpeechHeld(ends_at, self._chunks * CHUNK_SECONDS, hum())]
        return []


class VoiceActivity:
    """One call's side of speech detection: cuts frames into chunks, keeps the detector's state."""

    def __init__(self, rules: SmootherRules | None = None) -> None:
        self._rules = rules or SmootherRules()
        self._smoother = Smoother(self._rules)
        self._pending = np.zeros(0, np.float32)
        self._recent = np.zeros(_RECENT, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._ends_at = 0.0
        self.state = np.zeros((2, 1, 128), np.float32)

    @property
    def speaking(self) -> bool:
        return self._smoother.speaking

    def feed(self, audio: bytes, starts_at: float) -> list[NDArray[np.float32]]:
        """Mu-law of any length that begins at ``starts_at`` on the media clock: the float32 [288]
        chunks that are due, oldest first. ``decide`` must be called for each before the next feed."""
        if self._pending.size == 0:
            self._ends_at = starts_at
        self._pending = np.concatenate((self._pending, samples(audio)))
        chunks = []
        while self._pending.size >= CHUNK:
            new, self._pending = self._pending[:CHUNK], self._pending[CHUNK:]
            chunks.append(np.concatenate((self._context, new)))
            self._context = new[-CONTEXT:]
        return chunks

    def decide(self, probability: float, chunk: NDArray[np.float32]) -> list[Activity]:
        """What the detector's probability for the oldest chunk not yet decided means."""
        self._ends_at += CHUNK_SECONDS
        self._recent = np.concatenate((self._recent[CHUNK:], chunk[CONTEXT:]))
        return self._smoother.decide(
            probability, self._ends_at, hum=lambda: bool(is_hum(self._recent[-5 * CHUNK :]))
        )
