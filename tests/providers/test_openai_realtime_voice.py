"""The voice of a realtime model for words that are given, against the double; what it does as a voice is in
the suite."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection

from callbot.errors import ProviderError, Trouble
from callbot.providers.tts.openai_realtime import OpenAiRealtimeVoice
from callbot.vendors import Account
from tests.doubles.openai_speech import KEY, OpenAiSpeechDouble
from tests.doubles.plan import Fault, Plan
from tests.doubles.spelling import hear, speak
from tests.providers.doubled import reads_aloud

NAME = "openai-realtime:gpt-realtime-2.1/marin"
TEXT = "Good morning, this is Maya."


@pytest.fixture
async def double() -> AsyncIterator[OpenAiSpeechDouble]:
    async with OpenAiSpeechDouble(Plan(), hear=hear, speak=speak, think=reads_aloud) as double:
        yield double


def maya(double: OpenAiSpeechDouble, *, model: str = "gpt-realtime-2.1") -> OpenAiRealtimeVoice:
    account = Account("openai", double.url, KEY)
    return OpenAiRealtimeVoice(NAME, account, model=model, voice="marin", language="en")


async def spoken(voice: OpenAiRealtimeVoice) -> str:
    async with asyncio.timeout(5):
        return hear(b"".join([speech.audio async for speech in voice.speak(TEXT)]))


@pytest.mark.parametrize(
    ("endpoint", "fault", "trouble"),
    [
        ("answers", Fault(status=429, code="insufficient_quota"), Trouble.QUOTA),
        ("answers", Fault(status=429, code="rate_limit_exceeded"), Trouble.RATE_LIMITED),
        ("answers", Fault(status=404, code="model_not_found"), Trouble.REJECTED),
        ("answers", Fault(status=503), Trouble.UNAVAILABLE),
        ("realtime", Fault(code="invalid_api_key"), Trouble.AUTH),
        ("realtime", Fault(code="invalid_api_key", silent=True), Trouble.AUTH),
        ("realtime", Fault(cut_after=2), Trouble.CUT),
    ],
)
async def test_a_failure_is_told_at_once_in_our_words_and_the_next_text_is_read(
    double: OpenAiSpeechDouble, endpoint: str, fault: Fault, trouble: Trouble
):
    double.plan.add(endpoint, fault)
    voice = maya(double)
    with pytest.raises(ProviderError) as failed:
        await spoken(voice)
    assert failed.value.trouble is trouble
    assert await spoken(voice) == TEXT


async def test_who_waits_no_longer_leaves_no_connection(
    double: OpenAiSpeechDouble, monkeypatch: pytest.MonkeyPatch
):
    """However its goodbye ends: with Python 3.11.2 a time-out in a cancelled task is a cancellation."""

    async def never(connection: ClientConnection) -> None:
        connection.transport.pause_reading()
        closing.set()
        await asyncio.sleep(math.inf)

    closing = asyncio.Event()
    double.plan.add("answers", Fault(stall_after=1))
    reading = asyncio.create_task(spoken(maya(double)))
    async with asyncio.timeout(5):
        while not double.plan.of("answers"):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    monkeypatch.setattr(ClientConnection, "close", never)
    for _ in range(2):
        reading.cancel()
        await asyncio.wait_for(closing.wait(), 5)
    await asyncio.wait([reading])
    async with asyncio.timeout(5):
        await double.deserted()
