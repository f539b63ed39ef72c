"""A model that says what it was told to, for tests of everything behind it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from callbot.errors import ProviderError, Trouble
from callbot.providers.ports import Ending, Finished, Piece, Prompt, TokenUsage, ToolCall, Words
from callbot.providers.registry import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer. ``error`` is raised after ``text``, instead of the end."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    error: ProviderError | None = None
    delay: float = 0.0
    """Before the first piece."""
    between: float = 0.0
    """Before each piece that follows."""
    ending: Ending | None = None
    usage: TokenUsage | None = None


class FakeModel:
    """A ``LanguageModel``: the nth request gets the nth of ``answers``, and after the last the first again.

    Calls that share it take turns. ``prompts`` are those it was given, the oldest first.
    """

    def __init__(self, answers: Sequence[Said | str], *, name: str = "fake") -> None:
        self.name = name
        self.prompts: list[Prompt] = []
        self._answers = [Said(text=answer) if isinstance(answer, str) else answer for answer in answers]

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        said = self._answers[len(self.prompts) % len(self._answers)]
        self.prompts.append(prompt)
        await asyncio.sleep(said.delay)
        for number, words in enumerate(re.findall(r"\s*\S+|\s+$", said.text)):
            if number:
                await asyncio.sleep(said.between)
            yield Words(words)
        if said.error is not None:
            raise said.error
        if not said.text.strip() and not said.calls and said.ending is not Ending.FILTERED:
            raise ProviderError(
                f"{self.name}: the answer is empty", retryable=True, trouble=Trouble.EMPTY, provider=self.name
            )
        for call in said.calls:
            yield call
        yield Finished(said.ending or (Ending.TOOL_CALLS if said.calls else Ending.STOP), said.usage)


def language_model(name: str, models: Models) -> FakeModel:
    """For the registry: ``fake:Hello.|Goodbye.`` answers with those two, in turn."""
    return FakeModel(name.partition(":")[2].split("|"), name=name)
