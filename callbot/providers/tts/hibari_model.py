"""The hibari voice model: text to phonemes, phonemes to a waveform, and when each was spoken."""

import difflib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from callbot.providers.models import ModelFile
from callbot.providers.onnx import single_threaded_session

SAMPLE_RATE: Final = 24_000
_PHONEME_FRAME: Final = 600  # samples: phonemes are timed in steps of 25 ms
_PUNCTUATION: Final = frozenset(';:,.!?—…"“”()')

_PACKAGE, _INSTALL = "hibari", "callbot[local]"
VOICE: Final = ModelFile(
    _PACKAGE,
    "assets/hibari.onnx",
    "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    _INSTALL,
)
UNKNOWN_WORDS: Final = ModelFile(
    _PACKAGE,
    "assets/oov.onnx",
    "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
    _INSTALL,
)

_PHONEME_ENDS: Final = b"/CumSum_output_0"
"""The value inside the pinned graph that holds the frame where each phoneme ends."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """float32 at 24 kHz; of each word of the text the seconds where it begins and ends."""

    samples: NDArray[np.float32]
    words: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class _Sound:
    """What is spoken for one word: model input ids, and how many of them come before punctuation."""

    ids: tuple[int, ...]
    voiced: int


class HibariModel:
    """The loaded model, shared by all calls and voices."""

    def __init__(self, session: Any, voice: Any) -> None:
        self._session = session
        self._voice = voice
        self._spelling = threading.Lock()

    @classmethod
    def load(cls) -> Self:
        """A second and a half, so not on the event loop. Raises ``ModelMissing``."""
        path = VOICE.locate()
        UNKNOWN_WORDS.locate()
        from hibari import Hibari

        voice = Hibari(model=str(path))
        voice.phonemize("Zorblish.")  # loads the dictionary, and the model for words that are not in it
        return cls(single_threaded_session(path.read_bytes() + _with_phoneme_ends()), voice)

    def render(self, text: str, *, pitch: float, speed: float) -> Rendered:
        """A sentence or less. The same arguments give the same samples. Blocking.

        ``pitch`` multiplies the voice's own, ``speed`` its pace.
        """
        words = text.split()
        sounds = self._sounds(text, words)
        ids = [0, *(number for sound in sounds for number in sound.ids), 0]
        if len(ids) == 2:
            return Rendered(np.zeros(0, np.float32), tuple((word, 0.0, 0.0) for word in words))
        from hibari import dsp

        *spectra, pitch_curve, ends = self._session.run(
            None, {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        )
        samples: NDArray[np.float32] = dsp.synth(
            *(spectrum[0] for spectrum in spectra),
            pitch_curve[0] * np.float32(pitch),
            np.random.default_rng(0),
        )
        return Rendered(samples, tuple(_times(words, sounds, ends * (_PHONEME_FRAME / SAMPLE_RATE))))

    def _sounds(self, text: str, words: list[str]) -> list[_Sound]:
        from hibari.g2p.normalize import normalize

        with self._spelling:  # its dictionary and tagger do not say that threads may share them
            written = normalize(text)
            tokens = self._voice.g2p.phonemize_tokens(self._voice.g2p.tokenize(written))
        spoken = [""]
        for token in tokens:
            spoken[-1] += token.phonemes or ""
            if token.whitespace:
                spoken[-1] += " "
                spoken.append("")
        by_word = _shared_out(spoken, written.split(), words)
        return [_sound(self._voice.vocab, phonemes) for phonemes in by_word]


def _with_phoneme_ends() -> bytes:
    """What to append to the model file so that ``_PHONEME_ENDS`` becomes one more output of its graph.

    Serialized protocol buffers that stand one after the other are one message with the fields of
    both, repeated fields joined: here ``ModelProto.graph`` (7) with an ``output`` (12) whose
    ``name`` (1) is that value's.
    """
    message = _PHONEME_ENDS
    for number in (1, 12, 7):
        message = bytes([number << 3 | 2, len(message)]) + message
    return message


def _sound(vocabulary: dict[str, int], phonemes: str) -> _Sound:
    known = [phoneme for phoneme in phonemes if phoneme in vocabulary]
    voiced = len(known)
    while voiced and (known[voiced - 1].isspace() or known[voiced - 1] in _PUNCTUATION):
        voiced -= 1
    return _Sound(tuple(vocabulary[phoneme] for phoneme in known), voiced)


def _shared_out(spoken: list[str], written: list[str], words: list[str]) -> list[str]:
    """Phonemes for each word of the text, where the voice's own spelling out changed their number."""
    if len(spoken) == len(words):
        return spoken
    shared: list[str] = []
    for _, first, last, begin, end in difflib.SequenceMatcher(None, words, written).get_opcodes():
        count, available = last - first, end - begin
        if not count and shared:
            shared[-1] += "".join(spoken[begin:end])
        for nth in range(count):
            some = slice(begin + nth * available // count, begin + (nth + 1) * available // count)
            shared.append("".join(spoken[some]))
    return shared


def _times(
    words: list[str], sounds: list[_Sound], ends: NDArray[np.float64]
) -> Iterator[tuple[str, float, float]]:
    """``ends`` are seconds, one per id; the first id is a pad before the first word."""
    at = 0
    for word, sound in zip(words, sounds, strict=True):
        start, end = float(ends[at]), float(ends[at + sound.voiced])
        yield word, start, end
        at += len(sound.ids)
