"""What a flow can do that the demo's flows do not: a small business of its own."""

import pytest

from callbot.agents.brain import Cited, EndCall, Expecting, HandOff, TakeOver
from callbot.agents.tools import Tools
from callbot.business import Brains, load
from callbot.call import Disposition
from callbot.errors import InvalidState
from callbot.providers.ports import Embedder
from callbot.routing.handoff import ContextPacket, SlotValue
from tests.agents.phone import Phone

pytestmark = pytest.mark.models

BUSINESS = """\
name: Acme Garden
numbers:
  "+15550110": {name: Main, agent: desk}
"""
DOCUMENTS = """\
language: en
passages:
  parking:
    title: Parking
    text: Parking is free for two hours.
    answer: Parking is free for two hours.
    questions: ["Where can I park?", "Is there parking?"]
"""
DESK = """\
name: desk
title: Ada
role: reception
instructions: Take bookings.
greeting: Hello!
voice: hibari
documents: en
flow:
  start: listen
  can_do: tables and wishes
  human: leave_note
  take_over: ["This is {agent.title}.", "I hear {reason}."]
  slots:
    guests:
      kind: number
      about: how many guests
      ask: How many guests?
      again: Just the number, please. How many guests?
      maximum: 12
      invalid: We seat up to 12.
    seat:
      kind: choice
      about: the seat
      ask: Inside or outside?
      options: {inside: [inside, indoors], outside: [outside, garden]}
      give_up: no_table
    allergy:
      kind: text
      about: the allergy
      ask: Any allergies we should know of?
    card:
      kind: text
      about: the card's text
      optional: true
      ask: What shall we write on the card?
  intents:
    table:
      about: a table
      next: guests
      heard: ["you'd like a table for {guests}", "you'd like a table"]
      examples: [I'd like to book a table, A table for tonight please, Can we eat at your place]
    wish:
      about: a song
      in_between: digression
      next: wish
      examples: [Please play a song for us, Can the band play our song, I have a request for the band]
    directions:
      next: directions
      examples: [Tell me how to get there and end, How do I find you]
    round:
      next: round_one
      examples: [Walk me in circles forever]
  nodes:
    listen: {listen: true}
    more: {say: "Anything else?", listen: true, finished: true}
    guests: {ask: guests, next: seat}
    seat: {ask: seat, next: allergy}
    allergy: {ask: allergy, next: card}
    card: {ask: card, next: table}
    table:
      say: ["{guests} guests, {seat}.", "On the card we write {card}."]
      check: Shall we keep it?
      slots: [guests, seat, allergy, card]
      next: kept
    kept: {say: It's yours., next: more}
    no_table: {say: Then just come by., next: more}
    wish: {say: The band will play it., next: more}
    directions: {answer: "Where can I park?", next: bye, missing: bye}
    bye: {say: See you!, end: resolved}
    leave_note: {say: I'll leave a note., next: more}
    round_one: {next: round_two}
    round_two: {next: round_one}
"""


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, kept: Embedder) -> Brains:
    folder = tmp_path_factory.mktemp("garden")
    for name, text in {
        "business.yaml": BUSINESS,
        "documents/en.yaml": DOCUMENTS,
        "agents/desk.yaml": DESK,
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder, Tools()).understand(embedder, kept=kept)


async def at(garden: Brains, *lines: str) -> Phone:
    phone = Phone(garden, "desk")
    await phone.play(lines)
    return phone


async def test_a_digression_comes_back_to_the_open_question(garden: Brains) -> None:
    phone = await at(garden, "I'd like to book a table.")
    assert await phone.say("Can the band play our song?") == "The band will play it. How many guests?"
    assert await phone.say("Four.") == "Inside or outside?"


async def test_an_answer_node_answers_from_the_documents_and_an_end_node_ends(garden: Brains) -> None:
    phone = await at(garden, "How do I find you?")
    assert phone.lines[-2:] == [("desk", "Parking is free for two hours."), ("desk", "See you!")]
    assert [cited.passage for cited in phone.actions if isinstance(cited, Cited)] == ["parking"]
    assert phone.ended == EndCall(Disposition.RESOLVED)


async def test_a_slot_may_name_where_to_go_when_nobody_can_fill_it(garden: Brains) -> None:
    phone = await at(garden, "A table please.", "two", "blue", "green")
    assert await phone.say("yellow") == (
        "I'm sorry, I'm having trouble getting the seat. Then just come by. Anything else?"
    )


async def test_limits_are_told_and_asked_again(garden: Brains) -> None:
    phone = await at(garden, "A table please.")
    assert (await phone.say("Thirty.")).startswith("We seat up to 12.")
    assert await phone.say("Twelve.") == "Inside or outside?"


async def test_free_text_is_taken_as_it_is_and_an_optional_slot_may_be_declined(garden: Brains) -> None:
    phone = await at(garden, "A table please.", "two", "outside", "peanuts and shellfish")
    assert phone.slots["allergy"].value == "peanuts and shellfish"
    assert phone.lines[-1][1] == "What shall we write on the card?"


async def test_a_sentence_whose_value_nobody_knows_is_left_out(garden: Brains) -> None:
    phone = await at(garden, "A table please.", "two", "garden", "none")
    answer = await phone.say("Happy birthday Ann")
    assert answer == ("2 guests, outside. On the card we write Happy birthday Ann. Shall we keep it?")


async def test_a_person_is_arranged_by_the_flows_own_node(garden: Brains) -> None:
    phone = await at(garden, "I want to speak to a person.")
    assert await phone.say("Yes please.") == "I'll leave a note. Anything else?"


async def test_no_to_anything_else_is_a_goodbye_and_yes_is_not(garden: Brains) -> None:
    phone = await at(garden, "Can the band play our song?")
    assert await phone.say("Yes.") == "Of course, what is it?"
    await phone.say("No.")
    assert phone.ended == EndCall(Disposition.RESOLVED)


async def test_neither_yes_nor_no_is_asked_again_and_then_a_person_offered(garden: Brains) -> None:
    phone = await at(garden, "A table please.", "two", "garden", "none", "Ann")
    assert await phone.say("blue") == "Sorry, was that a yes or a no? Shall we keep it?"
    await phone.say("purple")
    assert (await phone.say("orange")).endswith("Shall I have a colleague call you back?")


async def test_what_to_change_is_asked_again_once(garden: Brains) -> None:
    phone = await at(garden, "A table please.", "two", "garden", "none", "Ann", "no")
    assert phone.lines[-1][1] == "What should I change?"
    assert (await phone.say("the seat")) == "Inside or outside?"
    assert await phone.say("inside") == "All right, inside. Is that correct?"


async def test_a_new_agent_says_who_it_is_and_goes_straight_on(garden: Brains) -> None:
    phone = Phone(garden, "desk")
    packet = ContextPacket(
        "other",
        "desk",
        "you'd like to eat",
        pending="I'd like to book a table for tonight",
        slots={"guests": SlotValue("guests", 4, "caller", confirmed=True)},
        transcript=(("caller", "we would sit in the garden"), ("other", "Of course.")),
    )
    assert await phone.request(TakeOver(packet)) == (
        "This is Ada. I hear you'd like a table for 4. Inside or outside?"
    )
    assert phone.expected().what is Expecting.CHOICE


async def test_a_new_agent_with_nothing_pending_asks_openly(garden: Brains) -> None:
    phone = Phone(garden, "desk")
    packet = ContextPacket("other", "desk", "speaks en")
    assert await phone.request(TakeOver(packet)) == "This is Ada. What can I do for you?"
    assert await phone.say("A table please.") == "How many guests?"


async def test_a_new_agent_answers_a_pending_question(garden: Brains) -> None:
    phone = Phone(garden, "desk")
    answer = await phone.request(TakeOver(ContextPacket("other", "desk", "", pending="Is there parking?")))
    assert "Parking is free for two hours." in answer
    assert not [action for action in phone.actions if isinstance(action, HandOff)]


async def test_a_flow_that_goes_in_a_circle_is_stopped(garden: Brains) -> None:
    phone = await at(garden)
    with pytest.raises(InvalidState, match="goes in a circle"):
        await phone.say("Walk me in circles forever")


async def test_thanks_are_answered_and_upset_callers_calmed(garden: Brains) -> None:
    phone = await at(garden, "Thank you.")
    assert phone.lines[-2][1] == "You're welcome."
    assert "I'm sorry about that." in await phone.say("This is ridiculous!")


async def test_silence_and_noise_at_the_open_question_are_not_understood(garden: Brains) -> None:
    phone = await at(garden)
    assert (await phone.say("")).startswith("Sorry, I didn't quite get that.")
