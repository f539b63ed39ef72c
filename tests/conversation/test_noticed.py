"""What went wrong and was put right stands in the record of the call."""

from callbot.agents.brain import Noticed
from callbot.conversation.effects import Noted
from callbot.conversation.events import Acted
from callbot.media_stream.vad import SpeechStopped
from callbot.providers.ports import Transcribed
from tests.conversation.script import Script


def noticed(script: Script) -> list[str]:
    record = script.conversation.transcript.as_json("CA1")["noticed"]
    assert [effect.what for effect in script.effects if isinstance(effect, Noted)] == [
        noticing["what"] for noticing in record
    ]
    return [noticing["what"] for noticing in record]


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
