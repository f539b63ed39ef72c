"""Is there any sound at all? Keeps the neural detector from being asked about silence.

On a telephone call somebody is silent most of the time. The gate is shut while a chunk is no louder
than the line's own noise; when sound comes, the last 200 ms before it are replayed to the detector, so
that a soft beginning ("f", "h") is heard as well.
"""

import audioop
from typing import Final

FAINTEST: Final = 24
"""Root mean square, of 32768: quieter is never speech (-63 dBFS; the smallest step of mu-law is 8)."""
LOUDER_THAN_NOISE: Final = 1.6
NOISE_RISES: Final = 1.02
"""The noise is as low as the quietest chunk of late: it falls at once, and doubles in about a second."""
HOLD: Final = 4
"""Chunks of 32 ms for which the gate stays open after the last sound."""


def loudness(audio: bytes) -> int:
    """Root mean square of mu-law, as 16-bit samples."""
    return audioop.rms(audioop.ulaw2lin(audio, 2), 2)


class Gate:
    """One call's. Ask ``opens`` about each chunk in turn."""

    __slots__ = ("_held", "_noise")

    def __init__(self) -> None:
        self._noise = float(FAINTEST)
        self._held = HOLD  # open at first: the noise is not known yet

    @property
    def is_open(self) -> bool:
        """There was sound a moment ago."""
        return self._held > 0

    def opens(self, level: float, *, speaking: bool) -> bool:
        """Whether the detector should hear a chunk of this ``loudness``. It stays open while it finds
        somebody ``speaking``."""
        sound = level > FAINTEST and level > self._noise * LOUDER_THAN_NOISE
        self._noise = min(level, self._noise * NOISE_RISES) if level > 1.0 else 1.0
        if sound or speaking:
            self._held = HOLD
            return True
        self._held -= 1
        return self._held > 0
