"""The parts of a response, told from what a real conversation decides."""

from dataclasses import astuple

import pytest

from bench.breakdown import Breakdown, Parts
from callbot.agents.brain import Expect, Expecting, HandOff
from callbot.conversation.completeness import Said
from callbot.conversation.effects import Effect, TurnEnded
from callbot.conversation.events import Acted, DeadlinePassed, Event, Meant, Pressed, ReplyFinished, Spoke
from tests.conversation.script import CALL, RULES, Script, clip

ASKED = "Where is my order?"


class Watched(Script):
    """A conversation whose events and effects are observed as a session would have it."""

    def __init__(self) -> None:
        self.breakdown = Breakdown(RULES)
        super().__init__()

    def tell(self, event: Event) -> list[Effect]:
        self.breakdown.observe(CALL.sid, self.now, event)
        effects = super().tell(event)
        for effect in effects:
            self.breakdown.observe(CALL.sid, self.now, effect)
        return effects

    def pauses(self) -> None:
        """For just as long as it takes until the turn is over."""
        deadline = self.conversation.deadline
        assert deadline is not None
        self.until(deadline)

    def answered(self, *, thinking: float = 0.0, rendering: float = 0.0) -> None:
        """The newest reply is made, in so much time."""
        turn = self.turn
        self.wait(thinking)
        self.tell(Meant(turn, "On Thursday."))
        self.wait(rendering)
        self.tell(Spoke(turn, clip(turn, "On Thursday.")))
        self.tell(ReplyFinished(turn))

    @property
    def parts(self) -> list[Parts]:
        return [response.parts for response in self.breakdown.responses]


def call() -> Watched:
    watched = Watched()
    watched.greeted()
    return watched


def only(watched: Watched) -> Parts:
    (parts,) = watched.parts
    return parts


def about(**parts: float) -> object:
    """These parts, and nothing else."""
    nothing = dict.fromkeys(("endpoint", "transcript", "brain", "voice", "ours"), 0.0)
    return pytest.approx(astuple(Parts(**(nothing | parts))))


def test_the_wait_that_the_rules_want_is_the_endpoint():
    watched = call()
    watched.says(ASKED)
    watched.pauses()
    watched.answered()
    assert astuple(only(watched)) == about(endpoint=0.2)


def test_the_first_sound_of_a_call_is_timed_and_no_other():
    watched = Watched()
    watched.wait(0.13)
    watched.greeted()
    watched.says(ASKED)
    watched.pauses()
    watched.answered()
    assert watched.breakdown.greetings == [pytest.approx(0.13)]


def test_brain_and_voice_are_told_apart():
    watched = call()
    watched.says(ASKED)
    watched.pauses()
    watched.answered(thinking=0.3, rendering=0.05)
    assert astuple(only(watched)) == about(endpoint=0.2, brain=0.3, voice=0.05)


def test_only_what_a_final_is_later_than_the_wait_is_the_transcript():
    watched = call()
    watched.says(ASKED, after=0.25)
    watched.pauses()
    watched.answered()
    assert astuple(only(watched)) == about(endpoint=0.2, transcript=0.15)


def test_a_turn_that_is_looked_at_late_is_our_own_fault():
    watched = call()
    watched.says(ASKED)
    watched.now += 0.04 + 0.007
    watched.tell(DeadlinePassed())
    watched.answered()
    assert astuple(only(watched)) == about(endpoint=0.2, ours=0.007)


def test_a_question_for_digits_is_waited_on_for_longer():
    watched = Watched()
    watched.replies("Which order?", actions=(Expect(Expecting.DIGITS),))
    watched.wait(1.0)
    watched.says(ASKED)
    watched.pauses()
    watched.answered()
    wait = RULES.wait(Said.SENTENCE, Expecting.DIGITS)
    assert wait != RULES.wait(Said.SENTENCE, Expecting.ANYTHING)
    assert only(watched).endpoint == pytest.approx(wait)


def test_the_parts_add_up_to_the_response_of_the_record():
    watched = call()
    for after, thinking, rendering in ((0.06, 0.1, 0.02), (0.3, 0.0, 0.07), (0.15, 0.02, 0.0)):
        watched.says(ASKED, after=after)
        watched.pauses()
        watched.answered(thinking=thinking, rendering=rendering)
        watched.wait(2.0)
    recorded = [
        effect.turn.response_ms
        for effect in watched.effects
        if isinstance(effect, TurnEnded) and effect.turn.response_ms is not None
    ]
    assert [round(parts.total * 1000) for parts in watched.parts] == recorded
    assert len(recorded) == 3


def test_a_greeting_answers_nobody():
    assert call().parts == []


def test_a_reply_that_the_caller_spoke_over_before_it_began_is_not_counted():
    watched = call()
    watched.says(ASKED)
    watched.pauses()
    watched.starts()
    watched.answered()
    watched.wait(5.0)
    assert watched.parts == []


def test_keys_are_no_speech_to_measure_from():
    watched = call()
    watched.tell(Pressed("7"))
    watched.tell(Pressed("#"))
    watched.answered()
    assert watched.parts == []


def test_after_keys_the_next_words_are_measured_again():
    watched = call()
    watched.tell(Pressed("#"))
    watched.answered()
    watched.wait(2.0)
    watched.says(ASKED)
    watched.pauses()
    watched.answered()
    assert astuple(only(watched)) == about(endpoint=0.2)


def test_the_next_agents_greeting_is_no_second_answer():
    watched = call()
    watched.says(ASKED)
    watched.pauses()
    watched.tell(Acted(watched.turn, HandOff("sales", "wants to buy", ASKED)))
    watched.answered()
    watched.wait(1.0)
    watched.answered()
    assert len(watched.parts) == 1
