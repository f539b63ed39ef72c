"""The brain that thinks with a language model: drives the thinking, has model, tools and documents."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog

from callbot.agents import compaction
from callbot.agents.brain import Action, Changing, History, Noticed, Request
from callbot.agents.compaction import BUDGET, Summing
from callbot.agents.memory import Memory
from callbot.agents.prompting import Mind
from callbot.agents.thinking import think
from callbot.agents.thought import (
    AskModel,
    Broke,
    Came,
    Given,
    NextPiece,
    Notice,
    Outcomes,
    Passages,
    Quiet,
    Retrieve,
    Retrieved,
    StartTools,
    ToolsDone,
)
from callbot.agents.tool_runs import ToolRuns
from callbot.agents.walk import RunTool, ToolResult
from callbot.errors import ProviderError
from callbot.providers.ports import LanguageModel, Piece, Prompt, Words

SUMMARY_SECONDS: Final = 30.0

Search = Callable[[str], tuple[Retrieved, ...]]
"""The passages that may answer a question, best first. Blocking."""

log = structlog.get_logger(__name__)


class ModelBrain:
    """Thinks for one agent in one call.

    ``memory`` is a plain value: a brain given the same one carries on from it.
    """

    def __init__(
        self,
        mind: Mind,
        model: LanguageModel,
        runs: ToolRuns,
        search: Search,
        *,
        memory: Memory | None = None,
        budget: int = BUDGET,
    ) -> None:
        self.mind = mind
        self.memory = memory or Memory()
        self._model = model
        self._runs = runs
        self._search = search
        self._budget = budget
        self._before = self.memory.copy()
        self._summing: _BeingSummed | None = None

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        """See ``Brain.reply``. Sentences are yielded while the model still writes."""
        async with aclosing(self.answer(request, history)) as actions:
            async for action in actions:
                yield action

    async def answer(
        self, request: Request, history: History, *, aside: str = "", said: Sequence[str] = ()
    ) -> AsyncGenerator[Action]:
        """As ``reply``; ``aside`` is told to the model for this reply only, and ``said`` is what the reply
        has begun with.

        Raises ``ProviderError`` when the model failed and nothing could be said.
        """
        if shortened := self._take_summary(history):
            yield Noticed(Notice.COMPACTED, {"by": shortened})
        self._before = self.memory.copy()
        thoughts = think(
            self.mind, self.memory, request, history, aside=aside, said=said, budget=self._budget
        )
        hands = _Hands(self._model, self._runs)
        given: Given = None
        try:
            while True:
                try:
                    step = thoughts.send(given)
                except StopIteration:
                    break
                given = None
                match step:
                    case AskModel(prompt):
                        await hands.ask(prompt)
                    case NextPiece(until):
                        given = await hands.next_piece(until)
                    case StartTools(runs):
                        changes = [run.tool for run in runs.values() if run.changes]
                        for tool in changes:
                            yield Changing(tool)
                        hands.start(runs)
                        if changes:
                            self._before = self.memory.copy()
                    case ToolsDone(within):
                        given = await hands.outcomes(within)
                    case Retrieve(query):
                        given = Passages(await asyncio.to_thread(self._search, query))
                    case Noticed(what):
                        log.info("something was put right in a model's answer", what=str(what))
                        yield step
                    case _:
                        yield step
        finally:
            thoughts.close()
            await hands.aclose()
        self._begin_summary(history)

    def forget(self) -> None:
        """Nothing of the last reply was heard: back to before it, or to the change it began."""
        self.memory = self._before.copy()

    async def finish(self) -> None:
        """Wait for changes that a cut reply has left running; for the end of the call."""
        if self._summing is not None:
            await _end(self._summing.task)
        await self._runs.finish()

    # --- long calls --------------------------------------------------------------------------------

    def _begin_summary(self, history: History) -> None:
        """Have the model sum up what has become too long, while the caller speaks."""
        summing = compaction.summing(self.memory, history, budget=self._budget)
        if summing is not None and self._summing is None:
            task = asyncio.create_task(self._sum_up(summing), name="summary of the call")
            self._summing = _BeingSummed(task, summing.until)

    def _take_summary(self, history: History) -> str:
        """In what way the call has become shorter, if it has."""
        if self._summing is None or not self._summing.task.done():
            return ""
        summing, self._summing = self._summing, None
        text = summing.task.result()
        if text:
            compaction.summed(self.memory, text, summing.until)
            return "summary"
        return "cut" if compaction.cut(self.memory, history, budget=self._budget // 2) else ""

    async def _sum_up(self, summing: Summing) -> str:
        """The summary, or an empty string when there is none to be had."""
        text = ""
        try:
            async with (
                asyncio.timeout(SUMMARY_SECONDS),
                aclosing(self._model.stream(summing.prompt)) as pieces,
            ):
                async for piece in pieces:
                    if isinstance(piece, Words):
                        text += piece.text
        except (ProviderError, TimeoutError) as error:
            log.warning("a long call could not be summed up", reason=str(error))
            return ""
        return text.strip()


@dataclass(frozen=True, slots=True)
class _BeingSummed:
    task: asyncio.Task[str]
    until: int


class _Hands:
    """What one reply has open: a stream of the model's, and tools. All of it ends with ``aclose``, but
    for changes, which go on."""

    def __init__(self, model: LanguageModel, runs: ToolRuns) -> None:
        self._model = model
        self._runs = runs
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece | Broke | Exception] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._tools: dict[str, asyncio.Task[ToolResult]] = {}

    async def ask(self, prompt: Prompt) -> None:
        await self._stop_reading()
        self._pieces = asyncio.Queue()
        self._reading = asyncio.create_task(self._read(prompt, self._pieces), name="read the model")

    async def _read(self, prompt: Prompt, into: asyncio.Queue[Piece | Broke | Exception]) -> None:
        """One task has the stream from its beginning to its end: adapters may count on that."""
        try:
            async with aclosing(self._model.stream(prompt)) as pieces:
                async for piece in pieces:
                    into.put_nowait(piece)
        except ProviderError as error:
            into.put_nowait(Broke(error))
        except Exception as error:  # a bug in an adapter: raised, and logged, where the answer is waited for
            into.put_nowait(error)
        else:
            into.put_nowait(Broke(None))

    async def next_piece(self, until: float | None) -> Came | Quiet | Broke:
        try:
            async with asyncio.timeout_at(until):
                piece = await self._pieces.get()
        except TimeoutError:
            return Quiet(self._loop.time())
        if isinstance(piece, Broke):
            return piece
        if isinstance(piece, Exception):
            raise piece
        return Came(piece, self._loop.time())

    def start(self, runs: Mapping[str, RunTool]) -> None:
        for run in runs.values():
            if run.changes:
                self._runs.begin(run)
        self._tools = {
            call: asyncio.create_task(self._runs.run(run), name=f"wait for {run.tool}")
            for call, run in runs.items()
        }

    async def outcomes(self, within: float | None) -> Outcomes:
        done, _ = await asyncio.wait(self._tools.values(), timeout=within)
        return Outcomes({call: task.result() for call, task in self._tools.items() if task in done})

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            await _end(self._reading)

    async def aclose(self) -> None:
        await self._stop_reading()
        for task in self._tools.values():
            await _end(task)


async def _end(task: asyncio.Task[object]) -> None:
    """Cancel, and wait until it is gone. What it raised was raised before, or nobody waits for it."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        log.debug("an abandoned task had failed", task=task.get_name(), reason=type(error).__name__)
