"""A caller who waits for a late reply hears that we are there: FAULTS, "never over 6 s of silence"."""

import itertools

import pytest

from callbot.agents.brain import Answer, Expect, Expecting
from callbot.conversation.conversation import Conversation
from callbot.conversation.effects import ClearAudio, Phrase, SayMeanwhile, SendAudio
from callbot.conversation.events import CallStarted, Filled, Meant, Pressed, ReplyFinished, Spoke
from callbot.conversation.lateness import Lateness
from callbot.conversation.turns import AgentTurn
from callbot.media_stream.vad import SpeechHeld, SpeechStarted
from tests.conversation.script import CALL, RULES, Script, clip

QUESTION = "What are your opening hours?"
WORDS = {
    Phrase.OKAY: "Okay.",
    Phrase.RIGHT: "Right.",
    Phrase.LET_ME_SEE: "Let me see.",
    Phrase.ONE_MOMENT: "One moment, please.",
    Phrase.STILL_WORKING: "I'm sorry, this takes a little longer.",
    Phrase.STILL_HERE: "I'm still working on it.",
}


class Waiting(Script):
    """A caller who has asked something; phrases are rendered at once."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[float, Phrase]] = []
        self.greeted()
        onset = self.now
        self.says(QUESTION, seconds=1.5)
        self.ended = onset + 1.5
        self.until(self.ended + 0.21)
        assert self.asked()[-1] == Answer(QUESTION)

    def pass_to(self, seconds: float) -> None:
        """Until so long after the caller's last sound."""
        step = self.now
        while self.now < self.ended + seconds - 1e-9:
            step = min(step + 0.05, self.ended + seconds)
            for effect in self.until(step):
                if isinstance(effect, SayMeanwhile):
                    self.fill(effect)

    def fill(self, asked: SayMeanwhile) -> None:
        self.said.append((round(self.now - self.ended, 1), asked.phrase))
        text = WORDS[asked.phrase]
        self.tell(Filled(asked.turn, text, (clip(asked.turn, text),)))


def test_a_late_reply_is_bridged_at_one_and_a_half_four_and_eight_seconds() -> None:
    script = Waiting()
    script.pass_to(9.0)
    assert script.said == [
        (1.5, Phrase.ONE_MOMENT),
        (4.0, Phrase.STILL_WORKING),
        (8.0, Phrase.STILL_HERE),
    ]


def test_silence_never_lasts_six_seconds_while_a_reply_is_late() -> None:
    script = Waiting()
    script.pass_to(9.5)
    sounds = [
        (e.plays_at, e.plays_at + len(e.audio) / 8000) for e in script.effects if isinstance(e, SendAudio)
    ]
    sounds = [sound for sound in sounds if sound[0] >= script.ended]
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(sounds)]
    assert max([sounds[0][0] - script.ended, *gaps]) < 6.0


def test_a_reply_in_time_is_not_bridged() -> None:
    script = Waiting()
    script.pass_to(1.4)
    script.replies("From nine to five.")
    script.pass_to(9.0)
    assert script.said == []


def test_what_was_said_meanwhile_stands_before_the_answer_in_the_transcript() -> None:
    script = Waiting()
    script.pass_to(2.5)
    script.replies("From nine to five.")
    script.pass_to(9.0)
    turn = script.conversation.transcript.turns[-1]
    assert turn.text == turn.heard == "One moment, please. From nine to five."


def test_a_phrase_that_comes_after_the_answer_is_not_said() -> None:
    script = Waiting()
    script.until(script.ended + 1.5)
    turn = script.turn
    script.replies("From nine to five.")
    assert script.tell(Filled(turn, "One moment, please.", (clip(turn, "One moment, please."),))) == []


def test_a_voice_that_stalls_between_two_sentences_is_bridged_between_them() -> None:
    script = Waiting()
    turn = script.turn
    script.tell(Meant(turn, "We are open."))
    script.tell(Spoke(turn, clip(turn, "We are open.")))
    script.tell(Meant(turn, "From nine to five."))
    script.pass_to(4.0)
    assert [phrase for _, phrase in script.said] == [Phrase.ONE_MOMENT]
    script.tell(Spoke(turn, clip(turn, "From nine to five.")))
    script.tell(ReplyFinished(turn))
    script.pass_to(9.0)
    last = script.conversation.transcript.turns[-1]
    assert last.text == last.heard == "We are open. One moment, please. From nine to five."


def test_a_filler_that_is_interrupted_is_not_said_again() -> None:
    script = Waiting()
    script.pass_to(1.5)
    script.until(script.now + 0.3)  # "One" has been heard
    script.tell(SpeechStarted(script.now - 0.1))
    script.tell(SpeechHeld(script.now, 0.16, hum=False))
    assert any(isinstance(effect, ClearAudio) for effect in script.effects)
    script.until(script.now + RULES.forgive_after + 1.0)
    reply = script.conversation._reply
    assert reply is not None
    assert reply.text == "One"
    assert not reply.held


def late(seconds: float, *, agent: str = "support", answers: int = 3) -> Lateness:
    """What a process knows in which that agent's brain has so often taken so long."""
    lateness = Lateness()
    for _ in range(answers):
        lateness.spoke(
            AgentTurn(2, agent, Answer("Hi"), asked_at=0.0, meant_at=seconds - 0.1, spoke_at=seconds)
        )
    return lateness


class Acknowledged(Script):
    """A call in a process that knows how late answers are. ``said`` is what each ``ask`` was told at once."""

    def __init__(self, lateness: Lateness, *, expecting: Expecting = Expecting.ANYTHING) -> None:
        super().__init__(started=False)
        self.conversation = Conversation(RULES, CALL, lateness=lateness)
        self.tell(CallStarted("support"))
        self.replies("How can I help?", actions=(Expect(expecting),))
        self.wait(2.0)
        self.said: list[Phrase | None] = []

    def ask(self, text: str, *, answered_after: float | None = 0.5, final_after: float = 0.06) -> None:
        """The caller says this; the answer is there so long after the turn was over."""
        told = self.says(text, seconds=1.0, after=final_after)
        deadline = self.conversation.deadline
        assert deadline is not None
        told += self.until(deadline + 0.001)
        self.said.append(next((e.phrase for e in told if isinstance(e, SayMeanwhile)), None))
        if answered_after is not None:
            self.wait(answered_after)
            self.replies("We are open from nine to five.")
            self.wait(4.0)


def test_callers_of_a_process_whose_answers_are_late_hear_an_acknowledgement_with_the_first_of_them() -> None:
    script = Acknowledged(late(0.8))
    for question in (
        "What are your hours?",
        "And where are you, please?",
        "I need a new router.",
        "It is red.",
    ):
        script.ask(question)
    assert script.said == [Phrase.LET_ME_SEE, Phrase.OKAY, Phrase.RIGHT, Phrase.OKAY]


def test_they_do_not_where_answers_are_in_time_or_nobody_knows() -> None:
    for lateness in (Lateness(), late(0.3), late(2.0, answers=2), late(2.0, agent="sales")):
        script = Acknowledged(lateness)
        script.ask("What are your hours?")
        assert script.said == [None]


def test_how_late_they_are_is_learnt_by_one_call_and_known_by_the_next() -> None:
    lateness = Lateness()
    script = Acknowledged(lateness)
    for _ in range(4):
        script.ask("What are your hours?", answered_after=0.9)
    assert script.said == [None, None, None, Phrase.LET_ME_SEE]
    other = Acknowledged(lateness)
    other.ask("What are your hours?")
    assert other.said == [Phrase.LET_ME_SEE]


@pytest.mark.parametrize(
    "text",
    [
        "Thank you.",
        "Thank you very much.",
        "No, that's all. Thank you, goodbye.",
        "Bye, have a nice day.",
        "Router.",
    ],
)
def test_nobody_says_okay_to_a_thank_you_a_goodbye_or_a_word(text: str) -> None:
    script = Acknowledged(late(0.8))
    script.ask(text)
    assert script.said == [None]


def test_nobody_says_okay_to_a_yes_but_to_a_question_back() -> None:
    script = Acknowledged(late(0.8), expecting=Expecting.YES_NO)
    script.ask("Yes, that would be good.")
    assert script.said == [None]
    script = Acknowledged(late(0.8), expecting=Expecting.YES_NO)
    script.ask("What does it cost?")
    assert script.said == [Phrase.LET_ME_SEE]


def test_nothing_is_said_if_the_answer_may_be_expected_in_a_moment() -> None:
    script = Acknowledged(late(0.5))  # asked 0.15 s after the last sound, so it is late...
    script.ask("What are your hours?", final_after=0.05)
    assert script.said == [Phrase.OKAY], "so near that there is no time for more"
    script = Acknowledged(late(0.5))
    script.ask(
        "The blue router upstairs", final_after=0.05
    )  # ...but near when the turn is over 0.45 s after it
    assert script.said == [None]


def test_an_answer_whose_sentence_is_there_is_only_waited_for_as_long_as_the_voice_takes() -> None:
    script = Acknowledged(late(0.8))
    script.says("What are your hours?", seconds=1.0, after=0.03)
    script.tell(Meant(script.turn, "From nine to five."))
    assert not any(isinstance(effect, SayMeanwhile) for effect in script.wait(0.5))


def test_keys_are_not_acknowledged() -> None:
    script = Acknowledged(late(0.8))
    script.tell(Pressed("5"))
    script.tell(Pressed("#"))
    assert not any(isinstance(effect, SayMeanwhile) for effect in script.effects)


def test_an_agent_that_asks_for_patience_after_the_call_has_asked_is_not_heard() -> None:
    script = Waiting()
    script.pass_to(1.6)
    assert [phrase for _, phrase in script.said] == [Phrase.ONE_MOMENT]
    script.until(script.now + 1.5)
    assert (
        script.tell(Filled(script.turn, "One moment, please.", (clip(script.turn, "One moment"),), False))
        == []
    )


def test_an_agent_that_asks_for_patience_first_is_heard_and_the_call_goes_on_from_there() -> None:
    script = Waiting()
    script.pass_to(0.5)
    asked = script.tell(Filled(script.turn, "One moment, please.", (clip(script.turn, "One moment"),), False))
    assert any(isinstance(effect, SendAudio) for effect in asked)
    script.pass_to(4.5)
    assert [phrase for _, phrase in script.said] == [Phrase.STILL_WORKING]
