"""The call's own audio format: mu-law, 8 kHz, one channel; a frame is 20 ms."""

import audioop
from typing import Final

import numpy as np
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
