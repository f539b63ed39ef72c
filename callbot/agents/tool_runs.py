"""Runs tools for one agent in one call: what changes data is begun once, and never cut in half."""

import asyncio
from typing import Final

import structlog

from callbot.agents.tools import NotFound, ToolFailed, Tools
from callbot.agents.walk import RunTool, ToolResult
from callbot.errors import ProviderError

TOOL_SECONDS: Final = 8.0
"""A tool that takes longer has failed: the caller is told, and offered a person."""
CHANGE_SECONDS: Final = 20.0
"""So long a change that was begun may still go on, so that what came of it is known."""

log = structlog.get_logger(__name__)


class ToolRuns:
    """``begin`` a change, or ``run`` anything; the same key is the same change."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._changing: dict[str, asyncio.Task[ToolResult]] = {}

    def begin(self, step: RunTool) -> None:
        """Start a change that no barge-in may cut in half, once per key. It runs in a task that this
        object holds, because the reply's own task may be cancelled at any time."""
        if step.key not in self._changing:
            self._changing[step.key] = asyncio.create_task(
                self._once(step, CHANGE_SECONDS), name=f"tool {step.tool}"
            )

    async def run(self, step: RunTool) -> ToolResult:
        """A tool's result. Cut off, a look-up is over, and a change goes on."""
        if not step.changes:
            return await self._once(step, TOOL_SECONDS)
        self.begin(step)
        task = self._changing[step.key]
        await asyncio.wait({task}, timeout=TOOL_SECONDS)
        if not task.done():
            return ToolResult(None, failed=True, late=True)
        result = task.result()
        if result.failed and not result.late:
            self._changing.pop(step.key, None)  # asked for once more, it may succeed
        return result

    async def finish(self) -> None:
        """Wait for changes that a cut reply has left running; for the end of the call."""
        if not self._changing:
            return
        done, _ = await asyncio.wait(self._changing.values())
        for task in done:
            if (error := task.exception()) is not None:
                log.error("a tool broke", tool=task.get_name(), exc_info=error)

    async def _once(self, step: RunTool, seconds: float) -> ToolResult:
        try:
            async with asyncio.timeout(seconds):
                returned = await self._tools.run(step.tool, step.arguments, step.key)
        except (ToolFailed, ProviderError, TimeoutError) as error:
            log.warning("a tool failed", tool=step.tool, reason=type(error).__name__)
            return ToolResult(None, failed=True, late=isinstance(error, TimeoutError))
        if isinstance(returned, NotFound):
            return ToolResult(None, instead=returned.instead)
        return ToolResult(returned)
