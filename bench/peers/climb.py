"""How far a system gets: what it is to hold next, whether it held it, and where it broke.

Nothing here starts or measures anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from bench.statistics import Summary

EQUAL: Final = 10
"""Calls at which the systems are compared with each other."""
SLOWER_MS: Final = 50.0
GENERATOR_LATE_MS: Final = 10.0
ATTEMPTS: Final = 2
"""A step is held if it is held once: what breaks by itself breaks again."""

_BREAKS: Final = {
    "refused": "refused",
    "lost": "lost",
    "unanswered": "unanswered",
    "underruns": "underruns",
    "false_turns": "false turns",
    "barge_in_missed": "barge-ins missed",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """What is judged of the generator's result; its fields have the generator's names. Times are in ms."""

    calls: int
    calls_held: int
    replies: int
    response_ms: Summary
    barge_in_ms: Summary
    faults: Mapping[str, int]
    generator_late_ms: Summary


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the system under test, while the calls were held. ``memory_kib_per_call`` is what it grew by."""

    cpu_ms_per_call_second: float
    cores: float
    memory_kib_per_call: float


@dataclass(frozen=True, slots=True)
class Measured:
    """``cost`` is ``None`` when the server was gone by then; ``result`` is all that the generator said."""

    heard: Heard
    cost: Cost | None
    result: Mapping[str, Any]


class Outcome(StrEnum):
    HELD = "held"
    BROKE = "broke"
    UNSURE = "unsure"
    """It broke, but the generator was late itself, so nobody can say by whose fault."""


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    reasons: tuple[str, ...] = ()


def judge(heard: Heard, one_call_p50: float | None) -> Verdict:
    """``one_call_p50`` is that system's own median response with one call; ``None`` for that call itself."""
    reasons = [f"{heard.faults[name]} {words}" for name, words in _BREAKS.items() if heard.faults.get(name)]
    if heard.calls_held < heard.calls:
        reasons.append(f"{heard.calls_held} of {heard.calls} calls lasted")
    p99 = heard.response_ms.p99
    if p99 is None:
        reasons.append("no reply that could be timed")
    elif one_call_p50 is not None and p99 > one_call_p50 + SLOWER_MS:
        reasons.append(f"response p99 {p99:.0f} ms, alone it was {one_call_p50:.0f} ms (p50)")
    if not reasons:
        return Verdict(Outcome.HELD)
    late = heard.generator_late_ms.p99
    if late is not None and late > GENERATOR_LATE_MS:
        return Verdict(Outcome.UNSURE, (*reasons, f"the generator was {late:.0f} ms late itself (p99)"))
    return Verdict(Outcome.BROKE, tuple(reasons))


@dataclass(frozen=True, slots=True)
class Step:
    """One try to hold ``calls``."""

    system: str
    calls: int
    attempt: int
    verdict: Verdict
    measured: Measured


@dataclass(slots=True)
class Climb:
    """One system's way up. ``next_calls`` is what it is to hold next: ``None`` when it is done.

    One call comes first, for its response time. The equal number of calls is measured in any case.
    """

    system: str
    version: str
    ladder: tuple[int, ...]
    attempts: int = ATTEMPTS
    steps: list[Step] = field(default_factory=list)
    unavailable: str = ""
    """Why it could not be measured, or measured no further."""

    def __post_init__(self) -> None:
        self.ladder = tuple(sorted({1, EQUAL, *self.ladder}))

    @property
    def one_call_p50(self) -> float | None:
        alone = [step.measured.heard.response_ms.p50 for step in self.steps if step.calls == 1]
        return next((p50 for p50 in alone if p50 is not None), None)

    @property
    def held(self) -> int:
        """The most calls that were held with no broken step below; 0 when none was."""
        held = self._held()
        return max((calls for calls in held if held.issuperset(self._up_to(calls))), default=0)

    @property
    def broke_at(self) -> int | None:
        """The step that was not held in any attempt. ``None``: the ladder was too short to find it."""
        held = self._held()
        return min((step.calls for step in self.steps if step.calls not in held), default=None)

    @property
    def next_calls(self) -> int | None:
        if self.unavailable:
            return None
        tries = [step.calls for step in self.steps]
        held = self._held()
        broken = False
        for calls in self.ladder:
            if calls in held:
                continue
            if calls > 1 and self.one_call_p50 is None:
                return None  # it never answered a single caller
            if (not broken and tries.count(calls) < self.attempts) or (calls == EQUAL and calls not in tries):
                return calls
            broken = True
        return None

    def record(self, calls: int, measured: Measured) -> Step:
        attempt = 1 + sum(step.calls == calls for step in self.steps)
        verdict = judge(measured.heard, self.one_call_p50 if calls > 1 else None)
        step = Step(self.system, calls, attempt, verdict, measured)
        self.steps.append(step)
        return step

    def at(self, calls: int) -> Step | None:
        """The step that held, else the last that was tried."""
        tried = [step for step in self.steps if step.calls == calls]
        return next(
            (step for step in tried if step.verdict.outcome is Outcome.HELD), tried[-1] if tried else None
        )

    def _held(self) -> set[int]:
        return {step.calls for step in self.steps if step.verdict.outcome is Outcome.HELD}

    def _up_to(self, calls: int) -> set[int]:
        return {step for step in self.ladder if step <= calls}
