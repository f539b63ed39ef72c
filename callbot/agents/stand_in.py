"""The brain that thinks with a language model, and by flow once the model is out of reach for good."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog

from callbot.agents.brain import Action, Brain, History, Request, Say
from callbot.errors import ProviderError, Trouble

_FOR_GOOD: Final = (Trouble.AUTH, Trouble.QUOTA)
"""What asking again in this call does not mend."""

log = structlog.get_logger(__name__)


class StandInBrain:
    """Thinks for one agent in one call. A wrong key must not leave a caller without an answer."""

    def __init__(self, by_model: Brain, by_flow: Brain) -> None:
        self.by_model = by_model
        self.by_flow = by_flow
        self._answering = by_model

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        """See ``Brain.reply``."""
        said = False
        try:
            async with aclosing(self._answering.reply(request, history)) as actions:
                async for action in actions:
                    said = said or isinstance(action, Say)
                    yield action
            return
        except ProviderError as error:
            if said or error.trouble not in _FOR_GOOD or self._answering is self.by_flow:
                raise
            log.warning("the language model is out of reach, and the flow answers", reason=str(error))
        self._answering = self.by_flow
        async with aclosing(self.by_flow.reply(request, history)) as actions:
            async for action in actions:
                yield action

    def forget(self) -> None:
        self._answering.forget()

    async def finish(self) -> None:
        await self.by_model.finish()
        await self.by_flow.finish()
