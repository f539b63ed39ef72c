"""Frames of one call to speech that starts, is held, pauses, and stops.

A neural detector gives a probability per 32 ms chunk. It is a port (``SpeechDetector``) whose run
takes a batch, so one inference can serve many calls: ``feed`` returns the chunks that are due,
anyone runs them, ``decide`` takes the probabilities back.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from callbot.media_stream.audio import RATE, SILENCE, samples
from callbot.media_stream.gate import Gate, loudness
from callbot.media_stream.hum import is_hum, is_open

CHUNK: Final = 256
CONTEXT: Final = 32
CHUNK_SECONDS: Final = CHUNK / RATE
WHOLE: Final = CONTEXT + CHUNK
REPLAYED: Final = 6
"""Chunks (about 200 ms) before a sound that the detector hears after all."""
_RECENT: Final = 5
_TAIL: Final = 0.06
"""The detector calls it speech for a while after the sound has ended: 55 to 145 ms, the median being 91,
measured against the energy of 126 recorded utterances. The least of it is taken off."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak at ``at``, in seconds of the media clock."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechHeld:
    """The caller has been speaking for ``seconds``; ``hum`` while the mouth has stayed closed. It is told at
    set times, and as soon as the mouth is open."""

    at: float
    seconds: float
    hum: bool


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The first sign of silence: the last sound of speech was at ``at``, as far as we know. Then the second
    one, ``lasting``, and ``SpeechStopped`` of the same time, unless ``SpeechResumed`` comes before."""

    at: float
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """It was no silence, only a dip in the sound."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller is silent; the last sound of speech was at ``at``."""

    at: float


_LINEAR: Final = samples(bytes(range(256)))

Activity = SpeechStarted | SpeechHeld | SpeechPaused | SpeechResumed | SpeechStopped


@dataclass(frozen=True, slots=True)
class SmootherRules:
    """When a row of probabilities is speech. Counts are chunks of 32 ms."""

    start_above: float = 0.5
    start_chunks: int = 2
    stop_below: float = 0.35
    pause_chunks: int = 1
    """After so many below it ``SpeechPaused`` is told. In the recordings one in four is but a dip..."""
    lasting_chunks: int = 2
    """...and after so many one in twenty-five."""
    stop_chunks: int = 3
    held_chunks: tuple[int, ...] = (5, 10, 19, 31)
    """After so many chunks of speech ``SpeechHeld`` is told: 160 ms, 320 ms, 608 ms, about 1 s."""
    open_chunks: tuple[int, ...] = (2, 3, 4, 6, 7, 8, 9)
    """After so many it is told if the mouth is open: a doubt is no news. 64 ms to 288 ms."""


class Smoother:
    """Probabilities to activity: hysteresis, and a few chunks of patience in both directions."""

    __slots__ = ("_chunks", "_last_speech", "_onset", "_opened", "_rules", "_run", "_told_by", "speaking")

    def __init__(self, rules: SmootherRules) -> None:
        self._rules = rules
        self._told_by = max(rules.open_chunks)
        self.speaking = False
        self._run = 0
        self._onset = 0.0
        self._last_speech = 0.0
        self._chunks = 0
        self._opened = False

    @property
    def stirring(self) -> bool:
        """The last chunk may have been the first of speech."""
        return not self.speaking and self._run > 0

    @property
    def steady(self) -> bool:
        """Nothing begins and nothing ends, as far as is known: the next chunk will hardly be news."""
        return self._run == 0 and (not self.speaking or self._chunks >= self._told_by)

    def decide(
        self,
        probability: float,
        ends_at: float,
        *,
        hum: Callable[[], bool] = lambda: False,
        opened: Callable[[], bool] = lambda: False,
    ) -> list[Activity]:
        """``ends_at`` is the media time at which the chunk ends. ``hum`` and ``opened`` (``is_hum`` and
        ``is_open``) judge the last 160 ms; they are asked only when it matters."""
        rules = self._rules
        if not self.speaking:
            if probability < rules.start_above:
                self._run = 0
                return []
            if self._run == 0:
                self._onset = ends_at - CHUNK_SECONDS
            self._run += 1
            if self._run < rules.start_chunks:
                return []
            self.speaking, self._chunks, self._last_speech = True, self._run, ends_at
            self._run, self._opened = 0, False
            return [SpeechStarted(self._onset), *self._held(ends_at, hum, opened)]
        self._chunks += 1
        if probability >= rules.stop_below:
            resumed: list[Activity] = [SpeechResumed(ends_at)] if self._run >= rules.pause_chunks else []
            self._run = 0
            self._last_speech = ends_at
            return resumed + self._held(ends_at, hum, opened)
        self._run += 1
        last_sound = max(self._onset, self._last_speech - _TAIL)
        if self._run >= rules.stop_chunks:
            self.speaking, self._run = False, 0
            return [SpeechStopped(last_sound)]
        if self._run >= rules.pause_chunks and self._run in (rules.pause_chunks, rules.lasting_chunks):
            return [SpeechPaused(last_sound, lasting=self._run >= rules.lasting_chunks)]
        return []

    def _held(self, ends_at: float, hum: Callable[[], bool], opened: Callable[[], bool]) -> list[Activity]:
        """A mouth that was open once has not hummed, whatever it does later."""
        told = self._chunks in self._rules.held_chunks
        if not self._opened:
            if told:
                self._opened = not hum()
            elif self._chunks in self._rules.open_chunks:
                told = self._opened = opened()
        return [SpeechHeld(ends_at, self._chunks * CHUNK_SECONDS, not self._opened)] if told else []


class Chunk(NamedTuple):
    """What the detector is asked about: mu-law, ``CONTEXT`` samples of what came before and ``CHUNK`` new
    ones, which end at ``ends_at`` on the media clock."""

    audio: bytes
    ends_at: float


def samples_of(chunks: Sequence[Chunk]) -> NDArray[np.float32]:
    """Float32 [len(chunks), CONTEXT + CHUNK] within -1..1."""
    return _LINEAR[np.frombuffer(b"".join([chunk.audio for chunk in chunks]), np.uint8)].reshape(
        len(chunks), WHOLE
    )


class VoiceActivity:
    """One call's side of speech detection: cuts frames into chunks, and says which of them the detector
    should hear; takes its probabilities back, in the same order."""

    __slots__ = ("_buffer", "_gate", "_recent", "_smoother", "_unheard", "cut_to", "decided_to")

    def __init__(self, rules: SmootherRules | None = None) -> None:
        self._smoother = Smoother(rules or SmootherRules())
        self._gate = Gate()
        self._buffer = SILENCE * CONTEXT
        """The end of the last chunk, and what has come since."""
        self.cut_to = 0.0
        """Media time at which the last chunk that was cut ends."""
        self.decided_to = 0.0
        """The same of the last that was decided."""
        self._unheard: deque[Chunk] = deque(maxlen=REPLAYED)
        self._recent: deque[bytes] = deque(maxlen=_RECENT)

    @property
    def speaking(self) -> bool:
        return self._smoother.speaking

    @property
    def stirring(self) -> bool:
        return self._smoother.stirring

    @property
    def steady(self) -> bool:
        """Silence, or the midst of speech: what comes next need not be heard at once."""
        smoother = self._smoother
        return smoother.steady and (smoother.speaking or not self._gate.is_open)

    @property
    def lacking(self) -> int:
        """Bytes until the next chunk is whole."""
        return WHOLE - len(self._buffer)

    def feed(self, audio: bytes, starts_at: float) -> Sequence[Chunk]:
        """Mu-law of any length that begins at ``starts_at`` on the media clock: the chunks that are due,
        oldest first. ``decide`` must be called for each, in order, some time later."""
        buffer = self._buffer
        if len(buffer) == CONTEXT:
            self.cut_to = starts_at
        buffer += audio
        due: list[Chunk] = []
        at, last = 0, len(buffer) - WHOLE
        while at <= last:
            self.cut_to += CHUNK_SECONDS
            self._pass(Chunk(buffer[at : at + WHOLE], self.cut_to), due)
            at += CHUNK
        self._buffer = buffer[at:] if at else buffer
        return due

    def _pass(self, chunk: Chunk, due: list[Chunk]) -> None:
        unheard = self._unheard
        if not self._gate.opens(loudness(chunk.audio), speaking=self._smoother.speaking):
            unheard.append(chunk)
            return
        if unheard:
            due += unheard
            unheard.clear()
        due.append(chunk)

    def decide(self, probability: float, chunk: Chunk) -> list[Activity]:
        """What the detector's probability for the oldest chunk not yet decided means."""
        self.decided_to = chunk.ends_at
        self._recent.append(chunk.audio[CONTEXT:])
        return self._smoother.decide(probability, chunk.ends_at, hum=self._hums, opened=self._opens)

    def _hums(self) -> bool:
        return is_hum(samples(b"".join(self._recent)))

    def _opens(self) -> bool:
        return is_open(samples(b"".join(self._recent)))
