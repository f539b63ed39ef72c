"""What the callers of the benchmark say: utterances of recorded callers, and the sound of a line without.

Everything is cut into the 20 ms frames of the wire and encoded once, whoever says it how often.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from callbot.exchange.callers import Speech, read_recording
from callbot.exchange.errors import SoundError
from callbot.exchange.scenario import read_sidecar
from callbot.exchange.sounds import FRAME, FRAME_MS, QUIET_FRAME, RATE, SILENCE, levels_db, to_mulaw

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "audio"

LEAD, TAIL = 3, 5
"""Frames of the recording that are kept before the first sound and after the last."""

_SAID: Final = (
    ("support_bill", 1),
    ("support_bill", 2),
    ("sales_order", 1),
    ("technical_visit", 1),
    ("human", 3),
    ("email", 3),
)
"""Recording, and which of its utterances: 1.5 to 4 s each, without a pause that might end a turn."""

_FAINTEST_DB: Final = -50.0
_MS: Final = RATE // 1000
_LINE_FRAMES: Final = 50


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance. ``frames`` are base64, as on the wire.

    Frame ``onset`` is the first that holds speech, and begins with it; ``end`` is the first that holds
    none after it. ``speech_ms`` is the time from the first sound to the last.
    """

    name: str
    text: str
    frames: tuple[bytes, ...]
    onset: int
    end: int
    speech_ms: int


def clips(folder: Path = FIXTURES) -> tuple[Clip, ...]:
    """The utterances. Raises ``SoundError`` when a recording is missing or is not what it was."""
    return tuple(_clip(folder / f"{name}.wav", number) for name, number in _SAID)


def line(noise_dbfs: float | None, *, seed: int = 0) -> tuple[bytes, ...]:
    """A second of a line on which nobody speaks, in base64 frames: noise of that level, or none at all."""
    if noise_dbfs is None:
        return (base64.b64encode(QUIET_FRAME),) * _LINE_FRAMES
    rms = 32768 * 10 ** (noise_dbfs / 20)
    noise = np.random.default_rng(seed).normal(0, rms, _LINE_FRAMES * FRAME)
    return _encoded(to_mulaw(np.clip(np.round(noise), -32768, 32767).astype(np.int16)))


def cut(audio: bytes, *, start_ms: int, end_ms: int, name: str = "", text: str = "") -> Clip:
    """Cut mu-law so that its first sound begins a frame.

    The first and last sound are looked for a little around ``start_ms`` and ``end_ms``, to the millisecond.
    Raises ``SoundError`` when there is none.
    """
    first = max(0, start_ms - FRAME_MS)
    loud = np.flatnonzero(levels_db(audio[first * _MS : (end_ms + FRAME_MS) * _MS], step=_MS) > _FAINTEST_DB)
    if not loud.size:
        raise SoundError(f"{name or 'the audio'}: nobody speaks from {start_ms} to {end_ms} ms")
    onset_ms, last_ms = first + int(loud[0]), first + int(loud[-1]) + 1
    speech_ms = last_ms - onset_ms
    spoken = -(-speech_ms // FRAME_MS)
    lead = audio[max(0, onset_ms * _MS - LEAD * FRAME) : onset_ms * _MS].rjust(LEAD * FRAME, SILENCE)
    length = (spoken + TAIL) * FRAME
    speech = audio[onset_ms * _MS : onset_ms * _MS + length].ljust(length, SILENCE)
    return Clip(name, text, _encoded(lead + speech), LEAD, LEAD + spoken, speech_ms)


def _clip(path: Path, number: int) -> Clip:
    spoken: Sequence[Speech] = read_recording(path).utterances
    if number > len(spoken):
        raise SoundError(f"{path}: utterance {number} is wanted, but it has {len(spoken)}")
    sidecar = path.with_suffix(".yaml")
    cues = read_sidecar(sidecar).cues if sidecar.is_file() else ()
    speech = spoken[number - 1]
    return cut(
        speech.audio,
        start_ms=speech.words_start_ms,
        end_ms=speech.words_end_ms,
        name=f"{path.stem}.{number}",
        text=cues[number - 1].text if number <= len(cues) else "",
    )


def _encoded(audio: bytes) -> tuple[bytes, ...]:
    return tuple(base64.b64encode(audio[at : at + FRAME]) for at in range(0, len(audio), FRAME))
