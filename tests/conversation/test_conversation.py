"""The decisions of a call, as scripts of events against effects."""

import math

from callbot.agents.brain import (
    Answer,
    Did,
    EndCall,
    Expect,
    Expecting,
    Greet,
    HandOff,
    Nudge,
    OfferHuman,
    Remember,
    TakeOver,
)
from callbot.call import Disposition, EndedBy, EndedReason
from callbot.conversation.conversation import Conversation
from callbot.conversation.effects import (
    ClearAudio,
    FlushHearing,
    HandedOff,
    HangUp,
    Phrase,
    SendAudio,
    StartHearing,
    StartReply,
    StopReply,
    TurnEnded,
)
from callbot.conversation.events import (
    Acted,
    CallStarted,
    Filled,
    HungUp,
    LanguageHeard,
    Meant,
    Pressed,
    ReplyFailed,
    ReplyFinished,
    Spoke,
    Told,
)
from callbot.errors import Trouble
from callbot.media_stream.vad import SpeechHeld, SpeechStarted, SpeechStopped
from callbot.providers.accounting import Failed, Port
from callbot.providers.ports import Transcribed
from callbot.routing.handoff import NOT_THERE, Passing, SlotValue
from callbot.routing.intake import Choice
from tests.conversation.script import CALL, RULES, Script, clip

LONG = "You can send anything back within thirty days and the label for it is free of charge."


def test_the_first_agent_greets() -> None:
    script = Script()
    assert script.effects == [StartReply(1, "support", Greet())]
    script.replies("Hello, how can I help?")
    script.wait(2)
    turn = script.conversation.transcript.turns[0]
    assert (turn.who, turn.agent, turn.text, turn.heard) == (
        "agent",
        "support",
        "Hello, how can I help?",
        "Hello, how can I help?",
    )


def test_a_finished_sentence_is_answered_a_fifth_of_a_second_after_its_last_sound() -> None:
    script = Script().greeted()
    onset = script.now
    script.says("What are your opening hours?", seconds=1.5)
    assert script.asked() == [Greet()]
    script.until(onset + 1.5 + 0.201)
    assert script.asked() == [Greet(), Answer("What are your opening hours?")]


def test_faults_43_a_stall_of_the_network_is_not_taken_for_the_end_of_a_turn() -> None:
    script = Script().greeted()
    onset = script.now
    script.says("Can you tell me when my order will arrive?", seconds=1.5)
    script.heard_to = onset + 1.5 + 0.1
    assert script.wait(2.0) == []
    script.heard_to = math.inf  # the burst: all of it was silence
    script.wait(0.03)
    assert script.asked()[1:] == [Answer("Can you tell me when my order will arrive?")]


def test_a_caller_who_went_on_unheard_is_answered_once() -> None:
    script = Script().greeted()
    onset = script.now
    script.says("I'd like to know my balance.", seconds=1.5)
    script.heard_to = onset + 1.5
    script.wait(0.4)
    script.tell(SpeechStarted(onset + 1.8))  # a burst brings what they said meanwhile
    script.heard_to = math.inf
    script.says("I'd like to know my balance. And the date.", seconds=1.0)
    script.wait(0.21)
    assert script.asked()[1:] == [Answer("I'd like to know my balance. And the date.")]


def test_a_line_that_stays_dead_ends_the_turn_all_the_same() -> None:
    script = Script().greeted()
    onset = script.now
    script.says("What are your opening hours?", seconds=1.5)
    script.heard_to = onset + 1.5
    script.until(onset + 1.5 + RULES.unheard_for + 0.03)
    assert script.asked()[1:] == [Answer("What are your opening hours?")]


def test_the_first_sound_after_a_sentence_is_waited_for_until_it_is_known_for_a_word_or_none() -> None:
    script = Script().greeted()
    onset = script.now
    script.says("What are your opening hours?", seconds=1.5)
    script.stirring = True
    script.until(onset + 1.5 + 0.26)
    assert script.asked() == [Greet()]
    script.stirring = False
    script.wait(0.021)
    assert script.asked()[1:] == [Answer("What are your opening hours?")]


def test_a_pause_in_a_phone_number_does_not_end_the_turn() -> None:
    script = Script().greeted()
    script.says("What's my bill?")
    script.wait(0.5)
    script.replies("What's your number?", actions=(Expect(Expecting.DIGITS, "phone", r"\d{7}|\d{10,11}"),))
    script.wait(1.5)
    script.says("my number is five five five")
    script.wait(0.7)
    assert len(script.asked()) == 2
    script.says("my number is five five five, zero one four two")
    script.wait(0.3)
    assert script.asked()[2] == Answer("my number is five five five, zero one four two")


def test_a_turn_that_ends_in_the_middle_of_a_sentence_is_given_time() -> None:
    script = Script().greeted()
    script.says("I would like to know because")
    assert script.wait(1.0) == []
    script.wait(0.4)
    assert script.asked()[-1] == Answer("I would like to know because")


def test_an_utterance_is_flushed_at_every_pause_and_heard_from_its_beginning() -> None:
    script = Script().greeted()
    script.says("I'd like to um")
    script.says("I'd like to um, check my order.")
    kinds = script.kinds()
    assert kinds.count("StartHearing") == 1
    assert kinds.count("FlushHearing") == 2


def test_faults_5_a_late_final_is_merged_and_not_answered_twice() -> None:
    script = Script().greeted()
    script.starts()
    script.wait(1)
    script.tell(SpeechStopped(script.now))
    script.tell(Transcribed(1, "what are your", final=False))
    script.wait(1.3)  # no final came: the partial is answered
    assert script.asked()[-1] == Answer("what are your")
    script.replies("We open at eight.", finish=False)
    effects = script.tell(Transcribed(1, "what are your hours", final=True))
    assert [effect.turn.text for effect in effects if isinstance(effect, TurnEnded)] == [
        "what are your hours"
    ]
    assert len(script.asked()) == 2
    assert script.conversation.transcript.turns[1].text == "what are your hours"


def test_a_late_final_is_answered_while_nothing_has_been_said() -> None:
    script = Script().greeted()
    script.starts()
    script.wait(1)
    script.tell(SpeechStopped(script.now))
    script.tell(Transcribed(1, "what are your", final=False))
    script.wait(1.3)
    effects = script.tell(Transcribed(1, "what are your hours", final=True))
    assert StopReply(3, unheard=True) in effects
    assert script.asked()[-1] == Answer("what are your hours")


def test_faults_6_a_turn_of_partials_only_is_answered() -> None:
    script = Script().greeted()
    script.starts()
    script.wait(1)
    script.tell(SpeechStopped(script.now))
    script.tell(Transcribed(1, "what are your hours", final=False))
    script.wait(1.1)
    assert len(script.asked()) == 1
    script.wait(0.2)
    assert script.asked()[-1] == Answer("what are your hours")


def test_faults_7_a_repeated_final_gives_one_answer() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.tell(Transcribed(1, "What are your hours?", final=True))
    script.wait(0.5)
    script.tell(Transcribed(1, "What are your hours?", final=True))
    script.wait(0.5)
    assert len(script.asked()) == 2


def test_a_partial_that_its_final_overtook_changes_nothing() -> None:
    script = Script().greeted()
    script.says("What are your opening hours?")
    script.tell(Transcribed(1, "What are", final=False))
    script.wait(0.3)
    assert script.asked()[-1] == Answer("What are your opening hours?")


def test_faults_8_noise_without_words_is_neither_answered_nor_recorded() -> None:
    script = Script().greeted()
    script.says("", seconds=0.4)
    script.wait(3)
    assert script.asked() == [Greet()]
    assert [turn.who for turn in script.conversation.transcript.turns] == ["agent"]


def test_a_click_is_not_even_sent_to_the_recogniser_as_an_utterance() -> None:
    script = Script().greeted()
    onset = script.now
    script.tell(SpeechStarted(onset))
    script.until(onset + 0.17)
    assert not any(isinstance(e, FlushHearing) for e in script.tell(SpeechStopped(onset + 0.064)))


# --- barge-in ------------------------------------------------------------------------------------


def speaking(script: Script, *, expect: Expecting = Expecting.ANYTHING) -> Script:
    """The agent is in the middle of a long sentence."""
    script.says("Can I send it back?")
    script.wait(0.3)
    script.replies(LONG, actions=(Expect(expect),))
    script.wait(2.0)
    return script


def test_speech_over_ours_silences_us_after_160_ms() -> None:
    script = speaking(Script().greeted())
    effects = script.starts()
    assert effects == [StartHearing(2), ClearAudio()]


def test_an_open_mouth_silences_us_as_soon_as_it_is_told() -> None:
    script = speaking(Script().greeted())
    script.tell(SpeechStarted(script.now))
    assert script.tell(SpeechHeld(script.now + 0.064, 0.064, hum=False)) == [ClearAudio()]


def test_a_click_that_silenced_us_lets_us_go_on_at_once() -> None:
    script = speaking(Script().greeted())
    onset = script.now
    script.tell(SpeechStarted(onset))
    script.until(onset + 0.064)
    script.tell(SpeechHeld(script.now, 0.064, hum=False))
    script.until(onset + 0.16)
    effects = script.tell(SpeechStopped(onset + 0.06))
    assert any(isinstance(effect, SendAudio) for effect in effects)
    script.wait(8)
    assert script.conversation.transcript.turns[-1].heard == LONG
    assert not script.conversation.transcript.turns[-1].interrupted


def test_a_mouth_that_was_open_once_has_said_words() -> None:
    script = speaking(Script().greeted())
    onset = script.now
    script.tell(SpeechStarted(onset))
    script.tell(SpeechHeld(onset + 0.064, 0.064, hum=False))
    script.until(onset + 0.16)
    script.tell(SpeechHeld(script.now, 0.16, hum=True))
    script.until(onset + 0.5)
    script.tell(SpeechStopped(onset + 0.4))
    script.tell(Transcribed(2, "No.", final=True))
    script.wait(1.5)
    assert script.asked()[-1] == Answer("No.")


def test_an_interruption_ends_the_reply_and_keeps_what_was_heard_of_it() -> None:
    script = speaking(Script().greeted())
    script.says("Wait, what about Saturday?")
    script.wait(0.5)
    turns = script.conversation.transcript.turns
    reply = next(turn for turn in turns if turn.number == 3)
    assert reply.interrupted
    assert reply.text == LONG
    assert LONG.startswith(reply.heard or "")
    assert reply.heard == "You can send anything back within thirty days"
    assert script.asked()[-1] == Answer("Wait, what about Saturday?")
    assert StopReply(3) in script.effects


def test_faults_35_a_hum_does_not_stop_us() -> None:
    script = speaking(Script().greeted())
    effects = script.says("Mm-hmm.", seconds=0.4, hum=True)
    assert not any(isinstance(effect, ClearAudio) for effect in effects)
    script.wait(8)
    reply = script.conversation.transcript.turns[-1]
    assert (reply.interrupted, reply.heard) == (False, LONG)
    assert len(script.asked()) == 2


def test_a_short_hum_is_one_whatever_the_recogniser_makes_of_it() -> None:
    script = speaking(Script().greeted())
    effects = script.says("So this?", seconds=0.4, hum=True)
    assert not any(isinstance(effect, ClearAudio) for effect in effects)
    script.wait(8)
    assert script.conversation.transcript.turns[-1].heard == LONG


def test_faults_36_a_false_barge_in_resumes_at_the_word_where_we_stopped() -> None:
    script = speaking(Script().greeted())
    effects = script.says("Okay.", seconds=0.4)
    assert any(isinstance(effect, ClearAudio) for effect in effects)
    resumed = [effect for effect in effects if isinstance(effect, SendAudio)]
    assert resumed, "it goes on as soon as the words are known"
    words_left = len(LONG.split()) - 8
    assert sum(len(effect.audio) for effect in resumed) == words_left * 2000
    script.wait(8)
    reply = script.conversation.transcript.turns[-1]
    assert (reply.interrupted, reply.heard) == (False, LONG)


def test_faults_33_a_cough_does_not_cost_the_caller_the_greeting() -> None:
    script = Script()
    script.replies(LONG)
    script.wait(1)
    script.says("", seconds=0.3)
    script.wait(8)
    assert script.conversation.transcript.turns[0].heard == LONG
    assert not script.conversation.transcript.turns[0].interrupted


def test_words_that_never_come_resume_us_within_the_rules_patience() -> None:
    script = speaking(Script().greeted())
    script.starts()
    script.wait(0.3)
    stopped = script.now
    script.tell(SpeechStopped(stopped))
    effects = script.until(stopped + 1.25)
    assert any(isinstance(effect, SendAudio) for effect in effects)


def test_a_hum_that_turns_into_words_takes_the_floor() -> None:
    script = speaking(Script().greeted())
    script.says("Hmm, no, that's not what I asked.", seconds=1.5, hum=True)
    assert any(isinstance(effect, ClearAudio) for effect in script.effects)
    script.wait(0.5)
    assert script.asked()[-1] == Answer("Hmm, no, that's not what I asked.")


def test_yes_to_a_question_that_was_heard_is_an_answer_and_not_a_backchannel() -> None:
    script = Script().greeted()
    script.says("I'd like a callback.")
    script.wait(0.4)
    script.replies(
        "Shall I use the number you ring from right now today?", actions=(Expect(Expecting.YES_NO),)
    )
    script.wait(1.8)
    script.says("Yeah.", seconds=0.3)
    script.wait(0.5)
    assert script.asked()[-1] == Answer("Yeah.")


def test_clips_that_are_ready_while_the_caller_speaks_wait_for_them() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(0.3)
    script.starts()
    assert script.replies("We open at eight.") == []
    script.wait(0.4)
    script.tell(SpeechStopped(script.now))
    effects = script.tell(Transcribed(2, "", final=True))
    assert any(isinstance(effect, SendAudio) for effect in effects)


def test_a_caller_who_goes_on_before_the_answer_is_answered_as_a_whole() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(0.3)
    script.says("Are you open on Saturday?")
    script.wait(0.6)
    assert StopReply(3, unheard=True) in script.effects
    assert script.asked()[-1] == Answer("What are your hours? Are you open on Saturday?")


def test_news_of_a_reply_that_was_stopped_is_stale() -> None:
    script = speaking(Script().greeted())
    script.says("Wait, what about Saturday?")
    script.wait(0.5)
    assert script.tell(Spoke(3, clip(3, "too late"))) == []
    assert script.tell(ReplyFinished(3)) == []
    assert script.tell(Meant(3, "too late")) == []


def test_faults_20_a_tool_that_changed_data_is_remembered_although_its_reply_was_stopped() -> None:
    script = speaking(Script().greeted())
    script.says("Wait, what about Saturday?")
    script.wait(0.5)
    done = Did("place_order", {}, {"order": "L1001"}, changed=True)
    script.tell(Acted(3, done))
    assert script.conversation.transcript.done == [done]


# --- keys ----------------------------------------------------------------------------------------


def test_faults_50_keys_take_the_floor_and_speech_beside_them_is_dropped() -> None:
    script = speaking(Script().greeted())
    script.starts()
    for digit in "5550142":
        script.tell(Pressed(digit))
        script.wait(0.2)
    script.tell(Transcribed(2, "five five five", final=True))
    script.wait(2.1)
    assert script.asked()[-1] == Answer("", digits="5550142")


def test_the_hash_key_ends_a_number_at_once() -> None:
    script = Script().greeted()
    for digit in "42#":
        script.tell(Pressed(digit))
    assert script.asked()[-1] == Answer("", digits="42#")


def test_keys_that_are_complete_are_not_waited_for() -> None:
    script = Script().greeted()
    script.says("What's my bill?")
    script.wait(0.4)
    script.replies("Your number?", actions=(Expect(Expecting.DIGITS, "phone", r"\d{7}|\d{10,11}"),))
    script.wait(1)
    for digit in "5550142":
        script.tell(Pressed(digit))
    assert script.asked()[-1] == Answer("", digits="5550142")


# --- silence -------------------------------------------------------------------------------------


def test_faults_77_silence_is_prompted_at_8_and_16_s_and_ended_at_30() -> None:
    script = Script().greeted()
    quiet_since = script.conversation.transcript.turns[0].end
    asked_at = []
    for step, sentence in ((1, "Are you still there?"), (2, "Hello?"), (3, "Goodbye.")):
        while script.asked()[-1] != Nudge(step):
            script.wait(0.1)
        asked_at.append(round(script.now - quiet_since))
        script.replies(sentence, actions=(EndCall(Disposition.ABANDONED),) if step == 3 else ())
    assert asked_at == [8, 16, 30]
    script.wait(2)
    assert script.effects[-1] == HangUp(Disposition.ABANDONED, EndedBy.AGENT, EndedReason.CALLER_SILENT)


def test_speech_starts_the_patience_anew() -> None:
    script = Script().greeted()
    script.wait(6)
    script.says("What are your hours?")
    script.wait(0.4)
    script.replies("Eight to eight.")
    script.wait(7.5)
    assert not any(isinstance(request, Nudge) for request in script.asked())


# --- handoffs and the end ------------------------------------------------------------------------


def hand_off(script: Script, to: str, *, said: str = "I want to buy a router.") -> None:
    script.says(said)
    script.wait(0.4)
    script.replies("I'll put you through.", actions=(HandOff(to, f"wants {to}", pending=said),))
    script.wait(2)


def test_the_next_agent_takes_over_with_all_that_is_known() -> None:
    script = Script().greeted()
    script.says("My order is B7429.")
    script.wait(0.4)
    script.replies("It arrives on Thursday.", actions=(Remember(SlotValue("order_id", "B7429", "caller")),))
    script.wait(2)
    hand_off(script, "sales")
    request = script.asked()[-1]
    assert isinstance(request, TakeOver)
    packet = request.packet
    assert (packet.from_agent, packet.to_agent, packet.reason) == ("support", "sales", "wants sales")
    assert packet.pending == "I want to buy a router."
    assert packet.slots["order_id"].value == "B7429"
    assert packet.slots["order_id"].turn == 3
    assert ("caller", "My order is B7429.") in packet.transcript
    assert script.conversation.transcript.agents == ["support", "sales"]
    assert any(isinstance(effect, HandedOff) for effect in script.effects)


def test_faults_23_what_the_caller_says_during_the_switch_goes_with_them() -> None:
    script = Script().greeted()
    script.says("I want to buy a router.")
    script.wait(0.4)
    script.replies(
        "I will put you through to my colleague in sales now please hold.",
        actions=(HandOff("sales", "wants to buy", pending="I want to buy a router."),),
    )
    script.wait(0.5)
    script.says("It's for a big house.", seconds=1.2)
    script.wait(0.8)
    request = script.asked()[-1]
    assert isinstance(request, TakeOver)
    assert request.packet.pending == "I want to buy a router. It's for a big house."


def test_faults_25_a_handoff_to_somebody_who_cannot_speak_goes_back_to_who_gave_it() -> None:
    script = Script().greeted()
    script.says("How much is a router?")
    script.wait(0.3)
    script.replies("I'll put you through.", actions=(HandOff("sales", "a price", "How much is a router?"),))
    script.wait(2)
    script.tell(ReplyFailed(script.turn, "there is no such agent"))
    assert script.conversation.agent == "support"
    (back,) = [request for request in script.asked()[-1:] if isinstance(request, TakeOver)]
    assert (back.packet.from_agent, back.packet.to_agent) == ("sales", "support")
    assert (back.packet.reason, back.packet.pending) == (NOT_THERE, "How much is a router?")
    assert [noticing.what for noticing in script.conversation.transcript.noticed] == [Passing.FAILED]
    script.replies("It costs ninety dollars.")
    script.wait(3)
    assert script.conversation.transcript.agents == ["support", "sales", "support"]


def test_faults_25_two_agents_who_cannot_speak_offer_a_person_and_then_an_apology_ends_the_call() -> None:
    script = Script().greeted()
    script.says("How much is a router?")
    script.wait(0.3)
    script.replies("I'll put you through.", actions=(HandOff("sales", "a price"),))
    script.wait(2)
    script.tell(ReplyFailed(script.turn, "no"))
    script.tell(ReplyFailed(script.turn, "nor I"))
    assert script.asked()[-1] == OfferHuman("there is no answer", broken=True)
    script.tell(ReplyFailed(script.turn, "nor can I offer anything"))
    assert script.asked()[-1] is Phrase.APOLOGY


def test_faults_24_the_third_switch_without_help_offers_a_human() -> None:
    script = Script().greeted()
    hand_off(script, "sales")
    script.replies("Hello from sales.")
    script.wait(2)
    hand_off(script, "technical")
    script.replies("Hello from technical.")
    script.wait(2)
    hand_off(script, "support")
    assert script.asked()[-1] == OfferHuman("wants support")
    assert script.conversation.transcript.agents == ["support", "sales", "technical"]


def test_a_switch_after_help_is_no_loop() -> None:
    script = Script().greeted()
    for to in ("sales", "technical", "support", "sales"):
        hand_off(script, to)
        script.replies("Done.", actions=(Did("find_order", {}, {}),))
        script.wait(2)
    assert len(script.conversation.transcript.handoffs) == 4


def test_another_language_brings_the_agent_who_speaks_it() -> None:
    script = Script().greeted()
    script.starts()
    script.wait(1)
    script.tell(SpeechStopped(script.now))
    script.tell(LanguageHeard("es", "recepcion"))
    script.tell(Transcribed(1, "Quiero saber el horario.", final=True, language="es"))
    script.wait(1)
    request = script.asked()[-1]
    assert isinstance(request, TakeOver)
    assert (request.packet.to_agent, request.packet.pending) == ("recepcion", "Quiero saber el horario.")


def test_faults_52_the_goodbye_is_heard_whole_before_we_hang_up() -> None:
    script = Script().greeted()
    script.says("That's all, goodbye.")
    script.wait(0.4)
    script.replies("Thank you for calling, goodbye.", actions=(EndCall(Disposition.RESOLVED),))
    assert not script.conversation.ended
    script.wait(5 * 0.25 + 0.1)
    assert script.effects[-1] == HangUp(Disposition.RESOLVED, EndedBy.AGENT, EndedReason.AGENT_DONE)
    assert script.conversation.transcript.turns[-1].heard == "Thank you for calling, goodbye."


def test_faults_52_a_mark_that_never_comes_does_not_keep_the_line_open() -> None:
    script = Script().greeted()
    script.says("That's all, goodbye.")
    script.wait(0.4)
    script.replies("Goodbye.", actions=(EndCall(Disposition.RESOLVED),))
    script.marks.clear()
    script.wait(2.5)
    assert script.effects[-1] == HangUp(Disposition.RESOLVED, EndedBy.AGENT, EndedReason.AGENT_DONE)


def test_thanks_and_bye_do_not_interrupt_a_goodbye() -> None:
    script = Script().greeted()
    script.says("That's all.")
    script.wait(0.4)
    script.replies(
        "Thank you for calling Larkfield, have a good day.", actions=(EndCall(Disposition.RESOLVED),)
    )
    script.wait(0.5)
    script.says("Thanks, bye.", seconds=0.5)
    script.wait(4)
    assert script.effects[-1] == HangUp(Disposition.RESOLVED, EndedBy.AGENT, EndedReason.AGENT_DONE)


def test_a_question_during_the_goodbye_is_answered() -> None:
    script = Script().greeted()
    script.says("That's all.")
    script.wait(0.4)
    script.replies(
        "Thank you for calling Larkfield, have a good day.", actions=(EndCall(Disposition.RESOLVED),)
    )
    script.wait(0.5)
    script.says("Wait, what are your hours?", seconds=1.2)
    script.wait(0.5)
    assert not script.conversation.ended
    assert script.asked()[-1] == Answer("Wait, what are your hours?")


def test_a_caller_who_hangs_up_in_the_middle_of_a_task_has_abandoned_it() -> None:
    script = Script().greeted()
    script.says("What's my bill?")
    script.wait(0.4)
    script.replies("What's your number?", actions=(Expect(Expecting.DIGITS, "phone"),))
    script.wait(1)
    effects = script.tell(HungUp(EndedBy.CALLER))
    assert effects[-1] == HangUp(Disposition.ABANDONED, EndedBy.CALLER, EndedReason.CALLER_HUNG_UP)


def test_a_caller_who_was_helped_and_hangs_up_was_resolved() -> None:
    script = Script().greeted()
    script.says("Where is B7429?")
    script.wait(0.4)
    script.replies("It arrives on Thursday.", actions=(Did("find_order", {}, {}),))
    script.wait(2)
    assert script.tell(HungUp(EndedBy.CALLER)) == [
        HangUp(Disposition.RESOLVED, EndedBy.CALLER, EndedReason.CALLER_HUNG_UP)
    ]


def test_hanging_up_in_mid_sentence_records_what_each_had_said() -> None:
    script = speaking(Script().greeted())
    script.starts()
    script.tell(Transcribed(2, "hang on I", final=False))
    script.tell(HungUp(EndedBy.CALLER))
    ended = [effect.turn for effect in script.effects if isinstance(effect, TurnEnded)][-2:]
    assert [(turn.who, turn.interrupted) for turn in ended] == [("agent", True), ("caller", False)]
    assert ended[1].text == "hang on I"


# --- when things break ---------------------------------------------------------------------------


def breaks_twice() -> Script:
    """Two replies in a row."""
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(0.4)
    script.tell(ReplyFailed(script.turn, "boom"))
    assert script.asked()[-1] is Phrase.REPAIR
    script.replies("Sorry, could you say that again?")
    script.wait(3)
    script.says("What are your hours?")
    script.wait(0.4)
    script.tell(ReplyFailed(script.turn, "boom"))
    return script


def test_a_broken_reply_is_apologised_for_and_after_the_second_a_person_is_offered() -> None:
    script = breaks_twice()
    assert script.asked()[-1] == OfferHuman("there is no answer", broken=True)
    script.replies("I can't get to the end of this.", "Shall I have a colleague call you back?")
    script.wait(5)
    script.says("Yes, please.")
    script.wait(1)
    assert script.asked()[-1] == Answer("Yes, please.")


def test_a_caller_who_has_waited_long_is_offered_a_person_and_not_asked_to_say_it_again() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    end = script.now - 0.16
    for phrase in (Phrase.ONE_MOMENT, Phrase.STILL_WORKING):
        while not (script.effects and getattr(script.effects[-1], "phrase", None) is phrase):
            script.wait(0.05)
        script.tell(Filled(script.turn, "A word.", (clip(script.turn, "A word."),)))
    script.until(end + 6.2)
    script.tell(ReplyFailed(script.turn, "nobody has answered"))
    assert script.asked()[-1] == OfferHuman("there is no answer", broken=True)


def test_when_the_offer_breaks_as_well_the_call_ends_with_an_apology() -> None:
    script = breaks_twice()
    script.tell(ReplyFailed(script.turn, "boom"))
    assert script.asked()[-1] is Phrase.APOLOGY
    script.replies("I'm sorry, something is wrong here. Please call again.")
    script.wait(5)
    assert script.effects[-1] == HangUp(Disposition.FAILED, EndedBy.SYSTEM, EndedReason.SYSTEM_MUTE)


def test_an_apology_that_breaks_too_still_ends_the_call() -> None:
    script = Script()
    failed = Failed(Port.TTS, "elevenlabs:flash", "", Trouble.CUT, "closed")
    for _ in range(4):
        script.tell(Told(failed))
        script.tell(ReplyFailed(script.turn, "boom"))
    assert script.effects[-1] == HangUp(Disposition.FAILED, EndedBy.SYSTEM, EndedReason.PROVIDER_MUTE)


def test_faults_16_an_empty_reply_does_not_leave_the_caller_waiting() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(0.4)
    script.tell(ReplyFinished(script.turn))
    assert script.asked()[-1] is Phrase.REPAIR


def test_a_reply_that_never_comes_is_given_up_and_a_person_offered() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(0.4)
    script.wait(10.1)
    assert script.asked()[-1] == OfferHuman("there is no answer", broken=True)


def test_the_longest_call_ends_politely() -> None:
    script = Script().greeted()
    while not script.conversation.ended and script.now < 4000:
        script.wait(5)
        if script.asked()[-1] is Phrase.TIME_IS_UP:
            script.replies("We have come to the longest time for a call.")
        elif isinstance(script.asked()[-1], Nudge):
            script.replies("Still there?")
            script.says("Yes, hold on a moment please.")
            script.wait(1)
            script.replies("Sure.")
    assert script.effects[-1] == HangUp(Disposition.ABANDONED, EndedBy.SYSTEM, EndedReason.SYSTEM_TOO_LONG)
    assert 3600 <= script.now < 3620


def test_intake_gives_the_caller_to_whom_their_first_words_ask_for() -> None:
    script = Script(started=False)
    asked: list[str] = []

    def intake(text: str) -> Choice | None:
        asked.append(text)
        return Choice("technical", "the caller said 'red light'")

    script.conversation = Conversation(RULES, CALL, intake)
    script.tell(CallStarted("support"))
    script.greeted()
    script.says("There is a red light.")
    script.wait(0.5)
    request = script.asked()[-1]
    assert isinstance(request, TakeOver)
    assert (request.packet.to_agent, request.packet.pending) == ("technical", "There is a red light.")
    script.replies("Hi, this is Theo.")
    script.wait(2)
    script.says("It is still red.")
    script.wait(0.5)
    assert set(asked) == {"There is a red light."}, "only the first words are asked about"


def test_a_sentence_that_goes_on_after_its_first_word_is_answered_as_one() -> None:
    script = Script().greeted()
    script.says("How much is it?", seconds=0.5)
    script.wait(0.06)
    script.replies("Hello! What can I do for you?")
    script.says("And when will it arrive?")
    script.wait(0.5)
    turns = script.conversation.transcript.turns
    assert [(turn.number, turn.who, turn.text) for turn in turns[1:]] == [
        (2, "caller", "How much is it? And when will it arrive?")
    ]
    assert script.asked()[-1] == Answer("How much is it? And when will it arrive?")


def test_the_end_of_a_yes_does_not_stop_us_from_saying_what_was_done() -> None:
    script = Script().greeted()
    script.says("Yes, please.", seconds=0.5)
    script.wait(0.06)
    script.replies(
        "Your order is placed.", actions=(Did("place_order", {}, {"order": "L1001"}, changed=True),)
    )
    script.says("Please place the order.")
    script.wait(4)
    assert script.conversation.transcript.turns[-1].heard == "Your order is placed."
    assert len(script.asked()) == 2


def test_keys_at_the_beginning_of_our_answer_are_an_answer_of_their_own() -> None:
    script = Script().greeted()
    script.says("How much is my bill?")
    script.wait(0.1)
    script.replies("Which number is it under?", actions=(Expect(Expecting.DIGITS, "phone", r"\d{7}"),))
    script.wait(0.2)
    for digit in "5550163":
        script.tell(Pressed(digit))
        script.wait(0.1)
    assert script.asked()[-1] == Answer("", digits="5550163")
    caller = [turn for turn in script.conversation.transcript.turns if turn.who == "caller"]
    assert [turn.text for turn in caller] == ["How much is my bill?", "5550163"]
    assert caller[-1].end > caller[-1].start
