"""What comes on the socket of an ElevenLabs voice: in the words of its schema, and of its samples."""

import base64
import json

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.providers.tts.context_dialect import Chunk, Received
from callbot.providers.tts.elevenlabs_messages import Contexts

AUDIO = base64.b64encode(b"\x01\x02").decode()


def got(**message: object) -> Received:
    return Contexts().received("elevenlabs", json.dumps(message))


@pytest.mark.parametrize("durations", ["charDurationsMs", "charsDurationsMs"])
@pytest.mark.parametrize("context", ["contextId", "context_id"])
@pytest.mark.parametrize("alignment", ["alignment", "normalizedAlignment"])
def test_audio_comes_with_its_characters(durations: str, context: str, alignment: str):
    spelled = {"chars": ["H", "i"], "charStartTimesMs": [0, 100], durations: [100, 50]}
    assert got(**{"audio": AUDIO, alignment: spelled, context: "c1"}) == Received(
        "c1", Chunk(b"\x01\x02", (("H", 0.0, 0.1), ("i", 0.1, 0.15))), False
    )


def test_the_text_as_it_was_given_goes_before_the_text_as_it_was_read():
    given, read = (
        {"chars": list(text), "charStartTimesMs": [0] * len(text), "charDurationsMs": [9] * len(text)}
        for text in ("24", "twenty four")
    )
    news = got(audio=AUDIO, alignment=given, normalizedAlignment=read, contextId="c1")
    assert "".join(character for character, _, _ in news.chunk.characters) == "24"


def test_audio_without_alignment_has_no_characters():
    assert got(audio=AUDIO, alignment=None, contextId="c1").chunk == Chunk(b"\x01\x02", ())


@pytest.mark.parametrize("final", ["isFinal", "is_final"])
def test_the_last_message_has_no_audio(final: str):
    assert got(**{"audio": None, final: True, "contextId": "c1"}) == Received("c1", Chunk(b"", ()), True)


@pytest.mark.parametrize(
    ("word", "trouble", "retryable"),
    [
        ("invalid_api_key", Trouble.AUTH, False),
        ("quota_exceeded", Trouble.QUOTA, False),
        ("max_active_conversations", Trouble.RATE_LIMITED, True),
        ("too_many_concurrent_requests", Trouble.RATE_LIMITED, True),
        ("system_busy", Trouble.RATE_LIMITED, True),
        ("input_timeout_exceeded", Trouble.UNAVAILABLE, True),
        ("internal_server_error", Trouble.UNAVAILABLE, True),
        ("voice_id_does_not_exist", Trouble.REJECTED, False),
    ],
)
def test_an_error_is_told_in_our_words(word: str, trouble: Trouble, retryable: bool):
    with pytest.raises(ProviderError, match=word) as raised:
        got(message="in the vendor's words", error=word, code=1008)
    assert (raised.value.trouble, raised.value.retryable) == (trouble, retryable)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "3",
        b"\xff\xfe\x00",
        '{"audio": "%%%"}',
        '{"audio": 3}',
        '{"alignment": "Hi"}',
        '{"alignment": {"chars": ["H"], "charStartTimesMs": [0, 1], "charDurationsMs": [1]}}',
        '{"alignment": {"chars": ["H"], "charStartTimesMs": ["0"], "charDurationsMs": [1]}}',
    ],
)
def test_what_is_no_message_is_told(message: str | bytes):
    with pytest.raises(ProviderError) as raised:
        Contexts().received("elevenlabs", message)
    assert raised.value.trouble is Trouble.BAD_FORMAT
