import os
from pathlib import Path

import numpy as np
import pytest

from bench.words import errors, words
from callbot.errors import ConfigurationError, ModelMissing
from callbot.exchange.sounds import read_wav
from callbot.providers import mulaw
from callbot.providers.registry import Models, hearing
from callbot.providers.stt.log_mel import log_mel
from callbot.providers.stt.whisper import WhisperModel
from callbot.providers.stt.whisper_files import check_folder, joined_in
from tests.providers.conftest import Say

pytestmark = pytest.mark.models
SPANISH = Path(__file__).parents[2] / "fixtures" / "audio" / "spanish.wav"


@pytest.fixture(scope="module")
def folder(model_cache: Path) -> Path:
    return joined_in(model_cache)


@pytest.fixture(scope="module")
def model(folder: Path) -> WhisperModel:
    return WhisperModel.load(folder, threads=2)


@pytest.fixture(scope="module")
def spanish() -> np.ndarray:
    """¿Me puede llamar un compañero?, at 16 kHz."""
    return mulaw.decode(read_wav(SPANISH), rate=16_000)


SHORT = "The light on the router is green. "
LONG = """I bought a router from you three weeks ago, and at first it worked very well. Since last Monday it
    loses the connection every evening. I have already unplugged it, waited for ten seconds, and plugged
    it in again. I have also checked the cable at the back, and it is not loose. My neighbour has the
    same router, and hers is fine. I work from home, so I need it in the evening. Could you please send
    a technician to my house on Friday morning, or tell me what else I should try?"""


@pytest.mark.parametrize("said", [SHORT, LONG], ids=["short", "long"])
def test_speech_is_understood_with_short_padding_and_in_the_full_window(
    model: WhisperModel, say: Say, said: str
):
    samples = mulaw.decode(say(said), rate=16_000)
    assert (samples.size > 22 * 16_000) == (said is LONG)
    assert samples.size < 30 * 16_000
    heard = words(model.transcribe(samples, "en"))
    assert errors(words(said), heard) <= len(words(said)) * 0.1


def test_a_language_that_needs_the_full_window_gets_it(model: WhisperModel):
    assert model.transcribe(np.zeros(16_000, np.float32), "ru") is not None


def test_the_language_is_identified_among_those_allowed(model: WhisperModel, say: Say, spanish: np.ndarray):
    english = mulaw.decode(say("Hello, I have a question about my last bill."), rate=16_000)
    for samples, language in ((english, "en"), (spanish[: 5 * 16_000], "es")):
        likely = model.identify(samples, ["fr", "en", "es"])
        assert set(likely) == {"fr", "en", "es"}
        assert sum(likely.values()) == pytest.approx(1)
        assert likely[language] > 0.8


def test_a_language_nobody_speaks_is_refused(model: WhisperModel):
    model.check_languages(["en", "es", "ru"])
    with pytest.raises(ConfigurationError, match=r"'xx'.*ISO 639-1"):
        model.check_languages(["en", "xx"])


def test_one_tone_lights_one_band():
    times = np.arange(16_000) / 16_000
    mel = log_mel(np.sin(2 * np.pi * 1000 * times).astype(np.float32), bands=80)
    assert mel.shape == (80, 100)
    assert mel.dtype == np.float32
    loudest = set(mel[:, 10:90].argmax(axis=0))
    assert loudest <= {25, 26}  # 1 kHz is mel 15 of 45.2, which is band 26 of 80
    assert mel.max() - mel.min() == pytest.approx(2)  # eighty decibels, scaled


@pytest.mark.parametrize("samples", [0, 100, 160, 199, 400])
def test_a_spectrogram_of_almost_nothing_has_a_frame_per_ten_milliseconds(samples: int):
    assert log_mel(np.zeros(samples, np.float32), bands=80).shape == (80, samples // 160)


def test_joining_again_uses_what_is_there(folder: Path, model_cache: Path):
    before = (folder / "model.bin").stat().st_mtime_ns
    assert joined_in(model_cache) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == before
    assert not list(folder.glob("*.part"))


def test_a_joined_model_that_was_damaged_is_refused(folder: Path, tmp_path: Path):
    copy = tmp_path / folder.name
    copy.mkdir()
    for file in folder.iterdir():
        os.link(file, copy / file.name)
    (copy / "model.bin").unlink()
    (copy / "model.bin").write_bytes(b"half")
    with pytest.raises(ModelMissing, match=f"not the pinned model.*remove {copy}"):
        joined_in(tmp_path)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelMissing, match="cannot write the joined model"):
        joined_in(tmp_path / "file")


def test_a_folder_of_the_users_own_is_used(models: Models, folder: Path, tmp_path: Path):
    own = Models(models.pool, cache=tmp_path, whisper=folder)
    hearing("whisper", own)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_model_is_told_with_what_is_absent(folder: Path, tmp_path: Path):
    assert check_folder(folder) == folder
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError) as refused:
        check_folder(tmp_path)
    assert str(refused.value).startswith(
        f"CALLBOT_WHISPER={tmp_path} is no Whisper model for CTranslate2: "
        "there is no model.bin, no tokenizer.json, no vocabulary.json or vocabulary.txt. Make one with: ct2-"
    )


def test_a_model_that_ctranslate2_cannot_read_is_told(folder: Path, tmp_path: Path):
    for name in ("config.json", "tokenizer.json", "model.bin", "vocabulary.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelMissing, match="CTranslate2 cannot load"):
        WhisperModel.load(check_folder(tmp_path), threads=1)


def test_a_model_that_knows_english_alone_is_refused(folder: Path, tmp_path: Path):
    for name in ("config.json", "tokenizer.json", "model.bin"):
        os.link(folder / name, tmp_path / name)
    words = (folder / "vocabulary.txt").read_text().split("\n")
    (tmp_path / "vocabulary.txt").write_text("\n".join(words[:20_000]))  # and no token for any language
    with pytest.raises(ConfigurationError, match="knows English alone"):
        WhisperModel.load(check_folder(tmp_path), threads=1)
