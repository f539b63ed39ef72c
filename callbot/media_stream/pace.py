"""How fast the caller's audio comes, whether its frames are in order, and how late they are.

A network that stalls delivers a burst afterwards, and that is honest audio. Audio that keeps coming
faster than time passes is not.
"""

from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from typing import Final

MOST_AHEAD: Final = 5.0
"""Seconds of audio that may arrive before their time: a stall's burst, and a little."""

FLOOD_RATE: Final = 3.0
FLOOD_SECONDS: Final = 10.0

PUNCTUAL_FOR: Final = 30
"""So many times ``late`` is asked before the most punctual frame is looked for anew: the carrier's clock
and ours drift apart, by some hundred milliseconds in an hour."""


class Verdict(Enum):
    TAKE = auto()
    REPEATED = auto()
    FLOOD = auto()
    HANG_UP = auto()


class Pace:
    """Counts one stream's audio against the clock."""

    def __init__(self) -> None:
        self.frames = 0
        self.lost = 0
        self.repeated = 0
        self.flooded = 0
        self._chunk = 0
        self._audio = 0.0
        self._window_started = 0.0
        self._window_audio = 0.0
        # How long after its time on the carrier's clock a frame came. The two clocks began at different
        # moments, so only differences between frames mean anything.
        self._least_behind = inf
        self._most_behind = -inf
        self._punctual = inf
        self._punctual_before = inf
        self._asked = 0

    def judge(self, chunk: int, seconds: float, now: float, at: float | None = None) -> Verdict:
        """A frame of ``seconds`` came at ``now`` (seconds since the stream started). ``chunk`` is the
        carrier's count, 0 when it gives none; ``at`` is where the frame begins on the carrier's clock."""
        self.frames += 1
        if chunk:
            if chunk <= self._chunk:
                self.repeated += 1
                return Verdict.REPEATED
            if self._chunk:
                self.lost += chunk - self._chunk - 1
            self._chunk = chunk
        if at is not None:
            behind = now - at
            if behind > self._most_behind:
                self._most_behind = behind
            if behind < self._least_behind:
                self._least_behind = behind
        if now - self._window_started >= FLOOD_SECONDS:
            rate = self._window_audio / (now - self._window_started)
            self._window_started, self._window_audio = now, 0.0
            if rate > FLOOD_RATE:
                return Verdict.HANG_UP
        self._window_audio += seconds
        if self._audio + seconds > now + MOST_AHEAD:
            self.flooded += 1
            return Verdict.FLOOD
        self._audio = max(self._audio + seconds, now - MOST_AHEAD)
        return Verdict.TAKE

    def late(self) -> float | None:
        """By how many seconds the latest of the frames since this was last asked came behind the most
        punctual one of the last ``PUNCTUAL_FOR`` times and more. None when no frame came.

        For one asker, who asks about once a second.
        """
        most, least = self._most_behind, self._least_behind
        self._most_behind, self._least_behind = -inf, inf
        self._asked += 1
        if self._asked % PUNCTUAL_FOR == 0:
            self._punctual_before, self._punctual = self._punctual, inf
        if most == -inf:
            return None
        self._punctual = min(self._punctual, least)
        return most - min(self._punctual, self._punctual_before)


@dataclass(slots=True)
class Tally:
    """The frames of several calls."""

    frames: int = 0
    lost: int = 0
    repeated: int = 0
    flooded: int = 0

    def add(self, pace: Pace) -> None:
        self.frames += pace.frames
        self.lost += pace.lost
        self.repeated += pace.repeated
        self.flooded += pace.flooded
