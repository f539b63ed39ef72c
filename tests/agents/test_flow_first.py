"""Flow first, model for the rest: who answers what, and what each knows of the other."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from callbot.agents import flow_file
from callbot.agents.agent import Thinking
from callbot.agents.brain import Expecting, HandOff
from callbot.agents.flow_brain import FlowBrain
from callbot.agents.flow_first_brain import FlowFirstBrain
from callbot.agents.matching import Understanding
from callbot.agents.stand_in import StandInBrain
from callbot.business import Brains, Business
from callbot.demo import FOLDER
from callbot.demo.shop import Shop
from callbot.errors import ConfigurationError, Trouble
from callbot.providers.ports import Role
from tests.agents.phone import TODAY, Phone
from tests.agents.scripted import Script, ScriptedModel, broken, calls

pytestmark = pytest.mark.models

Ring = Callable[..., Phone]


def thinking(business: Business, how: Thinking) -> Business:
    agents = {name: replace(agent, thinking=how) for name, agent in business.agents.items()}
    return replace(business, agents=agents)


@pytest.fixture
def ring(business: Business, understandings: Mapping[str, Understanding], shop: Shop) -> Ring:
    """A call to an agent that thinks ``how``, with a model that answers as told."""

    def rings(agent: str, *script: Script, how: Thinking = Thinking.FLOW_FIRST) -> Phone:
        served = thinking(replace(business, tools=shop.tools()), how)
        phone = Phone(Brains(served, understandings, model := ScriptedModel(*script)), agent)
        phone.model = model  # type: ignore[attr-defined]
        return phone

    return rings


STRANGE = "My neighbour's cat sings opera at night and I wonder what you make of that."


async def test_what_the_flow_understands_the_model_is_not_asked(ring: Ring) -> None:
    phone = ring("support", "never")
    await phone.play(["Where is order B7429?", "What are your opening hours?", "Goodbye."])
    assert phone.ended is not None
    assert phone.model.prompts == []  # type: ignore[attr-defined]


async def test_what_the_flow_does_not_understand_goes_to_the_model(ring: Ring) -> None:
    phone = ring("support", "I like opera too. How can I help with your order?")
    await phone.greet()
    assert await phone.say(STRANGE) == "I like opera too. How can I help with your order?"
    assert await phone.say("Where is order B7429?") != ""
    assert len(phone.model.prompts) == 1  # type: ignore[attr-defined]


async def test_the_model_hears_what_the_flow_said_and_found(ring: Ring) -> None:
    phone = ring("support", "It is a fine router.")
    await phone.play(["Where is order B7429?"])
    await phone.say(STRANGE)
    model: ScriptedModel = phone.model  # type: ignore[attr-defined]
    assert "order_id = B7429" in " ".join(model.told(Role.NOTE))
    assert '"status": "shipped"' in " ".join(model.told(Role.NOTE))
    assert any("shipped" in text for text in model.told(Role.AGENT))


async def test_in_the_midst_of_a_task_the_model_answers_and_the_flows_question_is_asked_again(
    ring: Ring,
) -> None:
    phone = ring("support", "That cat has talent.")
    await phone.play(["Call me back on Monday."])
    said = await phone.say(STRANGE)
    assert said.startswith("That cat has talent.")
    assert "at what time" in said
    assert phone.expected().what is Expecting.DATE
    model: ScriptedModel = phone.model  # type: ignore[attr-defined]
    assert 'You had asked: "And at what time?"' in model.told(Role.NOTE)[-1]
    assert "555-0142" in await phone.say("At nine.")


async def test_a_yes_to_the_model_is_never_a_yes_to_the_flow(ring: Ring, shop: Shop) -> None:
    phone = ring("support", "Cats are fine. Would you like to hear more?", "So, cats.")
    await phone.play(["Call me Monday at nine please.", "yes"])
    assert "Is that right?" in phone.lines[-1][1]
    await phone.say(STRANGE)
    said = await phone.say("Yes.")
    assert said.startswith("So, cats. So we'll call 555-0142 on Monday, November 23 at 9 am.")
    assert shop.bookings == {}
    await phone.say("Yes.")
    assert len(shop.bookings) == 1


async def test_a_wish_that_the_flow_serves_is_served_although_the_model_asked_last(ring: Ring) -> None:
    phone = ring("support", "Which cat do you mean?")
    await phone.greet()
    await phone.say(STRANGE)
    assert "has been shipped" in await phone.say("Never mind, where is order B7429?")
    assert len(phone.model.prompts) == 1  # type: ignore[attr-defined]


async def test_what_the_model_looked_up_the_flow_knows(ring: Ring) -> None:
    phone = ring("support", calls(("find_order", {"order_id": "B7429"})), "It is on its way.")
    await phone.greet()
    assert "on its way" in await phone.say(STRANGE)
    assert phone.slots["order_id"].value == "B7429"
    brain = phone.brain
    assert isinstance(brain, FlowFirstBrain)
    assert brain.by_flow.state.results["order"]["status"] == "shipped"
    assert "Lark" in await phone.say("Where is my order?")
    assert phone.asked("order number") == 0


async def test_a_callback_that_the_model_offers_the_flow_arranges(ring: Ring, shop: Shop) -> None:
    phone = ring("support", calls(("offer_callback", {})))
    await phone.greet()
    assert await phone.say(STRANGE) == "Shall I have a colleague call you back?"
    assert "Which day" in await phone.say("Yes please.")
    await phone.say("Monday at nine.")
    await phone.say("Yes.")
    await phone.say("Yes.")
    assert len(shop.bookings) == 1


async def test_a_model_that_fails_leaves_the_answer_to_the_flow(ring: Ring) -> None:
    phone = ring("support", [broken(Trouble.CONNECT)])
    await phone.greet()
    assert "I can help with an order, a bill, or a callback." in await phone.say(STRANGE)
    assert "shipped" in await phone.say("Where is order B7429?")


async def test_a_change_of_the_models_needs_the_yes_that_a_flow_needs(ring: Ring, shop: Shop) -> None:
    booking = {"day": "2026-11-23", "time": "09:00", "phone": "+15550142"}
    phone = ring(
        "support",
        calls(("book_callback", booking)),
        "I'd book a call for Monday at nine. Shall I?",
        calls(("book_callback", booking)),
        "It is booked.",
    )
    await phone.greet()
    await phone.say(STRANGE)
    assert shop.bookings == {}
    assert await phone.say("Yes.") == "It is booked."
    assert len(shop.bookings) == 1


async def test_a_reply_that_nobody_heard_is_taken_back_in_both(ring: Ring) -> None:
    phone = ring("support", "Which cat?", "A fine cat.")
    await phone.play(["Call me back on Monday."])
    brain = phone.brain
    assert isinstance(brain, FlowFirstBrain)
    state, memory = brain.by_flow.state.to_json(), brain.by_model.memory.copy()
    await phone.say(STRANGE)
    brain.forget()
    assert brain.by_flow.state.to_json() == state
    assert brain.by_model.memory == memory
    assert "555-0142" in await phone.say("At nine.")


async def test_a_caller_handed_over_with_a_strange_wish_is_answered_by_the_model(ring: Ring) -> None:
    phone = ring("support", calls(("hand_over", {"to": "sales", "reason": "you would like a cat"})), "Miaow.")
    await phone.greet()
    said = await phone.say(STRANGE)
    assert said == "Hi, this is Sam in sales. I hear you would like a cat. Miaow."
    assert phone.agents == ["support", "sales"]


# --- the setting -------------------------------------------------------------------------------------------


def test_each_way_to_think_has_its_brain(
    business: Business, understandings: Mapping[str, Understanding]
) -> None:
    model = ScriptedModel("x")
    kinds = {Thinking.FLOW: FlowBrain, Thinking.MODEL: StandInBrain, Thinking.FLOW_FIRST: FlowFirstBrain}
    for how, kind in kinds.items():
        brain = Brains(thinking(business, how), understandings, model).brain("support", today=TODAY)
        assert type(brain) is kind


@pytest.mark.parametrize("how", [Thinking.MODEL, Thinking.FLOW_FIRST])
def test_without_a_model_the_flow_answers(
    business: Business, understandings: Mapping[str, Understanding], how: Thinking
) -> None:
    brain = Brains(thinking(business, how), understandings).brain("support", today=TODAY)
    assert type(brain) is FlowBrain


def test_the_demos_flows_come_first_and_a_key_adds_a_model(business: Business) -> None:
    assert {agent.thinking for agent in business.agents.values()} == {Thinking.FLOW_FIRST}


def test_a_way_to_think_that_there_is_not_is_said_with_file_and_line(tmp_path: Path, shop: Shop) -> None:
    text = (FOLDER / "agents" / "support.yaml").read_text(encoding="utf-8")
    (tmp_path / "agents").mkdir()
    path = tmp_path / "agents" / "support.yaml"
    path.write_text(text.replace("thinking: flow_first", "thinking: modle"), encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"support\.yaml:13: thinking: 'modle' is not known; write one of flow"
    ):
        flow_file.load(path, business="Larkfield", tools=shop.tools(), agents=["support"], documents=["en"])


# --- the demo ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", ["support", "sales", "technical", "recepcion"])
async def test_every_agent_of_the_demo_can_think_with_a_model(ring: Ring, agent: str, shop: Shop) -> None:
    booking = {"day": "2026-11-23", "time": "09:00", "phone": "+15550142"}
    phone = ring(
        agent,
        calls(("book_callback", booking)),
        "Monday at nine, on this number?",
        calls(("book_callback", booking)),
        "Done.",
        calls(("end_call", {"disposition": "resolved"})),
        how=Thinking.MODEL,
    )
    assert "Larkfield" in await phone.greet()
    assert await phone.say("Monday at nine.") == "Monday at nine, on this number?"
    yes = "Sí." if agent == "recepcion" else "Yes."
    assert await phone.say(yes) == "Done."
    assert [(found["day"], found["time"]) for found in shop.bookings.values()] == [("2026-11-23", "09:00")]
    assert phone.slots["day"].value == "2026-11-23"
    await phone.say("Adiós." if agent == "recepcion" else "Bye.")
    assert phone.ended is not None
    language = "Spanish" if agent == "recepcion" else "English"
    assert f"Speak {language}." in phone.model.last.instructions  # type: ignore[attr-defined]


async def test_an_order_is_placed_by_a_model_from_the_recommendation_to_the_receipt(
    ring: Ring, shop: Shop
) -> None:
    order = {"product": "mesh", "quantity": 2, "email": "ada@example.com"}
    phone = ring(
        "sales",
        calls(("find_product", {"home": "house"})),
        "For a house I would take the Lark Mesh kit. How many?",
        calls(("place_order", order)),
        "That is two Mesh kits, and the receipt goes to ada@example.com. Shall I order them?",
        calls(("place_order", order)),
        "Your order is placed.",
        how=Thinking.MODEL,
    )
    await phone.play(["Something for my house.", "Two please, ada@example.com", "Yes, go ahead."])
    assert [item["product"] for key, item in shop.orders.items() if item.get("quantity") == 2] == ["mesh"]
    assert not phone.done(HandOff)
