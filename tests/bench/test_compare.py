"""What the comparison makes of what was measured: who goes next, who held, and how many times better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from bench.compare import LADDERS, OURS, Comparison, Row, compare, ratio, table
from bench.peers.climb import EQUAL, Climb, Cost, Heard, Measured, Outcome, judge
from bench.peers.processes import Running
from bench.peers.trial import Rules
from bench.peers.venvs import Unavailable
from bench.statistics import Summary


def spread(p50: float, p99: float) -> Summary:
    return Summary(40, p50, p99, p99, p99)


NOTHING = Summary(0, None, None, None, None)
QUICK = spread(200, 230)


def heard(
    calls: int = 10,
    *,
    held: int | None = None,
    response: Summary = QUICK,
    late: float = 1.0,
    **faults: int,
) -> Heard:
    return Heard(
        calls=calls,
        calls_held=calls if held is None else held,
        replies=40,
        response_ms=response,
        barge_in_ms=spread(100, 130),
        faults={"resumed": 0, **faults},
        generator_late_ms=spread(0.5, late),
    )


def measured(calls: int, *, cpu: float = 2.0, **told: Any) -> Measured:
    return Measured(heard(calls, **told), Cost(cpu, cpu * calls / 1000, 100.0), {"calls": calls})


class TestJudging:
    def test_calls_that_were_all_answered_in_time_are_held(self) -> None:
        assert judge(heard(), 200).outcome is Outcome.HELD

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            ("refused", "2 refused"),
            ("lost", "2 lost"),
            ("unanswered", "2 unanswered"),
            ("underruns", "2 underruns"),
            ("false_turns", "2 false turns"),
            ("barge_in_missed", "2 barge-ins missed"),
        ],
    )
    def test_what_a_caller_would_notice_breaks_a_step(self, fault: str, said: str) -> None:
        verdict = judge(replace(heard(), faults={fault: 2}), 200)

        assert verdict.outcome is Outcome.BROKE
        assert verdict.reasons == (said,)

    def test_a_habit_that_no_load_causes_does_not_break_a_step(self) -> None:
        assert judge(heard(resumed=3, cut_short=1, bad_messages=4), 200).outcome is Outcome.HELD

    def test_calls_that_did_not_last_break_it(self) -> None:
        assert judge(heard(10, held=9), 200).reasons == ("9 of 10 calls lasted",)

    def test_a_slow_reply_is_judged_by_the_systems_own_single_call(self) -> None:
        slow = heard(response=spread(240, 290))

        assert judge(slow, 240).outcome is Outcome.HELD
        assert judge(slow, 239).reasons == ("response p99 290 ms, alone it was 239 ms (p50)",)
        assert judge(slow, None).outcome is Outcome.HELD

    def test_a_system_that_never_answers_has_not_held(self) -> None:
        assert judge(heard(response=NOTHING), None).reasons == ("no reply that could be timed",)

    def test_a_late_generator_leaves_a_broken_step_in_doubt_and_a_held_one_held(self) -> None:
        verdict = judge(heard(underruns=1, late=25), 200)

        assert verdict.outcome is Outcome.UNSURE
        assert verdict.reasons == ("1 underruns", "the generator was 25 ms late itself (p99)")
        assert judge(heard(late=25), 200).outcome is Outcome.HELD


def climb_all(breaks_at: int, ladder: Sequence[int], attempts: int = 2) -> tuple[Climb, list[int]]:
    climb = Climb("a", "1", tuple(ladder), attempts)
    taken: list[int] = []
    while (calls := climb.next_calls) is not None:
        taken.append(calls)
        climb.record(calls, measured(calls, underruns=int(calls >= breaks_at)))
    return climb, taken


class TestClimbing:
    def test_one_call_comes_first_and_each_step_once_while_it_holds(self) -> None:
        climb, taken = climb_all(1000, [5, 10, 20])

        assert taken == [1, 5, 10, 20]
        assert (climb.held, climb.broke_at) == (20, None)

    def test_a_broken_step_is_tried_again_and_then_is_the_last(self) -> None:
        climb, taken = climb_all(20, [5, 10, 15, 20, 30])

        assert taken == [1, 5, 10, 15, 20, 20]
        assert (climb.held, climb.broke_at) == (15, 20)

    def test_what_breaks_once_and_not_again_was_held(self) -> None:
        climb = Climb("a", "1", (10, 20), attempts=2)
        for calls, underruns in ((1, 0), (10, 1), (10, 0)):
            assert climb.next_calls == calls
            climb.record(calls, measured(calls, underruns=underruns))

        assert climb.next_calls == 20
        assert climb.held == 10
        equal = climb.at(EQUAL)
        assert equal is not None
        assert equal.attempt == 2

    def test_the_equal_number_of_calls_is_measured_even_above_what_was_held(self) -> None:
        climb, taken = climb_all(5, [5, 10, 15])

        assert taken == [1, 5, 5, 10]
        assert (climb.held, climb.broke_at) == (1, 5)
        assert climb.at(EQUAL) is not None

    def test_the_equal_number_is_a_step_of_every_ladder(self) -> None:
        assert climb_all(1000, [20])[1] == [1, EQUAL, 20]

    def test_a_system_that_answers_nobody_is_not_taken_further(self) -> None:
        climb = Climb("a", "1", (10,), attempts=2)
        while (calls := climb.next_calls) is not None:
            climb.record(calls, measured(calls, response=NOTHING))

        assert [step.calls for step in climb.steps] == [1, 1]
        assert climb.held == 0

    def test_each_later_step_is_judged_by_the_first_calls_median(self) -> None:
        climb = Climb("a", "1", (10,), attempts=1)
        climb.record(1, measured(1, response=spread(300, 330)))
        step = climb.record(10, measured(10, response=spread(310, 351)))

        assert climb.one_call_p50 == 300
        assert step.verdict.reasons == ("response p99 351 ms, alone it was 300 ms (p50)",)


@dataclass(eq=False)
class Known:
    """A system whose limits are known: above ``most`` calls it has underruns."""

    name: str
    most: int
    cpu: float
    missing: str = ""
    version: str = "1.0"
    told: list[str] = field(default_factory=list)

    def prepare(self, tell: Callable[[str], None]) -> None:
        if self.missing:
            raise Unavailable(self.missing)
        tell(f"{self.name} is here")

    def start(self, core: int | None) -> Running:
        raise AssertionError("the trial would")

    def stop(self) -> None:
        raise AssertionError("the trial would")


def run(*systems: Known, crashes_at: Mapping[str, int] | None = None) -> tuple[Comparison, list[str]]:
    order: list[str] = []
    limits = {system.name: system for system in systems}

    def trial(target: Any, calls: int) -> Measured:
        order.append(f"{target.name} {calls}")
        if (crashes_at or {}).get(target.name) == calls:
            raise Unavailable("its server ended with 1: out of memory")
        known = limits[target.name]
        return measured(calls, cpu=known.cpu, underruns=int(calls > known.most))

    pairs = [(system, (10, 20, 40)) for system in systems]
    comparison = compare(pairs, trial=trial, rules=Rules(), tell=order.append, attempts=1)
    return comparison, [
        line for line in order if line in {f"{n} {c}" for n in limits for c in (1, 10, 20, 40)}
    ]


class TestComparing:
    def test_the_systems_take_turns(self) -> None:
        _, order = run(Known(OURS, 1000, 1.0), Known("pipecat", 10, 50.0))

        assert order == [
            "callbot 1", "pipecat 1", "callbot 10", "pipecat 10", "callbot 20", "pipecat 20", "callbot 40",
        ]  # fmt: skip

    def test_the_ratios_say_how_many_times_better_we_are(self) -> None:
        comparison, _ = run(Known(OURS, 20, 2.0), Known("pipecat", 10, 50.0))

        (better,) = comparison.ratios
        assert better.system == "pipecat"
        assert (better.calls_held, better.at_least) == (2.0, False)
        assert better.cpu == 25.0
        assert (better.barge_in_p50, better.barge_in_p95) == (1.0, 1.0)

    def test_a_system_that_cannot_be_installed_has_a_row_that_says_why(self) -> None:
        comparison, order = run(Known(OURS, 20, 2.0), Known("vocode", 10, 4.0, missing="no wheel for it"))

        theirs = comparison.rows[1]
        assert theirs.held is None
        assert theirs.unavailable == "no wheel for it"
        assert not any(step.startswith("vocode") for step in order)
        lines = list(table(comparison.rows, comparison.ratios))
        assert "vocode was not measured: no wheel for it" in lines
        assert comparison.ratios[0].calls_held is None

    def test_a_server_that_does_not_start_ends_its_own_way_only(self) -> None:
        comparison, order = run(
            Known(OURS, 1000, 1.0), Known("pipecat", 1000, 50.0), crashes_at={"pipecat": 20}
        )

        assert "callbot 40" in order
        assert "pipecat 40" not in order
        theirs = comparison.rows[1]
        assert (theirs.held, theirs.broke_at) == (10, None)
        lines = list(table(comparison.rows, comparison.ratios))
        assert "pipecat was not measured any further: its server ended with 1: out of memory" in lines

    def test_everything_that_was_measured_is_in_the_json(self) -> None:
        comparison, _ = run(Known(OURS, 20, 2.0), Known("pipecat", 10, 50.0))

        told = msgspec.json.decode(msgspec.json.encode(comparison))

        assert [step["calls"] for step in told["steps"] if step["system"] == "callbot"] == [1, 10, 20, 40]
        assert told["steps"][0]["measured"]["result"] == {"calls": 1}
        assert told["steps"][-1]["verdict"] == {"outcome": "broke", "reasons": ["1 underruns"]}
        assert told["rules"]["hold_seconds"] == 60
        assert told["machine"]["python"]

    def test_every_system_that_can_be_asked_for_has_a_ladder_that_rises(self) -> None:
        for ladder in LADDERS.values():
            assert list(ladder) == sorted(set(ladder))
            assert EQUAL in ladder


class TestTelling:
    OURS = Row(OURS, "0.1.0", 800, 1000, ("3 underruns",), 200, 205, 230, 100, 130, 2.5, 45.4)
    THEIRS = Row(
        "pipecat", "1.14.0", 15, 20, ("1 lost", "2 unanswered"), 240, 250, 280, 285, 325, 50.0, 14000
    )

    def test_the_table_lines_up_and_says_where_each_broke(self) -> None:
        lines = list(table((self.OURS, self.THEIRS), (ratio(self.OURS, self.THEIRS),)))

        assert lines == [
            "                calls   at 10 calls:                                           KiB",
            "system           held  CPU ms/call-s  response p50, p99  barge-in p50, p95  a call",
            "callbot 0.1.0     800           2.50           205, 230           100, 130      45",
            "pipecat 1.14.0     15          50.00           250, 280           285, 325   14000",
            "callbot broke at 1000: 3 underruns",
            "pipecat broke at 20: 1 lost; 2 unanswered",
            "callbot against pipecat: 53.3 times the calls a core, 20.0 times less CPU at 10 calls, "
            "barge-in 2.9 (p50) and 2.5 (p95) times as fast",
        ]

    def test_a_ladder_that_ended_before_we_broke_gives_a_lower_bound(self) -> None:
        unbroken = replace(self.OURS, held=1000, broke_at=None, why=())

        lines = list(table((unbroken, self.THEIRS), (ratio(unbroken, self.THEIRS),)))

        assert any(line.split()[2:5] == ["1000", "or", "more"] for line in lines)
        assert "at least 66.7 times the calls a core" in lines[-1]

    def test_a_ladder_that_ended_before_the_other_broke_gives_no_ratio(self) -> None:
        unbroken = replace(self.THEIRS, broke_at=None, why=())

        better = ratio(self.OURS, unbroken)

        assert better.calls_held is None
        assert better.cpu == 20.0
        assert list(table((self.OURS, unbroken), (better,)))[-1].startswith(
            "callbot against pipecat: 20.0 times less CPU at 10 calls, barge-in"
        )
