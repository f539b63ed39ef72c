import numpy as np
import pytest

from callbot.providers import mulaw
from callbot.providers.vad.silero import SileroDetector
from tests.providers.conftest import Say

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    return SileroDetector.load()


def chunks(audio: bytes) -> np.ndarray:
    """float32 [n, 288]: each with the end of the one before."""
    samples = np.pad(mulaw.decode(audio), (32, 0))
    return np.lib.stride_tricks.sliding_window_view(samples, 288)[::256]


def probabilities(detector: SileroDetector, audio: bytes) -> np.ndarray:
    state = np.zeros((2, 1, 128), np.float32)
    found = []
    for chunk in chunks(audio):
        probability, state = detector.run(chunk[None], state)
        found.append(probability[0])
    return np.array(found)


def test_speech_is_told_from_silence_and_noise(detector: SileroDetector, say: Say):
    noise = mulaw.encode(np.random.default_rng(3).normal(0, 0.01, 16_000).astype(np.float32))
    speech = say("I would like to know where my order is.")
    assert probabilities(detector, b"\xff" * 16_000).max() < 0.2
    assert probabilities(detector, noise).max() < 0.5
    assert np.mean(probabilities(detector, speech[2000:-2000]) > 0.5) > 0.8


def test_calls_in_one_batch_do_not_touch_each_other(detector: SileroDetector, say: Say):
    audio = [say(text) for text in ("Good morning to you.", "Nobody else is here, you know.")]
    rows = [chunks(one)[:30] for one in audio]
    states = np.zeros((2, 2, 128), np.float32)
    together = []
    for pair in zip(*rows, strict=True):
        found, states = detector.run(np.stack(pair), states)
        assert found.shape == (2,)
        assert states.shape == (2, 2, 128)
        together.append(found)
    alone = np.stack([probabilities(detector, one)[:30] for one in audio], axis=1)
    np.testing.assert_allclose(np.array(together), alone, atol=1e-4)
