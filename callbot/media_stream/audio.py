"""The call's own audio format: mu-law, 8 kHz, one channel; a frame is 20 ms."""

import audioop
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

RATE: Final = 8000
FRAME_BYTES: Final = 160
SILENCE: Final = b"\xff"
"""Mu-law for zero; ``0x7f`` is zero as well."""


def seconds(audio: bytes) -> float:
    """How long mu-law audio lasts."""
    return len(audio) / RATE


def samples(audio: bytes) -> NDArray[np.float32]:
    """Mu-law to float32 in [-1, 1)."""
    return np.frombuffer(audioop.ulaw2lin(audio, 2), np.int16).astype(np.float32) / 32768.0


class Resampler:
    """Sound that comes in pieces, from one rate to another.

    Joined, the pieces of the output are what the whole input gives in one go, to the last bit and
    wherever the input was cut; they begin and end with it, no sample is shifted. But output comes
    late, in blocks: up to 0.12 s of it is held back at 8 to 16 kHz (0.16 s was the most, of all rates
    tried), until more comes or ``finish`` is called.
    """

    def __init__(self, from_rate: float, to_rate: float) -> None:
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype=np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Any number of samples, float32 of one dimension, to those that are due; often none."""
        due: NDArray[np.float32] = self._stream.resample_chunk(samples)
        return due

    def finish(self) -> NDArray[np.float32]:
        """What was held back: after it the output is as long as the input. Then another sound may begin."""
        tail: NDArray[np.float32] = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream.clear()
        return tail
