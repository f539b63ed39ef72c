"""How many calls are held: what comes next, what a step says, and what all of them say together.

Nothing here starts or measures anything. Times are in ms unless a name says otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from bench.machine import Machine
from bench.peers.climb import GENERATOR_LATE_MS, Heard, Outcome, Verdict, judge
from bench.standins import Latencies
from bench.statistics import Summary

LADDER: Final = (100, 200, 400, 600, 800, 1000, 1200, 1500)
LATE_FRAME_SECONDS: Final = 0.1
"""A frame that reaches the bot's core so much later than the carrier's clock has it is late."""
ENOUGH_ANSWERS: Final = 20
"""So many answers of the call alone are a median to judge others by."""
_ERRORS: Final = {
    "refused": "refused",
    "lost": "lost",
    "unanswered": "unanswered",
    "false_turns": "false turns",
    "bad_messages": "bad messages",
}
_HABITS: Final = {
    "bad_messages": "bad messages",
    "cut_short": "replies cut short",
    "resumed": "replies resumed",
}
"""Faults that break no step, and are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How every step is held. The stand-ins' ``latencies`` are in seconds."""

    hold_seconds: float = 60.0
    workers: int = 1
    barge_ins_per_minute: float = 1.0
    seed: int = 0
    latencies: Latencies = field(default_factory=Latencies)

    def __post_init__(self) -> None:
        for name in ("hold_seconds", "workers"):
            if (value := getattr(self, name)) <= 0:
                raise ValueError(f"{name}: must be above 0, not {value:g}")
        for name, seconds in (
            *asdict(self.latencies).items(),
            ("barge_ins_per_minute", self.barge_ins_per_minute),
        ):
            if seconds < 0:
                raise ValueError(f"{name}: must not be negative, and is {seconds:g}")


# --- what is measured ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spent:
    """By the server's processes while the calls were held. ``kib_per_call`` is what they grew by."""

    cpu_ms_per_call_second: float
    cores: float
    kib_per_call: float


@dataclass(frozen=True, slots=True)
class Served:
    """What the server counted itself. ``None`` is what it did not tell.

    ``frames_received`` are of all calls from beginning to end; all else is of the hold. ``frames_late`` are
    seconds of calls that had a late frame.
    """

    frames_received: int | None = None
    frames_late: int | None = None
    own_part_p99: float | None = None
    """From the decision to reply to the first byte on the wire, with providers that take no time."""
    loop_lag_p99: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One step: the callers' side, the server's, and all that the generator said.

    ``spent`` is ``None`` when the server was gone by the end of the hold.
    """

    heard: Heard
    frames_sent: int
    generator_cpu_ms_per_call_second: float | None
    served: Served
    spent: Spent | None
    result: Mapping[str, Any] = field(repr=False)

    @property
    def generator_late(self) -> bool:
        return (self.heard.generator_late_ms.p99 or 0.0) > GENERATOR_LATE_MS

    @property
    def frames_lost(self) -> int | None:
        received = self.served.frames_received
        return None if received is None else max(0, self.frames_sent - received)


# --- a step --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overhead:
    """What responses took longer than the median one when a call was alone."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Step:
    calls: int
    verdict: Verdict
    overhead: Overhead | None
    measured: Measured


def step(measured: Measured, alone_p50: float | None) -> Step:
    """``alone_p50``: the median response of one call alone; ``None`` for that call itself."""
    base = measured.heard.response_ms.p50 if alone_p50 is None else alone_p50
    return Step(
        measured.heard.calls,
        verdict(measured, alone_p50),
        None if base is None else overhead(measured.heard.response_ms, base),
        measured,
    )


def verdict(measured: Measured, alone_p50: float | None) -> Verdict:
    """Whether the calls were held, and every reason why not, the callers' first."""
    callers = judge(measured.heard, alone_p50)
    reasons = (*callers.reasons, *_frames(measured))
    outcome = callers.outcome
    if reasons and outcome is Outcome.HELD:
        outcome = Outcome.UNSURE if measured.generator_late else Outcome.BROKE
    return Verdict(outcome, reasons)


def _frames(measured: Measured) -> Iterator[str]:
    if measured.frames_lost:
        yield f"{measured.frames_lost} of {measured.frames_sent} frames lost"
    if late := measured.served.frames_late:
        yield f"frames over {LATE_FRAME_SECONDS * 1000:g} ms late in {late} seconds of calls"


def overhead(response: Summary, alone_p50: float) -> Overhead | None:
    if response.p50 is None or response.p95 is None or response.p99 is None:
        return None
    p50, p95, p99 = (round(value - alone_p50, 1) for value in (response.p50, response.p95, response.p99))
    return Overhead(p50, p95, p99)


def errors(measured: Measured) -> tuple[str, ...]:
    """What is wrong whatever the machine is like: nothing of it is about time."""
    heard = measured.heard
    found = [f"{heard.faults[name]} {words}" for name, words in _ERRORS.items() if heard.faults.get(name)]
    if heard.calls_held < heard.calls:
        found.append(f"{heard.calls_held} of {heard.calls} calls lasted")
    if measured.frames_lost:
        found.append(f"{measured.frames_lost} of {measured.frames_sent} frames lost")
    return tuple(found)


def faultless(one: Step) -> Step:
    """The same step, judged by its errors alone."""
    wrong = errors(one.measured)
    return replace(one, verdict=Verdict(Outcome.BROKE if wrong else Outcome.HELD, wrong))


def remarks(one: Step) -> Iterator[str]:
    """What broke nothing, and should be known of a figure."""
    measured = one.measured
    if measured.generator_late and one.verdict.outcome is Outcome.HELD:
        late = measured.heard.generator_late_ms.p99
        yield f"the generator was {late:.0f} ms late itself (p99): what it found may be its own fault"
    for name, words in _HABITS.items():
        if count := measured.heard.faults.get(name):
            yield f"{count} {words}"
    if one.calls == 1 and measured.heard.response_ms.count < ENOUGH_ANSWERS:
        yield (
            f"{measured.heard.response_ms.count} answers are few to judge the other steps by "
            f"(wanted: {ENOUGH_ANSWERS})"
        )
    served = measured.served
    missing = {
        "lost frames": served.frames_received,
        "late frames": served.frames_late,
        "our own part": served.own_part_p99,
        "loop lag": served.loop_lag_p99,
    }
    if unknown := [name for name, value in missing.items() if value is None]:
        yield f"not measured, because the server's /metrics did not tell: {', '.join(unknown)}"


# --- all of them ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capacity:
    """All that was measured. ``held`` is the largest step that held; ``None`` when none did."""

    machine: Machine
    date: str | None
    rules: Rules
    alone_p50: float | None
    held: int | None
    conclusion: str
    failure: str
    """Why a step could not be measured; empty when none was to be measured any more."""
    steps: tuple[Step, ...]


def ladder(calls: Sequence[int] | None, up_to: int | None) -> tuple[int, ...]:
    """The steps to take after the call alone. Raises ``ValueError``."""
    if calls is not None:
        if not calls or min(calls) < 2:
            raise ValueError("--calls: write numbers of calls from 2 up, as in 100,200,400")
        return tuple(sorted(set(calls)))
    if up_to is None:
        return LADDER
    if up_to < 2:
        raise ValueError(f"--up-to: must be at least 2, not {up_to}")
    return (*(rung for rung in LADDER if rung < up_to), up_to)


def alone_p50(steps: Sequence[Step]) -> float | None:
    """The median response of the call alone, once it was measured."""
    return next((one.measured.heard.response_ms.p50 for one in steps if one.calls == 1), None)


def next_calls(rungs: Sequence[int], steps: Sequence[Step]) -> int | None:
    """How many calls to hold next: one alone first, then up until a step is not held."""
    if not steps:
        return 1
    if alone_p50(steps) is None or (steps[-1].calls > 1 and steps[-1].verdict.outcome is not Outcome.HELD):
        return None
    return next((rung for rung in rungs if rung > steps[-1].calls), None)


def held(steps: Sequence[Step]) -> int | None:
    """The most calls that were held; ``None`` when no step was."""
    return max((one.calls for one in steps if one.verdict.outcome is Outcome.HELD), default=None)


def conclusion(steps: Sequence[Step], hold_seconds: float) -> str:
    """All of it in a sentence or two."""
    if not steps or alone_p50(steps) is None:
        return "Not even one call alone was answered, so nothing else was measured."
    most, last = held(steps), steps[-1]
    sentence = "Nothing was held." if most is None else f"{calls_in_words(most)} held for {hold_seconds:g} s."
    match last.verdict.outcome:
        case Outcome.HELD:
            return f"{sentence} Nothing broke, and no more were tried."
        case Outcome.BROKE:
            return f"{sentence} {calls_in_words(last.calls)} did not: {last.verdict.reasons[0]}."
        case Outcome.UNSURE:
            return (
                f"{sentence} Of {last.calls} nobody can say whether they held: {last.verdict.reasons[0]}, "
                "but the generator was late itself."
            )


def calls_in_words(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls at once"


# --- the table -----------------------------------------------------------------------------------

COLUMNS: Final = (
    "calls",
    "CPU ms a\ncall-second\nserver/gen.",
    "KiB\na call",
    "response\noverhead ms\np50/p95/p99",
    "own\npart\np99",
    "barge-in\nms\np50/p95/p99",
    "loop\nlag\np99",
    "",
)


def row(one: Step) -> tuple[str, ...]:
    """The step's cells, in the order of ``COLUMNS``; what was not measured is a dash."""
    measured = one.measured
    spent, over, barge_in = measured.spent, one.overhead, measured.heard.barge_in_ms
    server = spent.cpu_ms_per_call_second if spent else None
    return (
        str(one.calls),
        _cells(2, server, measured.generator_cpu_ms_per_call_second),
        _cells(0, spent.kib_per_call if spent else None),
        _cells(0, *((over.p50, over.p95, over.p99) if over else (None,))),
        _cells(1, measured.served.own_part_p99),
        _cells(0, *((barge_in.p50, barge_in.p95, barge_in.p99) if barge_in.count else (None,))),
        _cells(1, measured.served.loop_lag_p99),
        outcome(one),
    )


def outcome(one: Step) -> str:
    """Whether it held, or what broke first."""
    match one.verdict.outcome:
        case Outcome.HELD if one.measured.generator_late:
            return "held (generator late)"
        case Outcome.HELD:
            return "held"
        case Outcome.BROKE:
            return f"broke: {one.verdict.reasons[0]}"
        case Outcome.UNSURE:
            return f"unsure (generator late): {one.verdict.reasons[0]}"


def notes(steps: Sequence[Step]) -> Iterator[str]:
    """What the rows have no room for: all other reasons, and the remarks, each with the steps it is about."""
    about: dict[str, list[str]] = {}
    for one in steps:
        for text in (*one.verdict.reasons[1:], *remarks(one)):
            about.setdefault(text, []).append(str(one.calls))
    for text, calls in about.items():
        yield f"{', '.join(calls)}: {text}"


def _cells(digits: int, *values: float | None) -> str:
    return "/".join("-" if value is None else f"{value:.{digits}f}" for value in values)
