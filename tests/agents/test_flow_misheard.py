"""Identifiers that the recogniser got almost right: a letter that sounds like another, or none at all."""

from dataclasses import replace

import pytest

from callbot.agents.brain import Did, Expecting, Remember
from callbot.agents.flow_state import State
from callbot.agents.tools import NotFound, Tools
from callbot.business import Brains
from callbot.demo.shop import OrderFound, Shop
from callbot.routing.handoff import SlotValue
from tests.agents.phone import Phone

pytestmark = pytest.mark.models


async def called(brains: Brains, *lines: str, agent: str = "support", caller: str = "+15550142") -> Phone:
    phone = Phone(brains, agent, caller=caller)
    await phone.play(lines)
    return phone


# --- did you mean ------------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", ["V7429.", "It's D 7 4 2 9", "Where is order E7429?"])
async def test_an_id_that_sounds_like_a_known_one_is_asked_about_and_a_yes_corrects_it(
    brains: Brains, heard: str
) -> None:
    phone = await called(brains)
    if not heard.startswith("Where"):
        await phone.say("Where is my order?")
    assert await phone.say(heard) == "Did you mean B7429?"
    assert phone.expected().what is Expecting.YES_NO
    assert "Lark Mini router has been shipped" in await phone.say("Yes.")
    assert phone.slots["order_id"] == SlotValue(
        "order_id", "B7429", "caller", confirmed=True, turn=phone.brain.state.turn
    )
    assert not phone.asked("can't find")


async def test_nothing_of_the_order_is_said_or_looked_up_before_the_yes(brains: Brains) -> None:
    phone = await called(brains, "Where is order D5520?")
    assert phone.lines[-1][1] == "Did you mean C5520?"
    assert [did.result for did in phone.actions if isinstance(did, Did)] == [{}]
    assert {a.slot.value for a in phone.actions if isinstance(a, Remember)} == {"D5520"}
    assert not phone.asked("Lark") - phone.asked("Larkfield")


async def test_a_no_asks_for_the_number_again_and_does_not_suggest_the_same_twice(brains: Brains) -> None:
    phone = await called(brains, "Where is order V7429?")
    answer = await phone.say("No.")
    assert answer.startswith("I can't find an order with the number V 7 4 2 9.")
    assert answer.endswith("What's your order number?")
    assert "Did you mean" not in await phone.say("D 7 4 2 9")
    assert "delayed" in await phone.say("K1836")


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        ("B7429.", "has been shipped"),
        ("Yes, V7429.", "has been shipped"),
        ("Yes, that's right.", "has been shipped"),
        ("No, K1836.", "is delayed"),
        ("V7429.", "Did you mean B7429?"),
        ("D7429.", "Did you mean B7429?"),
    ],
)
async def test_the_question_may_be_answered_with_the_number_itself(
    brains: Brains, answer: str, then: str
) -> None:
    phone = await called(brains, "Where is order V7429?")
    assert then in await phone.say(answer)


async def test_a_letter_alone_after_a_no_corrects_the_letter(brains: Brains, shop: Shop) -> None:
    shop.orders["X7429"] = shop.orders["K1836"]
    phone = await called(brains, "Where is order V7429?")
    assert "delayed" in await phone.say("No, X as in x-ray.")


async def test_a_question_in_between_is_answered_and_the_suggestion_asked_again(brains: Brains) -> None:
    phone = await called(brains, "Where is order V7429?")
    answer = await phone.say("How long is the warranty?")
    assert "two-year warranty" in answer
    assert answer.endswith("Now, did you mean B7429?")
    assert "shipped" in await phone.say("Yes.")


async def test_a_yes_with_a_question_looks_the_order_up_and_then_answers(brains: Brains) -> None:
    phone = await called(brains, "Where is order V7429?")
    answer = await phone.say("Yes. And how long is the warranty?")
    assert answer.index("shipped") < answer.index("two-year warranty")


async def test_two_ids_that_sound_alike_suggest_nothing(brains: Brains, shop: Shop) -> None:
    shop.orders["D7429"] = shop.orders["K1836"]
    phone = await called(brains, "Where is order V7429?")
    assert phone.asked("Did you mean") == 0
    assert phone.asked("I can't find an order with the number") == 1


async def test_an_id_that_sounds_like_none_suggests_nothing(brains: Brains) -> None:
    phone = await called(brains, "Where is order M7429?", "Where is order B7428?")
    assert phone.asked("Did you mean") == 0


async def test_the_suggestion_survives_the_calls_move_to_another_process(brains: Brains) -> None:
    phone = await called(brains, "Where is order V7429?")
    phone.brain.state = State.from_json(phone.brain.state.to_json())
    assert "shipped" in await phone.say("Yes.")


async def test_any_tool_can_suggest_for_any_of_its_arguments(brains: Brains) -> None:
    async def find_order(order_id: str) -> OrderFound | NotFound:
        if order_id == "Z0001":
            return OrderFound(order_id=order_id, product="lamp", status="delayed", when="May")
        return NotFound({"order_id": ("Z0001",)})

    async def book_callback(
        day: str, time: str, phone: str, topic: str = "", replaces: str = ""
    ) -> OrderFound:
        raise AssertionError

    tools = Tools()
    tools.add(find_order)
    tools.add(book_callback, changes_data=True)
    phone = await called(
        Brains(replace(brains.business, tools=tools), brains.understandings), "Where is order A1111?"
    )
    assert phone.lines[-1][1] == "Did you mean Z0001?"
    assert "your lamp is delayed" in await phone.say("Yes")


# --- the digits without their letter ------------------------------------------------------------------


@pytest.mark.parametrize(
    "letter", ["B.", "B, as in bravo.", "bravo", "It's B.", "bee", "The letter is B, B for boy", "B7429"]
)
async def test_digits_are_kept_until_their_letter_comes(brains: Brains, letter: str) -> None:
    phone = await called(brains, "Where is my order?")
    assert "7 4 2 9, but not the letter" in await phone.say("7 4 2 9")
    assert "shipped" in await phone.say(letter)
    assert phone.slots["order_id"].value == "B7429"


async def test_digits_typed_are_kept_until_their_letter_comes(brains: Brains) -> None:
    phone = await called(brains, "Where is my order?")
    assert "but not the letter" in await phone.say("", digits="7429")
    assert "shipped" in await phone.say("B as in bravo")


@pytest.mark.parametrize("digits", ["3 7 4 2 9", "37429"])
async def test_a_digit_that_sounds_like_a_letter_is_taken_for_one_not_understood(
    brains: Brains, digits: str
) -> None:
    phone = await called(brains, "Where is my order?")
    assert "I got the digits 7 4 2 9, but not the letter" in await phone.say(digits)
    assert "shipped" in await phone.say("B.")


@pytest.mark.parametrize("words", ["You see.", "I don't know.", "Are you there?"])
async def test_words_that_sound_like_letters_complete_nothing(brains: Brains, words: str) -> None:
    phone = await called(brains, "Where is my order?", "7 4 2 9")
    await phone.say(words)
    assert "order_id" not in phone.slots
    assert "shipped" in await phone.say("B as in bravo.")


# --- an identifier alone ------------------------------------------------------------------------------


async def test_a_misheard_order_number_alone_begins_its_task(brains: Brains) -> None:
    phone = await called(brains, "V7429.")
    assert phone.lines[-1][1] == "Did you mean B7429?"


@pytest.mark.parametrize(
    "number", ["555 0177", "555-0177.", "My number is 555 0177.", "five five five oh one seven seven"]
)
async def test_a_phone_number_alone_is_about_the_bill_of_that_number(brains: Brains, number: str) -> None:
    phone = await called(brains, number)
    assert phone.asked("$45.00 is still open") == 1


async def test_a_phone_number_with_a_wish_is_about_the_wish(brains: Brains, shop: Shop) -> None:
    phone = await called(brains, "Please call me on Monday at nine on 555 0163.")
    assert phone.asked("Is that right?") == 1
    assert phone.asked("bill") == 0


async def test_the_bill_of_a_number_that_is_named_is_that_numbers(brains: Brains) -> None:
    phone = await called(brains, "What's the bill for 555 0177?")
    assert phone.asked("$45.00 is still open") == 1


# --- no light -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "light", ["No light.", "No lights on my router.", "Uh, no light at all", "There's no light"]
)
async def test_no_light_is_a_light_that_is_off(brains: Brains, light: str) -> None:
    phone = await called(brains, "My internet is down.", light, agent="technical")
    assert phone.slots["light"].value == "off"
    assert phone.asked("power plug") == 1


async def test_no_light_is_understood_with_nothing_asked(brains: Brains) -> None:
    phone = await called(brains, "No lights on my router.", agent="technical")
    assert phone.asked("power plug") == 1
    assert phone.asked("which light") == 0
