"""The help desk: a company whose agents think with a model, its tools, and the model itself, a table."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, TypedDict

from callbot.agents.tools import Tools
from tests.doubles.openai_chat_wire import Answer, Call, count

COMPANY: Final = Path(__file__).parent


class Found(TypedDict):
    status: str
    notes: str


class Booked(TypedDict):
    reference: str


class Desk:
    """What an agent can do. ``seconds`` each run takes, by tool; ``ran`` is what has run to its end."""

    def __init__(self, *, notes: str = "", **seconds: float) -> None:
        self.ran: list[str] = []
        self.begun: list[str] = []
        self._notes = notes
        self._seconds = seconds

    async def find_order(self, order_id: str) -> Found | None:
        """The status of an order."""
        await self._take(f"find_order {order_id}")
        return Found(status="delayed", notes=self._notes)

    async def book_visit(self, day: date) -> Booked | None:
        """A technician comes."""
        await self._take(f"book_visit {day}")
        return Booked(reference="V1")

    async def _take(self, what: str) -> None:
        self.begun.append(what)
        await asyncio.sleep(self._seconds.get(what.partition(" ")[0], 0.0))
        self.ran.append(what)

    def tools(self) -> Tools:
        tools = Tools()
        tools.add(self.find_order)
        tools.add(self.book_visit, changes_data=True)
        return tools


class Question:
    """What a model was asked: who it is, the caller's last words, and what its tools have returned since."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        messages: Sequence[Mapping[str, Any]] = request["messages"]
        self.messages = messages
        self._tools = request.get("tools")
        self.agent = "sales" if "You are Tom" in str(messages[0]["content"]) else "support"
        last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=0)
        self.words = str(messages[last]["content"]).lower()
        self.results = [str(message["content"]) for message in messages[last:] if message["role"] == "tool"]

    @property
    def tokens(self) -> int:
        """As the double counts them against its context."""
        return count(json.dumps([self.messages[:1], self._tools, self.messages[1:]]))

    @property
    def text(self) -> str:
        """All that was told, for a test to look for words in."""
        return "\n".join(str(message["content"]) for message in self.messages)


Model = Callable[[Question], Answer]


def thinks(model: Model, asked: list[Question]) -> Callable[[dict[str, Any]], Answer]:
    """``model`` as the double wants it; ``asked`` remembers the questions."""

    def think(request: dict[str, Any]) -> Answer:
        question = Question(request)
        asked.append(question)
        return model(question)

    return think


def hand_over(to: str, *, first: str = "", reason: str = "you would like a price") -> Answer:
    """Give the call away, after these words."""
    return Answer(text=first, calls=(Call("hand_over", f'{{"to": "{to}", "reason": "{reason}"}}'),))


def find_order() -> Call:
    return Call("find_order", '{"order_id": "B7429"}')


def book_visit() -> Call:
    return Call("book_visit", '{"day": "2026-11-30"}')
