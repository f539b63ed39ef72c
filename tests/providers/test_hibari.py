from collections.abc import Callable

import numpy as np
import pytest

from bench.words import words
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.tts.hibari import CHARACTERS, HibariVoice
from callbot.providers.tts.hibari_model import HibariModel

pytestmark = pytest.mark.models
SENTENCE = "Please unplug the router, wait a moment, and then plug it in again."


def pitch(samples: np.ndarray) -> float:
    """Of the voiced 40 ms at 8 kHz, the median of the shortest period at which each is like itself."""
    found = []
    for frame in np.lib.stride_tricks.sliding_window_view(samples, 320)[::160]:
        likeness = np.correlate(frame, frame, "full")[319:] / np.arange(320, 0, -1)
        if likeness[0] < 0.05**2:
            continue
        periods = likeness[20:107] / likeness[0]  # 400 to 75 Hz
        peaks = np.flatnonzero((periods[1:-1] >= periods[:-2]) & (periods[1:-1] >= periods[2:])) + 1
        strong = peaks[periods[peaks] > max(0.6, 0.9 * periods.max())]
        if strong.size:
            found.append(8000 / (20 + int(strong[0])))
    return float(np.median(found))


@pytest.mark.parametrize("name", CHARACTERS)
async def test_cutting_at_the_end_of_a_word_cuts_after_that_word(
    name: str, hibari: HibariModel, pool: InferencePool, transcribe: Callable[[bytes], str]
):
    (piece,) = [speech async for speech in HibariVoice(name, hibari, pool).speak(SENTENCE)]
    near = 0
    cuts = range(3, len(piece.words), 2)
    for last in cuts:
        heard = words(transcribe(piece.audio[: round(piece.words[last].end * 8000)]))
        near += abs(len(heard) - (last + 1)) <= 1
    assert near >= 0.9 * len(cuts)


async def test_the_voices_sound_different(hibari: HibariModel, pool: InferencePool):
    heard = {}
    for name in CHARACTERS:
        (piece,) = [speech async for speech in HibariVoice(name, hibari, pool).speak(SENTENCE)]
        heard[name] = pitch(mulaw.decode(piece.audio))
    assert heard["hibari-low"] < 0.75 * heard["hibari"]
    assert heard["hibari-bright"] > 1.05 * heard["hibari"]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith lives at 42 Main St. since 1999.",
        "It costs $62.50, or 3.5% less.",
        "— well —",
        "Call 555-0142 between 9:30 and 10 a.m.",
        "zorblish-frumious (unheard of) words…",
        "A B C",
    ],
)
def test_every_written_word_has_its_time_whatever_is_spoken_for_it(text: str, hibari: HibariModel):
    rendered = hibari.render(text, pitch=1, speed=1)
    assert [word for word, _, _ in rendered.words] == text.split()
    moments = [moment for _, *moment in rendered.words]
    assert moments == sorted(moments)
    assert moments[-1][1] <= rendered.samples.size / 24_000


def test_a_number_of_many_words_takes_its_time(hibari: HibariModel):
    rendered = hibari.render("It costs 1299 dollars today.", pitch=1, speed=1)
    lasts = {word: end - start for word, start, end in rendered.words}
    assert lasts["1299"] > 2 * lasts["costs"]


def test_speed_shortens(hibari: HibariModel):
    slow, fast = (hibari.render(SENTENCE, pitch=1, speed=speed).samples.size for speed in (0.8, 1.25))
    assert fast < 0.8 * slow


def test_what_cannot_be_spoken_is_silent(hibari: HibariModel):
    rendered = hibari.render("日本", pitch=1, speed=1)
    assert rendered.words[0][0] == "日本"
