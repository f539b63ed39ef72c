from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bench.words import words
from callbot.errors import ModelMissing
from callbot.providers import mulaw
from callbot.providers.stt.moonshine import MoonshineModel, _read_tokens
from tests.providers.conftest import Say

pytestmark = pytest.mark.models
Transcribe = Callable[[bytes], str]


@pytest.mark.parametrize(
    "said",
    [
        "All circuits are busy now.",
        "I would like to order two of them, please.",
        "My internet is down and the light is red.",
        "It's seven, four, two, nine.",
    ],
)
def test_a_sentence_over_the_telephone_is_understood(said: str, say: Say, transcribe: Transcribe):
    assert words(transcribe(say(said))) == words(said)


@pytest.mark.parametrize("said", ["Yes.", "No.", "Okay.", "Hello?", "Three.", "Seven.", "Stop.", "Sales."])
def test_a_single_word_is_understood(said: str, say: Say, transcribe: Transcribe):
    assert words(transcribe(say(said))) == words(said)


def test_threads_share_one_model(moonshine: MoonshineModel, say: Say):
    samples = [mulaw.decode(say(text), rate=16_000) for text in ("Good morning.", "Where is my order?")] * 4
    alone = [moonshine.transcribe(audio) for audio in samples]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(moonshine.transcribe, samples)) == alone


def test_a_vocabulary_is_read_with_long_tokens_and_bytes(tmp_path: Path):
    file = tmp_path / "tokenizer.bin"
    file.write_bytes(b"\x03abc" + b"\x82\x01" + b"x" * 130 + b"\x06<0xE9>" + b"\x00" + b"\x01.")
    assert _read_tokens(file) == [b"abc", b"x" * 130, b"\xe9", b"", b"."]
    file.write_bytes(b"\x01a\x82")
    with pytest.raises(ModelMissing, match="in the middle of a token"):
        _read_tokens(file)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3, 30.0])
def test_any_length_of_noise_ends(seconds: float, moonshine: MoonshineModel):
    noise = np.random.default_rng(1).normal(0, 0.05, round(16_000 * seconds)).astype(np.float32)
    assert len(moonshine.transcribe(noise).split()) <= 6.5 * (seconds + 0.75)
