"""What every vendor's voice does, against its double."""

import asyncio
import math
from contextlib import aclosing
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from callbot.errors import Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.ports import TextToSpeech
from callbot.providers.tts import context_socket
from tests.doubles.elevenlabs import hum
from tests.doubles.plan import Fault, Plan
from tests.providers.vendor_voices import (
    CARTESIA,
    ELEVENLABS,
    ELEVENLABS_HTTP,
    TEXT,
    Speaking,
    Vendor,
    audio_of,
    failure,
    spoken,
    words_of,
)

ON_SOCKETS = (CARTESIA, ELEVENLABS)
ALL = (*ON_SOCKETS, ELEVENLABS_HTTP)


def endpoints(*vendors: Vendor) -> list[Any]:
    return [
        pytest.param(vendor, endpoint, id=f"{vendor.voice.partition(':')[0]}: {endpoint}")
        for vendor in vendors
        for endpoint in vendor.endpoints
    ]


@pytest.fixture(params=ALL, ids=lambda vendor: vendor.voice.partition(":")[0])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return request.param


@pytest.fixture
def speaking(vendor: Vendor, plan: Plan, pool: InferencePool) -> Speaking:
    return vendor.speaking(plan, pool)


@pytest.mark.parametrize("text", ["", "  ", "—", "?!"])
async def test_a_text_without_a_word_costs_no_request(speaker: TextToSpeech, plan: Plan, text: str):
    assert words_of(await spoken(speaker, text)) == text.split()
    assert plan.asked == []


async def test_the_first_words_come_before_the_rest_is_made(speaking: Speaking):
    async with speaking(between=0.05) as speaker:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with aclosing(speaker.speak(TEXT)) as pieces:
            await anext(pieces)
            first = loop.time() - began
            async for _ in pieces:
                pass
        assert first < (loop.time() - began) / 3


async def test_when_to_come_back_is_told(speaking: Speaking, vendor: Vendor, plan: Plan):
    plan.add(vendor.endpoints[0], Fault(status=429, code="too_many", retry_after=7))
    async with speaking() as speaker:
        assert (await failure(speaker))[1].retry_after == 7


@pytest.mark.parametrize(("vendor", "endpoint"), endpoints(*ALL))
@pytest.mark.parametrize("fault", [Fault(delay=0.1), Fault(dribble=0.02)], ids=["late", "dribbles"])
async def test_a_slow_vendor_is_heard_whole(speaking: Speaking, plan: Plan, endpoint: str, fault: Fault):
    plan.add(endpoint, fault)
    async with speaking() as speaker:
        assert audio_of(await spoken(speaker)) == hum(TEXT)


@pytest.mark.parametrize(("vendor", "endpoint"), endpoints(*ON_SOCKETS))
@pytest.mark.parametrize("fault", [Fault(cut_after=3), Fault(close_after=3)], ids=["cut", "closed"])
async def test_what_came_before_the_break_is_spoken(
    speaking: Speaking, vendor: Vendor, plan: Plan, endpoint: str, fault: Fault
):
    """Of three messages."""
    plan.add(endpoint, fault)
    async with speaking() as speaker:
        pieces, error = await failure(speaker)
        assert (error.trouble, error.retryable) == (Trouble.CUT, True)
        assert words_of(pieces) == TEXT.split()[: len(words_of(pieces))]
        assert 0.5 < sum(piece.seconds for piece in pieces) <= 3 * vendor.message_seconds + 1e-6
        assert audio_of(await spoken(speaker)) == hum(TEXT)


@pytest.mark.parametrize("vendor", ON_SOCKETS, ids=lambda vendor: vendor.name)
async def test_a_file_instead_of_raw_audio_is_found_out(speaking: Speaking):
    async with speaking(speak=lambda text: b"RIFF\x24\x08\x00\x00WAVEfmt " + hum(text)) as speaker:
        pieces, error = await failure(speaker)
        assert (pieces, error.trouble) == ([], Trouble.BAD_FORMAT)


@pytest.mark.parametrize("vendor", ON_SOCKETS, ids=lambda vendor: vendor.name)
async def test_a_connection_that_does_not_close_is_broken_off(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch
):
    """As when more has come than anybody wanted: the vendor's own goodbye stands behind it, unread."""

    async def close(connection: ClientConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(math.inf)

    monkeypatch.setattr(context_socket, "CLOSE_WITHIN", 0.05)
    monkeypatch.setattr(ClientConnection, "close", close)
    async with speaking() as speaker:
        await spoken(speaker)
