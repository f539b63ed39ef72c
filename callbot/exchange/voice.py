"""The carrier's own voice, for ``<Say>``."""

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from callbot.exchange.sounds import RATE, floats_to_mulaw

Voice = Callable[[str], bytes]
"""Text to mu-law at 8 kHz. It is called in a thread and may take its time."""

_VOICE_RATE = 24_000
_SECONDS_PER_CHARACTER = 0.06


def default_voice() -> Voice:
    """The hibari package's voice when it is installed, else a tone that lasts as long as the words would."""
    return HibariVoice() if importlib.util.find_spec("hibari") else hum


@dataclass(slots=True)
class HibariVoice:
    """Loads with the first sentence, not before."""

    _speaker: Any = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, text: str) -> bytes:
        with self._one_at_a_time:
            if self._speaker is None:
                from hibari import Hibari

                self._speaker = Hibari()
            return floats_to_mulaw(np.asarray(self._speaker(text), np.float32), rate=_VOICE_RATE)


def hum(text: str) -> bytes:
    """A quiet tone in place of words."""
    time = np.arange(int(len(text) * _SECONDS_PER_CHARACTER * RATE)) / RATE
    return floats_to_mulaw((0.05 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), rate=RATE)
