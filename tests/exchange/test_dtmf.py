import pytest

from callbot.exchange import dtmf
from callbot.exchange.sounds import SILENCE, level_db
from tests.exchange.voices import noisy, quiet, voice

KEYS = "123A456B789C*0#D"


def digits(audio: bytes) -> str:
    return "".join(press.digit for press in dtmf.find(audio))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("milliseconds", [40, 65, 300])
def test_each_key_is_found_once_however_long_it_is_held(key, milliseconds):
    for offset in (0, 13, 31):
        audio = SILENCE * (1000 + offset) + dtmf.tone(key, milliseconds=milliseconds) + quiet(100)
        (press,) = dtmf.find(audio)
        assert press.digit == key
        assert press.start <= 1000 + offset + 40
        assert press.end >= 1000 + offset + milliseconds * 8 - 40


@pytest.mark.parametrize("key", KEYS)
def test_a_blip_of_30_ms_is_no_key(key):
    assert digits(quiet(100) + dtmf.tone(key, milliseconds=30) + quiet(100)) == ""


def test_keys_in_a_row_are_told_apart_even_when_equal():
    assert digits(b"".join(dtmf.tone(key, milliseconds=60) + quiet(50) for key in "5550142#")) == "5550142#"


def test_a_gap_of_5_ms_in_a_press_does_not_make_two():
    tone = bytearray(dtmf.tone("7", milliseconds=200))
    tone[800:840] = SILENCE * 40
    assert digits(quiet(50) + bytes(tone) + quiet(50)) == "7"


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_found_15_db_above_noise_and_when_faint(key):
    assert digits(noisy(quiet(100) + dtmf.tone(key, milliseconds=60) + quiet(100), -25.0)) == key
    assert digits(quiet(100) + dtmf.tone(key, milliseconds=60, level_db=-38.0) + quiet(100)) == key


def test_a_voice_is_no_key():
    assert digits(b"".join(voice(700, pitch=pitch) for pitch in range(80, 300, 7))) == ""


def test_noise_and_silence_are_no_keys():
    assert digits(noisy(quiet(5000), -20.0)) == ""
    assert digits(quiet(1000)) == ""
    assert digits(b"\x00" * 100) == ""


def test_separating_leaves_the_speech_and_silences_the_tones():
    speech = voice(500)
    audio = speech + quiet(200) + dtmf.tone("4") + quiet(200) + speech
    clean, presses = dtmf.separate(audio)
    assert [press.digit for press in presses] == ["4"]
    assert len(clean) == len(audio)
    assert clean[:4000] == speech
    assert clean[-4000:] == speech
    assert level_db(clean[4000:-4000]) < -60


def test_there_is_no_tone_for_what_is_no_key():
    for wrong in ("E", "", "12"):
        with pytest.raises(ValueError, match="no key"):
            dtmf.tone(wrong)
