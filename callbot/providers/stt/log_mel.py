"""Whisper's input: the log-mel spectrogram, as its authors define it, with numpy alone."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 16_000
HOP: Final = 160
_WINDOW_LENGTH: Final = 400
_WINDOW: Final = np.hanning(_WINDOW_LENGTH + 1)[:-1].astype(np.float32)


def log_mel(samples: NDArray[np.float32], *, bands: int) -> NDArray[np.float32]:
    """float32 samples at 16 kHz -> float32 [bands, len(samples) // 160]."""
    half = _WINDOW_LENGTH // 2
    padded = np.pad(samples, half, mode="reflect" if samples.size > half else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_LENGTH)[::HOP]
    spectrum = np.fft.rfft(frames[: samples.size // HOP] * _WINDOW, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    mel = np.log10(np.maximum(_filters(bands) @ power.T, 1e-10))
    mel = np.maximum(mel, mel.max(initial=-10.0) - 8)
    return np.ascontiguousarray((mel + 4) / 4, np.float32)


@cache
def _filters(bands: int) -> NDArray[np.float32]:
    """Triangles of equal area on the Slaney mel scale: linear to 1 kHz, logarithmic above."""
    bins = np.fft.rfftfreq(_WINDOW_LENGTH, 1 / SAMPLE_RATE)
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), bands + 2))
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


_LINEAR_HERTZ_PER_MEL: Final = 200 / 3
_BREAK_HERTZ: Final = 1_000.0
_BREAK_MEL: Final = _BREAK_HERTZ / _LINEAR_HERTZ_PER_MEL
_LOG_STEP: Final = float(np.log(6.4)) / 27


def _mel(hertz: float) -> float:
    """For frequencies above the break."""
    return _BREAK_MEL + float(np.log(hertz / _BREAK_HERTZ)) / _LOG_STEP


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * _LINEAR_HERTZ_PER_MEL
    return np.where(mel < _BREAK_MEL, linear, _BREAK_HERTZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
