"""What the tests of vendors' voices have in common."""

import asyncio
import functools
import random
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.playback import Playback
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech, TextToSpeech
from callbot.providers.registry import Models, voice
from callbot.speaking import speak
from callbot.vendors import Account, Accounts
from tests.doubles import cartesia, elevenlabs
from tests.doubles.cartesia import CartesiaDouble
from tests.doubles.elevenlabs import KEY, ElevenLabsDouble, hum
from tests.doubles.plan import Fault, Plan

TEXT = "Your order is on its way, and it should arrive on Thursday."
WITHIN = 5.0


async def until(true: Callable[[], bool]) -> None:
    """What happens at the other end of a socket takes a moment."""
    async with asyncio.timeout(WITHIN):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def models_for(
    double: ElevenLabsDouble | CartesiaDouble,
    pool: InferencePool,
    *,
    vendor: str = "elevenlabs",
    key: str = KEY,
) -> Models:
    account = Account(vendor, double.url, key)
    return Models(pool, cache=Path(), accounts=Accounts({vendor: account}))


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
    try:
        await until(lambda: asyncio.all_tasks() - fixture <= before)
    except TimeoutError:
        left = "\n".join(map(str, asyncio.all_tasks() - fixture - before))
        raise AssertionError(f"tasks were left behind:\n{left}") from None


Speaking = Callable[..., AbstractAsyncContextManager[Any]]
"""Opens a voice, and behind it a double in the manner that is asked for."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One who speaks. ``voice`` is a name as in settings, ``endpoints`` are the double's that can fail, the
    connection's own first. ``message_seconds`` of audio are in one of its messages."""

    name: str
    voice: str
    double: Callable[..., Any]
    key: str
    endpoints: tuple[str, ...]
    message_seconds: float

    def speaking(self, plan: Plan, pool: InferencePool) -> Speaking:
        @asynccontextmanager
        async def speaking(
            name: str = self.voice, *, key: str = self.key, **manner: Any
        ) -> AsyncIterator[TextToSpeech]:
            async with nothing_left(plan), self.double(plan, **manner) as double:
                models = models_for(double, pool, vendor=self.name, key=key)
                yield voice(name, models)
                await models.aclose()

        return speaking


ELEVENLABS = Vendor(
    "elevenlabs",
    f"elevenlabs:eleven_flash_v2_5/{elevenlabs.VOICE}",
    ElevenLabsDouble,
    elevenlabs.KEY,
    ("tts-multi", "tts-context"),
    0.3,
)
ELEVENLABS_HTTP = Vendor(
    "elevenlabs",
    f"elevenlabs-http:eleven_flash_v2_5/{elevenlabs.VOICE}",
    ElevenLabsDouble,
    elevenlabs.KEY,
    ("tts-http",),
    0.3,
)
CARTESIA = Vendor(
    "cartesia",
    f"cartesia:sonic-3/{cartesia.VOICE}",
    functools.partial(CartesiaDouble, speak=hum),
    cartesia.KEY,
    ("tts", "tts-context"),
    0.25,
)


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


async def refused_and_then_spoken(voice: TextToSpeech, trouble: Trouble, *, retryable: bool) -> ProviderError:
    """The failure of one text, which is of this kind; the next one is spoken."""
    pieces, error = await failure(voice)
    assert (pieces, error.trouble, error.retryable) == ([], trouble, retryable)
    assert audio_of(await spoken(voice)) == hum(TEXT)
    return error


def of_each_endpoint(
    vendor: Vendor, refusals: dict[str, tuple[Fault, Trouble, bool]], *, of_one_text: Callable[[Fault], bool]
) -> list[Any]:
    """Parameters: of the connection all the refusals, of one text those that there can be."""
    connection, text = vendor.endpoints
    return [pytest.param(connection, *refusal, id=name) for name, refusal in refusals.items()] + [
        pytest.param(text, *refusal, id=f"{name}, of one text")
        for name, refusal in refusals.items()
        if of_one_text(refusal[0])
    ]


# --- interruptions -------------------------------------------------------------------------------


def stamped(text: str) -> bytes:
    """Audio that tells which text it is of."""
    return bytes([zlib.crc32(text.strip().encode()) % 251]) * (480 * len(text.strip()))


async def two_hundred_interruptions(voice: TextToSpeech, said: Sequence[str]) -> None:
    """Three calls at once, interrupted at random moments; the ledger tells what was heard. ``voice`` gives
    ``stamped`` audio."""
    chance = random.Random(4)
    heard_some = unheard_some = 0

    async def interrupted(turn: int, *, patience: float, elapsed: float) -> None:
        nonlocal heard_some, unheard_some
        playback = Playback()

        async def answer() -> None:
            async with aclosing(speak(voice, turn, said[turn])) as clips:
                async for clip in clips:
                    assert set(clip.audio) <= set(stamped(said[turn])), "audio of another text"
                    playback.send(clip, 0.0)

        task = asyncio.create_task(answer())
        await asyncio.wait([task], timeout=patience)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        playback.clear(elapsed)
        heard = playback.heard(turn).split()
        assert heard == said[turn].split()[: len(heard)]
        heard_some += bool(heard)
        unheard_some += len(heard) < len(said[turn].split())

    async def call(turns: range) -> None:
        for turn in turns:
            await interrupted(turn, patience=chance.uniform(0, 0.03), elapsed=chance.uniform(0, 4))

    async with asyncio.timeout(60), asyncio.TaskGroup() as calls:
        for first in range(3):
            calls.create_task(call(range(first, 200, 3)))
    assert heard_some > 20
    assert unheard_some > 100
