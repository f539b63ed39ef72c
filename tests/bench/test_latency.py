"""The latency benchmark: how it is told, and a real call on stand-ins."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import pytest
import structlog
from rich.console import Console
from rich.table import Table

from bench import latency
from bench.breakdown import Parts, Response
from bench.latency import CALLERS, COMPARED, SLOW_WORDS, Latency, comparison, main, stack, stand_ins, table
from bench.server import rules
from bench.standins import Latencies
from callbot.config import names

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"


def shown(one: Table) -> list[str]:
    console = Console(file=StringIO(), width=80)
    console.print(one)
    assert isinstance(console.file, StringIO)
    return [text.rstrip() for text in console.file.getvalue().splitlines()]


def bar(lines: list[str], part: str) -> tuple[int, int]:
    """Where a part's bar begins and ends."""
    (found,) = [text for text in lines if text.strip().startswith(part)]
    drawn = [column for column, letter in enumerate(found) if letter in "█▉▊▋▌▍▎▏▐▕"]
    return min(drawn), max(drawn)


def response(*parts: float, okay_at: float | None = None, finished: bool = True) -> Response:
    """One whose answer was sent when it was ready, and heard 0.1 s later if "okay" was said before it."""
    made = Parts(*parts)
    if okay_at is None:
        return Response(made, made.total, made.total, acknowledged=False, finished=finished)
    return Response(made, okay_at, made.total + 0.1, acknowledged=True, finished=finished)


MADE_UP = stack(
    "made up",
    [
        response(0.2, 0.0, 0.05, 0.1, 0.001, okay_at=0.21),
        response(0.2, 0.1, 0.06, 0.12, 0.002, finished=False),
        response(0.2, 0.0, 0.04, 0.1, 0.001),
    ],
    [380.0, 400.0, 520.0],
    discarded=2,
)


def test_each_part_has_percentiles_in_ms():
    assert (MADE_UP.parts["endpoint"].p50, MADE_UP.parts["endpoint"].p95) == (200, 200)
    assert (MADE_UP.parts["transcript"].p50, MADE_UP.parts["transcript"].p95) == (0, 100)
    assert (MADE_UP.response.p50, MADE_UP.response.p95) == (pytest.approx(351), pytest.approx(482))
    assert MADE_UP.at_the_ear.p50 == 400


def test_the_bars_follow_one_another_and_are_as_long_as_the_parts():
    lines = shown(table(MADE_UP))
    endpoint, brain, voice = (bar(lines, part) for part in ("endpoint", "brain", "voice"))
    assert endpoint[1] <= brain[0] + 1
    assert brain[1] <= voice[0] + 1
    shortest_first = [last - first for first, last in (brain, voice, endpoint)]
    assert shortest_first == sorted(set(shortest_first))


def test_an_acknowledgement_is_told_apart_from_the_answer():
    assert (MADE_UP.first.p50, MADE_UP.answer.p50) == (pytest.approx(341), pytest.approx(451))
    assert (MADE_UP.first_if_finished.p50, MADE_UP.first_if_finished.count) == (pytest.approx(210), 2)
    assert (MADE_UP.acknowledged, MADE_UP.discarded) == (1, 2)


def test_stacks_are_compared_in_a_row_each():
    stacks = [MADE_UP, stack("providers, silent", [], [])]
    columns = COMPARED[SLOW_WORDS]
    lines = shown(comparison(stacks, "providers", columns))
    assert "providers: p50, p95 ms" in lines
    (row,) = [text for text in lines if text.strip().startswith("made up")]
    assert [text.strip() for text in row.split("  ") if text.strip()] == [
        "made up",
        "341, 482",
        "451, 482",
        "210, 341",
        "341, 451",
        "1 of 3",
        "2",
    ]
    assert any(text.strip().startswith("silent") and "0 of 0" in text for text in lines)
    assert max(map(len, lines)) <= 80


def test_the_table_fits_an_ordinary_terminal():
    assert max(map(len, shown(table(MADE_UP)))) <= 80


def test_a_stack_that_answered_nobody_can_be_told():
    lines = shown(table(stack("silent", [], [])))
    assert any("0 answers" in text for text in lines)


def test_the_usual_callers_are_there():
    assert all((AUDIO / f"{name}.wav").is_file() for name in CALLERS)


def test_a_caller_that_cannot_be_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path / "nobody.wav")]) == 2
    assert "nobody.wav" in capsys.readouterr().out.replace("\n", "")


def test_a_stage_that_is_not_there_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]):
    assert main([str(AUDIO / "hangup.wav"), "--only", "carrier pigeons"]) == 2
    told = capsys.readouterr().out
    assert "carrier pigeons" in told
    assert "stand-ins" in told


@pytest.mark.parametrize("missing", ["tests.doubles", "aiohttp"])
def test_without_a_checkout_there_are_no_vendors(missing: str):
    code = f"""
import sys
sys.modules[{missing!r}] = None
from bench import latency
print("\\n".join(latency.stages([])))
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    names = told.stdout.splitlines()
    assert "stand-ins" in names
    assert not [name for name in names if name.startswith(latency.FAR_WORDS)]


@pytest.fixture
def an_operator_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but the defaults, and what the command does to logging is undone."""
    for name in names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.realtime
@pytest.mark.usefixtures("an_operator_of_its_own")
def test_a_real_call_on_stand_ins_waits_for_the_rules_and_for_little_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(latency, "stages", lambda callers: {"stand-ins": stand_ins(Latencies(), rules())})
    result = tmp_path / "result.json"
    assert main([str(AUDIO / "hangup.wav"), "--json", str(result)]) == 0
    found = msgspec.json.decode(result.read_bytes(), type=Latency)
    (one,) = found.stacks
    assert found.callers == ("hangup",)
    assert len(one.responses) == 1
    assert one.parts["endpoint"].p50 == pytest.approx(200, abs=1)
    assert one.parts["transcript"].max == 0
    assert one.at_the_ear.p50 is not None
    assert one.response.p50 is not None
    assert one.at_the_ear.p50 >= one.response.p50 - 20  # a frame is the ear's grain
    assert "stand-ins: hangup rings (1 of 1)" in capsys.readouterr().out
