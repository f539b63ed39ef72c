import pytest

from callbot.exchange import ear
from callbot.exchange.ear import BargeIn, Response, Segment
from callbot.exchange.sounds import to_mulaw, to_samples
from tests.exchange.voices import at, noisy, quiet, voice

LENGTH = 20_000


def near(milliseconds: int, *, within: int = 20):
    return pytest.approx(milliseconds, abs=within)


def track(*pieces: tuple[int, int]) -> bytes:
    """A voice from each start for so many ms."""
    return at(*((start, voice(length)) for start, length in pieces), length_ms=LENGTH)


def test_speech_is_found_where_it_is():
    assert ear.speech(track((1000, 1500), (5000, 700))) == (Segment(1000, 2500), Segment(5000, 5700))


@pytest.mark.parametrize("noise_db", [-60, -50, -45, -40])
def test_speech_is_found_in_background_noise(noise_db):
    found = ear.speech(noisy(track((1000, 1500), (5000, 700)), noise_db))
    assert [(near(s.start_ms, within=40), near(s.end_ms, within=80)) for s in found] == [
        (1000, 2500),
        (5000, 5700),
    ]


def test_noise_that_is_muted_between_utterances_is_still_noise():
    noise = noisy(track((1000, 1500)), -42)
    muted = quiet(700) + noise[5600:22400] + quiet(LENGTH - 2800)
    (found,) = ear.speech(muted)
    assert (found.start_ms, found.end_ms) == (near(1000), near(2500, within=60))


def test_noise_alone_silence_and_clicks_are_no_speech():
    assert ear.speech(noisy(quiet(5000), -40)) == ()
    assert ear.speech(quiet(5000)) == ()
    assert ear.speech(b"") == ()
    assert ear.speech(track((1000, 30))) == ()


def test_a_response_runs_from_the_callers_end_to_the_bots_first_sound():
    found = ear.measure(track((1000, 1500), (6000, 1000)), track((2800, 2000), (7500, 1000)))
    assert found.responses == (Response(2500, 300), Response(7000, 500))
    assert found.unanswered == ()
    assert found.barge_ins == ()


def test_a_pause_after_which_the_caller_goes_on_is_no_end():
    found = ear.measure(track((1000, 1500), (3500, 1000)), track((4900, 1000)))
    assert found.responses == (Response(4500, 400),)


def test_an_end_while_the_bot_speaks_is_no_end():
    found = ear.measure(track((3000, 400)), track((1000, 5000), (8000, 1000)))
    assert found.responses == ()


def test_what_the_bot_never_answered_is_counted():
    found = ear.measure(track((1000, 1000), (8000, 1000)), track((9500, 500)))
    assert found.unanswered == (2000,)
    assert found.responses == (Response(9000, 500),)


def test_a_barge_in_runs_from_the_callers_onset_to_silence_at_the_ear():
    found = ear.measure(track((3000, 2000)), track((1000, 2240), (5500, 1000)))
    assert found.barge_ins == (BargeIn(3000, 240, 2000),)
    assert found.responses == (Response(5000, 500),)
    assert found.overlap_ms == 240


def test_a_gap_of_less_than_200_ms_at_the_ear_is_not_the_bots_stopping():
    found = ear.measure(track((3000, 2000)), track((1000, 2100), (3250, 750)))
    assert found.barge_ins == (BargeIn(3000, 1000, 2000),)


def test_a_caller_who_breathes_has_barged_in_once():
    found = ear.measure(track((3000, 500), (3800, 500)), track((1000, 4000)))
    assert found.barge_ins == (BargeIn(3000, 2000, 1300),)


def test_the_longest_silence_is_one_in_which_neither_speaks():
    found = ear.measure(track((1000, 1000)), track((500, 1000), (6000, 9000)))
    assert found.longest_silence_ms == 5000
    assert ear.measure(quiet(LENGTH), quiet(LENGTH)).longest_silence_ms == LENGTH


def test_clipping_is_counted_on_each_track():
    loud = (to_samples(voice(1000)).astype(float) * 8).clip(-32768, 32767).astype("int16")
    found = ear.measure(to_mulaw(loud), voice(1000))
    assert found.said_clipped > 0.05
    assert found.heard_clipped == 0.0
