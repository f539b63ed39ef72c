"""Made-up audio: something with a voice's spectrum and rhythm, at known places."""

import numpy as np

from callbot.exchange.sounds import RATE, SILENCE, to_mulaw, to_samples


def voice(milliseconds: int, *, level_db: float = -22.0, pitch: float = 130.0) -> bytes:
    """A vowel with a syllable's rise and fall four times a second; loud from the first ms to the last."""
    if not milliseconds:
        return b""
    time = np.arange(RATE * milliseconds // 1000) / RATE
    wave = sum(np.sin(2 * np.pi * pitch * n * time + n) / n for n in range(2, 16))
    wave = wave * (0.8 + 0.2 * np.cos(2 * np.pi * 4 * time))
    wave *= 10 ** (level_db / 20) / np.sqrt((wave**2).mean())
    return to_mulaw((np.clip(wave, -1, 1) * 32767).astype(np.int16))


def quiet(milliseconds: int) -> bytes:
    return SILENCE * (RATE * milliseconds // 1000)


def noisy(track: bytes, level_db: float) -> bytes:
    """The track with white noise added."""
    noise = np.random.default_rng(7).normal(0, 32768 * 10 ** (level_db / 20), len(track))
    return to_mulaw(np.clip(to_samples(track) + noise, -32768, 32767).astype(np.int16))


def at(*pieces: tuple[int, bytes], length_ms: int) -> bytes:
    """A track with these pieces placed at these ms."""
    track = bytearray(quiet(length_ms))
    for start_ms, audio in pieces:
        start = start_ms * RATE // 1000
        track[start : start + len(audio)] = audio
    return bytes(track[: length_ms * RATE // 1000])
