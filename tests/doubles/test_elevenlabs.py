"""The vendor's own SDK talks to the double, which keeps the double honest."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from elevenlabs.client import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.realtime import AudioFormat, RealtimeEvents, ScribeRealtime
from elevenlabs.realtime.connection import RealtimeConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.doubles.elevenlabs import KEY, VOICE, ElevenLabsDouble, hum
from tests.doubles.plan import Fault, Plan

TEXT = "Your order is on its way."


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
async def double(plan: Plan) -> AsyncIterator[ElevenLabsDouble]:
    async with ElevenLabsDouble(plan, hear=lambda audio: f"{len(audio)} bytes") as double:
        yield double
    assert plan.open == 0


async def streamed(double: ElevenLabsDouble, *, key: str = KEY, voice: str = VOICE) -> bytes:
    async with httpx.AsyncClient() as http:
        client = AsyncElevenLabs(api_key=key, base_url=double.url, httpx_client=http)
        audio = client.text_to_speech.stream(
            voice, text=TEXT, model_id="eleven_flash_v2_5", output_format="ulaw_8000"
        )
        return b"".join([piece async for piece in audio])


async def test_the_sdk_streams_speech_over_http(double: ElevenLabsDouble):
    assert await streamed(double) == hum(TEXT)


@pytest.mark.parametrize(
    ("key", "voice", "status", "code"),
    [("wrong", VOICE, 401, "invalid_api_key"), (KEY, "nobody", 404, "voice_not_found")],
)
async def test_the_sdk_is_told_what_is_wrong(
    double: ElevenLabsDouble, key: str, voice: str, status: int, code: str
):
    with pytest.raises(ApiError) as raised:
        await streamed(double, key=key, voice=voice)
    assert raised.value.status_code == status
    assert raised.value.body["detail"]["status"] == code


@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated")
async def test_the_sdk_streams_text_into_speech_over_a_socket(double: ElevenLabsDouble):
    def speak() -> bytes:
        with httpx.Client() as http:
            client = ElevenLabs(api_key=KEY, base_url=double.url, httpx_client=http)
            client.text_to_speech._ws_base_url = double.url  # it forces wss
            words: Iterator[str] = iter([f"{word} " for word in TEXT.split()])
            audio = client.text_to_speech.convert_realtime(
                VOICE, text=words, model_id="eleven_flash_v2_5", output_format="ulaw_8000"
            )
            return b"".join(audio)

    assert await asyncio.to_thread(speak) == hum(TEXT)


async def scribe(double: ElevenLabsDouble, *, key: str = KEY) -> RealtimeConnection:
    socket = ScribeRealtime(key, base_url=double.url.replace("http", "ws"))
    return await socket.connect(
        {"model_id": "scribe_v2_realtime", "audio_format": AudioFormat.ULAW_8000, "sample_rate": 8000}
    )


async def heard(connection: RealtimeConnection, event: RealtimeEvents) -> str:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(data: dict[str, str]) -> None:
        if not told.done():
            told.set_result(data.get("text") or data.get("error") or "")

    connection.on(event, tell)
    async with asyncio.timeout(5):
        return await told


async def test_the_sdk_is_heard(double: ElevenLabsDouble):
    connection = await scribe(double)
    audio = {"audio_base_64": base64.b64encode(b"\xff" * 4000).decode()}
    partial = asyncio.create_task(heard(connection, RealtimeEvents.PARTIAL_TRANSCRIPT))
    final = asyncio.create_task(heard(connection, RealtimeEvents.COMMITTED_TRANSCRIPT))
    await connection.send(audio)
    assert await partial == "4000 bytes"
    await connection.send(audio)
    await connection.commit()
    assert await final == "8000 bytes"
    await connection.close()


async def test_a_commit_of_too_little_is_refused_and_the_session_goes_on(double: ElevenLabsDouble):
    connection = await scribe(double)
    await connection.commit()
    assert "only 0.00s" in await heard(connection, RealtimeEvents.COMMIT_THROTTLED)
    await connection.send({"audio_base_64": base64.b64encode(b"\xff" * 4000).decode()})
    await connection.commit()
    assert await heard(connection, RealtimeEvents.COMMITTED_TRANSCRIPT) == "4000 bytes"
    await connection.close()


async def test_the_sdk_is_told_of_a_wrong_key(double: ElevenLabsDouble):
    assert await heard(await scribe(double, key="wrong"), RealtimeEvents.AUTH_ERROR) == "Invalid API key"


# --- what no SDK speaks: many contexts on one socket ---------------------------------------------


def multi(double: ElevenLabsDouble, **query: str) -> connect:
    asked = {"model_id": "eleven_flash_v2_5", "output_format": "ulaw_8000", "sync_alignment": "true"} | query
    return connect(
        f"{double.url.replace('http', 'ws')}/v1/text-to-speech/{VOICE}/multi-stream-input?"
        + "&".join(f"{name}={value}" for name, value in asked.items()),
        additional_headers={"xi-api-key": KEY},
    )


async def send(socket: ClientConnection, *messages: dict[str, object]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


async def until_final(socket: ClientConnection, context: str) -> list[dict[str, object]]:
    got = []
    async with asyncio.timeout(5):
        while True:
            message = json.loads(await socket.recv())
            assert message["contextId"] == context
            if message.get("isFinal"):
                return got
            got.append(message)


async def test_a_text_waits_for_the_schedule_or_a_flush(double: ElevenLabsDouble):
    async with multi(double) as socket:
        await send(socket, {"text": " ", "context_id": "a"}, {"text": f"{TEXT} ", "context_id": "a"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)
        await send(socket, {"context_id": "a", "flush": True})
        first = json.loads(await socket.recv())
        await send(socket, {"context_id": "a", "close_context": True})
        messages = [first, *await until_final(socket, "a")]
    assert b"".join(base64.b64decode(message["audio"]) for message in messages) == hum(TEXT)
    spelled = [character for message in messages for character in message["alignment"]["chars"]]
    assert "".join(spelled) == TEXT
    assert all(message["alignment"]["charStartTimesMs"][0] == 0 for message in messages)


async def test_in_auto_mode_a_text_is_spoken_at_once(double: ElevenLabsDouble):
    async with multi(double, auto_mode="true") as socket:
        await send(socket, {"text": " ", "context_id": "a"}, {"text": f"{TEXT} ", "context_id": "a"})
        assert json.loads(await asyncio.wait_for(socket.recv(), 5))["audio"]


async def test_what_sounds_is_still_spoken_after_the_close(double: ElevenLabsDouble):
    async with multi(double) as socket:
        text = {"text": f"{TEXT} ", "context_id": "a", "flush": True}
        await send(socket, {"text": " ", "context_id": "a"}, text)
        begin = base64.b64decode(json.loads(await socket.recv())["audio"])
        await send(socket, {"context_id": "a", "close_context": True})
        rest = [base64.b64decode(message["audio"]) for message in await until_final(socket, "a")]
    assert b"".join([begin, *rest]) == hum(TEXT)


@pytest.mark.parametrize("flush", [True, False])
async def test_a_close_that_overtakes_the_audio_ends_the_context_without_any(
    double: ElevenLabsDouble, flush: bool
):
    async with multi(double) as socket:
        await send(
            socket,
            {"text": " ", "context_id": "a"},
            {"text": f"{TEXT} ", "context_id": "a", "flush": flush},
            {"context_id": "a", "close_context": True},
        )
        assert await until_final(socket, "a") == []


async def test_a_sixth_context_ends_the_connection(double: ElevenLabsDouble):
    async with multi(double) as socket:
        for number in range(6):
            await send(socket, {"text": " ", "context_id": f"c{number}"})
        assert json.loads(await socket.recv())["error"] == "max_active_conversations"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_socket_that_is_told_nothing_is_closed(plan: Plan):
    async with ElevenLabsDouble(plan, idle=0.05) as double, multi(double) as socket:
        assert json.loads(await socket.recv())["error"] == "input_timeout_exceeded"


async def test_a_connection_that_is_cut_says_no_goodbye(double: ElevenLabsDouble, plan: Plan):
    plan.add("tts-context", Fault(cut_after=2))
    async with multi(double) as socket:
        await send(socket, {"text": " ", "context_id": "a"}, {"text": TEXT, "context_id": "a", "flush": True})
        await socket.recv()
        await socket.recv()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is None
