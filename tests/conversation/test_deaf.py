"""The caller speaks, and no recogniser hears it: connected but deaf is said, and not kept silent about."""

from callbot.agents.brain import Answer, Expect, Expecting, OfferHuman
from callbot.call import Disposition
from callbot.conversation.effects import HangUp, Phrase, SayMeanwhile
from callbot.conversation.events import HearingFailed, Pressed
from callbot.media_stream.vad import SpeechStopped
from callbot.providers.ports import Transcribed
from tests.conversation.script import RULES, Script


def speaks(script: Script, seconds: float = 2.0) -> float:
    """And nothing is heard of it; when it ended."""
    script.starts()
    script.wait(seconds - 0.16)
    end = script.now
    script.tell(SpeechStopped(end))
    return end


def asked_to_repeat(script: Script) -> int:
    return script.asked().count(Phrase.NOT_HEARD)


def noticed(script: Script) -> list[str]:
    return [noticing.what for noticing in script.conversation.transcript.noticed]


def test_faults_4_speech_without_a_word_is_asked_for_again_before_an_apology_is_due() -> None:
    script = Script().greeted()
    end = speaks(script)
    script.until(end + RULES.ask_again_after - 0.01)
    assert asked_to_repeat(script) == 0
    script.until(end + RULES.ask_again_after + 0.01)
    assert asked_to_repeat(script) == 1
    assert noticed(script) == ["stt_deaf"]


def test_a_sound_that_need_not_have_words_is_not_asked_for_again() -> None:
    script = Script().greeted()
    speaks(script, 0.8)
    script.wait(5)
    assert asked_to_repeat(script) == 0
    assert noticed(script) == ["phantom_dropped"]


def test_faults_3_when_recognisers_have_failed_the_shortest_word_is_asked_for_again_at_once() -> None:
    script = Script().greeted()
    script.starts()
    script.tell(HearingFailed("a wrong key"))
    end = script.now + 0.2
    script.until(end)
    script.tell(SpeechStopped(end))
    script.until(end + 1.51)
    assert asked_to_repeat(script) == 1


def test_recognisers_that_fail_when_the_turn_is_over_are_not_waited_for() -> None:
    script = Script().greeted()
    end = speaks(script)
    script.until(end + 1.8)
    script.tell(HearingFailed("both are down"))
    script.wait(0.01)
    assert asked_to_repeat(script) == 1


def test_words_that_another_recogniser_has_caught_up_with_are_answered() -> None:
    script = Script().greeted()
    end = speaks(script)
    script.until(end + 2.2)
    script.tell(Transcribed(1, "What are your hours?", final=True))
    script.wait(2)
    assert script.asked()[-1] == Answer("What are your hours?")
    assert asked_to_repeat(script) == 0
    assert noticed(script) == []


def test_so_is_a_short_word_that_another_recogniser_has_caught_up_with() -> None:
    script = Script().greeted()
    end = speaks(script, 0.4)
    script.until(end + 2.2)
    script.tell(Transcribed(1, "Yes.", final=True))
    script.wait(2)
    assert script.asked()[-1] == Answer("Yes.")


def test_who_goes_on_is_not_asked_for_what_was_not_heard() -> None:
    script = Script().greeted()
    end = speaks(script)
    script.until(end + 2.0)
    script.says("Hello, can you hear me?", 1.5)
    script.wait(2)
    assert asked_to_repeat(script) == 0
    assert script.asked()[-1] == Answer("Hello, can you hear me?")


def whom_nobody_hears() -> Script:
    """They were asked to say it again, and were not heard again."""
    script = Script().greeted()
    speaks(script)
    script.wait(3.1)
    script.replies("I'm sorry, I can't hear you well. Could you say that again?")
    script.wait(4)
    assert asked_to_repeat(script) == 1
    speaks(script)
    script.wait(3.1)
    return script


def test_a_caller_whom_nobody_hears_at_all_is_asked_to_answer_with_keys() -> None:
    script = whom_nobody_hears()
    assert script.asked()[-1] == OfferHuman("you could not be heard", deaf=True)
    script.replies("Shall I have a colleague call you back?", actions=(Expect(Expecting.YES_NO),))
    script.wait(4)
    script.tell(Pressed("1"))
    script.wait(RULES.keys_end_after)
    assert script.asked()[-1] == Answer("", "1")


def test_one_who_goes_on_speaking_is_apologised_to_and_the_call_ends() -> None:
    script = whom_nobody_hears()
    script.replies("Shall I have a colleague call you back?")
    script.wait(4)
    speaks(script)
    script.wait(3.1)
    assert script.asked()[-1] is Phrase.APOLOGY
    script.replies("I'm sorry, I can't go on.")
    effects = script.wait(4)
    assert [effect.disposition for effect in effects if isinstance(effect, HangUp)] == [Disposition.FAILED]


def test_one_turn_that_is_heard_makes_good_for_those_that_were_not() -> None:
    script = Script().greeted()
    for _ in range(3):
        speaks(script)
        script.wait(3.1)
        script.replies("I'm sorry, I can't hear you well. Could you say that again?")
        script.wait(4)
        script.says("What are your hours?")
        script.wait(1)
        script.replies("Eight to six.")
        script.wait(2)
    assert asked_to_repeat(script) == 3


def test_one_key_is_a_whole_yes() -> None:
    script = whom_nobody_hears()
    script.replies("Shall I have a colleague call you back?", actions=(Expect(Expecting.YES_NO),))
    script.wait(4)
    script.tell(Pressed("2"))
    assert script.asked()[-1] == Answer("", "2")


def test_who_types_waits_from_when_no_more_can_follow() -> None:
    script = Script().greeted()
    script.tell(Pressed("4"))
    script.wait(RULES.keys_end_after + 0.01)
    assert script.asked()[-1] == Answer("", "4")
    assert not [effect for effect in script.effects if isinstance(effect, SayMeanwhile)]
    script.wait(RULES.one_moment)
    assert [effect.phrase for effect in script.effects if isinstance(effect, SayMeanwhile)] == [
        Phrase.ONE_MOMENT
    ]


def half_heard(script: Script, *, lost: bool) -> float:
    """The caller speaks for four seconds, and after the first no more is heard; when that ended."""
    script.starts()
    script.wait(0.8)
    script.tell(Transcribed(script.conversation._utterance, "Hello, I have", final=False))
    if lost:
        script.tell(HearingFailed("every connection is refused"))
    script.wait(3)
    end = script.now
    script.tell(SpeechStopped(end))
    return end


def test_faults_1_when_most_of_an_utterance_is_lost_its_beginning_is_not_answered() -> None:
    script = Script().greeted()
    end = half_heard(script, lost=True)
    script.until(end + RULES.forced_final_after + 0.05)
    assert script.asked()[-1] is Phrase.NOT_HEARD
    assert noticed(script) == ["stt_deaf"]


def test_faults_1_what_was_lost_is_answered_when_another_recogniser_has_caught_up() -> None:
    script = Script().greeted()
    end = half_heard(script, lost=False)
    script.until(end + 2)
    text = "Hello, I have a question about my bill."
    script.tell(Transcribed(script.conversation._utterance, text, final=True))
    script.wait(1)
    assert script.asked()[-1] == Answer(text)
    assert asked_to_repeat(script) == 0
