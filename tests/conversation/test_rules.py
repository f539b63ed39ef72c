from pathlib import Path
from typing import Any

import pytest
import yaml

import callbot.conversation
from callbot.agents.brain import Expecting
from callbot.conversation.completeness import Said
from callbot.conversation.rules import TurnRules, WaitRow, parse_rules
from callbot.errors import ConfigurationError

OURS = (Path(callbot.conversation.__file__).parent / "rules.yaml").read_text(encoding="utf-8")


def changed(**changes: Any) -> str:
    """Our rules with other values; ``...`` takes an entry out."""
    data = yaml.safe_load(OURS) | changes
    return yaml.safe_dump({name: value for name, value in data.items() if value is not ...})


def test_our_rules_say_how_long_to_wait_in_every_case() -> None:
    rules = parse_rules(OURS)
    for said in Said:
        for expecting in Expecting:
            assert 0.1 <= rules.wait(said, expecting) <= 1.5


def test_a_complete_answer_is_taken_up_sooner_than_half_a_one() -> None:
    rules = parse_rules(OURS)
    for expecting in Expecting:
        assert rules.wait(Said.ANSWER, expecting) < rules.wait(Said.PARTIAL, expecting)
        assert rules.wait(Said.SENTENCE, expecting) < rules.wait(Said.UNFINISHED, expecting)


def test_the_first_row_that_fits_wins() -> None:
    rows = [
        {"said": "sentence", "expecting": "email", "wait": 0.8},
        {"said": "sentence", "expecting": "any", "wait": 0.2},
        {"said": "sentence", "expecting": "date", "wait": 9},
    ]
    rules = parse_rules(changed(endpointing=rows))
    assert rules.endpointing[0] == WaitRow(Said.SENTENCE, Expecting.EMAIL, 0.8)
    assert rules.wait(Said.SENTENCE, Expecting.EMAIL) == 0.8
    assert rules.wait(Said.SENTENCE, Expecting.DATE) == 0.2


def test_what_no_row_fits_waits_for_the_forced_final() -> None:
    rows = [{"said": "answer", "expecting": "yes_no", "wait": 0.25}]
    rules = parse_rules(changed(endpointing=rows, forced_final_after=1.1))
    assert rules.wait(Said.ANSWER, Expecting.DIGITS) == 1.1


def test_a_longest_call_is_never_made_longer() -> None:
    rules = parse_rules(changed(longest_call=100))
    assert rules.for_calls_up_to(60).longest_call == 60
    assert rules.for_calls_up_to(600).longest_call == 100
    assert rules.for_calls_up_to(60).endpointing == rules.endpointing


def test_a_whole_number_of_seconds_will_do() -> None:
    rules: TurnRules = parse_rules(changed(keys_end_after=3))
    assert rules.keys_end_after == 3.0
    assert isinstance(rules.keys_end_after, float)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("endpointing: [", "mine.yaml: not YAML"),
        ("- a list", "mine.yaml: expected a mapping"),
        ("", "mine.yaml: expected a mapping"),
        (changed(forced_final_after=...), "mine.yaml: 'forced_final_after' must be .* not None"),
        (changed(keys_end_after=0), "mine.yaml: 'keys_end_after' must be a number of seconds above 0, not 0"),
        (changed(keys_end_after=float("nan")), "'keys_end_after' must be .* not nan"),
        (changed(keys_end_after=float("inf")), "'keys_end_after' must be .* not inf"),
        (changed(keys_end_after=-1), "'keys_end_after' must be .* not -1"),
        (changed(keys_end_after="2 s"), "'keys_end_after' must be .* not '2 s'"),
        (changed(keys_end_after=True), "'keys_end_after' must be .* not True"),
        (changed(barge_in=...), "mine.yaml: 'barge_in' must be a mapping with hold_hum, forgive_after"),
        (changed(silence=8), "mine.yaml: 'silence' must be a mapping with first_prompt, second_prompt"),
        (
            changed(barge_in={"hold_hum": "long", "forgive_after": 1}),
            "mine.yaml: barge_in: 'hold_hum' must be a number of seconds above 0, not 'long'",
        ),
        (changed(endpointing=...), "mine.yaml: 'endpointing' must be a list of rows"),
        (changed(endpointing=[]), "mine.yaml: 'endpointing' must be a list of rows"),
        (changed(endpointing={"said": 1}), "mine.yaml: 'endpointing' must be a list of rows"),
        (changed(endpointing=[1]), "mine.yaml: endpointing row 1: write {said: ..., expecting: ..., wait:"),
        (changed(endpointing=[{"said": "answer"}]), "endpointing row 1: write {said"),
        (
            changed(
                endpointing=[
                    {"said": "answer", "expecting": "any", "wait": 0.2},
                    {"said": "shouted", "expecting": "any", "wait": 0.2},
                ]
            ),
            "endpointing row 2: said: 'shouted' is not one of nothing, answer",
        ),
        (
            changed(endpointing=[{"said": "answer", "expecting": "nothing", "wait": 0.2}]),
            "row 1: expecting: 'nothing' is not one of any, anything, yes_no",
        ),
        (
            changed(endpointing=[{"said": "answer", "expecting": "any", "wait": None}]),
            "row 1: 'wait' must be a number of seconds above 0, not None",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_rules(text, "mine.yaml")


# --- recognisers that judge the turn themselves ------------------------------------------------------


def test_a_recogniser_that_is_sure_cuts_the_wait_short() -> None:
    rules = parse_rules(OURS)
    for said in set(Said) - {Said.PARTIAL}:
        assert rules.wait(said, Expecting.ANYTHING, 0.9) <= rules.surely_over_wait
        assert rules.wait(said, Expecting.ANYTHING, 0.5) == rules.wait(said, Expecting.ANYTHING)


def test_one_that_doubts_it_is_given_time_to_judge_anew() -> None:
    rules = parse_rules(OURS)
    assert rules.wait(Said.SENTENCE, Expecting.ANYTHING, 0.1) == rules.hardly_over_wait
    assert rules.wait(Said.UNFINISHED, Expecting.ANYTHING, 0.1) == rules.wait(
        Said.UNFINISHED, Expecting.ANYTHING
    )


def test_half_a_number_is_waited_for_whatever_it_thinks() -> None:
    rules = parse_rules(OURS)
    assert rules.wait(Said.PARTIAL, Expecting.DIGITS, 1.0) == rules.wait(Said.PARTIAL, Expecting.DIGITS)


@pytest.mark.parametrize("value", [1.5, -0.1, "much", True])
def test_how_sure_it_must_be_is_a_share(value: Any) -> None:
    judged = yaml.safe_load(OURS)["judged_by_the_recogniser"] | {"surely_over": value}
    with pytest.raises(
        ConfigurationError, match="judged_by_the_recogniser: 'surely_over' must be a number from 0 to 1"
    ):
        parse_rules(changed(judged_by_the_recogniser=judged))
