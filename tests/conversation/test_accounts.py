"""What providers used and how they failed stands in the record of the call."""

from callbot.conversation.events import Told, Wasted
from callbot.errors import Trouble
from callbot.providers.accounting import Failed, Port, Unit, Used
from tests.conversation.script import Script


def test_what_was_used_is_added_up_and_what_was_wasted_of_it_is_told_apart() -> None:
    script = Script()
    spoken = Used(Port.TTS, "elevenlabs", Unit.CHARACTERS_SPOKEN, 40)
    for event in (
        Told(spoken),
        Told(spoken),
        Wasted(spoken),
        Told(Used(Port.STT, "openai", Unit.SECONDS_HEARD, 2.5)),
    ):
        assert script.tell(event) == []
    assert script.conversation.transcript.as_json("CA1")["usage"] == [
        {"port": "stt", "provider": "openai", "unit": "seconds_heard", "amount": 2.5, "wasted": 0.0},
        {"port": "tts", "provider": "elevenlabs", "unit": "characters_spoken", "amount": 80, "wasted": 40},
    ]


def test_a_failure_is_kept_with_its_time_its_turn_and_who_went_on() -> None:
    script = Script().greeted()
    failed = Failed(Port.LLM, "openai:gpt-5.4-mini", "openai:backup", Trouble.SLOW, "no first token in 3 s")
    script.tell(Told(failed))
    (failure,) = script.conversation.transcript.as_json("CA1")["failures"]
    assert failure == {
        "at_ms": round(script.now * 1000),
        "turn": 1,
        "port": "llm",
        "provider": "openai:gpt-5.4-mini",
        "trouble": "slow",
        "detail": "no first token in 3 s",
        "attempt": 1,
        "instead": "openai:backup",
    }
