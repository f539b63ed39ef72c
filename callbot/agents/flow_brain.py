"""The brain that thinks by flow: drives the walker, in milliseconds and without a key."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date

from callbot.agents.agent import Agent
from callbot.agents.brain import Action, Changing, History, Request
from callbot.agents.flow_state import State
from callbot.agents.flows import Flow
from callbot.agents.matching import Understanding
from callbot.agents.tool_runs import ToolRuns
from callbot.agents.walk import Given, Lost, Rank, RunTool, Search, Walk
from callbot.agents.walker import back, fresh, walk


class FlowBrain:
    """Thinks for one agent in one call.

    ``state`` is a plain value: store it, and a brain given the same one carries on elsewhere.
    """

    def __init__(
        self,
        agent: Agent,
        flow: Flow,
        understanding: Understanding,
        runs: ToolRuns,
        *,
        today: date,
        state: State | None = None,
    ) -> None:
        self._agent = agent
        self._flow = flow
        self._understanding = understanding
        self._runs = runs
        self._today = today
        self.state = state or fresh(flow)
        self._before = self.state

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        """See ``Brain.reply``. What is said before a tool runs is yielded before it has run."""
        async with aclosing(self.walked(request, history)) as steps:
            async for step in steps:
                if not isinstance(step, Lost):
                    yield step

    async def walked(self, request: Request, history: History) -> AsyncGenerator[Action | Lost]:
        """As ``reply``, and where the flow does not understand, ``Lost``: who goes on then lets it admit
        that; who leaves answers instead."""
        self._before = self.state
        state = self.state.copy()
        steps = walk(self._agent, self._flow, state, request, history, today=self._today)
        async with aclosing(self._driven(steps, state)) as found:
            async for step in found:
                yield step

    async def back(self, history: History) -> AsyncGenerator[Action]:
        """The open question again, after somebody else has answered."""
        state = self.state.copy()
        steps = back(self._agent, self._flow, state, history, today=self._today)
        async with aclosing(self._driven(steps, state)) as found:
            async for step in found:
                if not isinstance(step, Lost):
                    yield step

    async def _driven(self, steps: Walk[None], state: State) -> AsyncGenerator[Action | Lost]:
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
                        self._runs.begin(step)
                        self._before = self.state
                    for action in ready:
                        yield action
                    ready.clear()
                    given = await self._runs.run(step)
                case Lost():
                    self.state = state.copy()
                    for action in ready:
                        yield action
                    ready.clear()
                    yield step
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
        await self._runs.finish()
