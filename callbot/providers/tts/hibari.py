"""The English voice, and others made of it by moving its pitch and the size of its throat."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import numpy as np

from callbot.media_stream.audio import RATE
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech, WordTime
from callbot.providers.registry import Models
from callbot.providers.tts.hibari_model import SAMPLE_RATE, HibariModel
from callbot.providers.tts.loud import levelled, sounding
from callbot.providers.tts.pieces import Piece, pieces


@dataclass(frozen=True, slots=True)
class Character:
    """How a voice differs from the model's own. All are factors.

    ``pitch`` is what is heard in the end; ``resonance`` moves the formants: below 1 is a longer
    throat.
    """

    pitch: float = 1.0
    resonance: float = 1.0
    speed: float = 1.0


CHARACTERS: Final = {
    "hibari": Character(),
    "hibari-low": Character(pitch=0.62, resonance=0.88, speed=0.97),
    "hibari-bright": Character(pitch=1.12, resonance=1.07, speed=1.04),
}


class HibariVoice:
    """A ``TextToSpeech`` whose words' times come from the model itself."""

    language = "en"

    def __init__(self, name: str, model: HibariModel, pool: InferencePool) -> None:
        self.name = name
        self._character = CHARACTERS[name]
        self._model = model
        self._pool = pool

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        for piece in pieces(text):
            job = self._pool.submit(lambda piece=piece: self._render(piece), urgent=True)  # type: ignore[misc]
            yield await asyncio.wrap_future(job)

    def _render(self, piece: Piece) -> Speech:
        """Resampled in one go, as a piece is a sound of its own: rendered apart from the others, trimmed
        and levelled as a whole, silent where it begins and ends. One resampler for a whole text would
        hold back the last tenth of a second of each piece and hand it out with the next, and the words'
        times would no longer be those of the audio they come with.
        """
        character = self._character
        rendered = self._model.render(
            piece.text,
            pitch=character.pitch / character.resonance,
            speed=character.speed / character.resonance,
        )
        # Played at another rate than it was made for, a voice changes its formants, pitch and pace
        # alike; the model was told to make up for the last two.
        rate = SAMPLE_RATE * character.resonance
        part = sounding(rendered.samples, rate)
        audio = mulaw.encode(levelled(rendered.samples[part], rate), rate=rate)
        audio += mulaw.encode(np.zeros(round(piece.pause * RATE), np.float32))
        before, seconds = part.start / rate, len(audio) / RATE

        def shifted(moment: float) -> float:
            return float(min(max(0.0, moment / character.resonance - before), seconds))

        words = (WordTime(word, shifted(start), shifted(end)) for word, start, end in rendered.words)
        return Speech(piece.text, audio, tuple(words))


def voice(name: str, models: Models) -> HibariVoice:
    """For the registry."""
    return HibariVoice(name, models.once("hibari", HibariModel.load), models.pool)
