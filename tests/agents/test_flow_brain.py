"""The brain that drives the walker: barge-in at its worst moments, state, failing tools."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from callbot.agents.brain import Action, Answer, Did, Say
from callbot.agents.flow_brain import FlowBrain
from callbot.agents.flow_state import State
from callbot.agents.tools import NotFound, ToolFailed, Tools
from callbot.business import Brains
from callbot.demo.shop import Booked, OrderFound, Shop
from tests.agents.phone import TODAY, Phone

pytestmark = pytest.mark.models


class Desk:
    """The demo's shop behind a door: ``open`` lets tools finish, ``broken`` makes them fail."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        self.runs = 0
        self.broken = False

    async def _pass(self) -> None:
        self.runs += 1
        self.reached.set()
        await self.open.wait()
        if self.broken:
            raise ToolFailed("the desk is closed")

    async def book_callback(
        self, day: str, time: str, phone: str, topic: str = "", replaces: str = ""
    ) -> Booked | None:
        await self._pass()
        return await self.shop.book_callback(day, time, phone, topic, replaces)

    async def find_order(self, order_id: str) -> OrderFound | NotFound:
        await self._pass()
        return await self.shop.find_order(order_id)

    def tools(self) -> Tools:
        tools = Tools()
        tools.add(self.book_callback, changes_data=True)
        tools.add(self.find_order)
        return tools


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


@pytest.fixture
def slow(brains: Brains, desk: Desk) -> Brains:
    return Brains(replace(brains.business, tools=desk.tools()), brains.understandings)


async def cut(phone: Phone, desk: Desk, text: str) -> None:
    """The caller says ``text`` and barges in while the tool it set off is running."""

    async def listen() -> None:
        async with aclosing(phone.brain.reply(Answer(text), phone.history)) as actions:
            async for action in actions:
                phone.actions.append(action)

    task = asyncio.create_task(listen())
    await desk.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def did(actions: list[Action]) -> list[Mapping[str, Any]]:
    return [action.result for action in actions if isinstance(action, Did) and action.changed]


async def test_a_change_cut_by_a_barge_in_is_made_once_and_told_in_the_next_reply(
    slow: Brains, desk: Desk
) -> None:
    phone = Phone(slow, "support")
    await phone.play(["Call me Monday at nine please.", "yes"])
    await cut(phone, desk, "Yes.")
    assert not did(phone.actions)
    desk.open.set()
    answer = await phone.say("Okay.")
    assert "That's booked" in answer
    assert desk.runs == 1
    assert len(desk.shop.bookings) == 1
    assert len(did(phone.actions)) == 1


async def test_a_question_asked_while_the_tool_ran_is_answered_after_the_result(
    slow: Brains, desk: Desk
) -> None:
    phone = Phone(slow, "support")
    await phone.play(["Call me Monday at nine please.", "yes"])
    await cut(phone, desk, "Yes.")
    desk.open.set()
    answer = await phone.say("And how long is the warranty?")
    assert answer.index("That's booked") < answer.index("two-year warranty")


async def test_a_correction_made_while_the_tool_ran_changes_the_booking_that_it_made(
    slow: Brains, desk: Desk
) -> None:
    phone = Phone(slow, "support")
    await phone.play(["Call me Monday at nine please.", "yes"])
    await cut(phone, desk, "Yes.")
    desk.open.set()
    answer = await phone.say("No wait, I meant Tuesday.")
    assert answer.endswith("All right, on Tuesday, November 24. Is that correct?")
    await phone.say("Yes.")
    assert [booking["day"] for booking in desk.shop.bookings.values()] == ["2026-11-24"]


async def test_a_reply_that_nobody_heard_is_forgotten(brains: Brains) -> None:
    phone = Phone(brains, "support")
    await phone.greet()
    await phone.say("Call me back.")
    before = phone.brain.state.to_json()
    await phone.say("On Monday")
    phone.brain.forget()
    assert phone.brain.state.to_json() == before
    assert "9 am" in await phone.say("On Monday at nine, on 555 0163.")


async def test_a_forgotten_reply_does_not_undo_a_change_nor_make_it_twice(brains: Brains, shop: Shop) -> None:
    phone = Phone(brains, "support")
    await phone.play(["Call me Monday at nine please.", "yes", "yes"])
    phone.brain.forget()
    assert "That's booked" in await phone.say("Yes please.")
    assert len(shop.bookings) == 1


async def test_a_cut_look_up_is_made_again_with_what_the_caller_corrected(slow: Brains, desk: Desk) -> None:
    phone = Phone(slow, "support")
    await phone.greet()
    await cut(phone, desk, "Where is order B7429?")
    desk.open.set()
    assert "delayed" in await phone.say("Sorry, K1836.")


async def test_a_tool_that_fails_is_admitted_and_a_person_offered(slow: Brains, desk: Desk) -> None:
    desk.open.set()
    desk.broken = True
    phone = Phone(slow, "support")
    await phone.play(["Where is order B7429?"])
    assert [text for who, text in phone.lines if who == "support"][-2:] == [
        "I'm sorry, I can't reach our records right now.",
        "Shall I have a colleague call you back?",
    ]


async def test_finish_waits_for_a_change_that_a_hang_up_left_running(slow: Brains, desk: Desk) -> None:
    phone = Phone(slow, "support")
    await phone.play(["Call me Monday at nine please.", "yes"])
    await cut(phone, desk, "Yes.")
    desk.open.set()
    await phone.brain.finish()
    assert len(desk.shop.bookings) == 1


async def test_a_call_is_carried_on_elsewhere_from_its_state_as_json(brains: Brains) -> None:
    phone = Phone(brains, "support")
    await phone.play(["Call me Monday please.", "do you deliver on Saturdays?"])
    stored = json.dumps(phone.brain.state.to_json())
    fresh = brains.brain("support", today=TODAY)
    assert isinstance(fresh, FlowBrain)
    fresh.state = State.from_json(json.loads(stored))
    assert fresh.state == phone.brain.state
    said = [
        action.text
        async for action in fresh.reply(Answer("at ten"), phone.history)
        if isinstance(action, Say)
    ]
    assert said == ["Shall we call you on 555-0142?"]


async def test_the_same_words_lead_to_the_same_actions(brains: Brains) -> None:
    first, second = Phone(brains, "technical"), Phone(brains, "technical")
    lines = ["My internet is down", "red", "no", "what are your hours?", "no", "Friday", "no"]
    await first.play(lines)
    await second.play(lines)
    assert first.actions == second.actions


async def test_days_are_counted_from_the_businesss_today(brains: Brains) -> None:
    phone = Phone(brains, "support")
    phone._made["support"] = brains.brain("support", today=date(2026, 12, 24))
    await phone.play(["Call me tomorrow at ten please."])
    assert phone.slots["day"].value == "2026-12-25"
