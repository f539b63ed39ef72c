"""OpenAI's responses: ``openai-responses:gpt-5.4-mini``. Nothing of a call is stored there."""

from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final

from openai import AsyncOpenAI, AsyncStream
from openai.types.responses import Response, ResponseStreamEvent

from callbot.errors import ProviderError
from callbot.providers.llm import openai_streams
from callbot.providers.llm.openai import MODEL
from callbot.providers.llm.openai_terms import Memory, Terms
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

_OPTIONAL: Final = frozenset({"prompt_cache_key", "reasoning", "text", "store"})
_ENDINGS: Final = {"max_output_tokens": Ending.LENGTH, "content_filter": Ending.FILTERED}
_ROLES: Final = {Role.CALLER: "user", Role.AGENT: "assistant", Role.NOTE: "developer"}
_LEAST_TOKENS: Final = 16
"""The vendor takes no smaller limit."""


class OpenAiResponsesModel:
    """A ``LanguageModel``."""

    def __init__(self, name: str, model: str, sdk: AsyncOpenAI, memory: Memory) -> None:
        self.name = name
        self._model = model
        self._responses = sdk.responses  # now: the SDK imports half of itself for it
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

    async def _create(self, fields: dict[str, Any]) -> AsyncStream[ResponseStreamEvent]:
        stream: AsyncStream[ResponseStreamEvent] = await self._responses.create(stream=True, **fields)
        return stream

    def _fields(self, prompt: Prompt, terms: Terms) -> dict[str, Any]:
        optional = {
            "prompt_cache_key": prompt.cache_key,
            "reasoning": {"effort": terms.effort},
            "text": {"verbosity": "low"},
            "store": False,
        }
        fields: dict[str, Any] = {
            "model": self._model,
            "instructions": prompt.instructions,
            "input": [item for message in prompt.messages for item in _items(message)],
            "max_output_tokens": max(_LEAST_TOKENS, terms.room(prompt.most_tokens)),
        }
        if prompt.tools:
            fields["tools"] = [_tool(tool) for tool in prompt.tools]
        return fields | terms.keep(optional)


def _items(message: Message) -> Iterator[dict[str, Any]]:
    if message.role is Role.TOOL:
        yield {"type": "function_call_output", "call_id": message.call_id, "output": message.text}
        return
    if message.text or not message.calls:
        yield {"role": _ROLES[message.role], "content": message.text}
    for call in message.calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _tool(tool: ToolSpec) -> dict[str, Any]:
    """Not ``strict``, which is the vendor's default and takes only some schemas."""
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }


class _Answer:
    """What the events have told so far."""

    def __init__(self, provider: str) -> None:
        self.response: Response | None = None
        """Whole, from the last event."""
        self._provider = provider
        self._calls: dict[int, ToolCall | None] = {}
        """By their place in the output, in the order in which they began."""
        self._given = False

    @property
    def complete(self) -> bool:
        return self.response is not None

    def read(self, event: ResponseStreamEvent) -> str:
        """The next words. Raises ``ProviderError``: the SDK hands over whatever JSON it was sent."""
        try:
            return self._read(event)
        except (AttributeError, TypeError, ValueError):
            raise openai_streams.bad_format(self._provider, "an event is not as documented") from None

    def _read(self, event: ResponseStreamEvent) -> str:
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                if self._given or event.delta.strip():
                    self._given = True
                    return event.delta
            case "response.output_item.added" if event.item.type == "function_call":
                self._calls[event.output_index] = None
            case "response.output_item.done" if event.item.type == "function_call":
                item = event.item
                self._calls[event.output_index] = ToolCall(item.call_id, item.name, item.arguments or "{}")
            case "response.completed" | "response.incomplete":
                self.response = event.response
            case "response.failed":
                error = event.response.error
                raise self._failed(error.code if error is not None else None)
            case "error":
                raise self._failed(event.code)
        return ""

    def _failed(self, code: str | None) -> ProviderError:
        return openai_streams.told_in_stream(self._provider, code)

    def end(self) -> tuple[list[ToolCall], Ending]:
        """Raises ``ProviderError`` if that was no answer."""
        if self.response is None:
            raise openai_streams.incomplete(self._provider, began=self._given or bool(self._calls))
        details = self.response.incomplete_details
        ending = _ENDINGS.get((details and details.reason) or "", Ending.STOP)
        calls = [call for call in self._calls.values() if call is not None]
        if not self._given and not calls and ending is not Ending.FILTERED:
            raise openai_streams.incomplete(self._provider, began=False)
        return calls, Ending.TOOL_CALLS if calls and ending is Ending.STOP else ending

    @property
    def usage(self) -> TokenUsage | None:
        try:
            if self.response is None or self.response.usage is None:
                return None
            usage = self.response.usage
            details = usage.input_tokens_details
            cached = details.cached_tokens if details is not None else 0
            return TokenUsage(int(usage.input_tokens), int(cached or 0), int(usage.output_tokens))
        except (AttributeError, TypeError, ValueError):
            return None


def language_model(name: str, models: Models) -> OpenAiResponsesModel:
    """For the registry: ``openai-responses``, or with a model after a colon."""
    model = name.partition(":")[2] or MODEL
    full = f"openai-responses:{model}"
    memory = models.once(f"terms of {full}", Memory)
    return OpenAiResponsesModel(full, model, openai_streams.client(models), memory)
