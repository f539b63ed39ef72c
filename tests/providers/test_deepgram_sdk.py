"""The vendor's own SDK talks to the double: what keeps the double honest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from tests.doubles.deepgram import DeepgramDouble
from tests.doubles.plan import Fault, Plan
from tests.providers.deepgram_audio import LOUD, QUIET, hear, speak

pytestmark = [
    pytest.mark.skipif(find_spec("deepgram") is None, reason="deepgram-sdk is not installed: callbot[dev]"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's way to open a WebSocket
]
WORD = LOUD * 4_000


@asynccontextmanager
async def sdk(key: str = "dg-key", **conduct: Any) -> AsyncIterator[tuple[Any, Plan]]:
    from deepgram import AsyncDeepgramClient
    from deepgram.environment import DeepgramClientEnvironment

    plan = Plan()
    async with DeepgramDouble(plan, hear=hear, speak=speak, **conduct) as double:
        url = double.url
        there = DeepgramClientEnvironment(base=url, production="ws" + url[4:], agent=url, agent_rest=url)
        yield AsyncDeepgramClient(api_key=key, environment=there), plan


def listen(client: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
    given = {
        "interim_results": "true",
        "utterance_end_ms": "1000",
        "vad_events": "true",
        "endpointing": "300",
    }
    opened: AbstractAsyncContextManager[Any] = client.listen.v1.connect(
        model="nova-3", encoding="mulaw", sample_rate="8000", **(given | options)
    )
    return opened


async def until(socket: Any, kind: str) -> list[Any]:
    """The messages up to the next of a type, and it."""
    found: list[Any] = []
    async with asyncio.timeout(5):
        while not found or found[-1].type != kind:
            message = await socket.recv()
            if not isinstance(message, bytes):
                found.append(message)
    return found


async def test_the_sdk_hears_through_v1_listen():
    from deepgram.listen.v1.types import ListenV1Metadata, ListenV1Results, ListenV1UtteranceEnd

    async with sdk() as (client, plan), listen(client) as socket:
        await socket.send_keep_alive()
        await socket.send_media(WORD + QUIET * 8_000)
        (*_, end) = await until(socket, "UtteranceEnd")
        assert isinstance(end, ListenV1UtteranceEnd)
        assert end.last_word_end == 0.5
        await socket.send_media(WORD)
        await socket.send_finalize()
        (*_, results) = await until(socket, "Results")
        while not results.is_final:
            (*_, results) = await until(socket, "Results")
        assert isinstance(results, ListenV1Results)
        assert results.from_finalize
        assert results.channel.alternatives[0].transcript == "Four"
        await socket.send_close_stream()
        (*_, metadata) = await until(socket, "Metadata")
        assert isinstance(metadata, ListenV1Metadata)
    assert plan.asked[0].headers["Authorization"] == "Token dg-key"


async def test_the_sdk_hears_turns_through_v2_listen():
    from deepgram.listen.v2.types import ListenV2Configure, ListenV2Connected, ListenV2TurnInfo

    async with (
        sdk() as (client, _),
        client.listen.v2.connect(
            model="flux-general-en", encoding="mulaw", sample_rate="8000", eager_eot_threshold="0.5"
        ) as socket,
    ):
        (connected,) = await until(socket, "Connected")
        assert isinstance(connected, ListenV2Connected)
        await socket.send_configure(ListenV2Configure(keyterms=["Acme"]))
        await until(socket, "ConfigureSuccess")
        await socket.send_media(WORD + QUIET * 9_000)
        turns = [await until(socket, "TurnInfo") for _ in range(6)]
        infos = [turn for (turn,) in turns]
        assert all(isinstance(info, ListenV2TurnInfo) for info in infos)
        assert [info.event for info in infos] == [
            "StartOfTurn",
            "Update",
            "Update",
            "EagerEndOfTurn",
            "EndOfTurn",
            "Update",
        ]
        assert infos[4].transcript == "Four"
        assert infos[4].trigger == "model"
        await socket.send_media(WORD)
        await socket.send_force_end_turn()
        while (info := (await until(socket, "TurnInfo"))[-1]).event != "EndOfTurn":
            assert info.turn_index == 1
        assert info.trigger == "manual"
        await socket.send_close_stream()


async def test_the_sdk_speaks_through_v1_speak():
    from deepgram.speak.v1.types import SpeakV1Flushed, SpeakV1Metadata, SpeakV1Text

    async with (
        sdk() as (client, _),
        client.speak.v1.connect(model="aura-2-thalia-en", encoding="mulaw", sample_rate="8000") as socket,
    ):
        (metadata,) = await until(socket, "Metadata")
        assert isinstance(metadata, SpeakV1Metadata)
        await socket.send_text(SpeakV1Text(text="Hello there."))
        await socket.send_flush()
        audio = b""
        while isinstance(message := await socket.recv(), bytes):
            audio += message
        assert isinstance(message, SpeakV1Flushed)
        assert audio == speak("Hello there.")
        await socket.send_text(SpeakV1Text(text="Hello again."))
        await socket.send_flush()
        await socket.send_clear()
        await until(socket, "Cleared")
        await socket.send_close()


async def test_the_sdk_is_refused_with_a_wrong_key_and_as_the_plan_says():
    from deepgram.core.api_error import ApiError

    async with sdk(key="wrong") as (client, plan):
        with pytest.raises(ApiError) as refused:
            async with listen(client):
                pass
        assert refused.value.status_code == 401
        plan.add("listen", Fault(status=429, code="TOO_MANY_REQUESTS", retry_after=2))
        with pytest.raises(ApiError) as refused:
            async with listen(client):
                pass
        assert refused.value.status_code == 429


async def test_the_sdk_is_hung_up_on_when_it_sends_no_audio():
    from websockets.exceptions import ConnectionClosedError

    async with sdk(idle=0.2) as (client, _), listen(client) as socket:
        await socket.send_keep_alive()
        with pytest.raises(ConnectionClosedError, match="net0001"):
            await until(socket, "Metadata")
