"""Model files that come inside installed packages: where they are, and that they are the ones we pinned.

A package that only carries weights is found without being imported, and every file is checked
against its sha256 before it is loaded: an upgrade that swaps or drops the weights is told at start,
not heard on a call.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from callbot.errors import ModelMissing

_verified: set[tuple[str, int, int, str]] = set()
"""Path, size, modification time and digest of files already read once in this process."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A pinned file inside an installed package.

    ``package`` is the import name, ``path`` is relative to the package's folder, ``install`` is what
    to give to pip when the package is absent.
    """

    package: str
    path: str
    sha256: str
    install: str

    def locate(self) -> Path:
        """The file's path, once its digest is right. Raises ``ModelMissing``."""
        file = package_folder(self.package, install=self.install) / self.path
        verify(file, self.sha256, remedy=f"pip install --force-reinstall '{self.install}'")
        return file


def package_folder(package: str, *, install: str) -> Path:
    """The folder of an installed package, which is not imported. Raises ``ModelMissing``."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModelMissing(f"the package {package} is not installed; run: pip install '{install}'")
    return Path(found.submodule_search_locations[0])


def verify(file: Path, sha256: str, *, remedy: str) -> None:
    """Reads ``file`` once per process and compares its digest. Raises ``ModelMissing``."""
    try:
        about = file.stat()
        seen = (str(file), about.st_size, about.st_mtime_ns, sha256)
        if seen in _verified:
            return
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelMissing(f"cannot read the model file {file}: {error.strerror}; {remedy}") from error
    if digest != sha256:
        raise ModelMissing(f"{file} is not the pinned model: sha256 {digest}, expected {sha256}; {remedy}")
    _verified.add(seen)
