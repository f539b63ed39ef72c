"""The walker by hand: no loop, no model; every need is answered with a value written here."""

from collections.abc import Mapping
from typing import Any

import pytest

from callbot.agents.brain import Action, Answer, Expect, Expecting, Greet, History, Request, Say
from callbot.agents.flow_state import State
from callbot.agents.ranking import Candidate, Found, Ranking, Topic
from callbot.agents.walk import Given, Rank, RunTool, Search, ToolResult
from callbot.agents.walker import fresh, walk
from callbot.call import Call
from callbot.demo import larkfield
from callbot.errors import InvalidState
from tests.agents.phone import TODAY

BUSINESS = larkfield()
HISTORY = History(Call("CA1", "+15550142", "+15550100"))


def intent(*names: str, clear: bool = True, phrase: bool = False) -> Ranking:
    """A ranking of intents, best first."""
    scores = {name: 0.8 - place / 100 for place, name in enumerate(names)}
    candidates = tuple(Candidate(Topic.INTENT, name, score, phrase) for name, score in scores.items())
    return Ranking(candidates, fits=True, clear=clear)


def command(name: str) -> Ranking:
    return Ranking((Candidate(Topic.COMMAND, name, 0.9, True, True),), fits=True, clear=True)


NOTHING = Ranking((Candidate(Topic.NOTHING, "", 0.1),), fits=False, clear=False)
NOT_OURS = Ranking((Candidate(Topic.NOTHING, "", 0.9),), fits=False, clear=True)
DELIVERY = Ranking((Candidate(Topic.DOCUMENT, "delivery", 0.9),), fits=True, clear=True)


class Walked:
    """A support call whose needs are answered from what each turn is given."""

    def __init__(self, agent: str = "support") -> None:
        self.agent, self.flow = BUSINESS.agents[agent], BUSINESS.flows[agent]
        self.state: State = fresh(self.flow)
        self.actions: list[Action] = []
        self.ran: list[RunTool] = []

    def ask(
        self, request: Request, ranking: Ranking = NOTHING, results: Mapping[str, Any] | None = None
    ) -> str:
        steps = walk(self.agent, self.flow, self.state, request, HISTORY, today=TODAY)
        self.actions = []
        given: Given = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration:
                return " ".join(action.text for action in self.actions if isinstance(action, Say))
            given = None
            match step:
                case Rank():
                    given = ranking
                case RunTool():
                    self.ran.append(step)
                    given = ToolResult((results or {}).get(step.tool))
                case Search():
                    given = Found("en", "delivery", ("In two days.",), 0.9)
                case _:
                    self.actions.append(step)

    def say(self, text: str, ranking: Ranking = NOTHING, results: Mapping[str, Any] | None = None) -> str:
        return self.ask(Answer(text), ranking, results)

    @property
    def expected(self) -> Expecting:
        last = self.actions[-1]
        assert isinstance(last, Expect)
        return last.what


@pytest.fixture
def call() -> Walked:
    walked = Walked()
    walked.ask(Greet())
    return walked


UNDECIDED = intent("order_status", "bill", clear=False)


def test_two_wishes_alike_are_asked_apart(call: Walked) -> None:
    assert call.say("about that thing", UNDECIDED) == "Is that about an order, or about a bill?"
    assert call.expected is Expecting.CHOICE
    assert call.say("the order please", UNDECIDED) == "What's your order number?"


def test_the_second_of_two_wishes_can_be_named(call: Walked) -> None:
    call.say("about that thing", UNDECIDED)
    account = {"last_bill": "$1.00", "state": "overdue", "due": "the 1st", "overdue": "$1.00"}
    answer = call.say("my bill", intent("bill", "order_status"), {"find_account": account})
    assert answer.startswith("Your last bill was $1.00")


def test_a_third_thing_instead_of_the_two_is_served(call: Walked) -> None:
    call.say("about that thing", UNDECIDED)
    assert call.say("no, call me back", intent("callback", phrase=True)) == "Which day suits you?"


def test_neither_of_the_two_is_answered_openly(call: Walked) -> None:
    call.say("about that thing", UNDECIDED)
    assert call.say("mumble mumble", NOTHING).startswith("Sorry, I didn't quite get that.")


def test_a_question_nobody_can_answer_leaves_the_slots_question_open(call: Walked) -> None:
    call.say("where is it", intent("order_status"))
    assert call.say("who is the president?", NOT_OURS) == (
        "I'm afraid I don't know that. Now, what's your order number?"
    )
    assert call.expected is Expecting.SPELLING


def test_the_same_wish_again_asks_again_without_counting_a_miss(call: Walked) -> None:
    call.say("where is it", intent("order_status"))
    assert call.say("my order I mean", intent("order_status")) == "What's your order number?"
    assert call.state.wait.misses == 0


def test_a_passage_at_an_offer_leaves_the_offer_open(call: Walked) -> None:
    call.say("call me Monday at nine", intent("callback"))
    answer = call.say("do you deliver?", DELIVERY)
    assert answer == "In two days. Now, shall we call you on 555-0142?"
    assert call.expected is Expecting.YES_NO


def test_a_passed_over_offer_of_a_person_is_withdrawn(call: Walked) -> None:
    call.say("a person please", command("human"))
    assert call.say("do you deliver?", DELIVERY) == "In two days. What can I do for you?"
    assert call.say("yes", NOTHING) == "Of course, what is it?"


def test_a_person_asked_for_while_arranging_one_changes_nothing(call: Walked) -> None:
    call.say("call me back", intent("callback"))
    assert call.say("a person please", command("human")) == (
        "I can't put you through to a person right now. Now, which day suits you?"
    )


def test_a_day_that_cannot_be_got_ends_the_callback_without_a_circle(call: Walked) -> None:
    call.say("call me back", intent("callback"))
    call.say("blue")
    call.say("green")
    assert call.say("red") == "I'm sorry, I'm having trouble getting the day. What can I do for you?"


def test_another_slot_in_an_answer_is_kept_while_the_question_stays(call: Walked) -> None:
    call.say("call me back", intent("callback"))
    assert call.say("at nine in the morning") == "Which day suits you?"
    assert call.state.slots["time"].value == "09:00"


def test_a_change_of_mind_about_an_earlier_slot_is_taken_at_the_next_question(call: Walked) -> None:
    call.say("call me on Monday", intent("callback"))
    assert call.say("Tuesday at ten") == "Shall we call you on 555-0142?"
    assert call.state.slots["day"].value == "2026-11-24"
    assert call.say("no, make it Wednesday") == "Shall we call you on 555-0142?"
    assert call.state.slots["time"].value == "10:00"


def test_what_should_change_is_asked_once_more_and_then_read_back_again(call: Walked) -> None:
    call.say("call me Monday at nine", intent("callback"))
    call.say("yes")
    assert call.say("no") == "No problem. What should I change?"
    assert call.say("mumble").endswith("What should I change?")
    assert call.say("mumble").endswith("Is that right?")


def test_the_same_confirmed_request_has_the_same_key_and_another_another(call: Walked) -> None:
    booked = {"book_callback": {"reference": "C1"}}
    for words in ("call me Monday at nine", "yes"):
        call.say(words, intent("callback") if words.startswith("call") else NOTHING)
    call.say("yes", NOTHING, booked)
    call.say("no wait, make it ten", NOTHING, booked)
    call.say("yes", NOTHING, booked)
    first, second = call.ran
    assert first.key != second.key
    assert (first.arguments["replaces"], second.arguments["replaces"]) == ("", "C1")
    assert first.key.startswith("CA1:")


def test_nothing_to_repeat_is_said_so() -> None:
    fresh_call = Walked()
    assert fresh_call.say("pardon?", command("repeat")).startswith("I haven't said anything yet.")


def test_a_driver_that_answers_a_need_with_the_wrong_thing_is_found_out(call: Walked) -> None:
    steps = walk(call.agent, call.flow, call.state, Answer("hello"), HISTORY, today=TODAY)
    assert isinstance(next(steps), Rank)
    with pytest.raises(InvalidState, match="a ranking was answered with"):
        steps.send(ToolResult(None))
