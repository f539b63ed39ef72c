"""What went wrong and was put right stands in the record of the call."""

from typing import Any

from callbot.agents.brain import HandOff, Noticed
from callbot.agents.thought import Notice
from callbot.conversation.effects import ClearAudio, Noted, Phrase
from callbot.conversation.events import Acted, LanguageHeard
from callbot.conversation.noticing import COMPONENTS
from callbot.conversation.turns import Mishearing
from callbot.media_stream.vad import SpeechStopped
from callbot.providers.accounting import Mending
from callbot.providers.ports import Transcribed
from callbot.routing.handoff import Passing
from tests.conversation.script import Script


def noticed(script: Script) -> list[str]:
    record = script.conversation.transcript.as_json("CA1")["noticed"]
    assert [effect.news.as_json() for effect in script.effects if isinstance(effect, Noted)] == record
    return [noticing["what"] for noticing in record]


def details(script: Script, what: str) -> dict[str, Any]:
    """Of the one thing of this kind that was noticed."""
    record = script.conversation.transcript.as_json("CA1")["noticed"]
    (noticing,) = (each for each in record if each["what"] == what)
    found: dict[str, Any] = noticing["details"]
    return found


def test_everything_that_can_be_noticed_belongs_to_a_part_of_the_bot() -> None:
    assert set(COMPONENTS) == {*Mishearing, *Passing, *Notice, *Mending}


def test_of_a_call_in_which_all_is_well_nothing_is_noticed() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(1)
    script.replies("We open at eight.")
    assert noticed(script) == []


def test_faults_5_and_6_a_forced_final_and_one_that_came_late_are_noticed() -> None:
    script = Script().greeted()
    script.starts()
    script.wait(1)
    script.tell(SpeechStopped(script.now))
    script.tell(Transcribed(1, "what are your", final=False))
    script.wait(1.3)
    assert noticed(script) == ["forced_final"]
    script.replies("We open at eight.", finish=False)
    script.tell(Transcribed(1, "what are your hours", final=True))
    script.tell(Transcribed(1, "what are your hours", final=True))
    assert noticed(script) == ["forced_final", "late_final_merged"]


def test_faults_8_and_35_what_is_no_turn_is_noticed() -> None:
    script = Script().greeted()
    script.says("", 0.6)
    script.wait(2)
    script.says("What are your hours?")
    script.wait(1)
    script.replies("We open at eight and close at six on every day of the week.")
    script.says("Mhm.")
    script.wait(2)
    assert noticed(script) == ["phantom_dropped", "backchannel", "resumed"]


def test_what_a_brain_notices_is_noted_even_when_its_reply_was_stopped() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(1)
    turn = script.turn
    script.tell(Acted(turn, Noticed("llm_empty")))
    script.replies("We open at eight.")
    script.wait(3)
    script.tell(Acted(turn, Noticed("tool_timeout")))
    (first, second) = script.conversation.transcript.as_json("CA1")["noticed"]
    assert (first["turn"], first["what"]) == (turn, "llm_empty")
    assert (second["turn"], second["what"]) == (turn, "tool_timeout")


def test_what_happens_again_in_a_turn_is_counted() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(1)
    for _ in range(2):
        script.tell(Acted(script.turn, Noticed("tool_args_invalid", {"tool": "find_order"})))
    record = script.conversation.transcript.as_json("CA1")["noticed"]
    assert [(each["attempt"], each["component"], each["details"]) for each in record] == [
        (1, "tools", {"tool": "find_order"}),
        (2, "tools", {"tool": "find_order"}),
    ]


def test_faults_9_another_language_is_noticed_with_both() -> None:
    script = Script().greeted()
    script.tell(LanguageHeard("es", "sales"))
    assert details(script, "language_switched") == {"from": "en", "to": "es"}


def test_faults_23_the_window_of_a_handoff_runs_from_its_decision() -> None:
    script = Script().greeted()
    script.says("I want a router.")
    script.wait(1)
    decided = script.now
    script.replies("That is for my colleague.", actions=(HandOff("sales", "wants to buy", "a router"),))
    script.wait(0.7)
    script.says("Wait, how much is it?")
    script.wait(1)
    (handoff,) = script.conversation.transcript.as_json("CA1")["handoffs"]
    assert handoff["window_ms"] == handoff["at_ms"] - round(decided * 1000)
    assert details(script, "queued_utterance") == {"window_ms": handoff["window_ms"]}


def test_faults_32_a_barge_in_is_noticed_with_what_it_cut() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(1)
    script.replies("We open at eight and close at six on every day of the week.")  # 14 words: 3.5 s
    script.wait(1)
    script.says("Wait, stop.", 0.6)
    script.wait(1)
    assert sum(isinstance(effect, ClearAudio) for effect in script.effects) == 1
    cut = details(script, "barge_in")
    assert 2_200 < cut["cut_ms"] < 2_500
    assert cut["after_ms"] == 160


def test_faults_36_how_long_we_were_silent_for_nothing_is_noticed() -> None:
    script = Script().greeted()
    script.says("What are your hours?")
    script.wait(1)
    script.replies("We open at eight and close at six on every day of the week.")
    script.wait(1)
    script.says("", 0.3)
    script.wait(3)
    assert 0 < details(script, "resumed")["after_ms"] <= 1_300


def test_faults_8_words_that_nobody_can_have_said_are_no_turn() -> None:
    script = Script().greeted()
    script.says("Thank you for watching.", 0.35)
    script.wait(2)
    assert script.conversation.transcript.turns[1:] == []
    assert details(script, "phantom_dropped") == {"sound_ms": 350}


def test_faults_8_words_that_the_recogniser_hardly_believes_are_no_turn() -> None:
    script = Script().greeted()
    hardly_believed(script, 0.5)
    script.wait(5)
    assert script.conversation.transcript.turns[1:] == []
    assert details(script, "phantom_dropped")["confidence"] == 0.12


def test_who_spoke_for_longer_and_was_hardly_understood_is_asked_to_say_it_again() -> None:
    script = Script().greeted()
    hardly_believed(script, 1.5)
    script.wait(4)
    assert script.asked()[-1] is Phrase.NOT_HEARD
    assert noticed(script) == ["stt_deaf"]


def hardly_believed(script: Script, seconds: float) -> None:
    script.starts()
    script.wait(seconds)
    script.tell(SpeechStopped(script.now))
    script.tell(Transcribed(1, "thank you", final=True, confidence=0.12))


def test_a_short_yes_is_no_phantom() -> None:
    script = Script().greeted()
    for words, seconds in (("Yes.", 0.2), ("Yes, please.", 0.45), ("No, thank you.", 0.5)):
        script.says(words, seconds)
        script.wait(2)
        script.replies("All right.")
        script.wait(2)
    assert [turn.text for turn in script.conversation.transcript.turns if turn.who == "caller"] == [
        *("Yes.", "Yes, please.", "No, thank you.")
    ]
