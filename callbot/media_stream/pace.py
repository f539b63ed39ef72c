"""How fast the caller's audio comes, and whether its frames are in order.

A network that stalls delivers a burst afterwards, and that is honest audio. Audio that keeps coming
faster than time passes is not.
"""

from enum import Enum, auto
from typing import Final

MOST_AHEAD: Final = 5.0
"""Seconds of audio that may arrive before their time: a stall's burst, and a little."""

FLOOD_RATE: Final = 3.0
FLOOD_SECONDS: Final = 10.0


class Verdict(Enum):
    TAKE = auto()
    REPEATED = auto()
    FLOOD = auto()
    HANG_UP = auto()


class Pace:
    """Counts one stream's audio against the clock."""

    def __init__(self) -> None:
        self.lost = 0
        self.repeated = 0
        self.flooded = 0
        self._chunk = 0
        self._audio = 0.0
        self._window_started = 0.0
        self._window_audio = 0.0

    def judge(self, chunk: int, seconds: float, now: float) -> Verdict:
        """A frame of ``seconds`` came at ``now`` (seconds since the stream started). ``chunk`` is the
        carrier's count, 0 when it gives none."""
        if chunk:
            if chunk <= self._chunk:
                self.repeated += 1
                return Verdict.REPEATED
            if self._chunk:
                self.lost += chunk - self._chunk - 1
            self._chunk = chunk
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
