"""Sound from one rate to another, piece by piece."""

from collections.abc import Sequence

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from callbot.media_stream.audio import RATE, Resampler, samples

Samples = NDArray[np.float32]

RATES = [
    (8_000, 16_000),
    (24_000, 8_000),
    (22_050, 8_000),
    (8_000, 44_100),
    (21_120.0, 8_000),  # not a rate of any device
    (11_025, 7_919),  # nor with a divisor in common
]
NOISE = np.random.default_rng(5).normal(0, 0.1, 48_000).astype(np.float32)


def in_pieces(resampler: Resampler, sound: Samples, sizes: Sequence[int]) -> Samples:
    """The last piece is whatever the others leave."""
    ends = np.minimum(np.cumsum(sizes, dtype=int), sound.size)
    pieces = np.split(sound, ends)
    return np.concatenate([*(resampler.feed(piece) for piece in pieces), resampler.finish()])


def tone(hertz: float, rate: float, size: int) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(size) / rate)).astype(np.float32)


@given(
    rates=st.sampled_from(RATES),
    size=st.integers(0, NOISE.size),
    sizes=st.lists(st.integers(0, 3000), max_size=60),
)
def test_however_the_sound_is_cut_the_output_is_that_of_the_whole(
    rates: tuple[float, float], size: int, sizes: list[int]
):
    whole = soxr.resample(NOISE[:size], *rates)
    np.testing.assert_array_equal(in_pieces(Resampler(*rates), NOISE[:size], sizes), whole)


@given(rates=st.sampled_from(RATES), size=st.integers(0, NOISE.size), piece=st.integers(1, 2000))
def test_the_output_lasts_as_long_as_the_input(rates: tuple[float, float], size: int, piece: int):
    sizes = [piece] * (size // piece)
    output = in_pieces(Resampler(*rates), NOISE[:size], sizes)
    assert output.dtype == np.float32
    assert abs(output.size - size * rates[1] / rates[0]) <= 0.5


@given(
    rates=st.sampled_from(RATES),
    share=st.floats(0.02, 0.8),
    piece=st.integers(50, 5000),
)
def test_no_sample_is_shifted_by_more_than_a_thousandth_of_its_length(
    rates: tuple[float, float], share: float, piece: int
):
    from_rate, to_rate = rates
    hertz = share * min(rates) / 2
    size = round(from_rate / 2)
    output = in_pieces(Resampler(*rates), tone(hertz, from_rate, size), [piece] * (size // piece))
    inner = slice(round(0.05 * to_rate), round(0.45 * to_rate))  # away from where the tone begins and ends
    times = np.arange(output.size) / to_rate
    turning = np.exp(-2j * np.pi * hertz * times)[inner] * np.hanning(inner.stop - inner.start)
    phase = np.angle(1j * np.sum(output[inner] * turning))
    assert abs(phase) / (2 * np.pi * hertz) * to_rate < 0.001
    np.testing.assert_allclose(output[inner], tone(hertz, to_rate, output.size)[inner], atol=5e-4)


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("piece", [0.001, 0.02, 0.1])
def test_no_more_is_held_back_than_is_said(rates: tuple[float, float], piece: float):
    resampler, size = Resampler(*rates), round(piece * rates[0])
    fed = due = 0
    most = 0.0
    for _ in range(round(3 / piece)):
        due += resampler.feed(NOISE[:size]).size
        fed += size
        most = max(most, fed / rates[0] - due / rates[1])
    assert 0 < most <= (0.12 if rates == (8_000, 16_000) else 0.16)
    assert due + resampler.finish().size == pytest.approx(fed * rates[1] / rates[0], abs=0.5)


@pytest.mark.parametrize("rates", RATES)
def test_after_the_end_another_sound_begins_as_the_first_one_did(rates: tuple[float, float]):
    resampler = Resampler(*rates)
    first = in_pieces(resampler, NOISE, [700, 20_000])
    np.testing.assert_array_equal(in_pieces(resampler, NOISE, [20_000, 700]), first)


def test_nothing_is_nothing():
    resampler = Resampler(RATE, 16_000)
    assert resampler.feed(samples(b"")).size == 0
    assert resampler.finish().size == 0
