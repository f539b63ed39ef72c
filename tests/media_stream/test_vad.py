import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.media_stream.audio import SILENCE
from callbot.media_stream.vad import (
    CHUNK_SECONDS,
    Activity,
    Smoother,
    SmootherRules,
    SpeechHeld,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    VoiceActivity,
)


def smooth(*probabilities: float, rules: SmootherRules | None = None) -> list[Activity]:
    smoother = Smoother(rules or SmootherRules())
    return [
        activity
        for n, probability in enumerate(probabilities, 1)
        for activity in smoother.decide(probability, n * CHUNK_SECONDS)
    ]


def look(mouth: str, *, quiet: str = "") -> list[tuple[int, bool]]:
    """After how many chunks ``SpeechHeld`` is told, and its ``hum``, of a mouth seen at each of them: ``o``
    open, ``c`` closed, ``-`` too little to tell. The detector hears nothing where ``quiet`` is ``q``."""
    smoother, told = Smoother(SmootherRules()), []
    for n, (seen, hush) in enumerate(zip(mouth, quiet.ljust(len(mouth)), strict=True), 1):
        activities = smoother.decide(
            0.1 if hush == "q" else 0.9,
            n * CHUNK_SECONDS,
            hum=lambda seen=seen: seen == "c",  # type: ignore[misc]
            opened=lambda seen=seen: seen == "o",  # type: ignore[misc]
        )
        told += [(round(a.seconds / CHUNK_SECONDS), a.hum) for a in activities if isinstance(a, SpeechHeld)]
    return told


def test_two_chunks_of_speech_start_it_at_the_onset_of_the_first() -> None:
    assert smooth(0.0, 0.9, 0.9) == [SpeechStarted(CHUNK_SECONDS)]


def test_a_click_of_one_chunk_is_nothing() -> None:
    assert smooth(0.0, 0.9, 0.0, 0.9, 0.0) == []


def test_speech_that_goes_on_is_told_at_its_steps() -> None:
    found = smooth(*[0.9] * 12)
    assert [round(a.seconds, 3) for a in found if isinstance(a, SpeechHeld)] == [0.16, 0.32]


def test_an_open_mouth_is_told_with_the_start_of_speech() -> None:
    smoother = Smoother(SmootherRules())
    assert smoother.decide(0.9, CHUNK_SECONDS, opened=lambda: True) == []
    assert smoother.decide(0.9, 2 * CHUNK_SECONDS, opened=lambda: True) == [
        SpeechStarted(0.0),
        SpeechHeld(2 * CHUNK_SECONDS, 2 * CHUNK_SECONDS, hum=False),
    ]


@pytest.mark.parametrize("chunks", [2, 3, 4, 6, 7, 8, 9])
def test_a_mouth_is_told_when_it_opens_and_has_not_hummed_from_then_on(chunks: int) -> None:
    closed_before = [(5, True)] if chunks > 5 else []
    after = [(n, False) for n in (5, 10) if n > chunks]
    assert look("c" * (chunks - 1) + "o" + "c" * (12 - chunks)) == [*closed_before, (chunks, False), *after]


def test_a_mouth_that_stays_closed_is_told_only_at_its_steps() -> None:
    assert look("c" * 20) == [(5, True), (10, True), (19, True)]


def test_what_is_too_short_to_tell_is_no_news_until_160_ms_when_it_is_no_hum() -> None:
    assert look("-----") == [(5, False)]


def test_nobody_looks_at_a_mouth_that_the_detector_does_not_hear() -> None:
    assert look("ccooccccc", quiet="  qq") == [(5, True)]


def test_the_next_utterance_is_looked_at_afresh() -> None:
    assert look("oo---" + "ccccc", quiet="  qqq") == [(2, False), (5, True)]


def test_speech_stops_after_three_quiet_chunks_less_the_detectors_own_tail() -> None:
    found = smooth(0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1)
    assert found[-1] == SpeechStopped(3 * CHUNK_SECONDS - 0.06)
    assert sum(isinstance(a, SpeechStopped) for a in found) == 1


def test_the_first_quiet_chunk_is_told_with_the_time_at_which_it_will_have_stopped() -> None:
    found = smooth(0.9, 0.9, 0.9, 0.1, 0.1, 0.1)
    at = found[1].at
    assert found[1:] == [SpeechPaused(at), SpeechPaused(at, lasting=True), SpeechStopped(at)]
    assert not any(isinstance(a, SpeechStopped) for a in smooth(0.9, 0.9, 0.9, 0.1))


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_pause_that_was_only_a_dip_is_taken_back_once(chunks: int) -> None:
    found = smooth(*[0.9] * 3, *[0.1] * chunks, 0.9, 0.9, 0.1)
    kinds = [SpeechStarted, *[SpeechPaused] * chunks, SpeechResumed, SpeechPaused]
    assert [type(a) for a in found if not isinstance(a, SpeechHeld)] == kinds
    assert SpeechResumed((4 + chunks) * CHUNK_SECONDS) in found


def test_a_first_sign_that_is_told_with_the_silence_is_not_told() -> None:
    rules = SmootherRules(pause_chunks=SmootherRules().stop_chunks)
    assert not any(isinstance(a, SpeechPaused) for a in smooth(0.9, 0.9, *[0.1] * 3, rules=rules))


def test_a_dip_inside_a_word_does_not_stop_it() -> None:
    assert not any(isinstance(a, SpeechStopped) for a in smooth(0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9))


@given(st.lists(st.floats(0, 1), max_size=300))
def test_starts_and_stops_alternate_and_time_runs_forward(probabilities: list[float]) -> None:
    activities = smooth(*probabilities)
    turns = [a for a in activities if isinstance(a, SpeechStarted | SpeechStopped)]
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
    assert len(got) == len(expected) <= len(audio) // 256
    assert [chunk.audio for chunk in got] == [chunk.audio for chunk in expected]


@given(st.lists(st.floats(0, 1), max_size=300))
def test_every_pause_is_resumed_or_stopped(probabilities: list[float]) -> None:
    paused = None
    for activity in smooth(*probabilities):
        match activity:
            case SpeechPaused(at, lasting):
                assert paused == (SpeechPaused(at) if lasting else None)
                paused = activity
            case SpeechResumed():
                assert paused is not None
                paused = None
            case SpeechStopped(at):
                assert paused == SpeechPaused(at, lasting=True)
                paused = None
            case SpeechStarted() | SpeechHeld():
                assert paused is None


def test_the_midst_of_speech_is_steady_and_its_beginning_and_end_are_not() -> None:
    smoother = Smoother(SmootherRules())
    assert smoother.steady
    steady = []
    for chunk, probability in enumerate([0.9] * 12 + [0.2] * 3):
        smoother.decide(probability, (chunk + 1) * 0.032)
        steady.append(smoother.steady)
    assert steady == [False] * 8 + [True] * 4 + [False] * 2 + [True]


def test_silence_is_steady_once_nothing_more_is_expected_of_the_sound_before() -> None:
    activity = VoiceActivity()
    assert not activity.steady  # the noise of the line is not known yet
    activity.feed(SILENCE * 256 * 4, 0.0)
    assert activity.steady
    assert activity.feed(b"\x20\xa0" * 128, 0.128)
    assert not activity.steady
    for _ in range(5):  # the first holds the end of the sound
        activity.feed(SILENCE * 256, 0.16)
    assert activity.steady
