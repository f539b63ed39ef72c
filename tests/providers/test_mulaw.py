import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.media_stream.audio import RATE
from callbot.providers import mulaw


@given(st.binary(max_size=400))
def test_what_is_decoded_encodes_to_the_same_sound(audio: bytes):
    again = mulaw.decode(mulaw.encode(mulaw.decode(audio)))
    np.testing.assert_allclose(again, mulaw.decode(audio), atol=1e-3, rtol=0.04)


def test_what_is_too_loud_is_clipped_not_wrapped():
    loud = mulaw.decode(mulaw.encode(np.array([-3.0, -1.0, 1.0, 3.0], np.float32)))
    assert (np.sign(loud) == [-1, -1, 1, 1]).all()
    assert (np.abs(loud) > 0.95).all()


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 20_880.0])
def test_a_second_at_any_rate_is_a_second_of_telephone(rate: float):
    tone = np.sin(2 * np.pi * 440 * np.arange(round(rate)) / rate).astype(np.float32) / 2
    audio = mulaw.encode(tone, rate=rate)
    assert len(audio) == pytest.approx(RATE, abs=1)
    spectrum = np.abs(np.fft.rfft(mulaw.decode(audio)))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=1)


def test_nothing_is_nothing_at_any_rate():
    assert mulaw.decode(b"", rate=16_000).size == 0
    assert mulaw.encode(np.zeros(0, np.float32), rate=24_000) == b""
