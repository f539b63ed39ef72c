"""What the two adapters ask of OpenAI, and what they make of servers that are not quite OpenAI."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI

from callbot.errors import ConfigurationError, ProviderError, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.llm import openai_streams
from callbot.providers.llm.openai import OpenAiModel
from callbot.providers.llm.openai_terms import Memory
from callbot.providers.ports import (
    Ending,
    Finished,
    LanguageModel,
    Message,
    Piece,
    Prompt,
    Role,
    TokenUsage,
    ToolCall,
    ToolSpec,
    Words,
)
from callbot.providers.registry import Models, language_model
from callbot.vendors import Account, Accounts
from tests.doubles.openai_chat import KEY, OpenAiChatDouble
from tests.doubles.openai_chat_wire import Answer, Call
from tests.doubles.plan import Fault, Plan

TOOLS = tuple(
    ToolSpec(name, f"What {name} does.", {"type": "object", "properties": {"z": {}, "a": {}}})
    for name in ("find_order", "opening_hours")
)
PROMPT = Prompt(
    "You answer the telephone of Example Books. " * 200,
    (Message(Role.CALLER, "Where is my order?"),),
    TOOLS,
    cache_key="support",
)
NAMES = ("openai", "openai-responses")
Serve = Callable[..., Any]


@pytest.fixture
def serve(pool: InferencePool, tmp_path: Path) -> Serve:
    """A double that answers ``answer`` for ever, and models that reach it."""

    @asynccontextmanager
    async def serve(
        answer: Answer | None = None, *, key: str = KEY, **how: Any
    ) -> AsyncIterator[tuple[OpenAiChatDouble, Models]]:
        said = answer or Answer(text="On its way.")
        async with OpenAiChatDouble(Plan(), think=lambda asked: said, **how) as double:
            accounts = Accounts({"openai": Account("openai", double.url, key)})
            models = Models(pool, cache=tmp_path, accounts=accounts)
            yield double, models
            await models.aclose()

    return serve


async def told(model: LanguageModel, prompt: Prompt = PROMPT) -> list[Piece]:
    async with asyncio.timeout(5):
        return [piece async for piece in model.stream(prompt)]


def endpoint(name: str) -> str:
    return "responses" if "responses" in name else "chat"


# --- what is asked -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
async def test_the_prefix_is_the_same_in_every_turn_and_the_vendor_finds_it_in_its_cache(
    name: str, serve: Serve
):
    async with serve() as (double, models):
        model = language_model(name, models)
        await told(model)
        later = replace(
            PROMPT,
            messages=(
                *PROMPT.messages,
                Message(Role.AGENT, "On its way."),
                Message(Role.CALLER, "Since when?"),
            ),
        )
        finished = (await told(model, later))[-1]
    first, second = double.plan.of(endpoint(name))
    conversation = "input" if "responses" in name else "messages"
    assert json.dumps(first["tools"]) == json.dumps(second["tools"])  # bytes, not only values
    assert json.dumps(second[conversation]).startswith(json.dumps(first[conversation])[:-1])
    assert first.get("instructions") == second.get("instructions")
    assert first["prompt_cache_key"] == second["prompt_cache_key"] == "support"
    assert isinstance(finished, Finished)
    assert finished.usage is not None
    assert 1024 <= finished.usage.cached < finished.usage.read


async def test_a_model_is_asked_to_think_and_write_little(serve: Serve):
    async with serve() as (double, models):
        await told(language_model("openai", models))
        await told(language_model("openai-responses", models))
    (chat,) = double.plan.of("chat")
    assert (chat["reasoning_effort"], chat["verbosity"], chat["max_completion_tokens"]) == (
        "none",
        "low",
        400,
    )
    (responses,) = double.plan.of("responses")
    assert (responses["reasoning"], responses["text"]) == ({"effort": "none"}, {"verbosity": "low"})
    assert responses["max_output_tokens"] == 400
    assert responses["store"] is False
    assert [tool["strict"] for tool in responses["tools"]] == [False, False]


@pytest.mark.parametrize("name", NAMES)
async def test_the_name_holds_the_model_whatever_is_in_it(name: str, serve: Serve):
    async with serve(model="tiny:7b") as (double, models):
        model = language_model(f"{name}:tiny:7b", models)
        assert model.name == f"{name}:tiny:7b"
        await told(model)
    assert double.plan.of(endpoint(name))[0]["model"] == "tiny:7b"


def test_without_a_key_it_says_what_to_set(models: Models):
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        language_model("openai", models)


# --- what a server does not take ---------------------------------------------------------------------


async def test_a_server_of_ones_own_refuses_once_and_is_remembered(serve: Serve):
    async with serve(local=True) as (double, models):
        await told(language_model("openai:qwen", models))
        await told(language_model("openai:qwen", models))
    first, second, third = double.plan.of("chat")
    assert {"reasoning_effort", "prompt_cache_key", "max_completion_tokens"} <= first.keys()
    assert second == third
    assert second.keys() == {"model", "messages", "tools", "stream", "stream_options", "max_tokens"}


async def test_what_one_model_refuses_another_of_the_same_account_is_asked(serve: Serve):
    async with serve(local=True) as (double, models):
        await told(language_model("openai:qwen", models))
        await told(language_model("openai:llama", models))
    assert len(double.plan.of("chat")) == 4


@pytest.mark.parametrize("name", NAMES)
async def test_only_what_is_refused_is_left_out(name: str, serve: Serve):
    refuses = ("reasoning", "text") if "responses" in name else ("reasoning_effort", "verbosity")
    async with serve(refuses=refuses) as (double, models):
        model = language_model(name, models)
        await told(model)
        await told(model)
    asked = double.plan.of(endpoint(name))
    assert len(asked) == 4
    assert not set(refuses) & asked[-1].keys()
    assert asked[-1]["prompt_cache_key"] == "support"


@pytest.mark.parametrize("name", NAMES)
async def test_a_model_that_must_think_thinks_as_little_as_it_can(name: str, serve: Serve):
    async with serve(efforts=("minimal", "low", "medium"), reasons=PROMPT.most_tokens) as (double, models):
        model = language_model(name, models)
        for _ in range(2):  # and has room to answer after it
            assert Words("On") in await told(model)
    asked = double.plan.of(endpoint(name))
    efforts = [request.get("reasoning_effort") or request["reasoning"]["effort"] for request in asked]
    assert efforts == ["none", "minimal", "minimal"]


@pytest.mark.parametrize("status", [400, 500])
async def test_a_model_whose_template_takes_one_system_message_is_told_the_notes_otherwise(
    status: int, serve: Serve
):
    """Qwen's through vLLM, llama.cpp and Ollama: vllm#41114, llama.cpp#27367, ollama#17774."""
    call = (
        Message(Role.NOTE, "Today is Monday."),
        Message(Role.AGENT, "Hello, this is Maya."),
        Message(Role.CALLER, "Hello."),
        Message(Role.CALLER, "Where is my order?"),
        Message(Role.AGENT, "", (ToolCall("call_1", "find_order", "{}"),)),
        Message(Role.TOOL, '{"status": "shipped"}', call_id="call_1"),
        Message(Role.AGENT, "It is on its way."),
        Message(Role.CALLER, "And when?"),
        Message(Role.NOTE, "It arrives on Thursday."),
    )
    async with serve(Answer(text="On Thursday."), local=True, template=status) as (double, models):
        model = language_model("openai", models)
        for _ in range(2):
            assert Words("On") in await told(model, replace(PROMPT, messages=call))
        asked = double.plan.of("chat")[-1]["messages"]
    assert asked[0] == {"role": "system", "content": f"{PROMPT.instructions}\n\nToday is Monday."}
    assert [(message["role"], message["content"]) for message in asked[1:]] == [
        ("user", "(The call begins.)"),
        ("assistant", "Hello, this is Maya."),
        ("user", "Hello.\nWhere is my order?"),
        ("assistant", None),
        ("tool", '{"status": "shipped"}'),
        ("assistant", "It is on its way."),
        ("user", "And when?\n(Not from the caller: It arrives on Thursday.)"),
    ]
    assert double.plan.of("chat")[-2]["messages"] == asked  # it is remembered
    assert len(double.plan.of("chat")) == 4  # one was refused for its fields, and one for its messages


async def test_a_failure_of_the_server_itself_is_not_tried_again(serve: Serve):
    async with serve(Answer(text="Hello.")) as (double, models):
        double.plan.add("chat", Fault(status=500))
        with pytest.raises(ProviderError):
            await told(language_model("openai", models))
        assert len(double.plan.of("chat")) == 1


async def test_a_refusal_of_the_request_itself_is_not_tried_again(serve: Serve):
    async with serve() as (double, models):
        prompt = replace(PROMPT, messages=(Message(Role.TOOL, "lost", call_id="nobody's"),))
        with pytest.raises(ProviderError) as raised:
            await told(language_model("openai", models), prompt)
    assert raised.value.trouble is Trouble.REJECTED
    assert len(double.plan.of("chat")) == 1


async def test_responses_are_refused_by_servers_that_have_none(serve: Serve):
    async with serve(local=True) as (_, models):
        with pytest.raises(ProviderError) as raised:
            await told(language_model("openai-responses", models))
    assert (raised.value.trouble, raised.value.retryable) == (Trouble.REJECTED, False)


# --- the connection ----------------------------------------------------------------------------------


async def test_turns_share_one_connection_and_adapters_one_client(serve: Serve):
    async with serve() as (double, models):
        for name in (*NAMES, *NAMES):
            await told(language_model(name, models))
        assert double.connections == 1
    assert double.connections == 0


@pytest.mark.parametrize("name", NAMES)
async def test_the_sdk_tries_nothing_again(name: str, serve: Serve):
    async with serve() as (double, models):
        double.plan.always(endpoint(name), Fault(status=500))
        with pytest.raises(ProviderError):
            await told(language_model(name, models))
    assert len(double.plan.of(endpoint(name))) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_a_connection_that_is_warm_serves_the_first_request(name: str, serve: Serve):
    async with serve() as (double, models):
        model: Any = language_model(name, models)
        await model.connect()
        assert double.connections == 1
        await told(model)
        assert double.connections == 1


@pytest.mark.parametrize("status", [404, 403, 500])
async def test_a_server_without_a_list_of_models_is_warm_all_the_same(status: int, serve: Serve):
    async with serve() as (double, models):
        double.plan.add("models", Fault(status=status))
        model: Any = language_model("openai", models)
        await model.connect()
        assert double.connections == 1


async def test_warming_tells_of_a_wrong_key(serve: Serve):
    async with serve(key="sk-wrong") as (_, models):
        model: Any = language_model("openai", models)
        with pytest.raises(ProviderError) as raised:
            await model.connect()
    assert raised.value.trouble is Trouble.AUTH
    assert "sk-" not in str(raised.value)


async def test_nobody_waits_long_for_a_connection(
    pool: InferencePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(openai_streams, "CONNECT_WITHIN", 0.2)
    with ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # two wait to be accepted, which nobody does, and the third is not heard
        for _ in range(2):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        models = Models(pool, cache=tmp_path, accounts=Accounts({"openai": Account("openai", url, KEY)}))
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderError) as raised:
            await told(language_model("openai", models))
        assert asyncio.get_running_loop().time() - began < 1
        assert raised.value.trouble is Trouble.CONNECT
        await models.aclose()


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_says_nothing_is_left_to_who_waits(name: str, serve: Serve):
    for fault in (Fault(blackhole=True), Fault(stall_after=0), Fault(silent=True)):
        async with serve() as (double, models):
            double.plan.add(endpoint(name), fault)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await told(language_model(name, models))
            await double.deserted(within=0.1)


async def test_an_answer_that_is_complete_does_not_wait_for_its_usage(serve: Serve):
    async with serve(Answer(text="Yes.", calls=(Call("find_order"),))) as (double, models):
        double.plan.add("chat", Fault(stall_after=5))  # role, word, call, its arguments, end
        pieces = await told(language_model("openai", models))
        await double.deserted(within=0.1)
    assert [type(piece) for piece in pieces] == [Words, ToolCall, Finished]
    assert pieces[-1] == Finished(Ending.TOOL_CALLS, None)


# --- failures within an answer -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("server_error", Trouble.UNAVAILABLE),
        ("rate_limit_exceeded", Trouble.RATE_LIMITED),
        ("context_length_exceeded", Trouble.TOO_LONG),
        ("insufficient_quota", Trouble.QUOTA),
    ],
)
async def test_a_failure_that_is_told_in_the_stream(name: str, code: str, trouble: Trouble, serve: Serve):
    async with serve(Answer(text="On its", fails=code)) as (_, models):
        with pytest.raises(ProviderError, match=code) as raised:
            await told(language_model(name, models))
    assert raised.value.trouble is trouble


async def test_reasoning_is_passed_over(serve: Serve):
    async with serve(Answer(text="Yes.", calls=(Call("find_order"),), thinks=True)) as (_, models):
        pieces = await told(language_model("openai-responses", models))
    assert [type(piece) for piece in pieces] == [Words, ToolCall, Finished]


@pytest.mark.parametrize("name", NAMES)
async def test_a_refusal_is_spoken_like_any_text(name: str, serve: Serve):
    async with serve(Answer(text="I would rather not.", refusal=True)) as (_, models):
        pieces = await told(language_model(name, models))
    assert "".join(piece.text for piece in pieces if isinstance(piece, Words)) == "I would rather not."


# --- servers that are not quite OpenAI ---------------------------------------------------------------


async def heard(*events: Any, body: str | None = None, status: int = 200) -> list[Piece]:
    """What the chat adapter makes of a stream of ``events``."""
    content = body if body is not None else "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(
            status, headers={"content-type": "text/event-stream"}, content=content.encode()
        )
    )
    async with AsyncOpenAI(
        api_key="none",
        base_url="http://127.0.0.1/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport),
    ) as sdk:
        return await told(OpenAiModel("openai:odd", "odd", sdk, Memory()))


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(**fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return chunk(tool_calls=[{**fields, "function": function}])


@pytest.mark.parametrize(
    ("pieces", "spoken"),
    [
        (["<think>\nThe caller wants", " hours.\n</think>\n\nUntil", " six."], "Until six."),
        (["<th", "ink>Hm.</th", "ink>", "Until six."], "Until six."),
        (["<think></think>Until six."], "Until six."),
        (["\n<think>", "Hm", "</think>", "\n", "Until six."], "Until six."),
        (["<3 of them", " are open."], "<3 of them are open."),
        (["<", "think about it."], "<think about it."),
        (["Say <think> twice."], "Say <think> twice."),
    ],
)
async def test_what_a_model_thinks_aloud_before_it_answers_is_not_spoken(pieces: list[str], spoken: str):
    answer = await heard(*(chunk(content=piece) for piece in pieces), chunk("stop"))
    assert "".join(piece.text for piece in answer if isinstance(piece, Words)).strip() == spoken


async def test_thoughts_alone_are_no_answer():
    with pytest.raises(ProviderError) as raised:
        await heard(chunk(content="<think>And on"), chunk(content=" and on"), chunk("length"))
    assert raised.value.trouble is Trouble.EMPTY


async def test_calls_that_all_have_the_same_place_are_told_apart_by_id():
    pieces = await heard(
        call(index=0, id="a", name="find_order", arguments="{}"),
        call(index=0, id="b", name="opening_hours", arguments='{"day":'),
        call(index=0, id="b", name="opening_hours", arguments="1}"),
        chunk("tool_calls"),
    )
    assert pieces[:-1] == [ToolCall("a", "find_order", "{}"), ToolCall("b", "opening_hours", '{"day":1}')]


async def test_calls_without_ids_are_told_apart_by_name():
    pieces = await heard(
        call(index=0, name="find_order", arguments={"number": 1}),
        call(index=0, name="find_order", arguments={"number": 2}),
        chunk("stop"),
    )
    assert [json.loads(piece.arguments) for piece in pieces if isinstance(piece, ToolCall)] == [
        {"number": 1},
        {"number": 2},
    ]
    assert pieces[-1] == Finished(Ending.TOOL_CALLS)


async def test_a_call_without_arguments_has_an_empty_object():
    pieces = await heard(call(index=0, id="a", name="hang_up"), chunk("tool_calls"))
    assert pieces[0] == ToolCall("a", "hang_up", "{}")


async def test_a_call_that_was_cut_short_is_not_made():
    pieces = await heard(
        call(index=0, id="a", name="find_order", arguments='{"number": 1}'),
        call(index=1, id="b", name="find_order", arguments='{"numb'),
        chunk("length"),
    )
    assert pieces == [ToolCall("a", "find_order", '{"number": 1}'), Finished(Ending.LENGTH)]


async def test_blanks_before_the_first_word_are_dropped_and_no_others():
    pieces = await heard(chunk(content="\n\n"), chunk(content=" Yes."), chunk(content="\n"), chunk("stop"))
    assert pieces[:-1] == [Words(" Yes."), Words("\n")]


async def test_blanks_alone_are_no_answer():
    with pytest.raises(ProviderError) as raised:
        await heard(chunk(content="\n\n"), chunk("stop"))
    assert raised.value.trouble is Trouble.EMPTY


async def test_usage_may_come_with_every_chunk():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    pieces = await heard({**chunk(content="Yes."), "usage": usage}, {**chunk("stop"), "usage": usage})
    assert pieces[-1] == Finished(Ending.STOP, TokenUsage(9, 0, 2))


async def test_events_without_choices_and_choices_without_words_are_passed_over():
    pieces = await heard(
        {"choices": [], "prompt_filter_results": []},
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        chunk(reasoning_content="Hm."),
        chunk(content="Yes."),
        chunk("stop"),
    )
    assert pieces == [Words("Yes."), Finished(Ending.STOP)]


@pytest.mark.parametrize(
    "event", [[], 5, "words", {"choices": None}, {"choices": [5]}, {"choices": {"a": 1}}]
)
async def test_other_json_is_no_answer(event: Any):
    with pytest.raises(ProviderError) as raised:
        await heard(event, chunk("stop"))
    assert raised.value.trouble is Trouble.BAD_FORMAT


async def test_a_page_that_is_no_stream_is_no_answer():
    with pytest.raises(ProviderError) as raised:
        await heard(body="<html>Welcome to the Wi-Fi</html>\n\n")
    assert raised.value.trouble is Trouble.EMPTY


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        (
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size",
                    "type": "x",
                }
            },
            Trouble.TOO_LONG,
        ),
        (
            {
                "object": "error",
                "message": "This model's maximum context length is 4096 tokens.",
                "code": 400,
            },
            Trouble.TOO_LONG,
        ),
        ({"error": "model is loading: Tom's order"}, Trouble.REJECTED),
        ({"detail": [{"msg": "field required"}]}, Trouble.REJECTED),
        ([{"error": {"message": "no"}}], Trouble.REJECTED),
    ],
)
async def test_errors_in_other_forms_are_understood(body: Any, trouble: Trouble):
    with pytest.raises(ProviderError) as raised:
        await heard(body=json.dumps(body), status=400)
    assert raised.value.trouble is trouble
    assert "Tom" not in str(raised.value)
