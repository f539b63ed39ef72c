"""What is made of the measurements: what holds, what comes next, what is said of it."""

from dataclasses import replace

import pytest

from bench.peers.climb import Outcome
from bench.standins import Latencies
from bench.statistics import Summary
from bench.steps import (
    COLUMNS,
    LADDER,
    Overhead,
    Rules,
    Served,
    alone_p50,
    conclusion,
    errors,
    faultless,
    held,
    ladder,
    next_calls,
    notes,
    remarks,
    row,
    step,
    verdict,
)
from tests.bench.measurements import NOTHING, TOLD, climbed, measured, spread

SLOW = spread(210, 230, 251)
UNTOLD = Served()


class TestAStep:
    def test_holds_when_nothing_is_wrong(self):
        assert verdict(measured(100), 200).outcome is Outcome.HELD

    @pytest.mark.parametrize("fault", ["refused", "lost", "unanswered", "false_turns", "underruns"])
    def test_breaks_by_what_a_caller_would_notice(self, fault: str):
        assert verdict(measured(100, faults={fault: 2}), 200).outcome is Outcome.BROKE

    def test_breaks_when_the_slowest_are_over_50_ms_above_the_call_alone(self):
        assert verdict(measured(100, response=SLOW), 201).outcome is Outcome.HELD
        found = verdict(measured(100, response=SLOW), 200)
        assert found.outcome is Outcome.BROKE
        assert found.reasons == ("response p99 251 ms, alone it was 200 ms (p50)",)

    def test_breaks_by_a_frame_that_was_sent_and_never_received(self):
        found = verdict(measured(100, served=replace(TOLD, frames_received=997)), 200)
        assert (found.outcome, found.reasons) == (Outcome.BROKE, ("3 of 1000 frames lost",))

    def test_breaks_by_late_frames(self):
        found = verdict(measured(100, served=replace(TOLD, frames_late=2)), 200)
        assert found.reasons == ("frames over 100 ms late in 2 seconds of calls",)

    def test_tells_every_reason(self):
        found = verdict(measured(9, faults={"lost": 1}, served=replace(TOLD, frames_received=0)), 200)
        assert found.reasons == ("1 lost", "1000 of 1000 frames lost")

    def test_is_not_held_against_the_server_when_the_generator_was_late(self):
        lost = replace(TOLD, frames_received=997)
        assert verdict(measured(100, served=lost, late=11), 200).outcome is Outcome.UNSURE
        assert verdict(measured(100, faults={"underruns": 1}, late=11), 200).outcome is Outcome.UNSURE

    def test_a_server_that_tells_nothing_of_frames_is_judged_by_the_rest(self):
        assert verdict(measured(100, served=UNTOLD), 200).outcome is Outcome.HELD

    def test_counts_its_overhead_from_the_call_alone(self):
        assert step(measured(100, response=SLOW), 200).overhead == Overhead(10.0, 30.0, 51.0)
        assert step(measured(1, response=SLOW), None).overhead == Overhead(0.0, 20.0, 41.0)
        assert step(measured(1, response=NOTHING), None).overhead is None


class TestRemarks:
    def test_a_late_generator_is_never_hidden(self):
        one = step(measured(100, late=25), 200)
        assert one.verdict.outcome is Outcome.HELD
        assert list(remarks(one)) == [
            "the generator was 25 ms late itself (p99): what it found may be its own fault"
        ]
        assert "held (generator late)" in row(one)

    def test_habits_are_told_and_break_nothing(self):
        one = step(measured(100, faults={"cut_short": 2, "resumed": 1, "bad_messages": 3}), 200)
        assert one.verdict.outcome is Outcome.HELD
        assert list(remarks(one)) == ["3 bad messages", "2 replies cut short", "1 replies resumed"]

    def test_too_few_answers_of_the_call_alone_are_told(self):
        assert not list(remarks(step(measured(1, response=spread(200, 210, 220, count=20)), None)))
        (remark,) = remarks(step(measured(1, response=spread(200, 210, 220, count=19)), None))
        assert remark.startswith("19 answers are few")

    def test_what_the_server_did_not_tell_is_called_not_measured(self):
        (remark,) = remarks(step(measured(100, served=replace(UNTOLD, loop_lag_p99=1.0)), 200))
        assert remark.endswith("/metrics did not tell: lost frames, late frames, our own part")

    def test_the_same_remark_of_several_steps_is_told_once(self):
        steps = climbed(
            measured(1, served=UNTOLD), measured(9, served=UNTOLD, faults={"lost": 1, "refused": 1})
        )
        told = list(notes(steps))
        assert [line.partition(":")[0] for line in told] == ["1, 9", "9"]
        assert told[1] == "9: 1 lost"


class TestErrors:
    def test_time_is_none(self):
        slow = measured(20, response=spread(2000, 3000, 4000), late=50, faults={"underruns": 3})
        assert errors(slow) == ()
        assert faultless(step(slow, 200)).verdict.outcome is Outcome.HELD

    @pytest.mark.parametrize("fault", ["refused", "lost", "unanswered", "false_turns", "bad_messages"])
    def test_faults_are(self, fault: str):
        found = faultless(step(measured(20, faults={fault: 2}), 200)).verdict
        assert found.outcome is Outcome.BROKE
        assert found.reasons == (f"2 {fault.replace('_', ' ')}",)

    def test_calls_and_frames_that_are_gone_are(self):
        gone = measured(20, lasted=19, served=replace(TOLD, frames_received=1))
        assert errors(gone) == ("19 of 20 calls lasted", "999 of 1000 frames lost")


class TestTheLadder:
    def test_is_the_usual_one_up_to_a_number(self):
        assert ladder(None, None) == LADDER
        assert ladder(None, 700) == (100, 200, 400, 600, 700)
        assert ladder(None, 20) == (20,)

    def test_is_what_was_asked_for_in_order(self):
        assert ladder([30, 10, 30], None) == (10, 30)

    @pytest.mark.parametrize(("calls", "up_to"), [([1, 10], None), ([0], None), ([], None), (None, 1)])
    def test_begins_above_the_call_that_is_made_alone_anyway(
        self, calls: list[int] | None, up_to: int | None
    ):
        with pytest.raises(ValueError, match=r"--calls|--up-to"):
            ladder(calls, up_to)


class TestClimbing:
    def test_one_call_comes_first(self):
        assert next_calls((10, 20), []) == 1

    def test_goes_up_while_steps_hold(self):
        steps = climbed(measured(1), measured(10))
        assert next_calls((10, 20), steps) == 20
        assert next_calls((10,), steps) is None

    def test_ends_where_something_breaks(self):
        assert next_calls((10, 20), climbed(measured(1), measured(10, faults={"lost": 1}))) is None

    def test_ends_where_nobody_can_say(self):
        assert next_calls((10, 20), climbed(measured(1), measured(10, faults={"lost": 1}, late=30))) is None

    def test_goes_on_after_a_single_call_with_a_fault_as_long_as_it_was_answered(self):
        assert next_calls((10,), climbed(measured(1, faults={"underruns": 1}))) == 10

    def test_ends_when_the_call_alone_was_never_answered(self):
        steps = climbed(measured(1, response=NOTHING))
        assert next_calls((10,), steps) is None
        assert alone_p50(steps) is None

    def test_all_steps_are_judged_by_the_call_alone(self):
        steps = climbed(measured(1, response=spread(100, 110, 120)), measured(9), measured(10))
        assert alone_p50(steps) == 100
        assert [one.verdict.outcome for one in steps] == [Outcome.HELD, Outcome.BROKE, Outcome.BROKE]


class TestTheConclusion:
    def test_names_the_most_that_held_and_what_broke(self):
        steps = climbed(measured(1), measured(10), measured(20, faults={"underruns": 3}))
        assert held(steps) == 10
        assert (
            conclusion(steps, 60) == "10 calls at once held for 60 s. 20 calls at once did not: 3 underruns."
        )

    def test_says_when_nothing_broke(self):
        steps = climbed(measured(1), measured(10))
        assert (
            conclusion(steps, 60) == "10 calls at once held for 60 s. Nothing broke, and no more were tried."
        )

    def test_says_when_nobody_can_say(self):
        steps = climbed(measured(1), measured(10, faults={"lost": 1}, late=30))
        assert conclusion(steps, 5).startswith(
            "1 call held for 5 s. Of 10 nobody can say whether they held: 1 lost"
        )

    def test_says_when_not_even_one_call_was_answered(self):
        assert held(climbed(measured(1, response=NOTHING))) is None
        assert "Not even one call" in conclusion(climbed(measured(1, response=NOTHING)), 60)
        assert "Not even one call" in conclusion([], 60)

    def test_says_when_the_only_step_broke(self):
        steps = climbed(measured(1, faults={"underruns": 1}))
        assert conclusion(steps, 60) == "Nothing was held. 1 call did not: 1 underruns."


class TestTheTable:
    def test_has_a_cell_for_every_column(self):
        cells = row(climbed(measured(1), measured(100, cpu=1.04))[1])
        assert cells == ("100", "1.04/0.52", "45", "0/10/20", "4.0", "100/130/140", "2.0", "held")
        assert len(cells) == len(COLUMNS)

    def test_has_a_dash_for_what_was_not_measured(self):
        one = measured(100, response=NOTHING, served=UNTOLD)
        silent = replace(one.heard, barge_in_ms=Summary(0, None, None, None, None))
        cells = row(step(replace(one, heard=silent, spent=None), 200))
        assert cells == (
            *("100", "-/1.00", "-", "-", "-", "-", "-"),
            "broke: no reply that could be timed",
        )


class TestRules:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("hold_seconds", 0.0),
            ("workers", 0),
            ("barge_ins_per_minute", -1.0),
            ("latencies", Latencies(brain=-0.1)),
        ],
    )
    def test_that_cannot_be_held_name_the_field(self, name: str, value: object):
        wanted = "brain" if name == "latencies" else name
        with pytest.raises(ValueError, match=wanted):
            Rules(**{name: value})  # type: ignore[arg-type]
