"""The capacity benchmark: its way up with made-up measurements, and a real one over sockets."""

import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from subprocess import Popen

import msgspec
import psutil
import pytest
from rich.console import Console

from bench import capacity
from bench.capacity import ALONE_SECONDS, climb, main, short
from bench.holding import Progress, Used, served, spent, used
from bench.peers.climb import Outcome
from bench.peers.venvs import Unavailable
from bench.scraping import Look, read
from bench.screen import Screen, line, show
from bench.steps import Capacity, Measured, Rules, Spent, Step
from tests.bench.measurements import climbed, measured


class Machine:
    """Holds so many calls and no more; above ``crashes`` its server does not even start."""

    def __init__(self, most: int, crashes: int = 10_000) -> None:
        self.most, self.crashes = most, crashes
        self.asked: list[tuple[int, float]] = []
        self.told: list[int] = []

    def hold(self, calls: int, rules: Rules) -> Measured:
        self.asked.append((calls, rules.hold_seconds))
        if calls > self.crashes:
            raise Unavailable("its server ended with 1: out of memory")
        return measured(calls, faults={"underruns": 1, "lost": 1} if calls > self.most else {})

    def tell(self, one: Step) -> None:
        self.told.append(one.calls)


class TestTheWayUp:
    def test_holds_one_call_for_longer_and_goes_on_until_something_breaks(self):
        machine = Machine(200)
        steps, failure = climb((100, 200, 400, 600), Rules(), hold=machine.hold, tell=machine.tell)
        assert machine.asked == [(1, ALONE_SECONDS), (100, 60.0), (200, 60.0), (400, 60.0)]
        assert [one.verdict.outcome for one in steps] == [*[Outcome.HELD] * 3, Outcome.BROKE]
        assert (machine.told, failure) == ([1, 100, 200, 400], "")

    def test_keeps_what_was_measured_when_a_server_does_not_start(self):
        machine = Machine(1000, crashes=100)
        steps, failure = climb((100, 200), Rules(), hold=machine.hold, tell=machine.tell)
        assert [one.calls for one in steps] == [1, 100]
        assert failure == "200 calls at once could not be measured: its server ended with 1: out of memory"

    def test_the_short_form_takes_both_its_steps_whatever_the_first_is_like(self):
        machine = Machine(0)
        steps, _ = short(Rules(hold_seconds=8), hold=machine.hold, tell=machine.tell)
        assert machine.asked == [(1, 8), (20, 8)]
        assert [one.verdict.reasons for one in steps] == [("1 lost",), ("1 lost",)]


# --- the server's side ---------------------------------------------------------------------------


def page(text: str) -> Look:
    return read(text)


def histogram(name: str, *counts: int, limits: tuple[str, ...] = ("0.01", "0.1", "+Inf")) -> str:
    lines = [f"# TYPE {name} histogram"]
    lines += [f'{name}_bucket{{le="{limit}"}} {count}' for limit, count in zip(limits, counts, strict=True)]
    return "\n".join((*lines, f"{name}_count {counts[-1]}", f"{name}_sum 0")) + "\n"


def test_what_the_server_tells_is_of_the_hold_but_for_the_frames():
    names = (
        "callbot_frame_lateness_seconds",
        "callbot_reply_seconds",
        "callbot_event_loop_lag_seconds",
    )
    began = page("".join(histogram(name, 0, 50, 90) for name in names))
    ended = page("".join(histogram(name, 0, 150, 190) for name in names))
    over = page("# TYPE callbot_frames_received counter\ncallbot_frames_received_total 1234\n")
    found = served(began, ended, over)
    assert (found.frames_received, found.frames_late) == (1234, 0)
    assert found.own_part_p99 == found.loop_lag_p99 == pytest.approx(99.1)


def test_a_server_without_metrics_told_nothing():
    assert set(vars_of(served(None, None, None))) == {None}


def vars_of(found: object) -> list[object]:
    return [getattr(found, name) for name in found.__slots__]  # type: ignore[attr-defined]


def test_a_call_costs_what_the_server_grew_by_and_used():
    empty, began = Used(0.0, 1.0, 50 * 2**20), Used(10.0, 2.0, 80 * 2**20)
    ended = Used(70.0, 62.0, 100 * 2**20)
    assert spent(1000, empty, began, ended) == Spent(1.0, 1.0, 51.2)


def test_a_process_and_its_children_are_counted_together_and_a_gone_one_not_at_all():
    # Processor time is counted in ticks of 10 ms: less than a few may be none.
    child = "import sys, time\nwhile time.process_time() < 0.1: pass\nprint(1, flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with Popen([sys.executable, "-c", parent], stdin=-1, stdout=-1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        alone = psutil.Process(process.pid).memory_full_info()
        both = used(process.pid)
        process.stdin.close()
    assert both is not None
    assert both.memory > getattr(alone, "pss", alone.rss)
    assert both.cpu_seconds > 0
    assert used(process.pid) is None


# --- what is shown -------------------------------------------------------------------------------


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=100)


def shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_line_says_what_runs_and_for_how_long():
    said = line(Progress(100, "holding", 12.3, "25 s: 100 calls, 30 replies, no faults"))
    assert said == "100 calls: holding, 13 s left (25 s: 100 calls, 30 replies, no faults)"
    assert line(Progress(1, "hanging up", 0.0)) == "1 call alone: hanging up"


def test_without_a_terminal_a_plain_line_comes_now_and_then(console: Console):
    with Screen(console) as screen:
        for left in (30.0, 29.5, 21.0, 20.0, 19.5):
            screen.watch(Progress(100, "holding", left))
        screen.watch(Progress(100, "hanging up", 0.0))
    assert shown(console).splitlines() == [
        "100 calls: holding, 30 s left",
        "100 calls: holding, 20 s left",
        "100 calls: hanging up",
    ]


def test_on_a_terminal_the_line_is_taken_away_again():
    console = Console(file=StringIO(), width=100, force_terminal=True)
    with Screen(console) as screen:
        screen.watch(Progress(100, "holding", 30.0))
        screen.step(climbed(measured(1))[0])
    told = shown(console)
    assert "1: held" in told
    assert told.rstrip().endswith("\x1b[2K")


def test_the_table_fits_an_ordinary_terminal():
    console = Console(file=StringIO(), width=80)
    show(console, climbed(measured(1), measured(1000, cpu=1.04), measured(1200, faults={"underruns": 3})))
    told = shown(console)
    assert max(map(len, told.splitlines())) <= 80
    for figures in ("1.04/0.52", "0/10/20", "100/130/140", "held", "broke: 3"):
        assert figures in told


# --- the command ---------------------------------------------------------------------------------

Holding = Callable[[int, Rules], Measured]


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Callable[[Holding], None]:
    def replaced(by: Holding) -> None:
        monkeypatch.setattr(capacity, "hold", lambda calls, rules, *rest: by(calls, rules))

    return replaced


def test_the_command_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], holding: Callable[[Holding], None]
):
    holding(Machine(20).hold)
    result, chart = tmp_path / "out" / "result.json", tmp_path / "out" / "chart.svg"
    asked = ["--calls", "10,20,30", "--hold", "5", "--brain", "0.2", "--date", "today"]
    assert main([*asked, "--json", str(result), "--chart", str(chart)]) == 0
    found = msgspec.json.decode(result.read_bytes(), type=Capacity)
    assert [one.calls for one in found.steps] == [1, 10, 20, 30]
    assert (found.held, found.alone_p50, found.date) == (20, 200, "today")
    assert (found.rules.hold_seconds, found.rules.latencies.brain) == (5, 0.2)
    assert found.machine.cores >= 1
    assert found.machine.versions["callbot"]
    assert chart.read_text().startswith("<svg")
    assert "20 calls at once held for 5 s. 30 calls at once did not: 1 lost." in capsys.readouterr().out


def test_the_command_fails_when_nothing_was_held(
    capsys: pytest.CaptureFixture[str], holding: Callable[[Holding], None]
):
    holding(Machine(1000, crashes=0).hold)
    assert main(["--calls", "10"]) == 1
    assert "1 call could not be measured: its server ended with 1" in capsys.readouterr().out


def test_the_short_form_fails_on_errors_and_not_on_time(
    capsys: pytest.CaptureFixture[str], holding: Callable[[Holding], None]
):
    def slow(calls: int, rules: Rules) -> Measured:
        return replace(measured(calls, late=99, faults={"underruns": 7}), spent=None)

    holding(slow)
    assert main(["--short"]) == 0
    holding(Machine(1).hold)
    assert main(["--short"]) == 1
    assert "20: 1 lost" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--calls", "many"], "--calls"),
        (["--calls", "1"], "--calls"),
        (["--up-to", "0"], "--up-to"),
        (["--calls", "10", "--up-to", "20"], "--up-to"),
        (["--hold", "0"], "hold_seconds"),
        (["--tts", "-1"], "tts"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert told in capsys.readouterr().err


@pytest.mark.realtime
def test_a_few_real_calls_are_held_over_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capacity, "SHORT_CALLS", 3)
    result = tmp_path / "result.json"
    assert main(["--short", "--hold", "3", "--json", str(result)]) == 0
    found = msgspec.json.decode(result.read_bytes(), type=Capacity)
    alone, three = found.steps
    assert (alone.measured.heard.calls_held, three.measured.heard.calls_held) == (1, 3)
    assert three.measured.frames_sent >= 3 * 3 * 50
    assert three.measured.spent is not None
    assert three.measured.spent.cpu_ms_per_call_second > 0
    assert three.measured.served.frames_received in (None, three.measured.frames_sent)
