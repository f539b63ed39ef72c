"""How many calls this machine holds at once, and what each costs: ``callbot bench capacity``.

    python -m bench.capacity [--calls N,N,..|--up-to N] [--hold 60] [--workers 1] [--json FILE] [--chart FILE]

First one call alone, for its response time; then more and more at once, each step with a server and a
generator of its own, until something breaks. ``docs/performance.md`` says what each figure means.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from bench.chart import draw
from bench.holding import hold
from bench.machine import machine
from bench.peers.venvs import Unavailable
from bench.screen import Screen, show
from bench.standins import Latencies
from bench.steps import (
    Capacity,
    Measured,
    Rules,
    Step,
    alone_p50,
    calls_in_words,
    conclusion,
    errors,
    faultless,
    held,
    ladder,
    next_calls,
    step,
)

ALONE_SECONDS: Final = 200.0
"""A caller gets six or seven answers a minute: these are enough for twenty."""
SHORT_CALLS: Final = 20
SHORT_SECONDS: Final = 8.0


Hold = Callable[[int, Rules], Measured]


def climb(
    rungs: Sequence[int], rules: Rules, *, hold: Hold, tell: Callable[[Step], None]
) -> tuple[list[Step], str]:
    """One call alone, then up the rungs until a step is not held; and why the next one could not be measured,
    if that was it."""
    steps: list[Step] = []
    while (calls := next_calls(rungs, steps)) is not None:
        longer = replace(rules, hold_seconds=max(rules.hold_seconds, ALONE_SECONDS))
        try:
            measured = hold(calls, longer if calls == 1 else rules)
        except Unavailable as unavailable:
            return steps, f"{calls_in_words(calls)} could not be measured: {unavailable}"
        steps.append(step(measured, alone_p50(steps)))
        tell(steps[-1])
    return steps, ""


def short(rules: Rules, *, hold: Hold, tell: Callable[[Step], None]) -> tuple[list[Step], str]:
    """The same with one call and then a few, whatever becomes of the one; time is not judged."""
    steps: list[Step] = []
    for calls in (1, SHORT_CALLS):
        try:
            steps.append(faultless(step(hold(calls, rules), alone_p50(steps))))
        except Unavailable as unavailable:
            return steps, f"{calls_in_words(calls)} could not be measured: {unavailable}"
        tell(steps[-1])
    return steps, ""


def measure(asked: argparse.Namespace, rules: Rules, rungs: Sequence[int], console: Console) -> int:
    """0 when something was held (or, in the short form, nothing was wrong), else 1."""
    about = machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Screen(console) as screen:

        def one(calls: int, rules: Rules) -> Measured:
            where = Path(folder) / str(calls)
            where.mkdir()
            return hold(calls, rules, about.versions["callbot"], where, screen.watch)

        if asked.short:
            steps, failure = short(rules, hold=one, tell=screen.step)
        else:
            steps, failure = climb(rungs, rules, hold=one, tell=screen.step)
    sentence = conclusion(steps, rules.hold_seconds)
    found = Capacity(about, asked.date, rules, alone_p50(steps), held(steps), sentence, failure, tuple(steps))
    if steps:
        show(console, steps)
        _write(found, asked)
    lines = _errors(steps) if asked.short else [sentence]
    for text, style in (*((text, "bold") for text in lines), (failure, "red")):
        if text:
            console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
    wrong = bool(_errors(steps)) if asked.short else found.held is None
    return 1 if failure or wrong else 0


def _errors(steps: Sequence[Step]) -> list[str]:
    return [f"{one.calls}: {error}" for one in steps for error in errors(one.measured)]


def _write(found: Capacity, asked: argparse.Namespace) -> None:
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    if asked.chart is not None:
        asked.chart.parent.mkdir(parents=True, exist_ok=True)
        asked.chart.write_text(draw(found), encoding="utf-8")


def numbers(text: str) -> list[int]:
    """``100,200`` as it is written on the command line. Raises ``ValueError``."""
    return [int(number) for number in text.split(",")]


def parser() -> argparse.ArgumentParser:
    given = argparse.ArgumentParser(
        prog="callbot bench capacity",
        description="How many calls this machine holds at once, in real time, and what each costs.",
    )
    steps = given.add_mutually_exclusive_group()
    steps.add_argument(
        "--calls", type=numbers, metavar="N,N,..", help="the steps to take after one call alone"
    )
    steps.add_argument("--up-to", type=int, metavar="N", help="take the usual steps, but none above this")
    steps.add_argument(
        "--short",
        action="store_true",
        help=f"1 call and {SHORT_CALLS}; fails on errors, never on time (for CI)",
    )
    given.add_argument(
        "--hold", type=float, metavar="SECONDS", help="how long each step is held (60; short: 8)"
    )
    given.add_argument("--workers", type=int, default=1, metavar="N", help="processes of the server (1)")
    for name in ("stt", "brain", "tts"):
        given.add_argument(
            f"--{name}", type=float, default=0.0, metavar="SECONDS", help="latency of its stand-in (0)"
        )
    given.add_argument("--date", metavar="DATE", help="written into the JSON and the chart as it is")
    given.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    given.add_argument("--chart", type=Path, metavar="FILE.svg", help="draw it")
    return given


def main(argv: Sequence[str]) -> int:
    asking = parser()
    asked = asking.parse_args(argv)
    seconds = asked.hold if asked.hold is not None else SHORT_SECONDS if asked.short else Rules().hold_seconds
    try:
        rungs = ladder(asked.calls, asked.up_to)
        rules = Rules(
            hold_seconds=seconds,
            workers=asked.workers,
            latencies=Latencies(asked.stt, asked.brain, asked.tts),
        )
    except ValueError as error:
        asking.error(str(error))
    return measure(asked, rules, rungs, Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
