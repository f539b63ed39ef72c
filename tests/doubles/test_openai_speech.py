"""The double speaks OpenAI's protocol: the vendor's own SDK understands it, and it refuses as they do."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
import websockets.exceptions
from openai import AsyncOpenAI

from callbot.providers import mulaw
from callbot.providers.stt.openai_file import wav
from tests.doubles.openai_speech import KEY, OpenAiSpeechDouble
from tests.doubles.plan import FOR_EVER, Fault, Plan
from tests.doubles.spelling import hear, speak

ITEM = "conversation.item.input_audio_transcription"


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
async def double(plan: Plan) -> AsyncIterator[OpenAiSpeechDouble]:
    async with OpenAiSpeechDouble(plan, hear=hear, speak=speak) as double:
        yield double


@pytest.fixture
async def client(double: OpenAiSpeechDouble) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK."""
    url = double.url
    async with AsyncOpenAI(
        api_key=KEY, base_url=url, websocket_base_url="ws" + url.removeprefix("http"), max_retries=0
    ) as client:
        yield client


def session(model: str = "gpt-live-transcribe", **given: Any) -> Any:
    heard = {"format": {"type": "audio/pcmu"}, "transcription": {"model": model}, "turn_detection": None}
    return {"type": "transcription", "audio": {"input": heard | given}}


def encoded(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


# --- the vendor's SDK --------------------------------------------------------------------------------


async def test_the_sdk_transcribes_in_a_realtime_session(client: AsyncOpenAI, double: OpenAiSpeechDouble):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session=session())
        updated = await connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.audio.input.transcription.model == "gpt-live-transcribe"
        await connection.input_audio_buffer.append(audio=encoded(speak("Hello there, Tom.")))
        await connection.input_audio_buffer.commit()
        events = []
        while not events or events[-1].type != f"{ITEM}.completed":
            events.append(await connection.recv())
    deltas = [event for event in events if event.type == f"{ITEM}.delta"]
    assert "".join(event.delta for event in deltas) == "Hello there, Tom."
    assert [event.type for event in events if event not in deltas] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{ITEM}.completed",
    ]
    assert events[-1].transcript == "Hello there, Tom."
    assert len({getattr(event, "item_id", None) or event.item.id for event in events}) == 1
    await double.quiet()


async def test_a_model_that_does_not_stream_tells_its_words_after_the_commit(client: AsyncOpenAI):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session=session("gpt-transcribe"))
        await connection.input_audio_buffer.append(audio=encoded(speak("Hello there.")))
        await connection.input_audio_buffer.commit()
        kinds = []
        while not kinds or kinds[-1] != f"{ITEM}.completed":
            kinds.append((await connection.recv()).type)
    assert kinds[2:] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{ITEM}.delta",
        f"{ITEM}.delta",
        f"{ITEM}.completed",
    ]


async def test_pcm_of_24_khz_is_heard_too(client: AsyncOpenAI, double: OpenAiSpeechDouble):
    double.hear = lambda audio: f"{len(audio)} bytes"
    sound = (mulaw.decode(b"\x80" * 4000, rate=24_000) * 32767).astype("<i2").tobytes()
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session=session(format={"type": "audio/pcm", "rate": 24_000}))
        await connection.input_audio_buffer.append(audio=encoded(sound))
        await connection.input_audio_buffer.commit()
        event = await connection.recv()
        while event.type != f"{ITEM}.completed":
            event = await connection.recv()
    assert event.transcript == "4000 bytes"


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        (session(format={"type": "audio/pcm", "rate": 16_000}), "integer_below_min_value", "format.rate"),
        (session(format={"type": "audio/mulaw"}), "invalid_value", "format.type"),
        (session(turn_detection={"type": "server_vad"}), "invalid_value", "turn_detection"),
        (
            session("gpt-realtime-whisper", turn_detection={"type": "semantic_vad"}),
            "invalid_value",
            "turn_detection",
        ),
        (session("gpt-9-transcribe"), "invalid_value", "transcription.model"),
        (
            session(transcription={"model": "gpt-realtime-whisper", "languages": ["en"]}),
            "invalid_value",
            "transcription",
        ),
        (session(echo=True), "unknown_parameter", "echo"),
        ({"type": "realtime"}, "invalid_value", None),
    ],
)
async def test_a_session_that_they_refuse_is_refused(
    given: Any, code: str, param: str | None, client: AsyncOpenAI
):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.recv()
        await connection.session.update(session=given, event_id="mine")
        event = await connection.recv()
        assert (event.type, event.error.code, event.error.event_id) == ("error", code, "mine")
        assert param is None or param in event.error.param
        await connection.session.update(session=session())  # and the session goes on
        assert (await connection.recv()).type == "session.updated"


async def test_a_model_that_finds_the_end_of_speech_may_be_told_to(client: AsyncOpenAI):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.recv()
        await connection.session.update(
            session=session("gpt-transcribe", turn_detection={"type": "server_vad"})
        )
        assert (await connection.recv()).type == "session.updated"


@pytest.mark.parametrize("audio", [b"", speak("Hi")[:799]])
async def test_a_commit_of_too_little_is_an_error(audio: bytes, client: AsyncOpenAI):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session=session())
        await connection.input_audio_buffer.append(audio=encoded(audio))
        await connection.input_audio_buffer.commit()
        await connection.recv()
        await connection.recv()
        event = await connection.recv()
    assert (event.type, event.error.code) == ("error", "input_audio_buffer_commit_empty")


async def test_what_was_cleared_is_not_heard(client: AsyncOpenAI):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session=session("gpt-transcribe"))
        await connection.input_audio_buffer.append(audio=encoded(speak("Never mind.")))
        await connection.input_audio_buffer.clear()
        await connection.input_audio_buffer.append(audio=encoded(speak("Good morning.")))
        await connection.input_audio_buffer.commit()
        event = await connection.recv()
        kinds = {event.type}
        while event.type != f"{ITEM}.completed":
            event = await connection.recv()
            kinds.add(event.type)
    assert event.transcript == "Good morning."
    assert "input_audio_buffer.cleared" in kinds


@pytest.mark.parametrize("message", ['{"type": "hello"}', '{"type": ', "[]", '{"no": "type"}'])
async def test_a_message_that_they_do_not_know_is_an_error(message: str, client: AsyncOpenAI):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.recv()
        await connection._connection.send(message)
        assert (await connection.recv()).type == "error"


async def test_a_session_expires_with_an_error_and_1001(client: AsyncOpenAI, double: OpenAiSpeechDouble):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        await connection.recv()
        await double.expire()
        event = await connection.recv()
        assert (event.type, event.error.code) == ("error", "session_expired")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_a_connection_says_what_it_is_for(client: AsyncOpenAI):
    async with client.realtime.connect() as connection:
        event = await connection.recv()
        assert (event.type, event.error.code) == ("error", "missing_model")
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            await connection.recv()


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer sk-wrong"}, {"Authorization": openai.Omit()}])
async def test_without_the_key_there_is_no_handshake(headers: Any, client: AsyncOpenAI):
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        await client.realtime.connect(extra_query={"intent": "transcription"}, extra_headers=headers).enter()
    assert refused.value.response.status_code == 401


async def test_the_sdk_has_a_file_transcribed(client: AsyncOpenAI, plan: Plan):
    heard = await client.audio.transcriptions.create(
        model="gpt-transcribe", file=("a.wav", wav(speak("My bill.")), "audio/wav"), languages=["en", "es"]
    )
    assert heard.text == "My bill."
    assert plan.of("transcriptions")[0]["languages[]"] == ["en", "es"]


async def test_the_sdk_has_a_file_transcribed_in_a_stream(client: AsyncOpenAI):
    stream = await client.audio.transcriptions.create(
        model="gpt-transcribe", file=("a.wav", wav(speak("My last bill.")), "audio/wav"), stream=True
    )
    events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta"] * 3 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:3]) == events[3].text == "My last bill."


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "gpt-9"},
        {"file": ("a.wav", b"\xff" * 8000, "audio/wav")},
        {"file": ("a", wav(b"\xff" * 8000), "audio/wav")},
        {"file": ("a.wav", wav(b"\xff" * 799), "audio/wav")},
        {"model": "gpt-4o-transcribe", "languages": ["en"]},
    ],
)
async def test_a_file_that_they_refuse_is_refused(asked: Any, client: AsyncOpenAI):
    request = {"model": "gpt-transcribe", "file": ("a.wav", wav(b"\xff" * 8000), "audio/wav")} | asked
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
        await client.audio.transcriptions.create(**request)


async def test_the_sdk_streams_speech(client: AsyncOpenAI, plan: Plan):
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="marin", input="Hello there.", response_format="pcm"
    ) as response:
        chunks = [chunk async for chunk in response.iter_bytes()]
    assert len(chunks) > 2
    assert response.headers["transfer-encoding"] == "chunked"
    sound = np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) / 32768
    spoken = mulaw.decode(speak("Hello there."))
    assert sound.size == 3 * spoken.size
    assert np.abs(mulaw.decode(mulaw.encode(sound, rate=24_000)) - spoken).mean() < 0.02
    assert plan.of("speech")[0]["input"] == "Hello there."


@pytest.mark.parametrize(
    "asked",
    [
        {"voice": "nobody"},
        {"model": "tts-9"},
        {"input": ""},
        {"input": "a" * 4097},
        {"response_format": "mp3"},
        {"response_format": "ulaw_8000"},
        {"extra_body": {"rate": 8000}},
    ],
)
async def test_speech_that_they_refuse_is_refused(asked: Any, client: AsyncOpenAI):
    request = {"model": "gpt-4o-mini-tts", "voice": "marin", "input": "Hi.", "response_format": "pcm"} | asked
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)):
        await client.audio.speech.create(**request)


async def test_a_wrong_key_is_refused_in_their_words(double: OpenAiSpeechDouble):
    async with AsyncOpenAI(api_key="sk-wrong", base_url=double.url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.audio.speech.create(model="tts-1", voice="ash", input="Hi.", response_format="pcm")
    assert refused.value.code == "invalid_api_key"


# --- the plan ----------------------------------------------------------------------------------------


async def speech(client: AsyncOpenAI) -> bytes:
    async with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="marin", input="Hello there.", response_format="pcm", timeout=0.3
    ) as response:
        return b"".join([chunk async for chunk in response.iter_bytes()])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(refuse=True), openai.APIConnectionError),
        (Fault(blackhole=True), openai.APITimeoutError),
        (Fault(status=429, code="insufficient_quota"), openai.RateLimitError),
        (Fault(status=503, retry_after=2), openai.InternalServerError),
        (Fault(delay=FOR_EVER), openai.APITimeoutError),
        (Fault(silent=True), httpx2.ReadTimeout),
        (Fault(stall_after=2), httpx2.ReadTimeout),
        (Fault(cut_after=2), httpx2.ReadError),
        (Fault(close_after=2), httpx2.RemoteProtocolError),
    ],
)
async def test_what_is_planned_happens(
    fault: Fault, error: type[Exception], client: AsyncOpenAI, double: OpenAiSpeechDouble, plan: Plan
):
    plan.add("speech", fault)
    with pytest.raises(error) as raised:
        await speech(client)
    if fault.retry_after is not None:
        assert isinstance(raised.value, openai.APIStatusError)
        assert raised.value.response.headers["retry-after"] == "2"
    assert await speech(client)
    await double.quiet()
    assert plan.open == 0


async def test_audio_at_another_rate_says_so_and_an_empty_body_is_none(client: AsyncOpenAI, plan: Plan):
    plan.add("speech", Fault(wrong_rate=True), Fault(empty=True), Fault(garbage=True))
    right = len(speak("Hello there.")) * 6
    assert len(await speech(client)) == right * 2 // 3
    assert await speech(client) == b""
    header = await speech(client)
    assert header.startswith(b"RIFF")
    assert len(header) % 2 == 1
