"""A caller who waits for a late reply hears that we are there: FAULTS, "never over 6 s of silence"."""

import itertools

from callbot.agents.brain import Answer
from callbot.conversation.effects import ClearAudio, Phrase, SayMeanwhile, SendAudio
from callbot.conversation.events import Filled, Meant, ReplyFinished, Spoke
from callbot.media_stream.vad import SpeechHeld, SpeechStarted
from tests.conversation.script import RULES, Script, clip

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


def test_callers_whose_replies_are_usually_late_hear_an_acknowledgement_at_once() -> None:
    script = Waiting()
    script.pass_to(1.4)
    script.replies("From nine to five.")  # 1.4 s late
    script.until(script.now + 3)
    phrases = []
    for _ in range(3):
        onset = script.now
        script.says("And on Sundays?", seconds=1.0)
        script.ended = onset + 1.0
        script.pass_to(0.5)
        phrases += script.said
        script.said.clear()
        script.pass_to(1.4)
        script.replies("We are closed.")
        script.until(script.now + 3)
    assert {at for at, _ in phrases} <= {0.2, 0.3}
    assert [phrase for _, phrase in phrases] == [Phrase.RIGHT, Phrase.LET_ME_SEE, Phrase.OKAY]


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
