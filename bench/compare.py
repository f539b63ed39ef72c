"""callbot against its peers: the same callers, the same machine, the same run, one system after the other.

    python -m bench.compare [--system NAME]... [--hold SECONDS] [--json FILE]

Each system is held at more and more calls, on one core of its own, until it breaks. A round takes every
system one step further, so that whatever else the machine does meets all of them. CPU per call falls as
the number of calls grows, because what wakes the process is shared: it is compared at ten calls alone,
where all of them are measured. No system is judged by another's response time: each has 50 ms over what
it took itself with a single call.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from bench.machine import Machine, machine
from bench.peers.climb import ATTEMPTS, EQUAL, Climb, Measured, Step
from bench.peers.processes import CallbotTarget, PeerTarget, Target, cores
from bench.peers.trial import Rules, measure, voice
from bench.peers.venvs import CACHE, PEERS, Unavailable

OURS: Final = "callbot"
LADDERS: Final[Mapping[str, tuple[int, ...]]] = {
    "callbot": (10, 50, 100, 200, 400, 600, 800, 1000, 1200),
    "pipecat": (5, 10, 15, 20, 30, 50),
    "vocode": (10, 50, 100, 200, 300),
}


# --- what came of it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A system in the table. What was not measured is ``None``; times are in ms.

    ``held`` are calls on one core, and ``memory_kib_per_call`` is at those; all else but ``alone_p50`` is at
    the equal number of calls.
    """

    system: str
    version: str
    held: int | None
    broke_at: int | None
    why: tuple[str, ...]
    alone_p50: float | None = None
    response_p50: float | None = None
    response_p99: float | None = None
    barge_in_p50: float | None = None
    barge_in_p95: float | None = None
    cpu_ms_per_call_second: float | None = None
    memory_kib_per_call: float | None = None
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times better we are than ``system``; ``None`` where one of the two was not measured.

    ``calls_held`` is ``None`` too when the other's ladder ended before it broke; ``at_least`` is true when
    ours did.
    """

    system: str
    calls_held: float | None
    at_least: bool
    cpu: float | None
    barge_in_p50: float | None
    barge_in_p95: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    machine: Machine
    rules: Rules
    rows: tuple[Row, ...]
    ratios: tuple[Ratio, ...]
    steps: tuple[Step, ...]


def row(climb: Climb) -> Row:
    if not climb.steps:
        return Row(climb.system, climb.version, None, None, (), unavailable=climb.unavailable)
    broken = climb.at(climb.broke_at) if climb.broke_at is not None else None
    equal, most = climb.at(EQUAL), climb.at(climb.held)
    heard = equal.measured.heard if equal else None
    spent = equal.measured.cost if equal else None
    grown = most.measured.cost if most else None
    return Row(
        climb.system,
        climb.version,
        climb.held,
        climb.broke_at,
        broken.verdict.reasons if broken else (),
        alone_p50=climb.one_call_p50,
        response_p50=heard.response_ms.p50 if heard else None,
        response_p99=heard.response_ms.p99 if heard else None,
        barge_in_p50=heard.barge_in_ms.p50 if heard else None,
        barge_in_p95=heard.barge_in_ms.p95 if heard else None,
        cpu_ms_per_call_second=spent.cpu_ms_per_call_second if spent else None,
        memory_kib_per_call=grown.memory_kib_per_call if grown else None,
        unavailable=climb.unavailable,
    )


def ratio(ours: Row, theirs: Row) -> Ratio:
    return Ratio(
        theirs.system,
        calls_held=_times(ours.held, theirs.held if theirs.broke_at is not None else None),
        at_least=ours.broke_at is None,
        cpu=_times(theirs.cpu_ms_per_call_second, ours.cpu_ms_per_call_second),
        barge_in_p50=_times(theirs.barge_in_p50, ours.barge_in_p50),
        barge_in_p95=_times(theirs.barge_in_p95, ours.barge_in_p95),
    )


def _times(more: float | None, less: float | None) -> float | None:
    return round(more / less, 2) if more is not None and less else None


def table(rows: Sequence[Row], ratios: Sequence[Ratio]) -> Iterator[str]:
    """Lines to print: the systems, why each broke, and how many times better we are."""
    cells = [
        ("", "calls", f"at {EQUAL} calls:", "", "", "KiB"),
        ("system", "held", "CPU ms/call-s", "response p50, p99", "barge-in p50, p95", "a call"),
        *(
            (
                f"{one.system} {one.version}",
                _count(one),
                _number(one.cpu_ms_per_call_second, 2),
                _pair(one.response_p50, one.response_p99),
                _pair(one.barge_in_p50, one.barge_in_p95),
                _number(one.memory_kib_per_call, 0),
            )
            for one in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for name, *others in cells:
        aligned = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        yield "  ".join((name.ljust(widths[0]), *aligned)).rstrip()
    for one in rows:
        if one.broke_at is not None:
            yield f"{one.system} broke at {one.broke_at}: {'; '.join(one.why)}"
        if one.unavailable:
            further = " any further" if one.held is not None else ""
            yield f"{one.system} was not measured{further}: {one.unavailable}"
    for better in ratios:
        if known := ", ".join(_in_words(better)):
            yield f"{OURS} against {better.system}: {known}"


def _in_words(better: Ratio) -> Iterator[str]:
    if better.calls_held is not None:
        yield f"{'at least ' if better.at_least else ''}{better.calls_held:.1f} times the calls a core"
    if better.cpu is not None:
        yield f"{better.cpu:.1f} times less CPU at {EQUAL} calls"
    if better.barge_in_p50 is not None and better.barge_in_p95 is not None:
        yield f"barge-in {better.barge_in_p50:.1f} (p50) and {better.barge_in_p95:.1f} (p95) times as fast"


def _count(one: Row) -> str:
    if one.held is None:
        return "-"
    return f"{one.held}" if one.broke_at is not None else f"{one.held} or more"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _pair(first: float | None, second: float | None) -> str:
    return f"{_number(first, 0)}, {_number(second, 0)}"


# --- running -------------------------------------------------------------------------------------

Trial = Callable[[Target, int], Measured]


def compare(
    targets: Sequence[tuple[Target, Sequence[int]]],
    *,
    trial: Trial,
    rules: Rules,
    tell: Callable[[str], None],
    attempts: int = ATTEMPTS,
) -> Comparison:
    """Take every target up its ladder, in turns, and put them side by side. ``tell`` gets lines to show."""
    climbs = [
        (target, Climb(target.name, target.version, tuple(ladder), attempts)) for target, ladder in targets
    ]
    about = machine()
    for target, climb in climbs:
        try:
            target.prepare(tell)
        except Unavailable as unavailable:
            climb.unavailable = str(unavailable)
            tell(f"{target.name} is left out: {unavailable}")
    while climbing := [pair for pair in climbs if pair[1].next_calls is not None]:
        for target, climb in climbing:
            _one_step(target, climb, trial, tell)
    rows = tuple(row(climb) for _, climb in climbs)
    ours = next((one for one in rows if one.system == OURS), None)
    ratios = tuple(ratio(ours, one) for one in rows if one.system != OURS) if ours else ()
    steps = tuple(step for _, climb in climbs for step in climb.steps)
    return Comparison(about, rules, rows, ratios, steps)


def _one_step(target: Target, climb: Climb, trial: Trial, tell: Callable[[str], None]) -> None:
    calls = climb.next_calls
    assert calls is not None
    tell(f"{target.name}: {calls} {'call' if calls == 1 else 'calls'} ...")
    try:
        step = climb.record(calls, trial(target, calls))
    except Unavailable as unavailable:
        climb.unavailable = str(unavailable)
        tell(f"{target.name} at {calls} could not be measured: {unavailable}")
        return
    heard, spent = step.measured.heard, step.measured.cost
    tell(
        f"{target.name} at {calls} {step.verdict.outcome}: "
        f"response p50 {_number(heard.response_ms.p50, 0)} ms, p99 {_number(heard.response_ms.p99, 0)} ms, "
        f"CPU {_number(spent.cpu_ms_per_call_second if spent else None, 2)} ms per call-second"
        + "".join(f"; {reason}" for reason in step.verdict.reasons)
    )


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="callbot and its peers.")
    parser.add_argument(
        "--system", action="append", choices=LADDERS, dest="systems", help="only these (default: all)"
    )
    parser.add_argument("--hold", type=float, default=60.0, metavar="SECONDS", help="per step (60)")
    parser.add_argument("--barge-ins", type=float, default=1.0, metavar="N", help="per call and minute (1)")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, metavar="N", help=f"per step ({ATTEMPTS})")
    parser.add_argument("--most", type=int, metavar="CALLS", help="leave out steps above this")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where peers are installed ({CACHE})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    asked = parser.parse_args(argv)
    try:
        rules = Rules(hold_seconds=asked.hold, barge_ins_per_minute=asked.barge_ins)
    except ValueError as error:
        parser.error(str(error))
    pinned = cores()
    if None in pinned:
        print("This machine doesn't let processes be kept to a core: calls are per machine.", file=sys.stderr)
    comparison = compare(
        [
            (target, [calls for calls in LADDERS[target.name] if calls <= (asked.most or calls)])
            for target in targets(asked.systems or list(LADDERS), asked.cache)
        ],
        trial=lambda target, calls: measure(target, calls, rules, pinned),
        rules=rules,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
        attempts=asked.attempts,
    )
    print("\n".join(table(comparison.rows, comparison.ratios)))
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(comparison)))
    return 1 if any(one.held is None for one in comparison.rows if one.system == OURS) else 0


def targets(systems: Sequence[str], cache: Path) -> list[Target]:
    """What to measure, by name."""
    said = voice(cache / "reply.ulaw")
    found: list[Target] = []
    for name in systems:
        if name == OURS:
            found.append(CallbotTarget(version(OURS), cache))
        else:
            found.append(PeerTarget(PEERS[name], cache, said))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
