"""What providers used and how they failed stands in the record of the call."""

from callbot.conversation.effects import Noted
from callbot.conversation.events import Told, Wasted
from callbot.conversation.transcript import ProviderFailure
from callbot.errors import Trouble
from callbot.providers.accounting import Failed, Mended, Mending, Port, Unit, Used
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
    failed = Failed(
        Port.LLM, "openai:gpt-5.4-mini", "openai:backup", Trouble.SLOW, "no token", left_alone=15.0
    )
    assert script.tell(Told(failed)) == [Noted(ProviderFailure(script.now, 1, failed))]
    (failure,) = script.conversation.transcript.as_json("CA1")["failures"]
    assert failure == {
        "at_ms": round(script.now * 1000),
        "turn": 1,
        "port": "llm",
        "provider": "openai:gpt-5.4-mini",
        "trouble": "slow",
        "detail": "no token",
        "attempt": 1,
        "instead": "openai:backup",
        "left_alone_ms": 15_000,
    }


def test_what_a_provider_has_put_right_is_noticed_with_its_figures() -> None:
    script = Script().greeted()
    details = {"gap_ms": 120, "from_word": 4}
    script.tell(Told(Mended(Port.TTS, "openai:voice", Mending.TTS_RESUMED, details)))
    (noticed,) = script.conversation.transcript.as_json("CA1")["noticed"]
    assert noticed == {
        "at_ms": round(script.now * 1000),
        "turn": 1,
        "component": "tts",
        "what": "tts_resumed",
        "attempt": 1,
        "details": {"provider": "openai:voice", **details},
    }
