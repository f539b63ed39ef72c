"""What callers' telephones pick up that is no word: mu-law at 8 kHz. And a telephone that gives back what
it plays."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callbot.exchange.callers import Caller, Script
from callbot.exchange.sounds import QUIET_FRAME, SILENCE, to_mulaw, to_samples

RATE: Final = 8_000
QUIET: Final = SILENCE * (RATE // 4)


def cough() -> bytes:
    """A third of a second: a burst of noise, and a weaker one."""
    noise = np.random.default_rng(33).normal(0, 1, RATE * 34 // 100)
    smooth = np.convolve(noise, np.ones(4) / 4, mode="same")
    at = np.arange(len(noise)) / RATE
    loudness = np.exp(-at / 0.05) + 0.4 * np.exp(-np.abs(at - 0.22) / 0.03)
    return QUIET + _mulaw(smooth * loudness * 12_000) + QUIET


def bark() -> bytes:
    """A third of a second with the formants of an open mouth: a detector takes it for speech, and there is
    no word in it."""
    at = np.arange(RATE * 35 // 100) / RATE
    pitch = 190 - 140 * at
    pulses = (np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0) > 0).astype(float)
    sound = sum(_formant(pulses, hertz, width) for hertz, width in ((700, 90), (1_150, 110), (2_500, 160)))
    envelope = np.minimum(1, at / 0.02) * np.minimum(1, (at[-1] - at) / 0.08)
    return QUIET + _mulaw(sound / np.max(np.abs(sound)) * envelope * 14_000) + QUIET


def _formant(pulses: NDArray[np.float64], hertz: float, width: float) -> NDArray[np.float64]:
    at = np.arange(RATE // 20) / RATE
    rings = np.exp(-np.pi * width * at) * np.sin(2 * np.pi * hertz * at)
    return np.asarray(np.convolve(pulses, rings)[: len(pulses)])


def _mulaw(samples: NDArray[np.float64]) -> bytes:
    return to_mulaw(np.clip(samples, -32_000, 32_000).astype(np.int16))


@dataclass(frozen=True, slots=True)
class Echoing:
    """A caller on a loudspeaker: what is heard comes back ``delay_ms`` later, ``gain`` times as loud."""

    caller: Caller
    delay_ms: int = 240
    gain: float = 0.25

    def script(self) -> Script:
        inner = self.caller.script()
        room = deque([QUIET_FRAME] * (self.delay_ms // 20))
        try:
            spoken = next(inner)
            while True:
                back = to_samples(room.popleft()) * self.gain + to_samples(spoken.audio)
                heard = yield replace(spoken, audio=_mulaw(back))
                room.append(heard)
                spoken = inner.send(heard)
        except StopIteration:
            return
