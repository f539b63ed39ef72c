"""Replies that are thought before the caller's turn is over."""

from callbot.agents.brain import Answer, Did, Expect, Expecting, Greet, HandOff, Remember, TakeOver
from callbot.conversation.completeness import Said
from callbot.conversation.conversation import Conversation
from callbot.conversation.effects import Effect, FlushHearing, ReleaseReply, SendAudio, StartReply, StopReply
from callbot.conversation.events import Acted, CallStarted, Meant, Pressed, ReplyFailed, ReplyFinished, Spoke
from callbot.media_stream.vad import SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from callbot.providers.ports import Transcribed
from callbot.routing.handoff import SlotValue
from callbot.routing.intake import Choice
from tests.conversation.script import CALL, RULES, Script, clip

QUESTION = "What are your opening hours?"
ANSWER = "We are open from nine to five."


def paused(text: str = QUESTION) -> Script:
    """A caller has said this and is silent; the turn is not over yet."""
    script = Script().greeted()
    script.says(text, seconds=1.5, after=0.03)
    return script


def ahead(script: Script) -> StartReply:
    (start,) = [e for e in script.effects if isinstance(e, StartReply) and e.ahead]
    return start


def of(kind: type[Effect], script: Script) -> list[Effect]:
    return [effect for effect in script.effects if isinstance(effect, kind)]


def test_the_answer_is_thought_as_soon_as_the_words_are_known_and_held_until_the_turn_is_over() -> None:
    script = paused()
    start = ahead(script)
    assert start.request == Answer(QUESTION)
    sent = len(of(SendAudio, script))
    script.replies(ANSWER)
    assert len(of(SendAudio, script)) == sent
    script.wait(0.2)
    assert of(ReleaseReply, script) == [ReleaseReply(start.turn)]
    assert len(of(SendAudio, script)) == sent + 1
    script.wait(5)
    caller, agent = script.conversation.transcript.turns[1:]
    assert (caller.number, agent.number, agent.heard) == (start.turn - 1, start.turn, ANSWER)
    assert agent.response_ms is not None
    assert agent.response_ms < 230


def test_a_reply_that_is_not_ready_when_the_turn_ends_is_spoken_when_it_is() -> None:
    script = paused()
    script.wait(0.5)
    assert script.asked() == [Greet(), Answer(QUESTION)]
    script.replies(ANSWER)
    script.wait(5)
    assert script.conversation.transcript.turns[-1].heard == ANSWER


def test_a_caller_who_goes_on_has_it_thrown_away_and_is_answered_as_a_whole() -> None:
    script = paused("I'd like to order a router.")
    turn = ahead(script).turn
    script.tell(Meant(turn, "All right."))
    script.tell(Spoke(turn, clip(turn, "All right.")))
    script.says("I'd like to order a router. And a cable.", seconds=1.0, after=0.03)
    assert StopReply(turn, unheard=True) in script.effects
    script.wait(0.3)
    assert script.asked()[-1] == Answer("I'd like to order a router. And a cable.")
    assert [turn.who for turn in script.conversation.transcript.turns] == ["agent", "caller"]
    script.replies("Both of them.")
    script.wait(5)
    assert script.conversation.transcript.turns[-1].heard == "Both of them."


def test_a_final_that_differs_from_the_partial_it_was_thought_on_replaces_it() -> None:
    script = Script().greeted()
    onset = script.now
    script.tell(SpeechStarted(onset))
    script.until(onset + 1.5)
    utterance = script.conversation._utterance
    script.tell(Transcribed(utterance, "What are your hours?", final=False))
    script.until(onset + 1.6)
    script.tell(SpeechStopped(onset + 1.5))
    first = ahead(script)
    assert first.request == Answer("What are your hours?")
    script.tell(Transcribed(utterance, QUESTION, final=True))
    assert StopReply(first.turn, unheard=True) in script.effects
    script.wait(0.3)
    assert script.asked()[1:] == [Answer(QUESTION)]


class Speaking(Script):
    """A caller who began to speak a second and a half ago."""

    def __init__(self) -> None:
        super().__init__()
        self.greeted()
        self.onset = self.now
        self.tell(SpeechStarted(self.onset))
        self.until(self.onset + 1.5)
        self.utterance = self.conversation._utterance

    def partial(self, text: str) -> list[Effect]:
        return self.tell(Transcribed(self.utterance, text, final=False))

    def final(self, text: str) -> list[Effect]:
        return self.tell(Transcribed(self.utterance, text, final=True))


def test_thinking_begins_at_the_first_sign_of_silence() -> None:
    script = Speaking()
    script.partial("what are your opening hours")
    assert not [e for e in of(StartReply, script) if e.ahead], "not while they speak"
    at = script.now - 0.1
    assert script.tell(SpeechPaused(at)) == [FlushHearing(at, early=True), ahead(script)]
    assert ahead(script).request == Answer("what are your opening hours")


def test_words_that_were_told_before_the_last_sound_are_not_all_and_are_not_thought_about() -> None:
    script = Speaking()
    script.partial("do you deliver")
    script.wait(0.2)
    at = script.now - 0.1
    assert script.tell(SpeechPaused(at)) == [FlushHearing(at, early=True)]
    script.wait(0.064)
    assert script.tell(SpeechStopped(at)) == [FlushHearing(at)]
    script.partial("do you deliver on saturdays")
    assert ahead(script).request == Answer("do you deliver on saturdays")


def test_words_that_become_known_in_the_first_silence_are_thought_about_at_once() -> None:
    script = Speaking()
    script.partial("what are your")
    at = script.now - 0.1
    assert script.tell(SpeechPaused(at)) == [FlushHearing(at, early=True)]
    assert script.partial("what are your opening hours") == [ahead(script)]


def test_a_pause_that_lasts_is_asked_about_by_all_and_thought_about_once() -> None:
    script = Speaking()
    script.partial("what are your opening hours")
    at = script.now - 0.1
    script.tell(SpeechPaused(at))
    script.wait(0.032)
    assert script.tell(SpeechPaused(at, lasting=True)) == [FlushHearing(at)]
    assert len([effect for effect in of(StartReply, script) if effect.ahead]) == 1


def test_a_final_that_has_the_same_words_is_answered_by_what_was_thought_on_the_partial() -> None:
    script = Speaking()
    script.partial("what are your opening hours")
    at = script.now - 0.1
    script.tell(SpeechPaused(at))
    turn = ahead(script).turn
    script.tell(Meant(turn, ANSWER))
    script.tell(Spoke(turn, clip(turn, ANSWER)))
    script.wait(0.064)
    assert script.tell(SpeechStopped(at)) == [FlushHearing(at)], "for who was not asked yet"
    script.wait(0.05)
    assert script.final(QUESTION) == [], "only a capital and a mark are new"
    script.wait(0.05)
    assert of(ReleaseReply, script) == [ReleaseReply(turn)]
    assert script.conversation.transcript.turns[-1].text == QUESTION


def test_a_final_that_comes_before_the_silence_is_certain_counts_when_it_is() -> None:
    script = Speaking()
    at = script.now - 0.1
    script.tell(SpeechPaused(at))
    script.final(QUESTION)
    script.partial("what are your opening")
    assert script.conversation.deadline is not None
    script.tell(SpeechStopped(at))
    script.until(at + RULES.wait(Said.SENTENCE, Expecting.ANYTHING) + 0.001)
    assert script.asked()[1:] == [Answer(QUESTION)]
    assert [turn.text for turn in script.conversation.transcript.turns[1:]] == [QUESTION]


def test_a_dip_in_the_sound_throws_it_away_and_a_final_of_it_is_not_the_last_word() -> None:
    script = Speaking()
    script.partial("what are your hours")
    script.tell(SpeechPaused(script.now - 0.1))
    first = ahead(script)
    assert script.tell(SpeechResumed(script.now)) == [StopReply(first.turn, unheard=True)]
    script.final("What are your hours?")
    script.wait(0.5)
    at = script.now - 0.16
    assert FlushHearing(at) in script.tell(SpeechStopped(at)), "there is more to hear"
    script.wait(0.1)
    script.final("What are your hours on Sundays?")
    script.wait(0.3)
    assert script.asked()[1:] == [Answer("What are your hours on Sundays?")]


def test_a_silence_that_began_elsewhere_than_the_first_sign_of_it_is_asked_about_again() -> None:
    script = Speaking()
    script.tell(SpeechPaused(script.now - 0.2))
    at = script.now - 0.1
    assert FlushHearing(at) in script.tell(SpeechStopped(at))


def test_nobody_is_asked_what_was_said_in_a_click() -> None:
    script = Script().greeted()
    onset = script.now
    script.until(onset + 0.1)
    script.tell(SpeechStarted(onset))
    assert script.tell(SpeechPaused(onset + 0.05)) == []
    assert not any(isinstance(e, FlushHearing) for e in script.tell(SpeechStopped(onset + 0.05)))


def test_while_we_speak_the_first_sign_of_silence_is_no_news() -> None:
    script = Script().greeted()
    script.says(QUESTION)
    script.wait(0.3)
    script.replies(ANSWER)
    script.starts()
    assert script.tell(SpeechPaused(script.now)) == []
    assert FlushHearing(script.now) in script.tell(SpeechStopped(script.now))


def test_words_that_grow_while_it_is_thought_throw_it_away() -> None:
    script = Speaking()
    script.partial("what are your hours")
    script.tell(SpeechPaused(script.now - 0.1))
    turn = ahead(script).turn
    assert script.partial("what are your hours and") == [StopReply(turn, unheard=True)]


def test_nothing_is_thought_on_a_partial_that_is_no_sentence() -> None:
    script = Script().greeted()
    onset = script.now
    script.tell(SpeechStarted(onset))
    script.tell(Transcribed(script.conversation._utterance, "I would like to", final=False))
    script.until(onset + 1.0)
    script.tell(SpeechStopped(onset + 0.9))
    assert script.asked() == [Greet()]


def test_what_the_brain_did_ahead_is_done_when_the_turn_is_over() -> None:
    script = paused()
    turn = ahead(script).turn
    slot = SlotValue("city", "Austin", "caller")
    script.tell(Acted(turn, Remember(slot)))
    script.tell(Acted(turn, Did("look_up", {}, {})))
    script.tell(Acted(turn, Expect(Expecting.DIGITS, "zip")))
    transcript = script.conversation.transcript
    assert (dict(transcript.slots), transcript.done) == ({}, [])
    script.wait(0.2)
    assert transcript.slots["city"].value == "Austin"
    assert [did.tool for did in transcript.done] == ["look_up"]
    assert script.conversation._expect.what is Expecting.DIGITS


def test_what_was_done_in_a_reply_that_was_thrown_away_is_not() -> None:
    script = paused()
    script.tell(Acted(ahead(script).turn, Remember(SlotValue("city", "Austin", "caller"))))
    script.says(f"{QUESTION} In Boston.")
    script.wait(0.5)
    assert script.conversation.transcript.slots == {}


def test_a_hand_over_that_was_thought_ahead_is_made_after_the_turn() -> None:
    script = paused("I'd like to buy something.")
    turn = ahead(script).turn
    script.tell(Acted(turn, HandOff("sales", "you'd like to buy something")))
    script.tell(ReplyFinished(turn))
    assert script.conversation.agent == "support"
    script.wait(0.2)
    assert isinstance(script.asked()[-1], TakeOver)
    assert script.conversation.agent == "sales"


def test_a_key_throws_it_away() -> None:
    script = paused()
    script.tell(Pressed("5"))
    assert StopReply(ahead(script).turn, unheard=True) in script.effects


def test_one_that_failed_is_asked_for_again() -> None:
    script = paused()
    script.tell(ReplyFailed(ahead(script).turn, "the model is gone"))
    script.wait(0.2)
    assert script.asked()[1:] == [Answer(QUESTION)]
    assert [e.ahead for e in of(StartReply, script)[1:]] == [True, False]


def test_after_enough_of_them_were_thrown_away_we_wait_for_the_end_of_the_turn() -> None:
    script = Script().greeted()
    text = ""
    for n in range(int(RULES.most_discarded) + 5):
        text += f"I want number {n}. "
        script.says(text, after=0.01)
    starts = len([e for e in of(StartReply, script) if e.ahead])
    assert starts >= RULES.most_discarded
    script.says(f"{text} And that is all.", after=0.01)
    assert len([e for e in of(StartReply, script) if e.ahead]) == starts


def test_nobody_thinks_ahead_for_a_caller_whom_another_agent_will_answer() -> None:
    def intake(text: str) -> Choice:
        return Choice("sales", "you'd like to buy something")

    script = Script(started=False)
    script.conversation = Conversation(RULES, CALL, intake)
    script.conversation.handle(CallStarted("support"), 0.0)
    script.now = 5.0
    script.says("I'd like to buy a router.", after=0.03)
    assert not of(StartReply, script)


def test_the_brain_knows_what_the_caller_said_although_the_turn_is_not_over() -> None:
    script = paused()
    assert script.conversation.history().lines[-1] == ("caller", QUESTION)
    script.wait(0.2)
    assert [line for line in script.conversation.history().lines if line[0] == "caller"] == [
        ("caller", QUESTION)
    ]
