"""Whisper through CTranslate2: many languages, and which of them is spoken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import ctranslate2
import numpy as np
import tokenizers
from numpy.typing import NDArray

from callbot.errors import ConfigurationError, ModelMissing
from callbot.providers.stt.log_mel import HOP, SAMPLE_RATE, log_mel

_WINDOW_SECONDS, _WINDOW_FRAMES = 30.0, 3000
_SHORT_PADDING_SECONDS = 6.0
"""The model was trained on windows of 30 s. With 6 s of silence after the speech instead it errs no
more and costs a quarter; with much less it breaks."""
_FULL_WINDOW_AFTER_SECONDS = 22.0
_NEEDS_FULL_WINDOW: Final = frozenset({"ru"})

_TOKENS_PER_SECOND, _TOKENS_AT_LEAST = 9, 16


class WhisperModel:
    """The loaded model, shared by all calls and threads."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, *, threads: int) -> Self:
        """A CTranslate2 model with its ``tokenizer.json``, for so many threads at once.

        Half a second, so not on the event loop. Raises ``ModelMissing``, and ``ConfigurationError`` for a
        model that knows English alone.
        """
        try:
            model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", inter_threads=threads, intra_threads=1
            )
        except (RuntimeError, ValueError) as error:
            raise ModelMissing(f"CTranslate2 cannot load the model in {folder}: {error}") from error
        if not model.is_multilingual:
            raise ConfigurationError(
                f"the Whisper model in {folder} knows English alone, which Moonshine hears; "
                "convert one whose name does not end in .en"
            )
        return cls(model, tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")))

    def check_languages(self, languages: Sequence[str]) -> None:
        """Raises ``ConfigurationError`` for a language that the model does not know."""
        for language in languages:
            if self._tokenizer.token_to_id(f"<|{language}|>") is None:
                raise ConfigurationError(
                    f"the Whisper model knows no language {language!r}; write ISO 639-1 codes such as en, es"
                )

    def transcribe(self, samples: NDArray[np.float32], language: str) -> str:
        """The text of float32 samples at 16 kHz, up to 30 s, spoken in ``language``. Blocking."""
        seconds = samples.size / SAMPLE_RATE
        prompt = [
            self._tokenizer.token_to_id(token)
            for token in ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        ]
        (result,) = self._model.generate(
            _features(samples, self._model.n_mels, full=language in _NEEDS_FULL_WINDOW),
            [prompt],
            beam_size=1,
            max_length=round(seconds * _TOKENS_PER_SECOND) + _TOKENS_AT_LEAST,
        )
        text: str = self._tokenizer.decode(result.sequences_ids[0])
        return text.strip()

    def identify(self, samples: NDArray[np.float32], languages: Sequence[str]) -> Mapping[str, float]:
        """How likely each of ``languages`` is spoken; they add up to 1. Blocking, about 0.2 s."""
        (ranked,) = self._model.detect_language(_features(samples, self._model.n_mels, full=False))
        likely = {token.strip("<|>"): probability for token, probability in ranked}
        wanted = {language: likely.get(language, 0.0) for language in languages}
        total = sum(wanted.values()) or 1.0
        return {language: probability / total for language, probability in wanted.items()}


@dataclass(frozen=True, slots=True)
class WhisperIn:
    """The model for utterances in one language."""

    model: WhisperModel
    language: str

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        return self.model.transcribe(samples, self.language)


def _features(samples: NDArray[np.float32], bands: int, *, full: bool) -> ctranslate2.StorageView:
    seconds = samples.size / SAMPLE_RATE
    if full or seconds > _FULL_WINDOW_AFTER_SECONDS:
        padding = max(0.0, _WINDOW_SECONDS - seconds)
    else:
        padding = _SHORT_PADDING_SECONDS
    padded = np.pad(samples[: _WINDOW_FRAMES * HOP], (0, round(padding * SAMPLE_RATE)))
    return ctranslate2.StorageView.from_array(log_mel(padded, bands=bands)[None, :, :_WINDOW_FRAMES])
