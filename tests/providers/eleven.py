"""What the tests of the ElevenLabs adapters have in common."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from callbot.errors import ProviderError
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech, TextToSpeech
from callbot.providers.registry import Models
from callbot.vendors import Account, Accounts
from tests.doubles.elevenlabs import KEY, ElevenLabsDouble
from tests.doubles.plan import Plan

TEXT = "Your order is on its way, and it should arrive on Thursday."
WITHIN = 5.0


async def until(true: Callable[[], bool]) -> None:
    """What happens at the other end of a socket takes a moment."""
    async with asyncio.timeout(WITHIN):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def models_for(double: ElevenLabsDouble, pool: InferencePool, *, key: str = KEY) -> Models:
    account = Account("elevenlabs", double.url, key)
    return Models(pool, cache=Path(), accounts=Accounts({"elevenlabs": account}))


@asynccontextmanager
async def behind(models: Models, **double: Any) -> AsyncIterator[Models]:
    """The same models, with an account at a double: its connections belong to this test's loop."""
    async with ElevenLabsDouble(Plan(), **double) as vendor:
        own = models_for(vendor, models.pool)
        yield own
        await own.aclose()


@asynccontextmanager
async def nothing_left(plan: Plan) -> AsyncIterator[None]:
    """After it there is no connection, and no task that was not there before."""
    before = asyncio.all_tasks()
    yield
    await until(lambda: plan.open == 0)
    fixture = {asyncio.current_task()}  # which may be another than when it began
    await until(lambda: asyncio.all_tasks() - fixture <= before)


async def spoken(voice: TextToSpeech, text: str = TEXT) -> list[Speech]:
    async with asyncio.timeout(WITHIN):
        return [speech async for speech in voice.speak(text)]


def audio_of(pieces: list[Speech]) -> bytes:
    return b"".join(piece.audio for piece in pieces)


def words_of(pieces: list[Speech]) -> list[str]:
    return " ".join(piece.text for piece in pieces).split()


async def given_up(voice: TextToSpeech, *, after: float) -> None:
    """As by somebody who waits no longer for the next piece."""
    speaking = asyncio.create_task(spoken(voice))
    await asyncio.wait([speaking], timeout=after)
    assert not speaking.done()
    speaking.cancel()
    await asyncio.wait([speaking])


async def failure(voice: TextToSpeech, text: str = TEXT) -> tuple[list[Speech], ProviderError]:
    """What came before it failed, and how it did."""
    pieces: list[Speech] = []

    async def speak() -> None:
        async with asyncio.timeout(WITHIN), aclosing(voice.speak(text)) as speaking:
            async for speech in speaking:
                pieces.append(speech)

    with pytest.raises(ProviderError) as raised:
        await speak()
    assert KEY not in str(raised.value)
    assert raised.value.provider == voice.name
    return pieces, raised.value
