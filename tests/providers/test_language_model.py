"""What every ``LanguageModel`` does."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from callbot.errors import ConfigurationError, ProviderError, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.llm.fake import FakeModel, Said
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

TEXT = "Thanks, Tom. Your order is on its way, and it should arrive on Thursday — at noon."
FIND = ToolCall("call_1", "find_order", '{"number": "A-17", "with": {"lines": [1, 2]}}')
HOURS = ToolCall("call_2", "opening_hours", '{"day": "friday"}')
TOOLS = tuple(
    ToolSpec(name, f"What {name} does.", {"type": "object", "properties": {}})
    for name in ("find_order", "opening_hours")
)
PROMPT = Prompt(
    "You answer the telephone of Example Books.",
    (Message(Role.AGENT, "Hello, Example Books."), Message(Role.CALLER, "Where is my order, A seventeen?")),
    TOOLS,
    cache_key="support",
)


class Rig:
    """One adapter, and what its vendor will say."""

    def __init__(self, name: str, model: LanguageModel | None, double: OpenAiChatDouble | None) -> None:
        self.name = name
        self.double = double
        self.answers: list[Said] = []
        self._model = model

    def saying(self, *answers: Said) -> LanguageModel:
        """The model, that gives these answers one after the other."""
        if self._model is None:
            return FakeModel(answers, name=self.name)
        self.answers[:] = answers
        return self._model

    def failing(self, trouble: Trouble, retryable: bool, fault: Fault) -> LanguageModel:
        """The model, at its next request."""
        if self.double is None:
            error = ProviderError(
                f"{self.name}: it fails",
                retryable=retryable,
                trouble=trouble,
                retry_after=fault.retry_after,
                provider=self.name,
            )
            began = trouble in (Trouble.CUT, Trouble.BAD_FORMAT)
            said = [Said(text=TEXT if began else "", error=error), Said(text=TEXT)]
            return self.saying(*said)
        if self.double.local:
            self.double.plan.add("chat", Fault())  # in which it learns what this server takes
        self.double.plan.add("responses" if "responses" in self.name else "chat", fault)
        return self.saying(Said(text=TEXT))

    def answer(self) -> Answer:
        """For a double: what the script says next; the last is said for ever."""
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        endings = {Ending.LENGTH: "length", Ending.FILTERED: "content_filter"}
        return Answer(
            text=said.text,
            calls=tuple(Call(call.name, call.arguments) for call in said.calls),
            ending=endings.get(said.ending, "") if said.ending else "",
        )


@pytest.fixture(params=["fake", "openai", "openai of one's own", "openai-responses"])
async def rig(request: pytest.FixtureRequest, pool: InferencePool, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "fake":
        yield Rig("fake", None, None)
        return
    name, _, local = request.param.partition(" ")
    async with AsyncExitStack() as opened:
        double = OpenAiChatDouble(Plan(), think=lambda asked: rig.answer(), local=bool(local))
        await opened.enter_async_context(double)
        accounts = Accounts({"openai": Account("openai", double.url, "none" if local else KEY)})
        models = Models(pool, cache=tmp_path, accounts=accounts)
        opened.push_async_callback(models.aclose)
        rig = Rig(request.param, language_model(name, models), double)
        yield rig
        await models.aclose()
        await double.deserted(within=0.5)


async def collect(model: LanguageModel, pieces: list[Piece]) -> None:
    async with asyncio.timeout(5), aclosing(model.stream(PROMPT)) as stream:
        async for piece in stream:
            pieces.append(piece)


async def told(model: LanguageModel, prompt: Prompt = PROMPT) -> list[Piece]:
    async with asyncio.timeout(5):
        return [piece async for piece in model.stream(prompt)]


def text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Words))


def calls(pieces: list[Piece]) -> list[ToolCall]:
    return [piece for piece in pieces if isinstance(piece, ToolCall)]


def ending(pieces: list[Piece]) -> Ending:
    (finished,) = [piece for piece in pieces if isinstance(piece, Finished)]
    assert pieces[-1] is finished
    return finished.ending


def test_it_is_a_language_model(rig: Rig):
    model = rig.saying(Said(text=TEXT))
    assert isinstance(model, LanguageModel)
    assert model.name == ("fake" if rig.double is None else f"{rig.name.split()[0]}:gpt-5.4-mini")


async def test_text_comes_in_pieces_and_then_the_end(rig: Rig):
    pieces = await told(rig.saying(Said(text=TEXT)))
    assert text(pieces) == TEXT
    assert len(pieces) > 10
    assert ending(pieces) is Ending.STOP


async def test_tool_calls_come_whole_and_in_order(rig: Rig):
    pieces = await told(rig.saying(Said(calls=(FIND, HOURS))))
    assert text(pieces) == ""
    assert [call.name for call in calls(pieces)] == ["find_order", "opening_hours"]
    assert [json.loads(call.arguments) for call in calls(pieces)] == [
        json.loads(FIND.arguments),
        json.loads(HOURS.arguments),
    ]
    assert len({call.id for call in calls(pieces) if call.id}) == 2
    assert ending(pieces) is Ending.TOOL_CALLS


async def test_text_may_come_before_a_call(rig: Rig):
    pieces = await told(rig.saying(Said(text="One moment.", calls=(FIND,))))
    assert text(pieces) == "One moment."
    assert [type(piece) for piece in pieces[-2:]] == [ToolCall, Finished]
    assert ending(pieces) is Ending.TOOL_CALLS


@pytest.mark.parametrize("expected", [Ending.LENGTH, Ending.FILTERED])
async def test_an_answer_that_was_stopped_says_why(rig: Rig, expected: Ending):
    pieces = await told(rig.saying(Said(text="And so on", ending=expected)))
    assert text(pieces) == "And so on"
    assert ending(pieces) is expected


async def test_an_answer_that_was_filtered_whole_is_no_failure(rig: Rig):
    pieces = await told(rig.saying(Said(ending=Ending.FILTERED)))
    assert [type(piece) for piece in pieces] == [Finished]


async def test_usage_is_told_where_the_server_tells_it(rig: Rig):
    pieces = await told(rig.saying(Said(text=TEXT, usage=TokenUsage(100, 0, 20))))
    assert isinstance(pieces[-1], Finished)
    usage = pieces[-1].usage
    if "own" in rig.name:
        assert usage is None
    else:
        assert usage is not None
        assert (usage.read > 50, usage.cached, usage.written > 10) == (True, 0, True)


async def test_a_conversation_with_tools_and_notes_goes_on(rig: Rig):
    model = rig.saying(Said(calls=(FIND, HOURS)), Said(text=TEXT))
    called = calls(await told(model))
    prompt = replace(
        PROMPT,
        messages=(
            *PROMPT.messages,
            Message(Role.AGENT, "One moment.", calls=tuple(called)),
            *(Message(Role.TOOL, '{"found": true}', call_id=call.id) for call in called),
            Message(Role.NOTE, "The caller has waited for a while."),
            Message(Role.CALLER, "Well?"),
            Message(Role.AGENT, "", calls=(FIND,)),
            Message(Role.TOOL, "nothing", call_id=FIND.id),
        ),
    )
    assert text(await told(model, prompt)) == TEXT


async def test_many_calls_ask_at_once_and_each_gets_one_answer(rig: Rig):
    model = rig.saying(*(Said(text=f"You are number {number}.") for number in range(20)))
    answers = await asyncio.gather(*(told(model) for _ in range(20)))
    assert {text(answer) for answer in answers} == {f"You are number {number}." for number in range(20)}


async def test_closing_it_half_way_leaves_nothing_open_and_the_model_goes_on(rig: Rig):
    if rig.double is not None:
        rig.double.between_tokens = 0.02
    model = rig.saying(Said(text=TEXT, between=0.02))
    pieces = model.stream(PROMPT)
    assert [await anext(pieces), await anext(pieces)] == [Words("Thanks,"), Words(" Tom.")]
    await pieces.aclose()
    await settled()
    if rig.double is not None:
        await rig.double.deserted(within=0.1)
    if rig.double is not None:
        rig.double.between_tokens = 0
    assert text(await told(rig.saying(Said(text=TEXT)))) == TEXT


@pytest.mark.parametrize("when", ["before the first piece", "in the middle"])
async def test_cancelling_it_leaves_nothing_open(rig: Rig, when: str):
    if rig.double is not None:
        rig.double.first_token, rig.double.between_tokens = 0.1, 0.02
    model = rig.saying(Said(text=TEXT, delay=0.1, between=0.02))
    asking = asyncio.create_task(told(model))
    await asyncio.sleep(0.03 if when == "before the first piece" else 0.2)
    assert not asking.done()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    await settled()
    if rig.double is not None:
        await rig.double.deserted(within=0.1)


async def test_it_may_be_interrupted_at_any_moment(rig: Rig):
    chance = random.Random(4)
    if rig.double is not None:
        rig.double.first_token = rig.double.between_tokens = 0.001
    model = rig.saying(Said(text=TEXT, calls=(FIND,), delay=0.001, between=0.001))

    async def interrupted(*, by_closing: bool, after: float) -> str:
        pieces: list[Piece] = []
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(None if by_closing else after),
                aclosing(model.stream(PROMPT)) as stream,
            ):
                async for piece in stream:
                    pieces.append(piece)
                    if by_closing and len(pieces) > after * 400:
                        break
        return text(pieces)

    for _ in range(10):
        round = [
            interrupted(by_closing=chance.random() < 0.5, after=chance.uniform(0, 0.04)) for _ in range(6)
        ]
        assert all(TEXT.startswith(heard) for heard in await asyncio.gather(*round))
    await settled()
    if rig.double is not None:
        await rig.double.idle(within=0.1)
    assert text(await told(model)) == TEXT


async def settled() -> None:
    """No task is left but this one and the server's."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task for task in left if "RequestHandler" not in repr(task.get_coro())] == []


TROUBLES = [
    (Trouble.AUTH, False, Fault(status=401)),
    (Trouble.AUTH, False, Fault(status=403)),
    (Trouble.QUOTA, False, Fault(status=429, code="insufficient_quota")),
    (Trouble.RATE_LIMITED, True, Fault(status=429, retry_after=0.7)),
    (Trouble.UNAVAILABLE, True, Fault(status=500, code="server_error")),
    (Trouble.UNAVAILABLE, True, Fault(status=503, retry_after=3)),
    (Trouble.REJECTED, False, Fault(status=404)),
    (Trouble.REJECTED, False, Fault(status=400, code="invalid_value")),
    (Trouble.TOO_LONG, False, Fault(status=400, code="context_length_exceeded")),
    (Trouble.CONNECT, True, Fault(refuse=True)),
    (Trouble.CUT, True, Fault(cut_after=6)),
    (Trouble.CUT, True, Fault(close_after=6)),
    (Trouble.EMPTY, True, Fault(close_after=0)),
    (Trouble.EMPTY, True, Fault(close_after=1)),
    (Trouble.EMPTY, True, Fault(empty=True)),
    (Trouble.BAD_FORMAT, True, Fault(garbage=True)),
]


@pytest.mark.parametrize(("trouble", "retryable", "fault"), TROUBLES)
async def test_a_failure_says_what_it_is_and_nothing_private(
    rig: Rig, trouble: Trouble, retryable: bool, fault: Fault
):
    model = rig.failing(trouble, retryable, fault)
    pieces: list[Piece] = []
    with pytest.raises(ProviderError) as raised:
        await collect(model, pieces)
    error = raised.value
    assert (error.trouble, error.retryable) == (trouble, retryable)
    assert error.retry_after == (fault.retry_after and pytest.approx(fault.retry_after))
    assert error.provider == model.name
    assert model.name in str(error)
    assert not [secret for secret in (KEY, "sk-", "order", "Example") if secret in str(error)]
    assert not [piece for piece in pieces if not isinstance(piece, Words)]
    assert TEXT.startswith(text(pieces))
    if trouble is Trouble.CUT:
        assert text(pieces).startswith("Thanks, Tom.")
    assert text(await told(model)) == TEXT  # and the next request is as good as any


def test_naming_the_fake_imports_no_vendor():
    script = """
import sys
from pathlib import Path
from callbot.providers.inference import InferencePool
from callbot.providers.registry import Models, language_model
models = Models(InferencePool(1), cache=Path())
language_model("fake:Hello.", models)
print(sorted({"openai", "httpx2"} & set(sys.modules)))
models.pool.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_the_fake_of_a_setting_answers_in_turn_and_begins_again(models: Models):
    model = language_model("fake:Hello.|Goodbye.", models)
    assert [text(await told(model)) for _ in range(3)] == ["Hello.", "Goodbye.", "Hello."]
    assert isinstance(model, FakeModel)
    assert model.prompts == [PROMPT] * 3


@pytest.mark.parametrize("name", ["opena", "fakes:Hello."])
def test_a_name_that_is_not_quite_one_is_refused(name: str, models: Models):
    with pytest.raises(ConfigurationError, match=r"did you mean (openai|fake)"):
        language_model(name, models)


async def test_nobody_there_is_a_failure_to_connect(pool: InferencePool, tmp_path: Path):
    async with OpenAiChatDouble(Plan(), think=lambda asked: Answer(text=TEXT)) as double:
        url = double.url
    for name in ("openai", "openai-responses"):
        models = Models(pool, cache=tmp_path, accounts=Accounts({"openai": Account("openai", url, KEY)}))
        with pytest.raises(ProviderError) as raised:
            await told(language_model(name, models))
        assert (raised.value.trouble, raised.value.retryable) == (Trouble.CONNECT, True)
        await models.aclose()
