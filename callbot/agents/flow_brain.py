"""The brain that thinks by flow: drives the walker, in milliseconds and without a key."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date
from typing import Final

from callbot.agents.agent import Agent
from callbot.agents.brain import Action, Changing, History, Request
from callbot.agents.flow_state import State
from callbot.agents.flows import Flow
from callbot.agents.matching import Understanding
from callbot.agents.tools import NotFound, ToolFailed, Tools
from callbot.agents.walk import Given, Rank, RunTool, Search, ToolResult
from callbot.agents.walker import fresh, walk
from callbot.errors import ProviderError

TOOL_SECONDS: Final = 8.0
"""A tool that takes longer has failed: the caller is told, and offered a person."""


class FlowBrain:
    """Thinks for one agent in one call.

    ``state`` is a plain value: store it, and a brain given the same one carries on elsewhere.
    """

    def __init__(
        self,
        agent: Agent,
        flow: Flow,
        understanding: Understanding,
        tools: Tools,
        *,
        today: date,
        state: State | None = None,
    ) -> None:
        self._agent = agent
        self._flow = flow
        self._understanding = understanding
        self._tools = tools
        self._today = today
        self.state = state or fresh(flow)
        self._before = self.state
        self._changing: dict[str, asyncio.Task[ToolResult]] = {}

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        """See ``Brain.reply``. What is said before a tool runs is yielded before it has run."""
        self._before = self.state
        state = self.state.copy()
        steps = walk(self._agent, self._flow, state, request, history, today=self._today)
        ready: list[Action] = []
        given: Given = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration:
                break
            given = None
            match step:
                case Rank(text):
                    given = await asyncio.to_thread(self._understanding.rank, text)
                case Search(query, passage):
                    given = await asyncio.to_thread(self._understanding.find, query, passage)
                case RunTool():
                    if step.changes:
                        yield Changing(step.tool)
                    self.state = state.copy()
                    if step.changes:
                        self._begin_change(step)
                        self._before = self.state
                    for action in ready:
                        yield action
                    ready.clear()
                    given = await self._result(step)
                case _:
                    ready.append(step)
        self.state = state
        for action in ready:
            yield action

    def forget(self) -> None:
        """Nothing of the last reply was heard: back to before it, or to the change it began."""
        self.state = self._before

    async def finish(self) -> None:
        """Wait for changes that a cut reply has left running; for the end of the call."""
        if self._changing:
            await asyncio.wait(self._changing.values())

    def _begin_change(self, step: RunTool) -> None:
        """Start a change that no barge-in may cut in half, once per key. It runs in a task that this
        brain holds, because the reply's own task may be cancelled at any time."""
        if step.key not in self._changing:
            self._changing[step.key] = asyncio.create_task(self._run(step), name=f"tool {step.tool}")

    async def _result(self, step: RunTool) -> ToolResult:
        if step.changes:
            return await asyncio.shield(self._changing[step.key])
        return await self._run(step)

    async def _run(self, step: RunTool) -> ToolResult:
        try:
            async with asyncio.timeout(TOOL_SECONDS):
                returned = await self._tools.run(step.tool, step.arguments, step.key)
        except (ToolFailed, ProviderError, TimeoutError):
            return ToolResult(None, failed=True)
        if isinstance(returned, NotFound):
            return ToolResult(None, instead=returned.instead)
        return ToolResult(returned)
