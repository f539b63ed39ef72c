"""The gate saves work and costs no onset: with it, speech is found wherever it is found without."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from callbot.exchange.sounds import read_wav, to_mulaw, to_samples
from callbot.media_stream.audio import SILENCE
from callbot.media_stream.gate import FAINTEST, Gate, loudness
from callbot.media_stream.vad import (
    CHUNK_SECONDS,
    Activity,
    SpeechStarted,
    SpeechStopped,
    VoiceActivity,
    samples_of,
)
from callbot.providers.vad.silero import SileroDetector

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "audio"
HUMAN = Path("/usr/share/asterisk/sounds/en")


def opened(levels: Sequence[float], *, speaking: bool = False) -> list[bool]:
    gate = Gate()
    return [gate.opens(level, speaking=speaking) for level in levels]


def test_silence_shuts_it_and_sound_opens_it_at_once() -> None:
    found = opened([8] * 20 + [500] + [8] * 20)
    assert not any(found[10:20])
    assert found[20]
    assert not any(found[30:])


def test_the_noise_of_a_line_shuts_it_too() -> None:
    noise = random.Random(1)
    found = opened([200 * noise.uniform(0.9, 1.1) for _ in range(600)])
    assert sum(found[300:]) < 10


def test_speech_over_the_noise_of_a_line_opens_it() -> None:
    assert opened([200.0] * 300 + [500.0])[-1]


def test_it_stays_open_while_somebody_speaks_however_softly() -> None:
    assert all(opened([8] * 100, speaking=True))


def test_the_faintest_sound_is_above_the_smallest_step_of_the_code() -> None:
    assert loudness(SILENCE * 256) == 0
    assert loudness(b"\xfe\x7e" * 128) < FAINTEST


class Open:
    """Lets everything through."""

    def opens(self, level: float, *, speaking: bool) -> bool:
        return True


def segments(audio: bytes, detector: SileroDetector, *, gated: bool) -> tuple[list[tuple[float, float]], int]:
    """Beginning and end of what is spoken, and how many chunks the detector was asked about."""
    activity, state = VoiceActivity(), np.zeros((2, 1, 128), np.float32)
    if not gated:
        activity._gate = Open()  # type: ignore[assignment]
    news: list[Activity] = []
    asked = 0
    for at in range(0, len(audio), 160):
        for chunk in activity.feed(audio[at : at + 160], at / 8000):
            probability, state = detector.run(samples_of([chunk]), state)
            news += activity.decide(float(probability[0]), chunk)
            asked += 1
    starts = [one.at for one in news if isinstance(one, SpeechStarted)]
    stops = [one.at for one in news if isinstance(one, SpeechStopped)]
    return list(zip(starts, [*stops, len(audio) / 8000], strict=False)), asked


def compared(audio: bytes, detector: SileroDetector) -> tuple[int, int, float]:
    """How many stretches of speech there are without the gate, how many of their onsets it loses (nothing
    is found within a chunk of it), and the share of the detector's work that is left."""
    free, all_of_it = segments(audio, detector, gated=False)
    gated, asked = segments(audio, detector, gated=True)
    lost = [
        onset
        for onset, _ in free
        if not any(start <= onset + CHUNK_SECONDS + 0.001 and stop > onset for start, stop in gated)
    ]
    return len(free), len(lost), asked / all_of_it


def noisy(audio: bytes, dbfs: float) -> bytes:
    rng = np.random.default_rng(0)
    samples = to_samples(audio) + rng.normal(0, 32768 * 10 ** (dbfs / 20), len(audio))
    return to_mulaw(np.clip(samples, -32768, 32767).astype(np.int16))


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    return SileroDetector.load()


@pytest.mark.parametrize("noise_dbfs", [None, -60.0, -40.0])
def test_no_onset_of_the_recorded_callers_is_lost(detector: SileroDetector, noise_dbfs: float | None) -> None:
    onsets, share = 0, []
    for path in sorted(FIXTURES.glob("*.wav"))[::2]:
        audio = read_wav(path)
        found, lost, asked = compared(audio if noise_dbfs is None else noisy(audio, noise_dbfs), detector)
        assert not lost, path.stem
        onsets += found
        share.append(asked)
    assert onsets > 30
    assert max(share) < 0.9


@pytest.mark.skipif(not HUMAN.is_dir(), reason="Debian's asterisk-core-sounds-en-wav is not installed")
@pytest.mark.parametrize("noise_dbfs", [None, -50.0])
def test_no_onset_of_people_is_lost(detector: SileroDetector, noise_dbfs: float | None) -> None:
    """Sixty recorded prompts, with a pause before each."""
    paths = sorted(HUMAN.glob("*.wav"))[::6][:60]
    audio = b"".join(SILENCE * 10_000 + read_wav(path) for path in paths)
    onsets, lost, asked = compared(audio if noise_dbfs is None else noisy(audio, noise_dbfs), detector)
    assert onsets >= len(paths)
    assert lost == 0
    assert asked < 0.85
