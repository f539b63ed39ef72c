"""A call in text: plays a caller's lines against a business, with slots and handoffs as a call has them."""

from collections.abc import Iterable
from contextlib import aclosing
from datetime import date

from callbot.agents.brain import (
    Action,
    Answer,
    EndCall,
    Expect,
    Greet,
    HandOff,
    History,
    Remember,
    Request,
    Say,
    TakeOver,
    Tried,
)
from callbot.agents.flow_brain import FlowBrain
from callbot.business import Brains
from callbot.call import Call
from callbot.routing.handoff import ContextPacket, SlotValue

TODAY = date(2026, 11, 20)
"""A Friday."""


class Phone:
    """One call. ``lines`` is the transcript, ``actions`` everything the agents did."""

    def __init__(self, brains: Brains, agent: str, *, caller: str = "+15550142", sid: str = "CA1") -> None:
        self.call = Call(sid, caller, "+15550100")
        self.agent = agent
        self.agents = [agent]
        self.lines: list[tuple[str, str]] = []
        self.actions: list[Action] = []
        self.slots: dict[str, SlotValue] = {}
        self.tried: dict[str, str] = {}
        self.ended: EndCall | None = None
        self._brains = brains
        self._made: dict[str, FlowBrain] = {}

    @property
    def brain(self) -> FlowBrain:
        if self.agent not in self._made:
            self._made[self.agent] = self._brains.brain(self.agent, today=TODAY)
        return self._made[self.agent]

    @property
    def history(self) -> History:
        return History(self.call, tuple(self.lines), dict(self.slots), tuple(self.tried.items()))

    async def greet(self) -> str:
        return await self.request(Greet())

    async def say(self, text: str, *, digits: str = "") -> str:
        """The caller's turn; what was answered, by all agents that answered."""
        self.lines.append(("caller", text or digits))
        return await self.request(Answer(text, digits))

    async def play(self, lines: Iterable[str]) -> None:
        await self.greet()
        for line in lines:
            await self.say(line)

    async def request(self, request: Request) -> str:
        said: list[str] = []
        hand_off: HandOff | None = None
        async with aclosing(self.brain.reply(request, self.history)) as actions:
            async for action in actions:
                self.actions.append(action)
                match action:
                    case Say(text):
                        said.append(text)
                        self.lines.append((self.agent, text))
                    case Remember(slot):
                        self.slots[slot.name] = slot
                    case Tried(step, outcome):
                        self.tried[step] = outcome
                    case HandOff():
                        hand_off = action
                    case EndCall():
                        self.ended = action
        if hand_off:
            said.append(await self._hand_off(hand_off))
        return " ".join(said)

    async def _hand_off(self, hand_off: HandOff) -> str:
        packet = ContextPacket(
            from_agent=self.agent,
            to_agent=hand_off.to,
            reason=hand_off.reason,
            pending=hand_off.pending,
            slots=dict(self.slots),
            tried=tuple(self.tried.items()),
            transcript=tuple(self.lines),
        )
        self.agent = hand_off.to
        self.agents.append(hand_off.to)
        return await self.request(TakeOver(packet))

    def done(self, kind: type) -> list[Action]:
        return [action for action in self.actions if isinstance(action, kind)]

    def expected(self) -> Expect:
        return [action for action in self.actions if isinstance(action, Expect)][-1]

    def asked(self, question: str) -> int:
        """How often an agent said a sentence that contains ``question``."""
        return sum(question.lower() in text.lower() for who, text in self.lines if who != "caller")
