"""The brain that holds both: the flow answers what it understands, a language model the rest."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date

import structlog

from callbot.agents import sharing
from callbot.agents.brain import Action, Answer, EndCall, HandOff, History, Nudge, Request, Say
from callbot.agents.flow_brain import FlowBrain
from callbot.agents.flow_state import State, Wait
from callbot.agents.flows import Flow
from callbot.agents.heard import SHORT
from callbot.agents.matching import Understanding
from callbot.agents.model_brain import ModelBrain
from callbot.agents.sharing import Floor
from callbot.agents.walk import Lost
from callbot.agents.wording import words
from callbot.errors import ProviderError

log = structlog.get_logger(__name__)


class FlowFirstBrain:
    """Thinks for one agent in one call. Slots, tools and what was said are the same for both.

    Who asked the last question gets the answer, unless it is a wish that the flow surely serves.
    """

    def __init__(
        self,
        flow: Flow,
        by_flow: FlowBrain,
        by_model: ModelBrain,
        understanding: Understanding,
        *,
        today: date,
    ) -> None:
        self.by_flow = by_flow
        self.by_model = by_model
        self._flow = flow
        self._understanding = understanding
        self._today = today
        self._floor: Floor | None = None
        """Where the flow stands while the caller answers the model."""
        self._before: tuple[State, Floor | None] = (by_flow.state, None)
        self._walked = False
        self._thought = False
        self._failed = False

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        """See ``Brain.reply``. When the model fails before it has said anything, the flow goes on."""
        self._before = (self.by_flow.state, self._floor)
        self._walked = self._thought = False
        said: list[str] = []
        if isinstance(request, Answer) and await self._is_for_model(request):
            async with aclosing(self._by_model(request, history, said)) as actions:
                async for action in actions:
                    yield action
            if not self._failed:
                return
        self._walked = True
        if not isinstance(request, Nudge):
            self._floor = None
        async with aclosing(self.by_flow.walked(request, history)) as steps:
            async for step in steps:
                if isinstance(step, Lost):
                    async with aclosing(self._by_model(request, history, said)) as actions:
                        async for action in actions:
                            yield action
                    if not self._failed:
                        return
                else:
                    if isinstance(step, Say):
                        said.append(step.text)
                    yield step
        if not self._thought:
            self._flow_answered(request)

    async def _by_model(self, request: Request, history: History, said: list[str]) -> AsyncGenerator[Action]:
        """The model's answer. ``_failed`` says that there was none, and nothing was said."""
        self._failed = False
        before = len(said)
        try:
            async with aclosing(self._think(request, history, said)) as actions:
                async for action in actions:
                    yield action
        except ProviderError as error:
            if len(said) > before:
                raise
            log.warning("the language model failed, and the flow answers alone", reason=str(error))
            self._failed = True

    async def _think(self, request: Request, history: History, said: list[str]) -> AsyncGenerator[Action]:
        """The model's answer, and then the flow's open question, unless the model has asked its own."""
        before = (self.by_flow.state, self._floor)
        state = self.by_flow.state = self.by_flow.state.copy()
        floor = self._floor or sharing.give_floor(self._flow, state)
        self._floor = floor
        self._thought = True
        moved = False
        answer = self.by_model.answer(request, history, aside=sharing.aside(state, floor), said=tuple(said))
        try:
            async with aclosing(answer) as actions:
                async for action in actions:
                    if isinstance(action, Say):
                        said.append(action.text)
                    moved |= isinstance(action, HandOff | EndCall)
                    sharing.learn(self._flow, state, action, today=self._today)
                    yield action
        except ProviderError:
            self.by_flow.state, self._floor = before
            raise
        state.said = list(said)
        question = sharing.last_question(said)
        if moved:
            state.paused = []
        elif question in self._flow.phrases["offer_human"]:
            state.wait = Wait("human", self._flow.start)
            self._floor = None
        elif question:
            state.question = [question]
        else:
            sharing.take_floor(state, floor)
            self._floor = None
            if floor.asks:
                async with aclosing(self.by_flow.back(history)) as actions:
                    async for action in actions:
                        yield action

    async def _is_for_model(self, answer: Answer) -> bool:
        """Whether the model asked for this, or has left a change running that must be told."""
        if self.by_model.memory.running:
            return True
        if self._floor is None:
            return False
        if not answer.text.strip():
            return True
        ranking = await asyncio.to_thread(self._understanding.rank, answer.text)
        return not sharing.is_clear_wish(ranking, short=len(words(answer.text)) <= SHORT)

    def _flow_answered(self, request: Request) -> None:
        """What the model had asked for is no longer what a yes is about."""
        memory = self.by_model.memory
        if isinstance(request, Nudge):
            memory.said = [sentence for sentence in memory.said if sentence.endswith("?")][-1:]
        else:
            memory.said, memory.proposed = [], []

    def forget(self) -> None:
        """Nothing of the last reply was heard: go back to before it was asked."""
        state, self._floor = self._before
        if self._walked:
            self.by_flow.forget()
        else:
            self.by_flow.state = state
        if self._thought:
            self.by_model.forget()

    async def finish(self) -> None:
        """Wait for changes that a cut reply has left running; for the end of the call."""
        await self.by_model.finish()
        await self.by_flow.finish()
