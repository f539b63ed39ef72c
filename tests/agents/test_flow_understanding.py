"""What was meant, measured: see ``utterances`` for where each table comes from."""

from collections.abc import Mapping

import pytest

from callbot.agents.matching import Understanding
from callbot.agents.ranking import Topic
from callbot.business import Business
from tests.agents.utterances import FIRST, FOURTH, SECOND, THIRD, UNTUNED, Table

pytestmark = pytest.mark.models

TABLES = {"first": FIRST, "second": SECOND, "third": THIRD, "fourth": FOURTH}


def misunderstood(understandings: Mapping[str, Understanding], table: Table) -> list[str]:
    wrong = []
    for agent, text, wanted in table:
        ranking = understandings[agent].rank(text)
        got = ranking.best.name if ranking.fits else ""
        if got != wanted:
            wrong.append(f"{agent}: {text!r} is {wanted or 'nothing'}, not {got or 'nothing'}")
    return wrong


@pytest.mark.parametrize("name", TABLES)
def test_at_least_95_in_100_utterances_are_understood(
    understandings: Mapping[str, Understanding], name: str
) -> None:
    table = TABLES[name]
    wrong = misunderstood(understandings, table)
    assert len(wrong) <= 0.05 * len(table), "\n".join(wrong)


def test_9_in_10_utterances_that_nothing_was_tuned_on_are_understood(
    understandings: Mapping[str, Understanding],
) -> None:
    wrong = misunderstood(understandings, UNTUNED)
    assert len(wrong) <= 0.1 * len(UNTUNED), "\n".join(wrong)


def test_none_of_the_utterances_is_an_example_of_a_flow(business: Business) -> None:
    examples = {
        text.lower().strip(".?!")
        for flow in business.flows.values()
        for examples in (
            *(intent.examples for intent in flow.intents.values()),
            *(command.examples for command in flow.commands.values()),
        )
        for text in examples
    }
    said = {text.lower().strip(".?!") for table in (*TABLES.values(), UNTUNED) for _, text, _ in table}
    assert not said & examples


def test_a_question_is_answered_from_the_passage_it_is_about(
    understandings: Mapping[str, Understanding],
) -> None:
    found = understandings["support"].find("could it be delivered on a Saturday?")
    assert found is not None
    assert (found.document, found.passage) == ("en", "delivery")
    assert "Saturdays" in found.answer[0]


def test_the_best_passage_is_found_even_where_no_question_was_written_for_it(
    understandings: Mapping[str, Understanding],
) -> None:
    found = understandings["support"].find("two working days")
    assert found is not None
    assert found.passage == "delivery"


def test_a_greeting_in_front_of_a_wish_does_not_hide_it(understandings: Mapping[str, Understanding]) -> None:
    assert understandings["support"].rank("Hello, where is my order?").best.name == "order_status"
    assert understandings["support"].rank("Hello?").best.name == "greeting"


def test_only_fillers_are_about_nothing_much(understandings: Mapping[str, Understanding]) -> None:
    assert understandings["support"].rank("um so").best.topic in (Topic.COMMAND, Topic.NOTHING)
