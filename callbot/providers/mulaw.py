"""Whole pieces of the call's audio to what models work with (floating point, any rate), and back.

Each is resampled in one go, with silence around it. For sound that goes on from piece to piece there is
``callbot.media_stream.audio.Resampler``.
"""

import audioop

import numpy as np
import soxr
from numpy.typing import NDArray

from callbot.media_stream.audio import RATE, samples


def decode(audio: bytes, *, rate: int = RATE) -> NDArray[np.float32]:
    """Mu-law as float32 in [-1, 1), one channel, resampled to ``rate``."""
    return _resampled(samples(audio), RATE, rate)


def encode(sound: NDArray[np.float32], *, rate: float = RATE) -> bytes:
    """Float32 at ``rate`` as mu-law at 8 kHz; what exceeds [-1, 1] is clipped."""
    pcm = (np.clip(_resampled(sound, rate, RATE), -1, 1) * 32767).astype(np.int16)
    return audioop.lin2ulaw(pcm.tobytes(), 2)


def _resampled(sound: NDArray[np.float32], from_rate: float, to_rate: float) -> NDArray[np.float32]:
    if from_rate == to_rate or not sound.size:
        return sound
    resampled: NDArray[np.float32] = soxr.resample(sound, from_rate, to_rate)
    return resampled
