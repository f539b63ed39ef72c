"""Trims and levels a spoken piece: it begins at once, and is as loud as every other."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FRAME_SECONDS: Final = 0.005
_SILENT_SHARE: Final = 0.01  # of the loudest frame: 40 dB down
_KEEP_BEFORE, _KEEP_AFTER = 0.01, 0.04
_LEVEL: Final = 0.11  # root mean square while speaking: -19 dBFS
_HIGHEST: Final = 0.9


def sounding(samples: NDArray[np.float32], rate: float) -> slice:
    """The samples between the silence before and the silence after, with a little of both."""
    frame = max(1, round(_FRAME_SECONDS * rate))
    levels = _levels(samples, frame)
    if not levels.size or not levels.max():
        return slice(0, 0)
    loud = np.flatnonzero(levels > _SILENT_SHARE * levels.max())
    first = int(loud[0]) * frame - round(_KEEP_BEFORE * rate)
    last = (int(loud[-1]) + 1) * frame + round(_KEEP_AFTER * rate)
    return slice(max(0, first), min(samples.size, last))


def levelled(samples: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """At the common level, and never above full scale."""
    levels = _levels(samples, max(1, round(_FRAME_SECONDS * rate)))
    if not levels.size or not levels.max():
        return samples
    speaking = levels[levels > 0.1 * levels.max()]
    gain = _LEVEL / float(np.sqrt(np.mean(speaking**2)))
    return samples * np.float32(min(gain, _HIGHEST / float(np.abs(samples).max())))


def _levels(samples: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
    whole = samples[: samples.size - samples.size % frame].reshape(-1, frame)
    levels: NDArray[np.float32] = np.sqrt(np.mean(whole**2, axis=1))
    return levels
