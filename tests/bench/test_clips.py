"""What the callers say: cut from real recordings, on the frames of the wire."""

import base64

import numpy as np
import pytest

from bench.clips import LEAD, TAIL, Clip, clips, cut, line
from callbot.exchange import ear
from callbot.exchange.errors import SoundError
from callbot.exchange.sounds import FRAME, FRAME_MS, SILENCE, level_db, levels_db, to_mulaw


def decoded(frames: tuple[bytes, ...]) -> bytes:
    return b"".join(base64.b64decode(frame) for frame in frames)


@pytest.fixture(scope="module")
def said() -> tuple[Clip, ...]:
    return clips()


def test_there_are_several_different_utterances_of_telephone_length(said: tuple[Clip, ...]):
    assert 3 <= len({clip.name for clip in said}) <= 6
    assert len({clip.text for clip in said}) == len(said)
    assert all(1500 <= clip.speech_ms <= 4000 and clip.text for clip in said)


def test_every_frame_is_twenty_milliseconds(said: tuple[Clip, ...]):
    for clip in said:
        assert {len(base64.b64decode(frame)) for frame in clip.frames} == {FRAME}


def test_the_first_sound_begins_a_frame_and_the_last_is_before_the_end(said: tuple[Clip, ...]):
    for clip in said:
        audio = decoded(clip.frames)
        levels = levels_db(audio, step=8)
        assert levels[: clip.onset * FRAME_MS].max() <= -50
        assert levels[clip.onset * FRAME_MS] > -50
        assert levels[clip.onset * FRAME_MS + clip.speech_ms - 1] > -50
        assert levels[clip.onset * FRAME_MS + clip.speech_ms : clip.end * FRAME_MS].max(initial=-96) <= -50
        assert 0 <= (clip.end - clip.onset) * FRAME_MS - clip.speech_ms < FRAME_MS


def test_no_utterance_has_a_pause_in_which_a_turn_might_end(said: tuple[Clip, ...]):
    for clip in said:
        assert len(ear.speech(decoded(clip.frames))) == 1, clip.name


def test_speech_is_found_to_the_millisecond():
    tone = to_mulaw((8000 * np.sin(np.arange(8 * 333) * 2.0)).astype(np.int16))
    audio = SILENCE * 8 * 407 + tone + SILENCE * 8 * 300
    clip = cut(audio, start_ms=400, end_ms=750)
    assert (clip.onset, clip.end, clip.speech_ms) == (LEAD, LEAD + 17, 333)
    assert decoded(clip.frames) == audio[8 * (407 - LEAD * 20) : 8 * (407 + (17 + TAIL) * 20)]


def test_what_the_recording_lacks_around_speech_is_silence():
    tone = to_mulaw((8000 * np.sin(np.arange(8 * 40) * 2.0)).astype(np.int16))
    clip = cut(tone, start_ms=0, end_ms=40)
    assert decoded(clip.frames) == SILENCE * LEAD * FRAME + tone + SILENCE * TAIL * FRAME


def test_where_nobody_speaks_there_is_no_utterance():
    with pytest.raises(SoundError, match="email: nobody speaks from 100 to 200 ms"):
        cut(SILENCE * 8000, start_ms=100, end_ms=200, name="email")


@pytest.mark.parametrize("dbfs", [-70.0, -60.0, -40.0])
def test_a_line_has_noise_of_the_level_that_was_asked_for(dbfs: float):
    assert level_db(decoded(line(dbfs))) == pytest.approx(dbfs, abs=1.0)


def test_a_line_without_noise_is_silent():
    assert set(decoded(line(None))) == set(SILENCE)


def test_a_seed_makes_the_same_noise_again():
    assert line(-60, seed=4) == line(-60, seed=4) != line(-60, seed=5)
