"""Commands are run as an operator would: in a folder of their own, and with no settings but those given."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from callbot.cli import main
from callbot.config import names

Command = Callable[..., int]

COMPANY = Path(__file__).parent / "company"


@pytest.fixture(autouse=True)
def _an_operator_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*names(), "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def company(vectors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that loads in a second: whatever is said to it, it hears the question for the hours."""
    monkeypatch.setenv("CALLBOT_COMPANY", str(COMPANY))
    monkeypatch.setenv("CALLBOT_STT", "fake:What are your hours?")


@pytest.fixture
def vectors(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """The examples' vectors, from one run of the tests to the next."""
    kept = Path(request.config.cache.mkdir("cli")) / "vectors.npz"
    vectors = tmp_path / "calls" / "cache" / kept.name
    vectors.parent.mkdir(parents=True)
    if kept.is_file():
        shutil.copy(kept, vectors)
    yield
    if vectors.is_file():
        shutil.copy(vectors, kept)


@pytest.fixture
def callbot(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process; its exit code."""

    def run(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["callbot", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run
