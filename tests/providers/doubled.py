"""All vendors on loopback, for suites that every adapter passes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from callbot.providers import mulaw
from callbot.providers.registry import Models
from callbot.vendors import Account, Accounts
from tests.doubles.cartesia import CartesiaDouble
from tests.doubles.deepgram import DeepgramDouble
from tests.doubles.elevenlabs import ElevenLabsDouble
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.openai_speech import OpenAiSpeechDouble
from tests.doubles.plan import Plan

KEY = "a-key-of-nobody"


def hum(text: str) -> bytes:
    """What the fake voice says, from a vendor: 60 ms for each character."""
    times = np.arange(480 * len(text.strip()), dtype=np.float32) / 8000
    return mulaw.encode(np.float32(0.3) * np.sin(np.float32(2 * np.pi * 440) * times))


def reads_aloud(request: dict[str, Any]) -> Answer:
    """What a model says that was given a text to read."""
    return Answer(text=request["messages"][-1]["content"].removeprefix('"').removesuffix('"'))


@asynccontextmanager
async def doubled(
    models: Models, *, hear: Callable[[bytes], str] = lambda audio: ""
) -> AsyncIterator[Models]:
    """The same models with an account everywhere: what they open belongs to this test's loop."""
    async with (
        CartesiaDouble(Plan(), speak=hum, key=KEY) as cartesia,
        DeepgramDouble(Plan(), hear=hear, speak=hum, key=KEY) as deepgram,
        ElevenLabsDouble(Plan(), hear=hear, speak=hum, key=KEY) as elevenlabs,
        OpenAiSpeechDouble(Plan(), hear=hear, speak=hum, key=KEY, think=reads_aloud) as openai,
    ):
        urls = {
            "cartesia": cartesia.url,
            "deepgram": deepgram.url,
            "elevenlabs": elevenlabs.url,
            "openai": openai.url,
        }
        accounts = Accounts({vendor: Account(vendor, url, KEY) for vendor, url in urls.items()})
        own = Models(models.pool, cache=models.cache, accounts=accounts)
        yield own
        await own.aclose()
