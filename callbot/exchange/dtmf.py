"""Touch-tones: the pair of tones that a key makes, and finding them in audio.

A carrier takes the tones out of the audio and reports the keys beside it. ``separate`` does that to a
recording. Levels and lengths follow ITU-T Q.24: at least 40 ms, the two tones within 8 dB.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbot.exchange.sounds import QUIETEST_DB, RATE, SILENCE, to_mulaw, to_samples

LOW = (697.0, 770.0, 852.0, 941.0)
HIGH = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")

_WINDOW = 205
"""Samples in one look (26 ms): long enough to tell 697 Hz from 770 Hz."""

_STEP = 40
_SHORTEST = 6
"""Looks that must agree. Looks that lie partly beside the tone hear it too, so 40 ms make six or seven,
and 30 ms at most five."""

_BRIDGED = 4
"""Looks without the tone that do not end it: 20 ms, a click in the middle of a press."""

_FAINTEST_DB = -45.0
_TWIST_DB = 8.0
_PURITY = 0.8
"""The share of a look's energy that must lie in the two tones; a voice spreads its own."""


@dataclass(frozen=True, slots=True)
class Press:
    """A key held from ``start`` to ``end``, in samples."""

    digit: str
    start: int
    end: int


def tone(digit: str, *, milliseconds: int = 100, level_db: float = -10.0) -> bytes:
    """The sound of a key as mu-law; each of the two tones is ``level_db`` below full scale."""
    row = next((index for index, keys in enumerate(KEYS) if digit in keys), None)
    if row is None or len(digit) != 1:
        raise ValueError(f"{digit!r} is no key; the keys are {''.join(KEYS)}")
    time = np.arange(RATE * milliseconds // 1000) / RATE
    both = np.sin(2 * np.pi * LOW[row] * time) + np.sin(2 * np.pi * HIGH[KEYS[row].index(digit)] * time)
    return to_mulaw((both * 32767 * 10 ** (level_db / 20) * 0.999).astype(np.int16))


def find(mulaw: bytes) -> tuple[Press, ...]:
    """Every key pressed in this audio, in order. Blips under 40 ms are not keys."""
    presses: list[Press] = []
    digit, first, last = "", 0, 0
    for look, heard in enumerate([*_looks(to_samples(mulaw)), *[""] * (_BRIDGED + 1)]):
        if heard and heard == digit:
            last = look
        elif heard or (digit and look - last > _BRIDGED):
            presses += _press(digit, first, last)
            digit, first, last = heard, look, look
    return tuple(presses)


def separate(mulaw: bytes) -> tuple[bytes, tuple[Press, ...]]:
    """The audio with its tones replaced by silence, and the keys they stood for."""
    presses = find(mulaw)
    clean = bytearray(mulaw)
    for press in presses:
        clean[press.start : press.end] = SILENCE * (press.end - press.start)
    return bytes(clean), presses


def _press(digit: str, first: int, last: int) -> list[Press]:
    if not digit or last - first + 1 < _SHORTEST:
        return []
    # a look that is mostly tone already hears it, so the tone may reach a little beyond the looks
    return [Press(digit, max(0, first * _STEP - _STEP), last * _STEP + _WINDOW + _STEP)]


@functools.cache
def _probes() -> NDArray[np.complex128]:
    """What Goertzel's filter computes, for all eight tones at once: [8, window].

    Scaled so that the square of what it finds of a tone is the tone's power.
    """
    time = np.arange(_WINDOW) / RATE
    window = np.hamming(_WINDOW)
    waves = np.exp(-2j * np.pi * np.outer(np.array(LOW + HIGH), time))
    return np.asarray(waves * window * np.sqrt(2) / window.sum(), np.complex128)


def _looks(samples: NDArray[np.int16]) -> list[str]:
    """The key heard in each look, or ``""``."""
    if len(samples) < _WINDOW:
        return []
    views = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64) / 32768, _WINDOW)[::_STEP]
    power = np.maximum((views**2).mean(axis=1), 10 ** (QUIETEST_DB / 10))
    loud = np.flatnonzero(10 * np.log10(power) > _FAINTEST_DB)
    keys = [""] * len(views)
    if not len(loud):
        return keys
    strengths = np.abs(views[loud] @ _probes().T) ** 2
    rows, columns = strengths[:, :4].argmax(axis=1), strengths[:, 4:].argmax(axis=1)
    each = np.arange(len(loud))
    low, high = strengths[each, rows], strengths[each, columns + 4]
    twist = np.abs(10 * np.log10(np.maximum(low, 1e-12) / np.maximum(high, 1e-12)))
    rest = np.partition(strengths[:, :4], 2)[:, 2] + np.partition(strengths[:, 4:], 2)[:, 2]
    purity = (low + high) / power[loud]
    good = (purity > _PURITY) & (twist < _TWIST_DB) & (rest < (low + high) * 0.3)
    for index in np.flatnonzero(good):
        keys[loud[index]] = KEYS[rows[index]][columns[index]]
    return keys
