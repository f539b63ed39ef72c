"""Finds the speech in all calls of a process with one detector.

A frame costs its call a copy and, every 32 ms, a look at its loudness. What is loud enough waits here for
a few milliseconds, and then everything that waits is one run of the model, and each call hears what was
found in its audio.

The run is made on the event loop's thread, between two reads of the sockets. On a thread of its own it
took more than it gave: a run of a hundred chunks is two milliseconds of work in some thirty short steps,
and after each of them such a thread has to win the interpreter back from a busy loop
(``docs/performance.md``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callbot.media_stream.vad import Activity, Chunk, SmootherRules, VoiceActivity, samples_of
from callbot.providers.ports import SpeechDetector

GATHER: Final = 0.010
"""Seconds from one run to the next: a run of 64 chunks costs a sixth of 64 runs."""
MOST_AT_ONCE: Final = 256
"""Chunks, some 4 ms of work: the sockets are read in between."""

Tell = Callable[[Activity], None]


class CallDetection:
    """One call's speech. ``tell`` hears of it soon after ``feed``."""

    __slots__ = ("_activity", "_detection", "_waiting", "row", "tell")

    def __init__(self, detection: Detection, row: int, tell: Tell, rules: SmootherRules | None) -> None:
        self.row = row
        self.tell: Tell | None = tell
        self._activity = VoiceActivity(rules)
        self._detection = detection
        self._waiting = 0

    @property
    def heard_to(self) -> float:
        """The media time up to which all of the audio has been looked at."""
        return self._activity.decided_to if self._waiting else self._activity.cut_to

    @property
    def stirring(self) -> bool:
        """The newest sound may be the beginning of speech; one chunk more will tell."""
        return self._activity.stirring

    def feed(self, audio: bytes, starts_at: float) -> int:
        """Mu-law of any length that begins at ``starts_at`` on the media clock; never waits.

        Returns how many bytes are lacking for anything to be done with more: nobody need feed less.
        """
        activity = self._activity
        for chunk in activity.feed(audio, starts_at):
            self._waiting += 1
            self._detection.add(self, chunk)
        return activity.lacking

    def decide(self, probability: float, chunk: Chunk) -> None:
        """What the detector found; called by ``Detection``."""
        self._waiting -= 1
        for activity in self._activity.decide(probability, chunk):
            if self.tell is not None:
                self.tell(activity)

    def leave(self) -> None:
        """The call is over: nothing more is told."""
        if self.tell is not None:
            self.tell = None
            self._detection.left(self)


class Detection:
    """All calls of a process; on the event loop's thread."""

    def __init__(self, detector: SpeechDetector, rules: SmootherRules | None = None) -> None:
        self._detector = detector
        self._rules = rules
        self._waiting: deque[tuple[CallDetection, Chunk]] = deque()
        self._due = False
        self._ran_at = 0.0
        self._rows = 0
        self._free: list[int] = []
        self._states = np.zeros((2, 64, 128), np.float32)

    @property
    def waiting(self) -> int:
        """Chunks not yet given to the model."""
        return len(self._waiting)

    def join(self, tell: Tell) -> CallDetection:
        """For a new call; ``leave`` it when it is over."""
        if self._free:
            row = self._free.pop()
        else:
            row, self._rows = self._rows, self._rows + 1
            if self._rows > self._states.shape[1]:
                self._states = np.concatenate((self._states, np.zeros_like(self._states)), axis=1)
        self._states[:, row] = 0.0
        return CallDetection(self, row, tell, self._rules)

    def left(self, call: CallDetection) -> None:
        """Its row may be another's; called by ``CallDetection``."""
        self._waiting = deque((other, chunk) for other, chunk in self._waiting if other is not call)
        self._free.append(call.row)

    def add(self, call: CallDetection, chunk: Chunk) -> None:
        """Called by ``CallDetection``."""
        self._waiting.append((call, chunk))
        if not self._due:
            self._due = True
            loop = asyncio.get_running_loop()
            wait = self._ran_at + GATHER - loop.time()
            if wait > 0:
                loop.call_later(wait, self._run, loop)
            else:
                loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due, self._ran_at = False, loop.time()
        batch = self._take()
        if not batch:
            return  # who waited has left
        probabilities = self._detect([chunk for _, chunk in batch], [call.row for call, _ in batch])
        for (call, chunk), probability in zip(batch, probabilities.tolist(), strict=True):
            call.decide(probability, chunk)
        if self._waiting and not self._due:
            self._due = True
            loop.call_soon(self._run, loop)

    def _take(self) -> list[tuple[CallDetection, Chunk]]:
        """The next chunks, one of each call: those of one call are run in their order."""
        batch: list[tuple[CallDetection, Chunk]] = []
        later: list[tuple[CallDetection, Chunk]] = []
        taken: set[int] = set()
        for _ in range(min(len(self._waiting), MOST_AT_ONCE)):
            one = self._waiting.popleft()
            (later if one[0].row in taken else batch).append(one)
            taken.add(one[0].row)
        self._waiting.extendleft(reversed(later))
        return batch

    def _detect(self, chunks: Sequence[Chunk], rows: Sequence[int]) -> NDArray[np.float32]:
        index = list(rows)
        probabilities, self._states[:, index] = self._detector.run(samples_of(chunks), self._states[:, index])
        return probabilities
