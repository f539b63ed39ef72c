"""Audio as a telephone carries it: mu-law (G.711) at 8 kHz, and WAV files turned into it."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from callbot.exchange.errors import SoundError

RATE = 8000
FRAME_MS = 20
FRAME = RATE * FRAME_MS // 1000
"""Bytes of mu-law, and samples, in one frame."""

SILENCE = b"\xff"
QUIET_FRAME = SILENCE * FRAME
QUIETEST_DB = -96.0

_MULAW, _EXTENSIBLE = 7, 0xFFFE
_OPEN_ENDED = (0, 0xFFFFFFFF)
"""Sizes that a writer leaves in the header when it cannot seek back."""


def _mulaw_values() -> NDArray[np.int16]:
    """G.711 table 2: the sample for each of the 256 codes."""
    codes = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitudes = (((codes & 0x0F) << 3) + 0x84) << ((codes & 0x70) >> 4)
    return np.where(codes & 0x80, 0x84 - magnitudes, magnitudes - 0x84).astype(np.int16)


def _mulaw_codes() -> NDArray[np.uint8]:
    """The code for each of the 65,536 samples, by the sample's unsigned value."""
    samples = np.arange(65536, dtype=np.int32).astype(np.uint16).view(np.int16).astype(np.int32)
    magnitudes = np.minimum(np.abs(samples), 32635) + 0x84
    segments = np.floor(np.log2(magnitudes)).astype(np.int32) - 7
    codes = np.where(samples < 0, 0x80, 0) | (segments << 4) | ((magnitudes >> (segments + 3)) & 0x0F)
    return np.asarray(~codes & 0xFF, np.uint8)


def _alaw_values() -> NDArray[np.int16]:
    """G.711 table 1: the sample for each of the 256 codes."""
    codes = np.arange(256, dtype=np.int32) ^ 0x55
    segments = (codes & 0x70) >> 4
    magnitudes = ((codes & 0x0F) << 4) + np.where(segments, 0x108, 8)
    magnitudes <<= np.maximum(segments - 1, 0)
    return np.where(codes & 0x80, magnitudes, -magnitudes).astype(np.int16)


_MULAW_VALUES = _mulaw_values()
_MULAW_CODES = _mulaw_codes()
_ALAW_VALUES = _alaw_values()
_MULAW_SQUARES = (_MULAW_VALUES.astype(np.float64) / 32768) ** 2


def to_samples(mulaw: bytes) -> NDArray[np.int16]:
    return _MULAW_VALUES[np.frombuffer(mulaw, np.uint8)]


def to_mulaw(samples: NDArray[np.int16]) -> bytes:
    return _MULAW_CODES[samples.view(np.uint16)].tobytes()


def floats_to_mulaw(samples: NDArray[np.float32], *, rate: int) -> bytes:
    """Samples within -1..1 at any rate; what is louder is clipped."""
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    return to_mulaw((np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16))


def level_db(mulaw: bytes) -> float:
    """The loudness of some audio: root mean square, in dB below full scale."""
    if not mulaw:
        return QUIETEST_DB
    power = float(_MULAW_SQUARES[np.frombuffer(mulaw, np.uint8)].mean())
    return max(QUIETEST_DB, 10 * math.log10(power)) if power > 0 else QUIETEST_DB


def levels_db(mulaw: bytes, *, step: int) -> NDArray[np.float64]:
    """The loudness of each whole piece of ``step`` samples."""
    whole = len(mulaw) // step
    squares = _MULAW_SQUARES[np.frombuffer(mulaw, np.uint8, whole * step)].reshape(whole, step)
    power = squares.mean(axis=1) if whole else np.zeros(0)
    return np.asarray(np.maximum(QUIETEST_DB, 10 * np.log10(np.maximum(power, 1e-12))), np.float64)


@dataclass(frozen=True, slots=True)
class _Format:
    encoding: int
    channels: int
    rate: int
    bits: int


def read_wav(path: Path) -> bytes:
    """The file as mu-law at 8 kHz, channels mixed; ``SoundError`` names the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SoundError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return decode_wav(data)
    except SoundError as error:
        raise SoundError(f"{path}: {error}") from error


def decode_wav(data: bytes) -> bytes:
    """A WAV file's bytes (mu-law, A-law, PCM or float, any rate) as mu-law at 8 kHz."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise SoundError("not a WAV file; give 8 kHz mu-law or PCM as .wav")
    found: _Format | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt ":
            found = _read_format(data[at : at + size])
        elif name == b"data":
            if found is None:
                raise SoundError("the WAV file has audio before its format")
            body = data[at:] if size in _OPEN_ENDED else data[at : at + size]
            return _decode(body, found)
        at += size + size % 2
    raise SoundError("the WAV file holds no audio")


def _read_format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise SoundError("the WAV file's format is cut short")
    encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if encoding == _EXTENSIBLE and len(chunk) >= 26:
        encoding = int.from_bytes(chunk[24:26], "little")
    if not channels or not rate:
        raise SoundError(f"the WAV file says {channels} channels at {rate} Hz")
    return _Format(encoding, channels, rate, bits)


def _decode(body: bytes, form: _Format) -> bytes:
    if form.encoding == _MULAW and form.channels == 1 and form.rate == RATE:
        return body
    width = form.channels * max(1, form.bits // 8)
    body = body[: len(body) // width * width]
    samples = _to_floats(body, form).reshape(-1, form.channels).mean(axis=1, dtype=np.float32)
    return floats_to_mulaw(samples, rate=form.rate)


def _to_floats(body: bytes, form: _Format) -> NDArray[np.float32]:
    match form.encoding, form.bits:
        case (1, 8):
            return _scaled(np.frombuffer(body, np.uint8).astype(np.int16) - np.int16(128), 2**7)
        case (1, 16):
            return _scaled(np.frombuffer(body, "<i2"), 2**15)
        case (1, 24):
            octets = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int32)
            return _scaled(octets[:, 0] << 8 | octets[:, 1] << 16 | octets[:, 2] << 24, 2**31)
        case (1, 32):
            return _scaled(np.frombuffer(body, "<i4"), 2**31)
        case (3, 32):
            return _scaled(np.frombuffer(body, "<f4"), 1)
        case (7, 8):
            return _scaled(to_samples(body), 2**15)
        case (6, 8):
            return _scaled(_ALAW_VALUES[np.frombuffer(body, np.uint8)], 2**15)
        case _:
            raise SoundError(
                f"WAV encoding {form.encoding} with {form.bits} bits is unknown; save as 16-bit PCM or mu-law"
            )


def _scaled(values: NDArray[Any], full_scale: int) -> NDArray[np.float32]:
    return np.asarray(values, np.float32) * np.float32(1 / full_scale)


def encode_wav(mulaw: bytes) -> bytes:
    """A mu-law WAV file holding this audio."""
    form = struct.pack("<HHIIHHH", _MULAW, 1, RATE, RATE, 1, 8, 0)
    fact = struct.pack("<I", len(mulaw))
    padding = b"\0" * (len(mulaw) % 2)
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body
        for name, body in ((b"fmt ", form), (b"fact", fact), (b"data", mulaw))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) + len(padding)) + b"WAVE" + chunks + padding
