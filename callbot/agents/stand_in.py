"""The brain that thinks with a language model, and by flow where the model is out of reach."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog

from callbot.agents.brain import Action, Answer, Brain, History, OfferHuman, Request, Say
from callbot.errors import ProviderError, Trouble

_FOR_GOOD: Final = (Trouble.AUTH, Trouble.QUOTA)
"""What asking again in this call does not mend."""

log = structlog.get_logger(__name__)


class StandInBrain:
    """Thinks for one agent in one call. A wrong key must not leave a caller without an answer, nor a model
    that fails without somebody who takes their yes to a person."""

    def __init__(self, by_model: Brain, by_flow: Brain) -> None:
        self.by_model = by_model
        self.by_flow = by_flow
        self._usual = by_model
        self._answering = by_model
        self._offered = False
        """The flow has offered a person, because the model fails: it hears what the caller says to that."""

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        """See ``Brain.reply``."""
        if isinstance(request, OfferHuman):
            self._offered = request.broken
        self._answering = self.by_flow if self._offered else self._usual
        if isinstance(request, Answer):
            self._offered = False
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
        self._usual = self._answering = self.by_flow
        async with aclosing(self.by_flow.reply(request, history)) as actions:
            async for action in actions:
                yield action

    def forget(self) -> None:
        self._answering.forget()

    async def finish(self) -> None:
        await self.by_model.finish()
        await self.by_flow.finish()
