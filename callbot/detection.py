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
Attend = Callable[[bool], None]
"""Told when it changes whether the next audio matters at once."""


class CallDetection:
    """One call's speech. ``tell`` hears of it soon after ``feed``."""

    __slots__ = ("_activity", "_attend", "_closely", "_detection", "_waiting", "row", "tell")

    def __init__(
        self, detection: Detection, row: int, tell: Tell, attend: Attend, rules: SmootherRules | None
    ) -> None:
        self.row = row
        self.tell: Tell | None = tell
        self._attend = attend
        self._closely = True
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
        self._look(activity)
        return activity.lacking

    def decide(self, probability: float, chunk: Chunk) -> None:
        """What the detector found; called by ``Detection``."""
        self._waiting -= 1
        for activity in self._activity.decide(probability, chunk):
            if self.tell is not None:
                self.tell(activity)
        self._look(self._activity)

    def _look(self, activity: VoiceActivity) -> None:
        """Something begins or ends: hear closely. Nothing does: there is time."""
        if activity.steady is self._closely and self.tell is not None:
            self._closely = not self._closely
            self._attend(self._closely)

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

    def join(self, tell: Tell, attend: Attend = lambda closely: None) -> CallDetection:
        """For a new call; ``leave`` it when it is over. It is heard closely at first."""
        if self._free:
            row = self._free.pop()
        else:
            row, self._rows = self._rows, self._rows + 1
            if self._rows > self._states.shape[1]:
                self._states = np.concatenate((self._states, np.zeros_like(self._states)), axis=1)
        self._states[:, row] = 0.0
        return CallDetection(self, row, tell, attend, self._rules)

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
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), MOST_AT_ONCE))]
        if not batch:
            return  # who waited has left
        probabilities = self._detect([chunk for _, chunk in batch], [call.row for call, _ in batch])
        for (call, chunk), probability in zip(batch, probabilities.tolist(), strict=True):
            call.decide(probability, chunk)
        if self._waiting and not self._due:
            self._due = True
            loop.call_soon(self._run, loop)

    def _detect(self, chunks: Sequence[Chunk], rows: Sequence[int]) -> NDArray[np.float32]:
        looks = self._detector.look(samples_of(chunks))
        probabilities = np.empty(len(chunks), np.float32)
        for places in _in_order(rows):
            index = [rows[place] for place in places]
            probabilities[places], self._states[:, index] = self._detector.listen(
                looks[places], self._states[:, index]
            )
        return probabilities


def _in_order(rows: Sequence[int]) -> list[list[int]]:
    """The places of every row's first chunk, then those of every second, and so on."""
    rounds: list[list[int]] = []
    taken: dict[int, int] = {}
    for place, row in enumerate(rows):
        nth = taken.get(row, 0)
        taken[row] = nth + 1
        if nth == len(rounds):
            rounds.append([])
        rounds[nth].append(place)
    return rounds
