"""Thinking by hand: no loop, no model; every need is answered with a value written here, time included."""

from collections.abc import Iterable

import pytest

from callbot.agents.brain import Action, Answer, Greet, History, Noticed, Request, Say
from callbot.agents.memory import Memory
from callbot.agents.thinking import rests_on, think
from callbot.agents.thought import (
    AskModel,
    Broke,
    Came,
    Given,
    NextPiece,
    Notice,
    Outcomes,
    Quiet,
    StartTools,
    ToolsDone,
)
from callbot.agents.walk import ToolResult
from callbot.call import Call
from callbot.errors import InvalidState
from callbot.providers.ports import Ending, Finished, Role, Speech, ToolCall, Words
from tests.agents.model_phone import DELIVERY, SID, Desk, mind

HISTORY = History(Call(SID, "+15550142", "+15550100"), (("caller", "Where is B7429?"),))
ORDER = ToolCall("c1", "find_order", '{"order_id": "B7429"}')

ASKED = Answer("Where is B7429?")


class Thought:
    """One reply: ``steps`` is everything that was yielded; needs are answered with ``given``, in order."""

    def __init__(self, given: Iterable[Given], request: Request = ASKED) -> None:
        self.memory = Memory()
        self.steps: list[object] = []
        answers = iter(given)
        thoughts = think(mind(Desk()), self.memory, request, HISTORY)
        step: object = next(thoughts, None)
        while step is not None:
            self.steps.append(step)
            needs = isinstance(step, NextPiece | ToolsDone)
            try:
                step = thoughts.send(next(answers) if needs else None)
            except StopIteration:
                break

    def of(self, kind: type) -> list[object]:
        return [step for step in self.steps if isinstance(step, kind)]

    @property
    def said(self) -> list[str]:
        return [step.text for step in self.steps if isinstance(step, Say)]


def test_a_stream_is_waited_for_only_as_long_as_its_words_may_wait() -> None:
    thought = Thought(
        [Came(Words("It is"), 5.0), Came(Words(" on its"), 5.2), Quiet(6.2), Came(Finished(Ending.STOP), 7.0)]
    )
    assert [need.until for need in thought.of(NextPiece)] == [None, 6.2, 6.2, None]  # type: ignore[attr-defined]
    assert thought.said == ["It is on", "its"]
    assert Noticed(Notice.SLOW) in thought.steps


def test_a_slow_tool_is_covered_by_a_word_and_then_waited_for() -> None:
    thought = Thought(
        [
            Came(ORDER, 1.0),
            Came(Finished(Ending.TOOL_CALLS), 1.1),
            Outcomes({}),
            Outcomes({"c1": ToolResult({"status": "shipped"})}),
            Came(Words("It is on its way."), 5.0),
            Came(Finished(Ending.STOP), 5.1),
        ]
    )
    kinds = [type(step) for step in thought.steps if not isinstance(step, NextPiece)]
    assert kinds[:4] == [AskModel, StartTools, ToolsDone, Say]
    assert [need.within for need in thought.of(ToolsDone)] == [2.0, None]  # type: ignore[attr-defined]
    assert thought.said == ["One moment, please.", "It is on its way."]
    last = thought.of(AskModel)[-1]
    assert last.prompt.messages[-1].role is Role.TOOL  # type: ignore[attr-defined]


def test_the_key_of_a_tool_is_made_of_call_tool_and_arguments() -> None:
    thought = Thought(
        [
            Came(ORDER, 0.0),
            Came(Finished(Ending.TOOL_CALLS), 0.0),
            Outcomes({"c1": ToolResult(None)}),
            Came(Words("There is none."), 0.0),
            Came(Finished(Ending.STOP), 0.0),
        ]
    )
    (start,) = thought.of(StartTools)
    assert start.runs["c1"].key == f'{SID}:find_order:{{"order_id": "B7429"}}'  # type: ignore[attr-defined]


def test_a_stream_that_ends_twice_without_a_word_is_admitted() -> None:
    thought = Thought([Broke(None), Broke(None)])
    assert thought.steps.count(Noticed(Notice.EMPTY)) == 2
    assert thought.said[0] == "Sorry, I didn't quite get that."


def test_a_greeting_asks_for_nothing() -> None:
    thought = Thought([], Greet())
    assert all(isinstance(step, Action) for step in thought.steps)


def test_a_driver_that_answers_with_the_wrong_thing_is_told() -> None:
    with pytest.raises(InvalidState):
        Thought([Outcomes({})])


def test_an_answer_rests_on_a_passage_when_it_has_its_words() -> None:
    assert rests_on("It takes two working days, and delivery is free.", DELIVERY.text)
    assert not rests_on("Let me put you through to a colleague.", DELIVERY.text)


# --- a model that speaks by itself -------------------------------------------------------------------


def spoken(text: str) -> Came:
    return Came(Speech(text, b"\x80" * 800), 1.0)


def test_what_the_model_speaks_itself_is_passed_on_piece_by_piece() -> None:
    thought = Thought(
        [spoken("It is"), spoken("on its way. Is"), spoken("that all?"), Came(Finished(Ending.STOP), 2.0)]
    )
    says = [step for step in thought.steps if isinstance(step, Say)]
    assert [say.text for say in says] == ["It is", "on its way. Is", "that all?"]
    assert all(say.speech is not None and say.speech.text == say.text for say in says)
    assert thought.memory.said == ["It is on its way.", "Is that all?"]


def test_a_piece_without_words_is_passed_on_too() -> None:
    thought = Thought([spoken("It is."), spoken(""), Came(Finished(Ending.STOP), 2.0)])
    assert [step.text for step in thought.steps if isinstance(step, Say)] == ["It is.", ""]
    assert thought.memory.said == ["It is."]


def test_what_nobody_should_hear_ends_what_the_model_speaks() -> None:
    thought = Thought(
        [
            spoken("I call find_order(id='B7429')"),
            spoken("It is on its way."),
            Came(Finished(Ending.STOP), 2.0),
        ]
    )
    assert thought.said == ["It is on its way."]
    assert len(thought.of(AskModel)) == 2
    assert Noticed(Notice.LEAKED) in thought.steps


def test_a_tool_in_the_midst_of_what_the_model_speaks() -> None:
    thought = Thought(
        [
            spoken("Let me look."),
            Came(ORDER, 1.1),
            Came(Finished(Ending.TOOL_CALLS), 1.2),
            Outcomes({"c1": ToolResult({"status": "shipped"})}),
            spoken("It is on its way."),
            Came(Finished(Ending.STOP), 3.0),
        ]
    )
    assert thought.memory.said == ["Let me look.", "It is on its way."]
    assert "Let me look." in [message.text for message in thought.of(AskModel)[-1].prompt.messages]  # type: ignore[attr-defined]
