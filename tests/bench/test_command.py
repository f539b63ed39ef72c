"""``callbot bench``: the commands are there, and pass their options on."""

import importlib.util
import json
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from callbot.cli import main

Command = Callable[..., int]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run ``callbot bench``; its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["callbot", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run


def test_its_help_names_every_benchmark(bench: Command, capsys: pytest.CaptureFixture[str]):
    assert bench("--help") == 0
    told = capsys.readouterr().out
    for name in ("capacity", "latency", "frame", "compare"):
        assert f"│ {name} " in told


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("capacity", ["--calls", "--up-to", "--hold", "--workers", "--json", "--chart", "--short"]),
        ("latency", ["--json", "CALLER.wav"]),
        ("compare", ["--system", "--hold", "--json"]),
    ],
)
def test_help_of_a_benchmark_names_its_own_options(
    bench: Command, capsys: pytest.CaptureFixture[str], command: str, options: list[str]
):
    assert bench(command, "--help") == 0
    told = capsys.readouterr().out
    assert all(option in told for option in options)


def test_what_a_benchmark_refuses_is_refused(bench: Command, capsys: pytest.CaptureFixture[str]):
    assert bench("capacity", "--hold", "0") == 2
    assert "hold_seconds: must be above 0" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["capacity", "latency", "compare"])
def test_without_psutil_it_says_what_to_install(
    bench: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
):
    find = importlib.util.find_spec

    def without_psutil(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "psutil" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_psutil)
    assert bench(command) == 2
    told = capsys.readouterr().err
    assert "pip install 'callbot[bench]'" in told
    assert "Traceback" not in told


@pytest.mark.models
def test_frame_is_measured_in_a_process_of_its_own(bench: Command, tmp_path: Path):
    result = tmp_path / "frame.json"
    assert bench("frame", "--json", str(result)) == 0
    assert all(step["microseconds"] > 0 for step in json.loads(result.read_text()))
