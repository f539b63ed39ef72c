"""Weights read without a runtime are those with which a runtime computes."""

import contextlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnxruntime import InferenceSession

from callbot.errors import ModelMissing
from callbot.media_stream.vad import VoiceActivity, samples_of
from callbot.providers.onnx import single_threaded_session
from callbot.providers.vad.onnx_weights import weights
from callbot.providers.vad.silero import MODEL, SileroDetector
from tests.providers.conftest import Say

pytestmark = pytest.mark.models

RATE = np.array(8000, np.int64)


def test_the_detector_says_what_a_runtime_says_of_the_same_file(say: Say) -> None:
    ours, theirs = SileroDetector.load(), single_threaded_session(str(MODEL.locate()))
    activity = VoiceActivity()
    ours_state = theirs_state = np.zeros((2, 1, 128), np.float32)
    said = say("I would like to know where my order is, please.") + b"\xff" * 8000
    compared = 0
    for at in range(0, len(said), 160):
        for chunk in activity.feed(said[at : at + 160], at / 8000):
            samples = samples_of([chunk])
            probability, ours_state = ours.run(samples, ours_state)
            expected, theirs_state = theirs.run(None, {"input": samples, "state": theirs_state, "sr": RATE})
            np.testing.assert_allclose(probability, expected[:, 0], atol=1e-5)
            np.testing.assert_allclose(ours_state, theirs_state, atol=1e-3)
            compared += 1
    assert compared > 50


@given(st.integers(1, 130), st.integers(0, 2**32 - 1), st.floats(1e-6, 1.0))
def test_whatever_the_batch_and_the_sound(batch: int, seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    samples = (level * rng.uniform(-1, 1, (batch, 288))).astype(np.float32)
    states = rng.normal(0, 0.5, (2, batch, 128)).astype(np.float32)
    probabilities, after = _detector().run(samples, states)
    expected, expected_after = _runtime().run(None, {"input": samples, "state": states, "sr": RATE})
    np.testing.assert_allclose(probabilities, expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(after, expected_after, atol=1e-3)


@cache
def _runtime() -> InferenceSession:
    return single_threaded_session(str(MODEL.locate()))


@cache
def _detector() -> SileroDetector:
    return SileroDetector.load()


@pytest.mark.parametrize("content", [b"\xff" * 40, b"PK\x03\x04 not a model", b"\x3a\x05\x0a\x7f"])
def test_a_file_that_is_no_model_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelMissing):
        SileroDetector(weights(tmp_path / "model.onnx"))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_model_without_weights_or_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.onnx"
    file.write_bytes(content)
    with contextlib.suppress(ModelMissing):
        weights(file)
