"""Between the call's format (mu-law, 8 kHz) and what models work with (floating point, any rate)."""

import audioop
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

SAMPLE_RATE: Final = 8_000
"""Samples, and so bytes, of mu-law in one second."""


def decode(audio: bytes, *, rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Whole mu-law audio as float32 in [-1, 1), one channel, resampled to ``rate``."""
    samples = np.frombuffer(audioop.ulaw2lin(audio, 2), np.int16).astype(np.float32) / np.float32(32768)
    if rate == SAMPLE_RATE or not samples.size:
        return samples
    resampled: NDArray[np.float32] = soxr.resample(samples, SAMPLE_RATE, rate)
    return resampled


def encode(samples: NDArray[np.float32], *, rate: float = SAMPLE_RATE) -> bytes:
    """Whole audio at ``rate``, float32, as mu-law at 8 kHz; what exceeds [-1, 1] is clipped."""
    if rate != SAMPLE_RATE and samples.size:
        samples = soxr.resample(samples, rate, SAMPLE_RATE)
    pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    return audioop.lin2ulaw(pcm.tobytes(), 2)
