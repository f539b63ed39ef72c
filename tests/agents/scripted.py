"""A language model that answers as it is told to, and keeps what it was asked."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from callbot.errors import ProviderError, Trouble
from callbot.providers.ports import Ending, Finished, Message, Piece, Prompt, Role, ToolCall, Words

Part = Piece | float | ProviderError
"""A piece, seconds of nothing, or a failure."""
Script = str | Sequence[Part] | Callable[[Prompt], "Script"]


def calls(*wanted: tuple[str, Any]) -> list[Part]:
    """An answer of nothing but calls, each a name and its arguments (JSON's values, or text as it is)."""
    made: list[Part] = [
        ToolCall(f"c{number}", name, given if isinstance(given, str) else json.dumps(given))
        for number, (name, given) in enumerate(wanted)
    ]
    return [*made, Finished(Ending.TOOL_CALLS)]


def broken(trouble: Trouble = Trouble.CUT, *, retryable: bool = True) -> ProviderError:
    return ProviderError("scripted", retryable=retryable, trouble=trouble)


class ScriptedModel:
    """Answers from ``script`` in order; the last one again when it is at its end. ``open`` are the streams
    that nobody has closed, ``prompts`` what was asked."""

    name = "scripted"

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.prompts: list[Prompt] = []
        self.open = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        self.prompts.append(prompt)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        while callable(answer):
            answer = answer(prompt)
        parts = [*map(Words, answer.split(" ")), Finished(Ending.STOP)] if isinstance(answer, str) else answer
        self.open += 1
        try:
            first = True
            for part in parts:
                if isinstance(part, float):
                    await asyncio.sleep(part)
                elif isinstance(part, ProviderError):
                    raise part
                elif isinstance(part, Words) and isinstance(answer, str):
                    yield part if first else Words(f" {part.text}")
                    first = False
                else:
                    yield part
        finally:
            self.open -= 1

    # --- what it was told --------------------------------------------------------------------------

    @property
    def last(self) -> Prompt:
        return self.prompts[-1]

    def told(self, role: Role) -> list[str]:
        """The texts of one role in the last prompt."""
        return [message.text for message in self.last.messages if message.role is role]


def well_formed(messages: Sequence[Message]) -> bool:
    """Whether every call has its result right behind it, and every result its call: vendors insist."""
    waiting: list[str] = []
    for message in messages:
        if message.role is Role.TOOL:
            if not waiting or waiting.pop(0) != message.call_id:
                return False
        elif waiting:
            return False
        waiting += [call.id for call in message.calls]
    return not waiting
