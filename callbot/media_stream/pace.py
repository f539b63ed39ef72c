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


TAKE: Final = Verdict.TAKE
"""What nearly every frame gets; an enumeration's own look-up takes ten times as long."""


class Pace:
    """Counts one stream's audio against the clock."""

    __slots__ = (
        "_arrived",
        "_asked",
        "_audio",
        "_chunk",
        "_least_behind",
        "_most_behind",
        "_punctual",
        "_punctual_before",
        "_window_ends",
        "flooded",
        "frames",
        "lost",
        "repeated",
    )

    def __init__(self) -> None:
        self.frames = 0
        self.lost = 0
        self.repeated = 0
        self.flooded = 0
        self._chunk = 0
        self._audio = 0.0
        self._arrived = 0.0
        self._window_ends = FLOOD_SECONDS
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
        self._arrived += seconds
        if now >= self._window_ends and self._is_flood(now):
            return Verdict.HANG_UP
        audio = self._audio + seconds
        if audio > now + MOST_AHEAD:
            self.flooded += 1
            return Verdict.FLOOD
        self._audio = audio if audio > now - MOST_AHEAD else now - MOST_AHEAD
        return TAKE

    def _is_flood(self, now: float) -> bool:
        """Whether audio came much faster than time passed in the window that ends ``now``."""
        rate = self._arrived / (FLOOD_SECONDS + now - self._window_ends)
        self._window_ends, self._arrived = now + FLOOD_SECONDS, 0.0
        return rate > FLOOD_RATE

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
