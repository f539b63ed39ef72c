"""The vendor's own SDK talks to the double, which keeps the double honest; and what the double refuses."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.doubles.cartesia import KEY, VOICE, CartesiaDouble
from tests.doubles.plan import Plan
from tests.doubles.spelling import speak

with_sdk = pytest.mark.skipif(find_spec("cartesia") is None, reason="pip install 'cartesia[websockets]'")
ASKED = {
    "model_id": "sonic-3",
    "voice": {"mode": "id", "id": VOICE},
    "language": "en",
    "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
}


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
async def double(plan: Plan) -> AsyncIterator[CartesiaDouble]:
    async with CartesiaDouble(plan, speak=speak, chunk=0.1, between=0.005) as double:
        yield double
    assert (plan.open, double.speaking) == (0, 0)


# --- the SDK -------------------------------------------------------------------------------------


def client(double: CartesiaDouble, *, key: str = KEY) -> Any:
    from cartesia import AsyncCartesia

    return AsyncCartesia(api_key=key, websocket_base_url="ws" + double.url.removeprefix("http"))


async def heard(context: Any) -> tuple[bytes, list[str], list[str]]:
    """The audio, the words, and the types of all messages."""
    audio, words, kinds = b"", [], []
    async for event in context.receive():
        kinds.append(event.type)
        if event.type == "chunk":
            audio += event.audio
        elif event.type == "timestamps":
            words += event.word_timestamps.words
    return audio, words, kinds


@with_sdk
@pytest.mark.parametrize("given", [VOICE, {"id": VOICE}, {"mode": "id", "id": VOICE}])
async def test_the_sdk_speaks_in_two_contexts_of_one_socket(double: CartesiaDouble, plan: Plan, given: Any):
    async with client(double).tts.websocket_connect() as connection:
        contexts = [connection.context(**(ASKED | {"voice": given}), add_timestamps=True) for _ in range(2)]
        for context, texts in zip(contexts, (["Hello ", "there."], ["Good day."]), strict=True):
            for text in texts:
                await context.push(text)
            await context.no_more_inputs()
        (first, *_), second = [await heard(context) for context in contexts]
    assert first == speak("Hello there.")
    assert second[:2] == (speak("Good day."), ["Good", "day."])
    assert second[2][-1] == "done"
    assert len(plan.of("tts handshake")) == 1


@with_sdk
async def test_the_sdk_is_told_that_a_flush_is_done(double: CartesiaDouble):
    async with client(double).tts.websocket_connect() as connection:
        context = connection.context(**ASKED)
        await context.push("Hello.", flush=True)
        await context.no_more_inputs()
        _, _, kinds = await heard(context)
    assert kinds == ["chunk", "chunk", "flush_done", "done"]


@with_sdk
async def test_the_sdk_is_told_of_an_error(double: CartesiaDouble):
    async with client(double).tts.websocket_connect() as connection:
        context = connection.context(**(ASKED | {"model_id": "sonic-0"}))
        await context.push("Hello.", continue_=False)
        (event,) = [event async for event in context.receive()]
    assert (event.type, event.status_code, event.error_code) == ("error", 404, "model_not_found")


@with_sdk
async def test_the_sdk_is_told_that_its_key_is_wrong(double: CartesiaDouble):
    with pytest.raises(InvalidStatus) as raised:
        async with client(double, key="another").tts.websocket_connect():
            pass
    assert raised.value.response.status_code == 401


@with_sdk
async def test_what_the_sdk_cancels_is_not_heard_of_again(double: CartesiaDouble):
    async with client(double).tts.websocket_connect() as connection:
        context = connection.context(**ASKED)
        await context.push("Hello there, this is long.", continue_=False)
        assert (await anext(context.receive())).type == "chunk"
        await context.cancel()
        context = connection.context(**ASKED)
        await context.push("Good day.", continue_=False)
        assert (await heard(context))[0] == speak("Good day.")


# --- without it ----------------------------------------------------------------------------------


def opened(double: CartesiaDouble, **headers: str) -> Any:
    given = {"X-API-Key": KEY, "Cartesia-Version": "2026-08-14"} | headers
    url = f"ws{double.url.removeprefix('http')}/tts/websocket"
    return connect(url, additional_headers={name: value for name, value in given.items() if value})


async def answers(socket: ClientConnection, *messages: Any) -> list[dict[str, Any]]:
    """All up to the first that says ``done``."""
    for message in messages:
        await socket.send(message if isinstance(message, str) else json.dumps(message))
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not found or not found[-1]["done"]:
            found.append(json.loads(await socket.recv()))
    return found


@pytest.mark.parametrize(("header", "status"), [("X-API-Key", 401), ("Cartesia-Version", 400)])
async def test_without_key_or_version_nobody_is_let_in(double: CartesiaDouble, header: str, status: int):
    with pytest.raises(InvalidStatus) as raised:
        async with opened(double, **{header: ""}):
            pass
    assert raised.value.response.status_code == status


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"speech": 1}, "invalid_request"),
        ({"output_format": {"container": "wav", "encoding": "pcm_mulaw"}}, "invalid_request"),
        ({"max_buffer_delay_ms": 6_000}, "invalid_request"),
        ({"model_id": "sonic-0"}, "model_not_found"),
        ({"voice": {"mode": "id", "id": "nobody"}}, "voice_not_found"),
        ({"transcript": " "}, "empty_transcript"),
    ],
)
async def test_what_the_vendor_does_not_take_fails_alone(
    double: CartesiaDouble, wrong: dict[str, Any], code: str
):
    asked = ASKED | {"transcript": "Hello.", "context_id": "c1"}
    async with opened(double) as socket:
        (refused,) = await answers(socket, asked | wrong)
        assert (refused["type"], refused["error_code"], refused["context_id"]) == ("error", code, "c1")
        *chunks, done = await answers(socket, asked)
    assert b"".join(base64.b64decode(chunk["data"]) for chunk in chunks) == speak("Hello.")
    assert done["type"] == "done"


@pytest.mark.parametrize("message", ["{no", "[]", '{"cancel": true}'])
async def test_what_is_no_request_is_an_error_of_no_context(double: CartesiaDouble, message: str):
    async with opened(double) as socket:
        (refused,) = await answers(socket, message)
    assert (refused["type"], refused["status_code"]) == ("error", 400)
    assert "context_id" not in refused


async def test_a_context_takes_nothing_after_its_last_request(double: CartesiaDouble):
    asked = ASKED | {"transcript": "Hello.", "context_id": "c1", "continue": False}
    async with opened(double) as socket:
        *_, refused = await answers(socket, asked, asked)
    assert refused["error_code"] == "invalid_context"
