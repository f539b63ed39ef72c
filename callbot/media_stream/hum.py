"""Is this the sound of a closed mouth ("mhm", "mm", "hmm")? Tells from 64 ms after its onset on.

A caller who hums agrees and listens on; one who says "wait" wants the floor. Words come too late to tell
them apart, so this looks at the sound. With the lips shut the voice leaves by the nose: next to nothing
is left above 800 Hz, the first resonance is low, and the spectrum stands still while the loudness moves.
Speech opens the mouth within a syllable, and any of the three gives it away. There are two questions, as
a beginning that is still closed may be that of "no": ``is_open`` is asked first, and is only sure of speech;
``is_hum`` is asked after 160 ms, when a mouth that has stayed closed is a hum.

Measured as it is used: all sound through mu-law, with the hiss of an idle line (-66 dBFS) and of a bad one
(-46 to -54); Silero finds the onset; ``is_open`` at each 32 ms from 64 to 288, ``is_hum`` at 160 and 320.
Speech: 2058 beginnings, of 534 recorded prompts (one woman), 51 phrases read by others, 69 utterances of
our recorded callers, and 108 words and short phrases ("wait", "no", "hang on", "I") by each of 13 synthetic
voices, six of them made of the others. Hums: 767, at three levels each. None of the voices can hum and no
recording of hums was at hand, so the nasal murmurs that begin or end words, by the same woman and the same
voices, were taken as they were spoken and continued at a gliding pitch to "mm", "mm-hmm", "mhm" and "hmm"
(those that were not nasal at all left out). The times are from the first 10 ms above -46 dBFS to the end of
the 20 ms frame that tells. They hold the detector's own lag, from that onset to the end of its first chunk:
28 ms at the median, 90 at the 95th percentile, most of it before "h", "s" and "c".

                               told after, ms      within    hums that stop us     "wait", "stop",
                            p50   p75   p90   p95  150 ms    all   the woman's     "no", "actually"
    looks at 160 and 320    165   180   219   299    18 %    27 %    27 %          157 170 167 178
    at 96 as well           108   147   178   307    77 %    17 %    21 %
    at 64 and 96            85    127   166   289    82 %    19 %    22 %
    at 64, 96, 128          85    117   158   259    88 %    19 %    22 %
    at all                  85    117   158   192    88 %    21 %    24 %           78  75 113  80

The first line is with limits of -15 dB, -5 dB and 28 Hz, the others with those below.
Of speech 63 % is told at 64 ms, 81 % by 96 and 90 % by 128; what comes later begins closed, as "no", or is
heard late. 0.5 % is never found open (1.0 %), and of hums 9 % stop us at 64 ms. One triple of limits serves
all looks. Chosen on one half of the voices and recordings, it gave on the other 87 % within 150 ms and 19 %
of hums (25 % before), and the other way round 88 % and 22 % (29 %). Noise, clicks, knocks, breath, tones and
the room of ``noise.wav``, a minute each, cleared nothing before and clear nothing now.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FRAME: Final = 160
_STEP: Final = 80
_BIN_HZ: Final = 8000 // _FRAME
_WINDOW: Final = np.hanning(_FRAME).astype(np.float32)

_LOW: Final = slice(100 // _BIN_HZ, 450 // _BIN_HZ)
_MIDDLE: Final = slice(450 // _BIN_HZ, 800 // _BIN_HZ)
_CLOSED: Final = slice(0, 800 // _BIN_HZ + 1)
_OPEN: Final = slice(800 // _BIN_HZ + 1, None)
_VOICE: Final = slice(150 // _BIN_HZ, 3200 // _BIN_HZ)
_VOICE_HZ: Final = np.arange(_VOICE.start, _VOICE.stop, dtype=np.float32) * _BIN_HZ

_FAINTEST: Final = 1e-3
"""Power of a frame's spectrum below which nothing is heard (about -60 dBFS)."""

_SOUNDING: Final = 0.1
_MOST_OPEN: Final = 10 ** (-14 / 10)
_MOST_MIDDLE: Final = 10 ** (-3 / 10)
_STEADY_HZ: Final = 34.0
"""A hum's glide moves the spectrum's centre as well: in 96 ms by 10 Hz at the median, rarely by over 30."""
_LEAST_SOUNDING: Final = 0.36
_FEWEST_SOUNDING: Final = 3
_SHORTEST: Final = 6 * _FRAME

Spectra = NDArray[np.float32]


def is_hum(samples: NDArray[np.float32]) -> bool:
    """Whether the last 120 to 200 ms, float32 at 8 kHz within -1..1, are a hum. Shorter is never one,
    nor is what was silent for most of it."""
    if len(samples) < _SHORTEST:
        return False
    power, sounding = _spectra(samples)
    return len(sounding) >= _LEAST_SOUNDING * len(power) and _is_closed(sounding)


def is_open(samples: NDArray[np.float32]) -> bool:
    """Whether the last 120 to 200 ms, as for ``is_hum``, hold sound of an open mouth. The sound may have
    begun in the midst of them, 40 ms before the end or earlier; less is never open."""
    if len(samples) < _SHORTEST:
        return False
    _, sounding = _spectra(samples)
    return len(sounding) >= _FEWEST_SOUNDING and not _is_closed(sounding)


def _spectra(samples: NDArray[np.float32]) -> tuple[Spectra, Spectra]:
    """The power of each 20 ms, one begun every 10 ms; and those of them in which something is heard."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_STEP] * _WINDOW
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    loudness = power.sum(axis=1)
    return power, power[loudness > max(_FAINTEST, _SOUNDING * float(loudness.max()))]


def _is_closed(power: Spectra) -> bool:
    return _stays_closed(power) and _resonates_low(power) and _stands_still(power)


def _stays_closed(power: Spectra) -> bool:
    """Little above 800 Hz in nine of ten frames."""
    openness = np.sort(power[:, _OPEN].sum(axis=1) / power[:, _CLOSED].sum(axis=1))
    return bool(openness[int(0.9 * (len(openness) - 1))] < _MOST_OPEN)


def _resonates_low(power: Spectra) -> bool:
    """No vowel's first formant between 450 and 800 Hz."""
    return bool(power[:, _MIDDLE].sum() < _MOST_MIDDLE * power[:, _LOW].sum())


def _stands_still(power: Spectra) -> bool:
    """The spectrum's centre hardly moves."""
    voice = power[:, _VOICE]
    return bool((voice @ _VOICE_HZ / voice.sum(axis=1)).std() < _STEADY_HZ)
