"""The double of the realtime models speaks OpenAI's protocol: their SDK understands it, and it refuses as
they do."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets.exceptions
from openai import AsyncOpenAI

from tests.doubles.openai_chat_wire import Answer, Call
from tests.doubles.openai_speech import KEY, OpenAiSpeechDouble
from tests.doubles.plan import Plan
from tests.doubles.spelling import hear, speak

SAID = "Your order has been shipped."
MULAW = {"type": "audio/pcmu"}
SESSION: dict[str, Any] = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "You are Maya.",
    "audio": {
        "input": {
            "format": MULAW,
            "transcription": {"model": "gpt-live-transcribe"},
            "turn_detection": None,
        },
        "output": {"format": MULAW, "voice": "marin"},
    },
    "tools": [{"type": "function", "name": "find_order", "parameters": {"type": "object", "properties": {}}}],
}


@pytest.fixture
async def double() -> AsyncIterator[OpenAiSpeechDouble]:
    async with OpenAiSpeechDouble(
        Plan(), hear=hear, speak=speak, think=lambda request: Answer(text=SAID)
    ) as double:
        yield double


@pytest.fixture
async def connection(double: OpenAiSpeechDouble) -> AsyncIterator[Any]:
    """A session opened with the official SDK."""
    url = double.url
    async with (
        AsyncOpenAI(
            api_key=KEY, base_url=url, websocket_base_url="ws" + url.removeprefix("http"), max_retries=0
        ) as client,
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session=SESSION)
        updated = await connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.audio.output.voice == "marin"
        yield connection
    await double.quiet()


async def until(connection: Any, kind: str) -> list[Any]:
    events: list[Any] = []
    while not events or events[-1].type != kind:
        events.append(await connection.recv())
    return events


async def says(connection: Any, text: str) -> None:
    await connection.input_audio_buffer.append(audio=base64.b64encode(speak(text)).decode())
    await connection.input_audio_buffer.commit()
    await until(connection, "conversation.item.input_audio_transcription.completed")


async def test_the_sdk_is_answered_in_audio_and_words(connection: Any):
    await says(connection, "Where is it?")
    await connection.response.create()
    events = await until(connection, "response.done")
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    sound = b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")
    assert hear(sound) == SAID
    response = events[-1].response
    assert response.status == "completed"
    assert response.usage.output_token_details.audio_tokens > 0


async def test_the_sdk_is_asked_to_call_a_function_and_tells_its_result(
    connection: Any, double: OpenAiSpeechDouble
):
    answers = [Answer(calls=(Call("find_order", '{"number": 7}'),)), Answer(text=SAID)]
    double.think = lambda request: answers.pop(0)
    await connection.response.create()
    events = await until(connection, "response.done")
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    assert (done.name, done.arguments) == ("find_order", '{"number": 7}')
    output = {"type": "function_call_output", "call_id": done.call_id, "output": "found"}
    await connection.conversation.item.create(item=output)
    await connection.response.create()
    await until(connection, "response.done")
    (*_, last) = double.plan.of("answers")
    assert last["messages"][-1] == {"role": "tool", "tool_call_id": done.call_id, "content": "found"}


async def test_a_truncated_answer_is_what_is_left_of_its_audio(connection: Any, double: OpenAiSpeechDouble):
    await connection.response.create()
    events = await until(connection, "response.done")
    item = next(event.item for event in events if event.type == "response.output_item.done")
    await connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=200)
    assert (await connection.recv()).type == "conversation.item.truncated"
    await connection.response.create()
    await until(connection, "response.done")
    assert double.plan.of("answers")[-1]["messages"][-1] == {"role": "assistant", "content": SAID[:10]}
    await connection.conversation.item.delete(item_id=item.id)
    assert (await connection.recv()).type == "conversation.item.deleted"


async def test_an_answer_is_cancelled(connection: Any, double: OpenAiSpeechDouble):
    double.between_chunks = 0.05
    await connection.response.create()
    await until(connection, "response.output_audio.delta")
    await connection.response.cancel()
    response = (await until(connection, "response.done"))[-1].response
    assert (response.status, response.status_details.reason) == ("cancelled", "client_cancelled")


async def refused(connection: Any) -> str | None:
    event = await connection.recv()
    while event.type != "error":
        event = await connection.recv()
    code: str | None = event.error.code
    return code


async def test_it_refuses_what_the_vendor_refuses(connection: Any, double: OpenAiSpeechDouble):
    double.between_chunks = 0.05
    await connection.response.cancel()
    assert await refused(connection) == "response_cancel_not_active"
    await connection.response.create()
    await connection.response.create()
    assert await refused(connection) == "conversation_already_has_active_response"
    item = (await until(connection, "response.output_item.done"))[-1].item
    await until(connection, "response.done")
    item_of = connection.conversation.item
    await item_of.truncate(item_id=item.id, content_index=0, audio_end_ms=60_000)
    assert await refused(connection) == "invalid_value"
    await item_of.delete(item_id="item_of_nobody")
    assert await refused(connection) == "item_delete_invalid_item_id"
    await item_of.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        previous_item_id="item_of_nobody",
    )
    assert await refused(connection) == "item_create_invalid_previous_item_id"
    await item_of.create(item={"type": "function_call_output", "call_id": "call_of_nobody", "output": ""})
    assert await refused(connection) == "invalid_tool_call_id"
    for voice in ("cedar", "marin"):  # the one that it has, too
        other = {"input": SESSION["audio"]["input"], "output": {"format": MULAW, "voice": voice}}
        await connection.session.update(session=SESSION | {"audio": other})
        assert await refused(connection) == "cannot_update_voice"


async def test_audio_in_no_format_that_was_asked_for_is_pcm(connection: Any):
    """Mu-law has to be asked for: who forgets it plays noise into the call."""
    output = {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}
    await connection.session.update(session=SESSION | {"audio": SESSION["audio"] | {"output": output}})
    await connection.response.create()
    events = await until(connection, "response.done")
    sound = b"".join(base64.b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")
    assert len(sound) == len(speak(SAID)) * 6


async def test_a_model_that_is_not_there(double: OpenAiSpeechDouble):
    url = double.url
    async with (
        AsyncOpenAI(api_key=KEY, base_url=url, websocket_base_url="ws" + url.removeprefix("http")) as client,
        client.realtime.connect(model="gpt-9") as connection,
    ):
        assert await refused(connection) == "model_not_found"
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            await connection.recv()
