"""What keeps the double honest: the official SDK talks to it, and checks all that it is told."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.doubles.openai_chat import KEY, OpenAiChatDouble
from tests.doubles.openai_chat_wire import Answer, Call
from tests.doubles.plan import Fault, Plan

MODEL = "gpt-5.4-mini"
CALLS = (Call("find_order", '{"number": "A-17"}'), Call("opening_hours", '{"day": "friday"}'))
TOOLS = [
    {
        "type": "function",
        "function": {"name": call.name, "parameters": {"type": "object", "properties": {}}},
    }
    for call in CALLS
]
MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]


@pytest.fixture
def answers() -> list[Answer]:
    """What the model says, request by request."""
    return []


@pytest.fixture
async def double(answers: list[Answer]) -> AsyncIterator[OpenAiChatDouble]:
    async with OpenAiChatDouble(Plan(), think=lambda asked: answers.pop(0)) as double:
        yield double
    assert double.plan.open == 0


@pytest.fixture
async def sdk(double: OpenAiChatDouble) -> AsyncIterator[AsyncOpenAI]:
    """One that validates every field of every answer."""
    async with AsyncOpenAI(
        api_key=KEY, base_url=double.url, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


async def test_the_sdk_streams_text_and_usage(sdk: AsyncOpenAI, answers: list[Answer]):
    answers.append(Answer(text="Hello there. How are you?"))
    stream = await sdk.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    told = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert "".join(told) == "Hello there. How are you?"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens > 10


async def test_no_usage_comes_unasked(sdk: AsyncOpenAI, answers: list[Answer]):
    answers.append(Answer(text="Hello."))
    stream = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("whole", [False, True])
async def test_the_sdk_puts_parallel_calls_together(sdk: AsyncOpenAI, answers: list[Answer], whole: bool):
    answers.append(Answer(calls=CALLS, whole=whole))
    async with sdk.chat.completions.stream(model=MODEL, messages=MESSAGES, tools=TOOLS) as stream:  # type: ignore[arg-type]
        completion = await stream.get_final_completion()
    calls = completion.choices[0].message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        (call.name, call.arguments) for call in CALLS
    ]
    assert completion.choices[0].finish_reason == "tool_calls"


async def test_the_sdk_reads_an_answer_that_is_no_stream(sdk: AsyncOpenAI, answers: list[Answer]):
    answers += [Answer(text="Hello."), Answer(calls=CALLS)]
    spoken = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert spoken.choices[0].message.content == "Hello."
    called = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert len(called.choices[0].message.tool_calls or []) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(text="Hello there."),
        Answer(text="One moment.", calls=CALLS, thinks=True),
        Answer(text="I would rather not.", refusal=True),
        Answer(text="And so on and so", ending="length"),
    ],
)
async def test_the_sdk_reads_responses(sdk: AsyncOpenAI, answers: list[Answer], answer: Answer):
    answers += [answer, answer]
    stream = await sdk.responses.create(model=MODEL, input="Hello.", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == ("response.incomplete" if answer.ending else "response.completed")
    deltas = [event.delta for event in events if event.type.endswith(("text.delta", "refusal.delta"))]  # type: ignore[union-attr]
    assert "".join(deltas) == answer.text  # type: ignore[arg-type]
    done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert done == [call.arguments for call in answer.calls]
    whole = await sdk.responses.create(model=MODEL, input="Hello.")
    assert whole.output_text == ("" if answer.refusal else answer.text)
    assert whole.usage is not None


async def test_the_sdk_puts_the_events_of_a_response_together(sdk: AsyncOpenAI, answers: list[Answer]):
    answers.append(Answer(text="One moment.", calls=CALLS))
    async with sdk.responses.stream(model=MODEL, input="Hello.") as stream:
        response = await stream.get_final_response()
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]


async def test_a_response_is_thought_of_as_a_chat_completion_is():
    asked: list[Any] = []

    def think(request: Any) -> Answer:
        asked.append(request)
        return Answer(text="It is delayed.")

    call = {"type": "function_call", "call_id": "c1", "name": "find_order", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "delayed"}
    said = {"role": "user", "content": "Where is it?"}
    function = {"name": "find_order", "parameters": {"type": "object", "properties": {}}}
    given: Any = [said, call, result]
    tools: Any = [{"type": "function", "strict": False, **function}]
    async with (
        OpenAiChatDouble(Plan(), think=think) as double,
        AsyncOpenAI(api_key=KEY, base_url=double.url, max_retries=0) as client,
    ):
        await client.responses.create(model=MODEL, instructions="Be brief.", input=given, tools=tools)
    (request,) = asked
    assert [message["role"] for message in request["messages"]] == ["system", "user", "assistant", "tool"]
    assert request["messages"][0]["content"] == "Be brief."
    assert request["messages"][2]["tool_calls"][0]["function"] == {"name": "find_order", "arguments": "{}"}
    assert request["messages"][3] == {"role": "tool", "tool_call_id": "c1", "content": "delayed"}
    assert request["tools"] == [{"type": "function", "function": {"strict": False, **function}}]


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Fault(status=401), openai.AuthenticationError, "invalid_api_key"),
        (Fault(status=404), openai.NotFoundError, "model_not_found"),
        (Fault(status=429, retry_after=0.7), openai.RateLimitError, "rate_limit_exceeded"),
        (Fault(status=429, code="insufficient_quota"), openai.RateLimitError, "insufficient_quota"),
        (
            Fault(status=400, code="context_length_exceeded"),
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (Fault(status=500, code="server_error"), openai.InternalServerError, "server_error"),
        (Fault(status=503), openai.InternalServerError, None),
        (Fault(refuse=True), openai.APIConnectionError, None),
    ],
)
async def test_the_sdk_raises_what_it_documents(
    sdk: AsyncOpenAI,
    double: OpenAiChatDouble,
    endpoint: str,
    fault: Fault,
    error: type[openai.APIError],
    code: str | None,
):
    double.plan.add(endpoint, fault)
    with pytest.raises(error) as raised:
        await ask(sdk, endpoint)
    assert raised.value.code == code
    if fault.retry_after:
        assert raised.value.response.headers["retry-after-ms"] == "700"  # type: ignore[attr-defined]


async def ask(sdk: AsyncOpenAI, endpoint: str, **fields: Any) -> Any:
    if endpoint == "chat":
        return await sdk.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, **fields})
    return await sdk.responses.create(**{"model": MODEL, "input": "Hello.", **fields})


async def test_another_key_is_refused(double: OpenAiChatDouble):
    async with AsyncOpenAI(api_key="sk-another", base_url=double.url, max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError):
            await ask(sdk, "chat")


UNANSWERED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": "{}"}}
    ],
}


@pytest.mark.parametrize(
    ("endpoint", "fields", "words"),
    [
        ("chat", {"extra_body": {"mood": 1}}, "Unrecognized request argument supplied: mood"),
        ("chat", {"model": "gpt-0"}, "does not exist"),
        ("chat", {"reasoning_effort": "minimal"}, "Supported values are: 'none', 'low'"),
        ("chat", {"messages": [*MESSAGES, UNANSWERED]}, "did not have response messages: call_1"),
        ("chat", {"messages": [{"role": "tool", "tool_call_id": "x", "content": ""}]}, "preceeding message"),
        ("chat", {"messages": [{"role": "user", "content": "x" * 500_000}]}, "exceeds the context window"),
        ("responses", {"extra_body": {"mood": 1}}, "Unknown parameter: 'mood'"),
        ("responses", {"reasoning": {"effort": "minimal"}}, "'reasoning.effort' does not support 'minimal'"),
        (
            "responses",
            {"input": [{"type": "function_call_output", "call_id": "x", "output": ""}]},
            "No tool call found",
        ),
        (
            "responses",
            {"input": [{"type": "function_call", "call_id": "x", "name": "y", "arguments": "{}"}]},
            "No tool output found",
        ),
    ],
)
async def test_what_the_vendor_refuses_is_refused(sdk: AsyncOpenAI, endpoint: str, fields: Any, words: str):
    with pytest.raises(openai.APIStatusError, match=words):
        await ask(sdk, endpoint, **fields)


async def test_a_long_prefix_is_cached_for_the_next_request(sdk: AsyncOpenAI, answers: list[Answer]):
    answers += [Answer(text="Yes.")] * 3
    system = {"role": "system", "content": "Be brief. " * 800}

    async def cached(text: str, key: str) -> int | None:
        messages = [system, {"role": "user", "content": text}]
        completion = await ask(sdk, "chat", messages=messages, prompt_cache_key=key)
        return completion.usage.prompt_tokens_details.cached_tokens  # type: ignore[no-any-return]

    assert await cached("One?", "a") == 0
    assert await cached("Two?", "b") == 0
    assert await cached("Three?", "a") == 1920


async def test_a_local_server_is_less_and_says_so(answers: list[Answer]):
    answers += [Answer(calls=CALLS)]
    double = OpenAiChatDouble(Plan(), think=lambda asked: answers.pop(0), local=True)
    async with double, AsyncOpenAI(api_key="none", base_url=double.url, max_retries=0) as sdk:
        with pytest.raises(openai.BadRequestError, match=r"extra_forbidden.*prompt_cache_key"):
            await ask(sdk, "chat", prompt_cache_key="x")
        with pytest.raises(openai.NotFoundError):
            await ask(sdk, "responses")
        stream = await ask(sdk, "chat", stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        assert all(chunk.usage is None for chunk in chunks)
        (calls,) = [
            chunk.choices[0].delta.tool_calls for chunk in chunks if chunk.choices[0].delta.tool_calls
        ]
        assert [call.id for call in calls] == [None, None]
        assert calls[0].function.arguments == json.loads(CALLS[0].arguments)


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
@pytest.mark.parametrize(
    ("fault", "survives"),
    [
        (Fault(cut_after=3), lambda error: isinstance(error, openai.APIConnectionError)),
        (Fault(garbage=True), lambda error: isinstance(error, ValueError)),
        (Fault(close_after=3), lambda error: error is None),
        (Fault(empty=True), lambda error: error is None),
    ],
)
async def test_streams_break_as_planned(
    double: OpenAiChatDouble,
    sdk: AsyncOpenAI,
    answers: list[Answer],
    endpoint: str,
    fault: Fault,
    survives: Callable[[Exception | None], bool],
):
    answers.append(Answer(text="One two three four five."))
    double.plan.add(endpoint, fault)
    failed: Exception | None = None
    try:
        async for _ in await ask(sdk, endpoint, stream=True):
            pass
    except (openai.APIError, ValueError) as error:
        failed = error
    assert survives(failed)
