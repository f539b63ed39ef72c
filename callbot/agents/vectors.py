"""Sentences embedded once and kept on disk: a business's examples do not change between starts."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from callbot.providers.ports import Embedder


class KeptVectors:
    """An ``Embedder`` that asks another one only for what it has not embedded before. For texts of the
    business, which are few; not for what callers say, which would grow and be written down.

    ``model`` names the other one: vectors of different models never mix. A file that cannot be read is
    made again. ``save`` writes what is new.
    """

    def __init__(self, embedder: Embedder, file: Path, *, model: str) -> None:
        self._embedder = embedder
        self._file = file
        self._model = model
        self._kept = _read(file)
        self._changed = False

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        """As ``Embedder.embed``."""
        keys = [self._key(text, query=query) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._kept}
        if new:
            vectors = self._embedder.embed(list(new.values()), query=query)
            self._kept.update(zip(new, vectors, strict=True))
            self._changed = True
        return np.stack([self._kept[key] for key in keys])

    def save(self) -> None:
        """Write the file if there is anything new; another process reads the old one or the new one."""
        if not self._changed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_name(f"{self._file.name}.{os.getpid()}.part")
        with written.open("wb") as stream:
            np.savez(stream, keys=np.array(list(self._kept)), vectors=np.stack(list(self._kept.values())))
        written.replace(self._file)
        self._changed = False

    def _key(self, text: str, *, query: bool) -> str:
        return hashlib.sha256(f"{self._model}\0{query}\0{text}".encode()).hexdigest()


def _read(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            return dict(zip(map(str, kept["keys"]), kept["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}
