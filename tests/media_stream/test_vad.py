import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callbot.media_stream.vad import (
    CHUNK_SECONDS,
    Activity,
    Smoother,
    SmootherRules,
    SpeechHeld,
    SpeechStarted,
    SpeechStopped,
    VoiceActivity,
)


def smooth(*probabilities: float) -> list[Activity]:
    smoother = Smoother(SmootherRules())
    return [
        activity
        for n, probability in enumerate(probabilities, 1)
        for activity in smoother.decide(probability, n * CHUNK_SECONDS)
    ]


def test_two_chunks_of_speech_start_it_at_the_onset_of_the_first() -> None:
    assert smooth(0.0, 0.9, 0.9) == [SpeechStarted(CHUNK_SECONDS)]


def test_a_click_of_one_chunk_is_nothing() -> None:
    assert smooth(0.0, 0.9, 0.0, 0.9, 0.0) == []


def test_speech_that_goes_on_is_told_at_its_steps() -> None:
    found = smooth(*[0.9] * 12)
    assert [round(a.seconds, 3) for a in found if isinstance(a, SpeechHeld)] == [0.16, 0.32]


def test_speech_stops_after_three_quiet_chunks_less_the_detectors_own_tail() -> None:
    found = smooth(0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1)
    assert found[-1] == SpeechStopped(3 * CHUNK_SECONDS - 0.06)
    assert sum(isinstance(a, SpeechStopped) for a in found) == 1


def test_a_dip_inside_a_word_does_not_stop_it() -> None:
    assert not any(isinstance(a, SpeechStopped) for a in smooth(0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9))


@given(st.lists(st.floats(0, 1), max_size=300))
def test_starts_and_stops_alternate_and_time_runs_forward(probabilities: list[float]) -> None:
    activities = smooth(*probabilities)
    turns = [a for a in activities if not isinstance(a, SpeechHeld)]
    assert all(isinstance(a, SpeechStarted if i % 2 == 0 else SpeechStopped) for i, a in enumerate(turns))
    assert [a.at for a in turns] == sorted(a.at for a in turns)


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_any_frame_size_gives_the_same_chunks(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    audio = rng.integers(0, 256, sum(sizes), dtype=np.uint8).tobytes()
    whole, cut = VoiceActivity(), VoiceActivity()
    expected = whole.feed(audio, 0.0)
    got, at = [], 0
    for size in sizes:
        got += cut.feed(audio[at : at + size], at / 8000)
        at += size
    assert len(got) == len(expected) == len(audio) // 256
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)
