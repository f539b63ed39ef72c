"""A call in text with an agent that thinks with a scripted model; lines are kept as a call keeps them."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from typing import Literal, TypedDict

from callbot.agents.agent import Agent
from callbot.agents.brain import (
    Action,
    Answer,
    Brain,
    Did,
    EndCall,
    Expect,
    Greet,
    HandOff,
    History,
    Remember,
    Request,
    Say,
)
from callbot.agents.compaction import BUDGET
from callbot.agents.model_brain import ModelBrain
from callbot.agents.prompting import Function, Mind
from callbot.agents.thought import Retrieved
from callbot.agents.tool_runs import ToolRuns
from callbot.agents.tools import NotFound, ToolFailed, Tools
from callbot.call import Call
from callbot.demo import larkfield
from callbot.routing.handoff import SlotValue
from tests.agents.phone import TODAY
from tests.agents.scripted import ScriptedModel

SID = "CA0123456789abcdef0123456789abcdef"
LARKFIELD = larkfield()
DELIVERY = Retrieved(
    "en", "delivery", "Delivery", "Delivery takes two working days and costs nothing within the city.", 0.6
)


class Found(TypedDict):
    status: str


class Booked(TypedDict):
    reference: str


class Desk:
    """What an agent can do. ``seconds`` each run takes, by tool; ``broken`` tools fail; ``ran`` is what
    has run to its end, ``begun`` what was begun."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.broken: set[str] = set()
        self.begun: list[str] = []
        self.ran: list[tuple[str, tuple[object, ...]]] = []

    async def _pass(self, name: str, *given: object) -> None:
        self.begun.append(name)
        await asyncio.sleep(self.seconds.get(name, 0.0))
        if name in self.broken:
            raise ToolFailed("out of order")
        self.ran.append((name, given))

    async def find_order(self, order_id: str) -> Found | NotFound | None:
        """The status of an order."""
        await self._pass("find_order", order_id)
        if order_id == "V7429":
            return NotFound({"order_id": ["B7429"]})
        return Found(status="delayed") if order_id == "B7429" else None

    async def find_account(self, phone: str) -> Found | None:
        """The last bill of an account."""
        await self._pass("find_account", phone)
        return Found(status="paid")

    async def book_visit(
        self, day: date, people: int = 1, when: Literal["morning", "evening"] = "morning"
    ) -> Booked:
        """A technician comes.

        Args:
            day: the date on which they come
        """
        await self._pass("book_visit", day, people, when)
        return Booked(reference="V1")

    def tools(self) -> Tools:
        tools = Tools()
        tools.add(self.find_order)
        tools.add(self.find_account)
        tools.add(self.book_visit, changes_data=True)
        return tools


def mind(desk: Desk, *, flow: str = "support", **changes: object) -> Mind:
    agent: Agent = replace(
        LARKFIELD.agents["support"], tools=("find_order", "find_account", "book_visit"), documents=""
    )
    agent = replace(agent, **changes)  # type: ignore[arg-type]
    tools = desk.tools()
    functions = {name: Function(tools[name].signature, tools[name].changes_data) for name in agent.tools}
    return Mind(agent, LARKFIELD.flows[flow], functions, TODAY)


def brain_of(
    model: ScriptedModel,
    desk: Desk,
    *,
    passages: Sequence[Retrieved] = (),
    budget: int = BUDGET,
    flow: str = "support",
    **changes: object,
) -> ModelBrain:
    return ModelBrain(
        mind(desk, flow=flow, **changes),
        model,
        ToolRuns(desk.tools()),
        lambda _: tuple(passages),
        budget=budget,
    )


class ModelPhone:
    """One call. ``actions`` is everything that was done, ``at`` the times of it."""

    def __init__(self, brain: Brain, *, agent: str = "support") -> None:
        self.brain = brain
        self.agent = agent
        self.lines: list[tuple[str, str]] = []
        self.cut: set[int] = set()
        self.slots: dict[str, SlotValue] = {}
        self.actions: list[Action] = []
        self.at: list[float] = []

    @property
    def history(self) -> History:
        call = Call(SID, "+15550142", "+15550100")
        return History(call, tuple(self.lines), dict(self.slots), cut=frozenset(self.cut))

    async def say(self, text: str, *, digits: str = "", heard: str | None = None) -> str:
        """The caller's turn, answered to its end; they hear ``heard`` of it, or all."""
        self.lines.append(("caller", text or digits))
        return await self.request(Answer(text, digits), heard=heard)

    async def greet(self) -> str:
        return await self.request(Greet())

    async def request(self, request: Request, *, heard: str | None = None) -> str:
        said: list[str] = []
        async with aclosing(self.brain.reply(request, self.history)) as actions:
            async for action in actions:
                self._keep(action, said)
        whole = " ".join(said)
        self._line(whole if heard is None else heard, cut=heard is not None)
        return whole

    async def barge_in(self, text: str, *, after: float, request: Request | None = None) -> list[str]:
        """The caller says ``text``, and cuts the answer off ``after`` so many seconds."""
        if request is None:
            self.lines.append(("caller", text))
        said: list[str] = []

        async def listen() -> None:
            async with aclosing(self.brain.reply(request or Answer(text), self.history)) as actions:
                async for action in actions:
                    self._keep(action, said)

        task = asyncio.create_task(listen())
        await asyncio.wait({task}, timeout=after)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        if said:
            self._line(" ".join(said), cut=True)
        return said

    def _line(self, text: str, *, cut: bool) -> None:
        if text or cut:
            self.lines.append((self.agent, text))
            if cut:
                self.cut.add(len(self.lines) - 1)

    def _keep(self, action: Action, said: list[str]) -> None:
        self.actions.append(action)
        self.at.append(asyncio.get_running_loop().time())
        if isinstance(action, Say):
            said.append(action.text)
        elif isinstance(action, Remember):
            self.slots[action.slot.name] = action.slot

    def done(self) -> list[Did]:
        return [action for action in self.actions if isinstance(action, Did)]

    def ended(self) -> HandOff | EndCall | None:
        found = [action for action in self.actions if isinstance(action, HandOff | EndCall)]
        return found[-1] if found else None

    def expected(self) -> Expect:
        return [action for action in self.actions if isinstance(action, Expect)][-1]

    def said_at(self, text: str) -> float:
        return next(
            at
            for at, action in zip(self.at, self.actions, strict=True)
            if isinstance(action, Say) and text in action.text
        )
