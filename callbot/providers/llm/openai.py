"""Any server that speaks OpenAI's chat completions: ``openai:gpt-5.4-mini``, or whatever model it has."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from callbot.providers.llm import openai_streams
from callbot.providers.llm.openai_terms import Memory, Terms
from callbot.providers.llm.openai_turns import by_turns
from callbot.providers.llm.thoughts import WithoutThoughts
from callbot.providers.ports import (
    Ending,
    Message,
    Piece,
    Prompt,
    Role,
    TokenUsage,
    ToolCall,
    ToolSpec,
)
from callbot.providers.registry import Models

MODEL: Final = "gpt-5.4-mini"

_OPTIONAL: Final = frozenset(
    {
        *("stream_options", "max_completion_tokens", "max_tokens"),
        *("prompt_cache_key", "reasoning_effort", "verbosity"),
    }
)
_ENDINGS: Final = {"length": Ending.LENGTH, "content_filter": Ending.FILTERED}
_ROLES: Final = {Role.CALLER: "user", Role.AGENT: "assistant", Role.TOOL: "tool", Role.NOTE: "system"}


class OpenAiModel:
    """A ``LanguageModel``."""

    def __init__(self, name: str, model: str, sdk: AsyncOpenAI, memory: Memory) -> None:
        self.name = name
        self._model = model
        self._completions = sdk.chat.completions  # now: the SDK imports half of itself for it
        self._sdk = sdk
        self._memory = memory

    async def connect(self) -> None:
        """So that the first caller does not wait for a connection. Raises ``ProviderError``: see there."""
        await openai_streams.connect(self.name, self._sdk)

    def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        return openai_streams.stream(
            self.name,
            self._memory,
            lambda terms: self._fields(prompt, terms),
            self._create,
            _Answer(self.name),
            optional=_OPTIONAL,
        )

    async def _create(self, fields: dict[str, Any]) -> AsyncStream[ChatCompletionChunk]:
        stream: AsyncStream[ChatCompletionChunk] = await self._completions.create(stream=True, **fields)
        return stream

    def _fields(self, prompt: Prompt, terms: Terms) -> dict[str, Any]:
        instead = "max_tokens" if "max_completion_tokens" in terms.refused else "max_completion_tokens"
        optional = {
            "stream_options": {"include_usage": True},
            instead: terms.room(prompt.most_tokens),
            "prompt_cache_key": prompt.cache_key,
            "reasoning_effort": terms.effort,
            "verbosity": "low",
        }
        messages = [
            {"role": "system", "content": prompt.instructions},
            *(_message(message) for message in prompt.messages),
        ]
        fields: dict[str, Any] = {
            "model": self._model,
            "messages": by_turns(messages) if terms.by_turns else messages,
        }
        if prompt.tools:
            fields["tools"] = [_tool(tool) for tool in prompt.tools]
        return fields | terms.keep(optional)


def _message(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"role": _ROLES[message.role], "content": message.text}
    if message.role is Role.TOOL:
        told["tool_call_id"] = message.call_id
    if message.calls:
        told["content"] = message.text or None
        told["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    return told


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


# --- an answer, chunk by chunk -----------------------------------------------------------------------


@dataclass(slots=True)
class _Call:
    index: int
    id: str
    name: str
    arguments: str


class _Answer:
    """What the chunks have told so far."""

    def __init__(self, provider: str) -> None:
        self.finish: str | None = None
        self.usage: TokenUsage | None = None
        self._provider = provider
        self._without_thoughts = WithoutThoughts()
        self._calls: list[_Call] = []
        self._given = False

    @property
    def complete(self) -> bool:
        return self.finish is not None

    def read(self, chunk: ChatCompletionChunk) -> str:
        """The next words. Raises ``ProviderError``: the SDK hands over whatever JSON it was sent."""
        try:
            return self._read(chunk)
        except (AttributeError, TypeError, ValueError):
            raise openai_streams.bad_format(self._provider, "an event is no chunk") from None

    def _read(self, chunk: ChatCompletionChunk) -> str:
        if chunk.usage is not None:
            details = chunk.usage.prompt_tokens_details
            cached = details.cached_tokens if details is not None else 0
            self.usage = TokenUsage(
                int(chunk.usage.prompt_tokens), int(cached or 0), int(chunk.usage.completion_tokens)
            )
        words = ""
        for choice in chunk.choices:
            if choice.delta is not None:
                words += self._without_thoughts.feed(choice.delta.content or "") + (
                    choice.delta.refusal or ""
                )
                for fragment in choice.delta.tool_calls or ():
                    self._call(fragment)
            self.finish = choice.finish_reason or self.finish
        if not self._given and not words.strip():
            return ""  # some models clear their throat with line breaks
        self._given = True
        return words

    def _call(self, fragment: Any) -> None:
        """Servers of one's own may leave out ``index`` and ``id``, and send arguments as an object."""
        function = fragment.function
        name = (function and function.name) or ""
        arguments = (function and function.arguments) or ""
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        call = self._begun(fragment.index, fragment.id, name)
        if call is None:
            index = len(self._calls) if fragment.index is None else int(fragment.index)
            self._calls.append(_Call(index, fragment.id or f"call_{uuid4().hex}", name, arguments))
        else:
            call.name = call.name or name
            call.arguments += arguments

    def _begun(self, index: int | None, id: str | None, name: str) -> _Call | None:
        """The call that a fragment goes on with, if it is not the first of one. Its place says which, but
        there are servers where all have the same place, and only the id or the name tells them apart."""
        same = [call for call in self._calls if index is None or call.index == index]
        if not same or (index is None and name):
            return None
        call = same[-1]
        another = id != call.id if id else bool(name and call.name)
        return None if another else call

    def end(self) -> tuple[list[ToolCall], Ending]:
        """Raises ``ProviderError`` if that was no answer."""
        if self.finish is None:
            raise openai_streams.incomplete(self._provider, began=self._given or bool(self._calls))
        ending = _ENDINGS.get(self.finish, Ending.STOP)
        calls = [
            ToolCall(call.id, call.name, call.arguments or "{}")
            for call in self._calls
            if ending is not Ending.LENGTH or _is_json(call.arguments)  # the last one may be broken off
        ]
        if not self._given and not calls and ending is not Ending.FILTERED:
            raise openai_streams.incomplete(self._provider, began=False)
        return calls, Ending.TOOL_CALLS if calls and ending is Ending.STOP else ending


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def language_model(name: str, models: Models) -> OpenAiModel:
    """For the registry: ``openai``, or ``openai:gpt-5.4-mini``. Imports the SDK: half a second."""
    model = name.partition(":")[2] or MODEL
    full = f"openai:{model}"
    memory = models.once(f"terms of {full}", Memory)
    return OpenAiModel(full, model, openai_streams.client(models), memory)
