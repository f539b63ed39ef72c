"""A yes and what is said with it: its tail, a question, a change; and a change that was told to nobody."""

import pytest

from callbot.agents.brain import Cited, Did, EndCall
from callbot.business import Brains
from callbot.demo.shop import Shop
from tests.agents.phone import Phone

pytestmark = pytest.mark.models

SALE = ("I need a router for my house.", "no thanks")
CALLBACK = ("Call me Monday at nine please.", "yes")


async def called(brains: Brains, agent: str, *lines: str) -> Phone:
    phone = Phone(brains, agent)
    await phone.play(lines)
    return phone


# --- a yes and its tail -------------------------------------------------------------------------------

TAILS = [
    "Yes. Please place the order.",
    "Yes, that's right.",
    "Yes. That's right, go ahead.",
    "Yes please. Thank you.",
    "Yes, could you place the order please?",
    "Yes, I'd like that.",
    "Yes, I want to order it.",
    "Yes. Can I get the order please?",
]


@pytest.mark.parametrize("text", TAILS)
async def test_a_yes_with_its_tail_is_the_yes_and_nothing_else(brains: Brains, shop: Shop, text: str) -> None:
    phone = await called(brains, "sales", *SALE)
    assert await phone.say(text) == (
        "Your order is placed. The order number is L1001. Is there anything else?"
    )
    assert phone.agents == ["sales"]


@pytest.mark.parametrize("text", ["Sí. Por favor.", "Sí, correcto. Muchas gracias.", "Sí, así es. Adelante."])
async def test_a_spanish_yes_with_its_tail_is_the_yes(brains: Brains, shop: Shop, text: str) -> None:
    phone = await called(brains, "recepcion", "Llámenme el lunes a las cuatro de la tarde.", "sí")
    assert (await phone.say(text)).startswith("Queda anotado")
    assert len(shop.bookings) == 1


# --- a yes and a question -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Yes. And when will it arrive?",
        "Yes please, and do you deliver on Saturdays?",
        "Yes. Please place the order. And when will it arrive?",
    ],
)
async def test_a_yes_with_a_question_is_acted_upon_and_the_question_answered(
    brains: Brains, shop: Shop, text: str
) -> None:
    phone = await called(brains, "sales", *SALE)
    answer = await phone.say(text)
    assert answer.index("The order number is L1001.") < answer.index("Delivery takes two working days")
    assert answer.count("Shall I place the order?") == 0
    assert answer.count("anything else") == 1
    assert [cited.passage for cited in phone.actions if isinstance(cited, Cited)] == ["delivery"]
    assert phone.agents == ["sales"]


async def test_a_spanish_yes_with_a_question_gets_both(brains: Brains, shop: Shop) -> None:
    phone = await called(brains, "recepcion", "Llámenme el lunes a las cuatro de la tarde.", "sí")
    answer = await phone.say("Sí. ¿Y a qué hora abren?")
    assert answer.index("Queda anotado") < answer.index("de ocho a ocho")


@pytest.mark.parametrize(
    "text",
    ["Okay, and when will it arrive?", "Yes, but when will it arrive?", "Right, how long is the warranty?"],
)
async def test_a_question_that_is_led_in_by_no_clear_yes_changes_nothing(
    brains: Brains, shop: Shop, text: str
) -> None:
    phone = await called(brains, "sales", *SALE)
    assert (await phone.say(text)).endswith("Shall I place the order?")
    assert "L1001" not in shop.orders


async def test_a_change_after_a_yes_is_read_back_first(brains: Brains, shop: Shop) -> None:
    phone = await called(brains, "support", *CALLBACK)
    assert await phone.say("Yes. Can you make it Tuesday?") == (
        "All right, on Tuesday, November 24. Is that correct?"
    )
    assert not shop.bookings


async def test_a_step_that_worked_and_a_question_get_both(brains: Brains) -> None:
    phone = await called(brains, "technical", "There's a red light on my router.")
    answer = await phone.say("Yes. And how long is the warranty?")
    assert answer.index("glad that helped") < answer.index("two-year warranty")


async def test_an_offer_taken_with_a_question_gets_both(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.")
    answer = await phone.say("Yes. And how long is the warranty?")
    assert phone.slots["phone"].value == "+15550142"
    assert "two-year warranty" in answer
    assert answer.endswith("Is that right?")


async def test_the_same_wish_as_a_question_is_part_of_the_yes(brains: Brains, shop: Shop) -> None:
    phone = await called(brains, "technical", "My internet is down.", "red", "no", "no", "Tuesday")
    assert "That's booked" in await phone.say("Yes. Can you send a technician?")
    assert len(shop.bookings) == 1


async def test_a_wish_that_another_agent_serves_is_handed_on_after_the_yes(brains: Brains) -> None:
    phone = await called(brains, "sales", *SALE)
    answer = await phone.say("Yes. And where is my other order?")
    assert answer.index("L1001") < answer.index("What's your order number?")
    assert phone.agents == ["sales", "support"]


async def test_a_question_nobody_can_answer_after_a_yes_is_admitted(brains: Brains) -> None:
    phone = await called(brains, "sales", *SALE)
    answer = await phone.say("Yes. And can you sing a song about a volcano?")
    assert answer.index("L1001") < answer.index("I'm afraid I don't know that.")


# --- a change that was told to nobody ------------------------------------------------------------------


async def forgotten(brains: Brains, *lines: str) -> Phone:
    """A call whose last reply, which made a change, nobody heard."""
    phone = await called(brains, "sales", *SALE, *lines)
    assert [did for did in phone.actions if isinstance(did, Did) and did.changed]
    phone.brain.forget()
    return phone


@pytest.mark.parametrize("text", ["Yes.", *TAILS, "Yeah. Please place the order.", "Yes. Thanks."])
async def test_the_words_that_made_the_change_and_their_tail_only_hear_its_result(
    brains: Brains, shop: Shop, text: str
) -> None:
    phone = await forgotten(brains, "Yes.")
    assert await phone.say(text) == (
        "Your order is placed. The order number is L1001. Is there anything else?"
    )
    assert "L1002" not in shop.orders
    assert phone.agents == ["sales"]


async def test_words_that_made_a_change_twice_forgotten_are_told_once_more(
    brains: Brains, shop: Shop
) -> None:
    phone = await forgotten(brains, "Yes.")
    await phone.say("Yes. Please place the order.")
    phone.brain.forget()
    answer = await phone.say("Yes. Please place the order. And when will it arrive?")
    assert answer.index("L1001") < answer.index("Delivery takes two working days")
    assert "L1002" not in shop.orders


async def test_only_what_follows_the_words_that_made_the_change_is_new(brains: Brains, shop: Shop) -> None:
    phone = await forgotten(brains, "Yes, place the order.")
    answer = await phone.say("Yes, place the order. And when will it arrive?")
    assert answer.index("L1001") < answer.index("Delivery takes two working days")
    assert phone.agents == ["sales"]


async def test_a_question_said_with_the_change_is_answered_after_a_forgotten_reply_too(
    brains: Brains, shop: Shop
) -> None:
    phone = await forgotten(brains, "Yes. And when will it arrive?")
    answer = await phone.say("Yes. And when will it arrive?")
    assert answer.index("L1001") < answer.index("Delivery takes two working days")
    assert "L1002" not in shop.orders


async def test_a_correction_after_the_words_that_made_the_change_replaces_it(
    brains: Brains, shop: Shop
) -> None:
    phone = await forgotten(brains, "Yes.")
    assert "two Lark Mesh kits" in await phone.say("Yes. No wait, make it two of them.")
    await phone.say("Yes.")
    assert [order["quantity"] for name, order in shop.orders.items() if name.startswith("L")] == [2]


async def test_a_goodbye_after_the_words_that_made_the_change_ends_the_call(
    brains: Brains, shop: Shop
) -> None:
    phone = await forgotten(brains, "Yes.")
    answer = await phone.say("Yes. That's all, goodbye.")
    assert "L1001" in answer
    assert isinstance(phone.ended, EndCall)


async def test_another_slot_changed_with_the_answer_does_not_lose_the_answer(brains: Brains) -> None:
    phone = await called(brains, "sales", "I need a router for my house.", "yes")
    answer = await phone.say("sam@example.com, and make it two of them.")
    assert "two Lark Mesh kits, $258.00" in answer
    assert answer.endswith("Shall I place the order?")
