import struct
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.exchange.errors import SoundError
from callbot.exchange.sounds import (
    decode_wav,
    encode_wav,
    level_db,
    levels_db,
    read_wav,
    to_mulaw,
    to_samples,
)
from tests.exchange.voices import quiet, voice

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop


def wav(
    encoding: int, bits: int, body: bytes, *, rate: int = 8000, channels: int = 1, extra: bytes = b""
) -> bytes:
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", encoding, channels, rate, rate * width, width, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_mulaw_decodes_as_the_standard_says():
    assert to_samples(bytes(range(256))).tobytes() == audioop.ulaw2lin(bytes(range(256)), 2)


def test_mulaw_encodes_to_the_nearest_code():
    samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    error = np.abs(to_samples(to_mulaw(samples)).astype(int) - samples)
    reference = np.frombuffer(audioop.ulaw2lin(audioop.lin2ulaw(samples.tobytes(), 2), 2), np.int16)
    assert error.max() <= np.abs(reference.astype(int) - samples).max()
    assert error.mean() <= np.abs(reference.astype(int) - samples).mean()


@given(st.binary(min_size=1, max_size=400))
def test_a_mulaw_wav_is_read_as_it_was_written(audio):
    assert decode_wav(encode_wav(audio)) == audio


@pytest.mark.parametrize(
    ("encoding", "bits", "dtype", "scale"),
    [(1, 16, "<i2", 32767), (1, 32, "<i4", 2**31 - 1), (3, 32, "<f4", 1), (1, 8, "u1", 127)],
)
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_pcm_of_any_width_and_rate_keeps_its_length_and_level(encoding, bits, dtype, scale, rate):
    time = np.arange(rate) / rate
    wave = 0.3 * np.sin(2 * np.pi * 500 * time) * scale + (128 if bits == 8 else 0)
    audio = decode_wav(wav(encoding, bits, wave.astype(dtype).tobytes(), rate=rate))
    assert abs(len(audio) - 8000) <= 1
    assert level_db(audio) == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=0.3)


def test_24_bit_and_a_law_and_stereo_are_read():
    wave = (0.3 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000) * 32767).astype("<i2")
    expected = decode_wav(wav(1, 16, wave.tobytes()))
    as_24 = b"".join(b"\0" + sample.tobytes() for sample in wave)
    assert decode_wav(wav(1, 24, as_24)) == expected
    assert decode_wav(wav(1, 16, np.repeat(wave, 2).tobytes(), channels=2)) == expected
    a_law = decode_wav(wav(6, 8, audioop.lin2alaw(wave.tobytes(), 2)))
    assert level_db(a_law) == pytest.approx(level_db(expected), abs=0.1)


def test_an_extensible_header_and_an_unfinished_one_are_read():
    audio = voice(100)
    extra = struct.pack("<HHIH", 22, 8, 4, 7) + b"\0" * 14
    assert decode_wav(wav(0xFFFE, 8, audio, extra=extra)) == audio
    unfinished = bytearray(encode_wav(audio))
    at = unfinished.index(b"data") + 4
    unfinished[at : at + 4] = b"\xff\xff\xff\xff"
    assert decode_wav(bytes(unfinished)) == audio


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a WAV"),
        (b"ID3" + b"\0" * 100, "not a WAV"),
        (wav(1, 16, b"")[:12], "no audio"),
        (wav(85, 16, b"\0\0"), "encoding 85"),
        (wav(1, 16, b"\0\0", channels=0), "0 channels"),
        (b"RIFF\0\0\0\0WAVEdata\2\0\0\0ab", "before its format"),
        (b"RIFF\0\0\0\0WAVEfmt \2\0\0\0ab", "cut short"),
    ],
)
def test_what_is_no_wav_file_says_what_it_is(data, why, tmp_path):
    with pytest.raises(SoundError, match=why):
        decode_wav(data)
    path = tmp_path / "caller.wav"
    path.write_bytes(data)
    with pytest.raises(SoundError, match=r"caller\.wav: "):
        read_wav(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SoundError, match=r"gone\.wav: cannot be read"):
        read_wav(tmp_path / "gone.wav")


def test_levels_are_in_db_below_full_scale():
    assert level_db(voice(1000, level_db=-22)) == pytest.approx(-22, abs=0.5)
    assert level_db(quiet(20)) == -96
    assert level_db(b"") == -96
    assert levels_db(quiet(20) + voice(20), step=160).argmax() == 1
    assert len(levels_db(b"", step=80)) == 0
