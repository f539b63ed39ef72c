"""What is kept of an utterance, against the whole of it resampled in one go."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.providers import mulaw
from callbot.providers.stt.utterance_audio import UtteranceAudio

NOISE = mulaw.encode(np.random.default_rng(7).normal(0, 0.1, 100_000).astype(np.float32))
FILTER = 260
"""Samples at 16 kHz over which the resampler's filter reaches."""


def fed(audio: UtteranceAudio, sound: bytes, sizes: Sequence[int]) -> None:
    """In pieces of these sizes, over and over."""
    at = 0
    while at < len(sound):
        for size in sizes:
            audio.feed(sound[at : at + size])
            at += size


SIZES = st.lists(st.integers(1, 4000), min_size=1, max_size=20)


@given(size=st.integers(0, len(NOISE)), sizes=SIZES)
def test_all_that_came_in_is_there_as_if_resampled_in_one_go(size: int, sizes: list[int]):
    audio = UtteranceAudio()
    fed(audio, NOISE[:size], sizes)
    assert audio.end == size
    heard = audio.up_to(size).samples()
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, mulaw.decode(NOISE[:size], rate=16_000), atol=1e-6)


@given(size=st.integers(1000, 20_000), sizes=SIZES, data=st.data())
def test_what_is_forgotten_shifts_nothing_of_what_is_kept(size: int, sizes: list[int], data: st.DataObject):
    audio = UtteranceAudio()
    fed(audio, NOISE[:size], sizes)
    cuts = data.draw(st.lists(st.integers(0, size), min_size=1, max_size=3).map(sorted))
    for cut in cuts:
        audio.forget(cut)
    more = data.draw(st.integers(0, 3000))
    fed(audio, NOISE[size : size + more], sizes)
    assert (audio.begin, audio.end) == (cuts[-1], size + more)
    until = data.draw(st.integers(audio.begin, audio.end))
    heard = audio.up_to(until).samples()
    assert heard.size == 2 * (until - audio.begin)
    whole = mulaw.decode(NOISE[: size + more], rate=16_000)[2 * audio.begin : 2 * until]
    inner = slice(FILTER, max(FILTER, whole.size - FILTER))
    np.testing.assert_allclose(heard[inner], whole[inner], atol=1e-6)


@pytest.mark.parametrize("more", [160, 60_000])
def test_an_excerpt_stays_as_it_is_while_more_comes_in(more: int):
    audio = UtteranceAudio()
    fed(audio, NOISE[:20_000], [160])
    excerpt = audio.up_to(20_000)
    before = excerpt.samples().copy()
    fed(audio, NOISE[-more:], [800])
    audio.forget(10_000)
    fed(audio, NOISE[:more], [800])
    np.testing.assert_array_equal(excerpt.samples(), before)


def test_taking_an_excerpt_copies_only_the_end_that_is_held_back():
    audio = UtteranceAudio()
    fed(audio, NOISE, [160])
    excerpt = audio.up_to(len(NOISE))
    assert np.shares_memory(excerpt.resampled, audio.up_to(50_000).resampled)
    assert excerpt.held_back <= 0.216 * 16_000
    assert len(excerpt.around) <= 0.216 * 8_000 + 401


def test_half_a_minute_in_frames_is_copied_to_a_bigger_room_thrice():
    audio = UtteranceAudio()
    newest, moves = audio.up_to(0).resampled, 0
    for _ in range(1500):
        before = newest
        audio.feed(NOISE[:160])
        newest = audio.up_to(audio.end).resampled
        moves += before.size > 0 and not np.shares_memory(newest, before)
    assert moves == 3
    assert newest.size > 470_000


def test_nothing_is_an_excerpt_as_well():
    audio = UtteranceAudio()
    audio.feed(b"")
    assert audio.up_to(0).samples().size == 0
