"""Whole calls in text against the demo's agents, with the real embedder, real tools and real handoffs."""

import pytest

from callbot.agents.brain import (
    Answer,
    Cited,
    Did,
    EndCall,
    Expecting,
    HandOff,
    Nudge,
    OfferHuman,
    Remember,
    Say,
)
from callbot.business import Brains
from callbot.call import Disposition
from callbot.demo.shop import Shop
from tests.agents.phone import Phone

pytestmark = pytest.mark.models


async def called(brains: Brains, agent: str, *lines: str, caller: str = "+15550142") -> Phone:
    phone = Phone(brains, agent, caller=caller)
    await phone.play(lines)
    return phone


def changes(phone: Phone) -> list[Did]:
    return [action for action in phone.actions if isinstance(action, Did) and action.changed]


# --- the calls of the demo ---------------------------------------------------------------------------


async def test_an_order_is_looked_up_around_a_question_about_delivery(brains: Brains) -> None:
    phone = Phone(brains, "support")
    assert "How can I help?" in await phone.greet()
    assert await phone.say("Hi, I'd like to check my order.") == "What's your order number?"
    assert phone.expected().what is Expecting.SPELLING
    answer = await phone.say("Do you deliver on Saturdays?")
    assert "we deliver on Saturdays" in answer
    assert answer.endswith("Now, what's your order number?")
    assert [cited.passage for cited in phone.actions if isinstance(cited, Cited)] == ["delivery"]
    assert phone.expected().what is Expecting.SPELLING
    answer = await phone.say("B7429.")
    assert "Lark Mini router has been shipped" in answer
    assert "on Thursday" in answer
    await phone.say("No, that's all, thanks.")
    assert phone.ended == EndCall(Disposition.RESOLVED)


async def test_a_sale_is_corrected_before_it_is_confirmed(brains: Brains, shop: Shop) -> None:
    phone = Phone(brains, "sales")
    await phone.greet()
    answer = await phone.say("I need a router for my house.")
    assert "Lark Mesh kit at $129.00" in answer
    assert await phone.say("No thanks.") == (
        "No problem. So that's one Lark Mesh kit, $129.00 in total. Shall I place the order?"
    )
    assert not changes(phone)
    assert "two Lark Mesh kits, $258.00" in await phone.say("No, make it two of them.")
    assert phone.slots["quantity"].value == 2
    assert not changes(phone)
    assert "L1001" in await phone.say("Yes please.")
    assert [(did.tool, did.arguments["quantity"]) for did in changes(phone)] == [("place_order", "2")]
    assert shop.orders["L1001"]["product"] == "mesh"
    assert phone.slots["quantity"].confirmed


async def test_a_red_light_is_followed_to_a_technicians_visit(brains: Brains, shop: Shop) -> None:
    phone = Phone(brains, "technical")
    await phone.greet()
    assert "Which light" in await phone.say("My internet is down.")
    assert "unplug the router" in await phone.say("Uh, it's red.")
    assert await phone.say("Okay, hang on.") == "Take your time, I'm here."
    assert "cable" in await phone.say("Still red.")
    assert "Which day" in await phone.say("I pushed it in, still nothing.")
    assert "Tuesday, November 24" in await phone.say("Tuesday.")
    assert "booked" in await phone.say("Yes please.")
    assert phone.tried == {
        "unplugged the router": "did not help",
        "checked the cable": "did not help",
    }
    assert [booking["day"] for booking in shop.bookings.values()] == ["2026-11-24"]
    await phone.say("No thank you, goodbye.")
    assert phone.ended == EndCall(Disposition.RESOLVED)


async def test_a_callback_is_moved_from_monday_to_tuesday_and_only_the_day_is_read_back(
    brains: Brains, shop: Shop
) -> None:
    phone = Phone(brains, "support")
    await phone.greet()
    assert await phone.say("Can you call me back?") == "Which day suits you?"
    assert await phone.say("Monday at three.") == "Shall we call you on 555-0142?"
    assert "Monday, November 23 at 3 pm" in await phone.say("Yes.")
    answer = await phone.say("No, I meant Tuesday.")
    assert answer == "All right, on Tuesday, November 24. Is that correct?"
    assert phone.slots["day"].value == "2026-11-24"
    assert not shop.bookings
    assert "booked" in await phone.say("Yes, that's right.")
    assert list(shop.bookings.values()) == [
        {"day": "2026-11-24", "time": "15:00", "phone": "+15550142", "topic": ""}
    ]


async def test_a_callback_is_arranged_in_spanish(brains: Brains, shop: Shop) -> None:
    phone = Phone(brains, "recepcion")
    assert "Lucía" in await phone.greet()
    assert await phone.say("Hola, tengo un problema con mi factura.") == (
        "De eso se ocupa un compañero, y le llama cuando usted quiera. ¿Qué día le viene bien?"
    )
    answer = await phone.say("¿A qué hora abren?")
    assert "de ocho a ocho" in answer
    assert answer.endswith("Y ahora, ¿qué día le viene bien?")
    assert await phone.say("El lunes a las cuatro de la tarde.") == "¿Le llamamos al 555-0142?"
    assert "el lunes 23 de noviembre a las 4:00 de la tarde" in await phone.say("Sí.")
    assert await phone.say("No, mejor el martes.") == ("De acuerdo, el martes 24 de noviembre. ¿Es correcto?")
    assert "Queda anotado" in await phone.say("Sí, correcto.")
    (booking,) = shop.bookings.values()
    assert (booking["day"], booking["time"]) == ("2026-11-24", "16:00")
    assert "factura" in booking["topic"]
    await phone.say("No, gracias, adiós.")
    assert phone.ended == EndCall(Disposition.RESOLVED)


async def test_a_caller_is_handed_on_twice_and_asked_nothing_twice(brains: Brains, shop: Shop) -> None:
    phone = Phone(brains, "support")
    await phone.greet()
    answer = await phone.say("I'd like to buy a Mesh kit for my house.")
    assert phone.agents == ["support", "sales"]
    assert "Hi, this is Sam in sales. I hear you'd like the Mesh kit for your house." in answer
    assert "$129.00" in answer
    assert not phone.asked("what's your home like")
    await phone.say("Yes, it's sam at example dot com.")
    await phone.say("Yes, place the order.")
    assert shop.orders["L1001"]["email"] == "sam@example.com"
    answer = await phone.say("Actually, my internet is down as well, there's a red light.")
    assert phone.agents == ["support", "sales", "technical"]
    assert "I hear your internet is not working." in answer
    assert "unplug the router" in answer
    assert not phone.asked("which light")
    assert "cable" in await phone.say("No, it's still red.")
    assert "glad" in await phone.say("It works now.")
    assert phone.tried == {"unplugged the router": "did not help", "checked the cable": "worked"}
    await phone.say("Goodbye.")
    assert phone.ended == EndCall(Disposition.RESOLVED)
    hand_offs = [action for action in phone.actions if isinstance(action, HandOff)]
    assert [hand_off.pending for hand_off in hand_offs] == [
        "I'd like to buy a Mesh kit for my house.",
        "Actually, my internet is down as well, there's a red light.",
    ]


# --- slots ---------------------------------------------------------------------------------------------


async def test_what_the_first_sentence_already_says_is_never_asked(brains: Brains) -> None:
    phone = await called(brains, "support", "I'd like to check order K1836.")
    assert not phone.asked("order number?")
    assert phone.asked("is delayed") == 1


async def test_all_slots_in_one_sentence_are_taken(brains: Brains) -> None:
    phone = await called(brains, "support", "Can someone call me Tuesday at four on 555 0177?")
    assert {name: slot.value for name, slot in phone.slots.items()} == {
        "day": "2026-11-24",
        "time": "16:00",
        "phone": "+15550177",
    }
    assert phone.asked("Is that right?") == 1


async def test_reasks_first_say_what_was_missing_then_offer_the_keypad_then_a_person(brains: Brains) -> None:
    phone = await called(brains, "support", "Where's my order?")
    assert "three digits" in await phone.say("seven four two")
    assert "keypad" in await phone.say("um no idea")
    answer = await phone.say("no clue")
    assert answer.endswith("Shall I have a colleague call you back?")
    assert await phone.say("Yes.") == "Which day suits you?"


async def test_an_order_number_is_given_in_two_halves_the_second_by_keypad(brains: Brains) -> None:
    phone = await called(brains, "support", "Where's my order?", "I have B")
    assert "Lark Mini" in await phone.say("", digits="7429")


async def test_a_number_that_no_order_has_is_asked_for_again(brains: Brains) -> None:
    phone = await called(brains, "support", "Where is order Z9999?")
    answer = phone.lines[-1][1]
    assert "order number" in answer
    assert phone.asked("I can't find an order with the number") == 1
    assert "delayed" in await phone.say("K1836.")


async def test_a_value_outside_its_limits_is_refused_with_the_reason(brains: Brains) -> None:
    phone = await called(brains, "support", "Please call me back.")
    assert await phone.say("On Sunday.") == "We're closed on Sundays. Which day suits you?"
    assert "day" not in phone.slots


async def test_another_number_than_the_callers_own_can_be_given(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", "no")
    assert phone.lines[-1][1] == "Which number should we call?"
    assert "555-0163" in await phone.say("555 0163")
    assert phone.slots["time"].value == "09:00"


async def test_a_caller_without_a_number_is_asked_for_one(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", caller="anonymous")
    assert phone.lines[-1][1] == "Which number should we call?"


async def test_how_many_is_asked_only_when_several_were_hinted_at(brains: Brains) -> None:
    phone = await called(brains, "sales", "I'd like to buy some routers for gaming.")
    assert phone.lines[-1][1] == "How many would you like?"
    await phone.say("Three.")
    assert phone.slots["quantity"].value == 3


async def test_a_bill_needs_no_question_when_the_number_is_known(brains: Brains) -> None:
    phone = await called(brains, "support", "How much is my bill?")
    assert phone.asked("$62.50") == 1
    phone = await called(brains, "support", "How much is my bill?", caller="+15550177")
    assert phone.asked("$45.00 is still open") == 1


async def test_an_unknown_caller_gives_the_number_of_the_account(brains: Brains) -> None:
    phone = await called(brains, "support", "How much is my bill?", caller="+15550199")
    assert phone.lines[-1][1] == "Which phone number is the account under?"
    assert "$30.00" in await phone.say("555 0163")


# --- confirmation --------------------------------------------------------------------------------------


async def test_no_at_a_confirmation_asks_what_to_change_and_takes_its_name(
    brains: Brains, shop: Shop
) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", "yes")
    assert await phone.say("No.") == "No problem. What should I change?"
    assert await phone.say("The phone number.") == "Which number should we call?"
    assert await phone.say("555 0163") == "All right, on 555-0163. Is that correct?"
    await phone.say("Yes.")
    assert [booking["phone"] for booking in shop.bookings.values()] == ["+15550163"]


async def test_a_question_at_a_confirmation_is_answered_and_the_confirmation_asked_again(
    brains: Brains, shop: Shop
) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", "yes")
    answer = await phone.say("How long is the warranty?")
    assert "two-year warranty" in answer
    assert answer.endswith("Is that right?")
    assert not shop.bookings


async def test_what_was_booked_can_still_be_corrected_without_booking_twice(
    brains: Brains, shop: Shop
) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", "yes", "yes")
    assert len(shop.bookings) == 1
    assert await phone.say("No wait, make it ten.") == "All right, at 10 am. Is that correct?"
    await phone.say("Yes.")
    assert [booking["time"] for booking in shop.bookings.values()] == ["10:00"]


async def test_another_product_at_the_confirmation_changes_the_price(brains: Brains) -> None:
    phone = await called(brains, "sales", "I need a router for my flat.", "no")
    assert "Lark Mini router, $49.00" in phone.lines[-2][1]
    assert "Lark Pro router, $199.00" in await phone.say("No, the Pro please.")
    await phone.say("Yes.")
    assert [did.arguments["product"] for did in changes(phone)] == ["pro"]


# --- digressions, commands, and what nobody knows ------------------------------------------------------


async def test_another_wish_in_mid_task_is_served_instead(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me back.", "Actually, where is my order K1836?")
    assert phone.asked("is delayed") == 1


async def test_a_robot_says_so_and_comes_back_to_its_question(brains: Brains) -> None:
    phone = await called(brains, "support", "Where's my order?")
    answer = await phone.say("Are you a robot?")
    assert "I'm Maya, Larkfield Broadband's automated assistant." in answer
    assert answer.endswith("Now, what's your order number?")


async def test_what_nobody_knows_is_admitted_and_twice_brings_the_offer_of_a_person(brains: Brains) -> None:
    phone = await called(brains, "support")
    assert "I don't know that" in await phone.say("What's the weather like tomorrow?")
    assert (await phone.say("Can you sing me a song?")).endswith("Shall I have a colleague call you back?")


async def test_a_person_is_offered_as_a_callback(brains: Brains) -> None:
    phone = await called(brains, "technical", "I want to talk to a real person.")
    assert phone.expected().what is Expecting.YES_NO
    assert await phone.say("Yes.") == "Which day suits you?"


async def test_repeat_says_the_last_reply_again_and_keeps_the_question_open(brains: Brains) -> None:
    phone = await called(brains, "support", "Where's my order?")
    assert await phone.say("Sorry, what was that?") == "What's your order number?"
    assert phone.expected().what is Expecting.SPELLING
    assert "shipped" in await phone.say("B7429")


async def test_start_over_forgets_what_was_said(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me Monday at nine.", "Never mind, start over.")
    assert await phone.say("Call me back.") == "Which day suits you?"


async def test_an_order_number_alone_is_understood(brains: Brains) -> None:
    phone = await called(brains, "support", "C5520")
    assert phone.asked("was delivered on the second of November") == 1


async def test_a_sentence_with_an_order_number_is_about_that_order(brains: Brains) -> None:
    phone = await called(brains, "support", "Can you see when C5520 was delivered?")
    assert phone.asked("was delivered on the second of November") == 1


async def test_a_colour_alone_is_understood_by_the_technician(brains: Brains) -> None:
    phone = await called(brains, "technical", "What does a red light mean?")
    assert phone.asked("no light means no power") == 1
    assert "unplug" in await phone.say("Well, orange.")


async def test_a_step_that_was_tried_is_not_proposed_again(brains: Brains) -> None:
    phone = await called(brains, "technical", "My internet is down.", "red", "no", "no", "Monday", "no")
    await phone.say("Cancel that.")
    answer = await phone.say("There's a red light on my router.")
    assert "unplug" not in answer
    assert "cable" not in answer
    assert phone.asked("unplug the router") == 1


async def test_slow_with_a_green_light_leads_to_sales_with_the_mesh_kit(brains: Brains) -> None:
    phone = await called(brains, "technical", "The wifi is slow.", "It's green.", "Not really.")
    answer = await phone.say("Yes.")
    assert phone.agents == ["technical", "sales"]
    assert "$129.00" in answer


# --- silence, and being passed round -------------------------------------------------------------------


async def test_silence_repeats_the_open_question_and_then_abandons_the_call(brains: Brains) -> None:
    phone = await called(brains, "support", "Where's my order?")
    assert await phone.request(Nudge(1)) == "Are you still there? What's your order number?"
    assert (await phone.request(Nudge(2))).endswith("What's your order number?")
    assert phone.expected().what is Expecting.SPELLING
    await phone.request(Nudge(3))
    assert phone.ended == EndCall(Disposition.ABANDONED)


async def test_silence_after_something_was_done_is_a_resolved_call(brains: Brains) -> None:
    phone = await called(brains, "support", "Where is order B7429?")
    await phone.request(Nudge(3))
    assert phone.ended == EndCall(Disposition.RESOLVED)


async def test_who_was_passed_round_too_often_is_offered_a_callback(brains: Brains) -> None:
    phone = await called(brains, "support", "My internet is down.")
    answer = await phone.request(OfferHuman("the third switch in a row"))
    assert answer == "I'd rather not pass you round again. Shall I have a colleague call you back?"
    assert await phone.say("Yes.") == "Which day suits you?"


async def test_for_whom_there_is_no_answer_a_callback_is_offered(brains: Brains) -> None:
    phone = await called(brains, "support", "My internet is down.")
    answer = await phone.request(OfferHuman("there is no answer", broken=True))
    assert answer.startswith("I'm sorry, I can't get to the end of this right now.")
    assert await phone.say("Yes.") == "Which day suits you?"


async def test_who_is_not_heard_is_offered_a_callback_and_answers_with_keys(brains: Brains) -> None:
    phone = await called(brains, "support")
    answer = await phone.request(OfferHuman("you could not be heard", deaf=True))
    assert answer.startswith("I'm sorry, I can't hear you on this line. Please answer with the keys")
    assert answer.endswith("Shall I have a colleague call you back?")
    assert await phone.request(Answer("", "1")) == "Which day suits you?"


# --- what is said --------------------------------------------------------------------------------------


async def test_only_sentences_without_call_data_are_fixed(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", "yes", "yes")
    fixed = {action.text: action.fixed for action in phone.actions if isinstance(action, Say)}
    assert fixed["Is that right?"]
    assert fixed["Larkfield Broadband, this is Maya."]
    assert not fixed["Shall we call you on 555-0142?"]


async def test_every_reply_ends_with_what_it_expects_or_with_the_end(brains: Brains) -> None:
    from callbot.agents.brain import Expect

    phone = Phone(brains, "support")
    await phone.greet()
    for line in ("Where's my order?", "do you deliver on Saturdays", "B7429", "thanks", "bye"):
        await phone.say(line)
        assert isinstance(phone.actions[-1], Expect | EndCall)


async def test_slots_say_where_they_came_from(brains: Brains) -> None:
    phone = await called(brains, "support", "Call me Monday at nine please.", "yes")
    remembered = {a.slot.name: a.slot.said_by for a in phone.actions if isinstance(a, Remember)}
    assert remembered == {"day": "caller", "time": "caller", "phone": "carrier"}
