"""How a silent caller is asked whether they are there."""

from callbot.agents.brain import Nudge
from callbot.conversation.silence import Silence
from tests.conversation.script import RULES


def test_nobody_is_asked_before_silence_has_begun() -> None:
    assert Silence(RULES).nudge_at is None


def test_the_caller_is_asked_twice_and_then_told_goodbye_counted_from_the_beginning() -> None:
    silence = Silence(RULES)
    silence.begins(10.0)
    due, nudges = [], []
    for _ in range(3):
        due.append(silence.nudge_at)
        nudges.append(silence.nudge())
        silence.begins(25.0)
    assert due == [10.0 + RULES.first_prompt, 10.0 + RULES.second_prompt, 10.0 + RULES.goodbye]
    assert nudges == [Nudge(1), Nudge(2), Nudge(3)]
    assert silence.nudge_at == 10.0 + RULES.goodbye


def test_when_we_have_said_something_it_is_counted_from_there() -> None:
    silence = Silence(RULES)
    silence.begins(10.0)
    silence.begins(20.0, afresh=True)
    assert silence.nudge_at == 20.0 + RULES.first_prompt


def test_a_caller_who_speaks_is_asked_from_the_beginning_the_next_time() -> None:
    silence = Silence(RULES)
    silence.begins(10.0)
    silence.nudge()
    silence.ends()
    assert silence.nudge_at is None
    silence.begins(30.0)
    assert silence.nudge_at == 30.0 + RULES.first_prompt
