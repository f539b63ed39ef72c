"""A recogniser's own judgement of whether the turn is over."""

import pytest

from callbot.agents.brain import Answer
from callbot.media_stream.vad import SpeechStarted, SpeechStopped
from callbot.providers.ports import Transcribed
from tests.conversation.script import RULES, Script

HALF = "I would like to order because"
WHOLE = "What are your opening hours?"


def paused(text: str, turn_over: float | None) -> tuple[Script, float]:
    """A caller who has fallen silent, and when; their words and the judgement come at once."""
    script = Script().greeted()
    onset = script.now
    script.tell(SpeechStarted(onset))
    script.until(onset + 1.5)
    script.tell(SpeechStopped(script.now))
    judged(script, text, turn_over)
    return script, script.now


def judged(script: Script, text: str, turn_over: float | None) -> None:
    utterance = script.conversation._utterance
    script.tell(Transcribed(utterance, text, final=True, turn_over=turn_over))


def answered_after(script: Script, stopped: float) -> float:
    """Seconds from the caller's last sound until it is asked for an answer that is not held."""
    while script.conversation.transcript.turns[-1].who != "caller":
        due = script.conversation.deadline
        assert due is not None
        script.until(due)
    return script.now - stopped


@pytest.mark.parametrize(
    ("text", "turn_over", "wait"),
    [
        (HALF, None, 1.3),
        (HALF, 0.95, RULES.surely_over_wait),
        (WHOLE, None, 0.2),
        (WHOLE, 0.05, RULES.hardly_over_wait),
    ],
)
def test_it_is_part_of_the_wait(text: str, turn_over: float | None, wait: float) -> None:
    script, stopped = paused(text, turn_over)
    assert answered_after(script, stopped) == pytest.approx(wait, abs=0.03)


def test_when_it_judges_anew_the_wait_is_another() -> None:
    script, stopped = paused(HALF, 0.2)
    script.until(stopped + 0.4)
    judged(script, HALF, 0.9)
    assert answered_after(script, stopped) == pytest.approx(0.4, abs=0.03)
    assert script.asked()[-1] == Answer(HALF)


def test_a_caller_who_goes_on_is_judged_anew() -> None:
    script, _ = paused(HALF, 0.2)
    script.tell(SpeechStarted(script.now + 0.1))
    script.until(script.now + 1.0)
    script.tell(SpeechStopped(script.now))
    stopped = script.now
    judged(script, f"{HALF} mine is broken.", None)
    assert answered_after(script, stopped) == pytest.approx(0.2, abs=0.03)
