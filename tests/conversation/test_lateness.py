"""What a process learns of how late answers are, and what it expects of the next."""

import pytest

from callbot.agents.brain import Answer
from callbot.conversation.lateness import Lateness
from callbot.conversation.turns import AgentTurn


def reply(
    asked_at: float, meant_at: float | None = None, spoke_at: float | None = None, *, agent: str = "support"
) -> AgentTurn:
    return AgentTurn(2, agent, Answer("Hi"), asked_at=asked_at, meant_at=meant_at, spoke_at=spoke_at)


def known(*answers: tuple[float, float]) -> Lateness:
    """By the seconds that brain and voice took."""
    lateness = Lateness()
    for brain, voice in answers:
        lateness.spoke(reply(10.0, 10.0 + brain, 10.0 + brain + voice))
    return lateness


def test_nothing_is_expected_before_there_were_a_few_answers() -> None:
    assert known((0.4, 0.1), (0.4, 0.1)).ready_at(reply(50.0)) is None
    assert known((0.4, 0.1), (0.4, 0.1), (0.4, 0.1)).ready_at(reply(50.0)) == pytest.approx(50.5)


def test_an_answer_is_expected_when_they_usually_came() -> None:
    lateness = known((0.4, 0.1), (0.3, 0.2), (5.0, 0.3))
    assert lateness.ready_at(reply(50.0)) == pytest.approx(50.6), "one slow answer is not what is usual"


def test_when_its_first_sentence_is_there_only_the_voice_is_waited_for() -> None:
    assert known(*[(0.4, 0.1)] * 3).ready_at(reply(50.0, 50.9)) == pytest.approx(51.0)


def test_an_answer_that_is_there_is_not_expected() -> None:
    assert Lateness().ready_at(reply(50.0, 50.1, 50.2)) == 50.2


def test_each_agent_has_a_brain_and_a_voice_of_its_own() -> None:
    assert known(*[(0.4, 0.1)] * 3).ready_at(reply(50.0, agent="sales")) is None


def test_what_was_long_ago_is_forgotten() -> None:
    lateness = known(*[(2.0, 0.1)] * 9, *[(0.2, 0.1)] * 5)
    assert lateness.ready_at(reply(50.0)) == pytest.approx(50.3)


def test_a_reply_without_a_sentence_teaches_nothing() -> None:
    lateness = Lateness()
    for _ in range(3):
        lateness.spoke(reply(10.0, None, 10.5))
    assert lateness.ready_at(reply(50.0)) is None
