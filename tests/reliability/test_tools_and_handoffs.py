"""FAULTS.md 19 to 26: tools that hang, agents that give the call away, a model that is told too much."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.openai_chat_wire import Answer
from tests.reliability.helpdesk import COMPANY, Desk, Question, book_visit, find_order, hand_over, thinks
from tests.reliability.judging import onsets_ms
from tests.reliability.stage import Engines, Stage, Told, stage

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

WAIT = {"wait": "bot_stopped"}
HOURS = "We are open from eight to six."
PRICE = "The router costs ninety dollars."


@dataclass(frozen=True, slots=True)
class Helped:
    """A call at the help desk: what was done in it, and what the model was asked."""

    told: Told
    desk: Desk
    asked: list[Question]


def help_desk(
    engines: Engines, folder: Path, desk: Desk, asked: list[Question], model: Callable[[Question], Answer]
) -> AbstractAsyncContextManager[Stage]:
    return stage(engines, folder, company=COMPANY, tools=desk.tools(), think=thinks(model, asked))


# --- 19 ----------------------------------------------------------------------------------------------


async def a_tool_that_hangs(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(find_order=60.0), list[Question]()

    def model(question: Question) -> Answer:
        if "hours" in question.words:
            return Answer(text=HOURS)
        return Answer(text="It is delayed.") if question.results else Answer(calls=(find_order(),))

    async with help_desk(engines, folder, desk, asked, model) as it:
        order = await it.clip("Where is my order?")
        steps = [WAIT, {"play": order}, {"wait": {"seconds": 9}}, WAIT, {"play": "barge_in 1"}, WAIT]
        return Helped(await it.ring(*steps, "hang_up"), desk, asked)


@pytest.mark.call(by=a_tool_that_hangs)
async def test_faults_19_a_tool_that_hangs_is_bridged_and_given_up_with_an_offer(
    told: Helped, report: Any
) -> None:
    call = told.told
    end_ms = call.rung.result.responses[0].caller_end_ms
    one_moment, sorry, *later = onsets_ms(call, end_ms)
    given_up = next(after for after in later if after > 7_000)
    assert one_moment <= 1_700
    assert sorry <= 4_200
    assert given_up <= 9_000
    heard = call.heard(end_ms, end_ms + 14_500).lower()
    assert heard.count("one moment") == 1
    assert "longer than usual" in heard
    assert "too long" in heard
    assert "call you back" in heard
    assert call.longest_silence_ms < 3_000
    assert call.details("tool_timeout") == [{"tool": "find_order"}]
    assert given_up >= 8_000
    assert call.record["tools"] == []
    assert call.record["turns"][-1]["heard"].endswith(HOURS)
    report(
        19,
        "a tool hangs",
        call,
        injected="a look-up takes 60 s",
        heard=f'"One moment, please" after {one_moment} ms, an apology after {sorry} ms, the offer of a call '
        f"back after {given_up} ms; the next question is answered",
        recorded="noticed: tool_timeout, and which; no result",
    )


# --- 20 ----------------------------------------------------------------------------------------------


async def a_question_while_a_visit_is_booked(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(book_visit=4.0), list[Question]()

    def model(question: Question) -> Answer:
        if any('"done": true' in result for result in question.results):
            also = f" {HOURS}" if "hours" in question.words else ""
            return Answer(text=f"Your visit is booked.{also}")
        if any("has not agreed" in result for result in question.results):
            return Answer(text="A visit on Monday, the thirtieth of November: shall I book that?")
        return Answer(calls=(book_visit(),))

    async with help_desk(engines, folder, desk, asked, model) as it:
        visit = await it.clip("I need a technician on Monday.")
        steps = [WAIT, {"play": visit}, WAIT, {"play": "human 2"}, {"wait": {"seconds": 1}}]
        return Helped(await it.ring(*steps, {"play": "barge_in 1"}, WAIT, "hang_up"), desk, asked)


@pytest.mark.call(by=a_question_while_a_visit_is_booked)
async def test_faults_20_a_barge_in_while_a_tool_changes_data_leaves_it_done_once(
    told: Helped, report: Any
) -> None:
    call = told.told
    assert told.desk.begun == told.desk.ran == ["book_visit 2026-11-30"]
    (tool,) = call.record["tools"]
    assert (tool["changed"], tool["result"]) == (True, {"reference": "V1"})
    assert call.details("tool_committed") == [{"tools": ["book_visit"]}]
    heard = call.heard().lower()
    assert heard.count("visit is booked") == 1
    assert "we are open from" in heard
    assert call.longest_silence_ms < 2_500
    report(
        20,
        "the caller speaks while a tool changes data",
        call,
        injected="the tool takes 4 s, the caller asks something 1 s after their yes",
        heard="that the visit is booked, and the answer to the question, in one reply",
        recorded="the tool ran once, its result is in `tools`; noticed: tool_committed",
    )


# --- 21 ----------------------------------------------------------------------------------------------


async def a_model_that_writes_its_calls_as_text(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(), list[Question]()
    called = '<tool_call>{"name": "hand_over", "arguments": {"to": "sales"}}</tool_call>'

    def model(question: Question) -> Answer:
        if "bill" in question.words:
            return Answer(text=f"{called} The bill is paid.")
        if "hours" in question.words:
            return Answer(text=HOURS)
        return Answer(text="functions.transfer(to='sales'). I can help you with that.")

    async with help_desk(engines, folder, desk, asked, model) as it:
        steps = [WAIT, {"play": "human 1"}, WAIT, {"play": "support_bill 1"}, WAIT, {"play": "barge_in 1"}]
        return Helped(await it.ring(*steps, WAIT, "hang_up"), desk, asked)


@pytest.mark.call(by=a_model_that_writes_its_calls_as_text)
async def test_faults_21_tool_syntax_is_never_spoken(told: Helped, report: Any) -> None:
    call = told.told
    heard = call.heard().lower()
    for never in ("function", "transfer", "tool", "hand over", "arguments", "sales"):
        assert never not in heard
        assert never not in call.said.lower()
    assert "i can help you with that" in heard
    assert "the bill is paid" in heard
    assert "we are open from" in heard
    assert call.noticed.count("leaked_tool_text_filtered") == 2
    report(
        21,
        "the model writes tool calls into its text",
        call,
        injected="`functions.transfer(to='sales')`, `<tool_call>{...}</tool_call>`",
        heard="the sentences beside them",
        recorded="noticed: leaked_tool_text_filtered",
    )


# --- 22 ----------------------------------------------------------------------------------------------


async def a_handoff_beside_a_slower_tool(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(find_order=1.0), list[Question]()

    def model(question: Question) -> Answer:
        if question.agent == "sales":
            return Answer(text=HOURS if "hours" in question.words else PRICE)
        asks = hand_over("sales", first="I will put you through to Tom.")
        return Answer(text=asks.text, calls=(*asks.calls, find_order()))

    async with help_desk(engines, folder, desk, asked, model) as it:
        steps = [WAIT, {"play": "human 1"}, WAIT, {"play": "barge_in 1"}, WAIT, "hang_up"]
        return Helped(await it.ring(*steps), desk, asked)


@pytest.mark.call(by=a_handoff_beside_a_slower_tool)
async def test_faults_22_a_handoff_beside_a_slower_tool_lets_the_next_agent_speak(
    told: Helped, report: Any
) -> None:
    call = told.told
    assert [(made["from"], made["to"]) for made in call.record["handoffs"]] == [("support", "sales")]
    assert call.record["handoffs"][0]["context"]["slots"]["order"]["value"] == "B7429"
    assert told.desk.ran == ["find_order B7429"]
    assert [turn["agent"] for turn in call.record["turns"] if turn["who"] == "agent"] == [
        *("support", "support", "sales", "sales")
    ]
    heard = call.heard().lower()
    assert "this is tom" in heard
    assert "router costs" in heard
    assert "we are open from" in heard
    assert call.longest_silence_ms < 2_000
    report(
        22,
        "a handoff and another tool in one batch",
        call,
        injected="two calls in one answer of the model's; the look-up ends 1 s after the handoff",
        heard="the next agent, with the answer",
        recorded="one handoff, with what the tool found in its context",
    )


# --- 23 ----------------------------------------------------------------------------------------------


async def a_caller_who_speaks_during_the_handoff(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(), list[Question]()

    def model(question: Question) -> Answer:
        if question.agent == "sales":
            return Answer(text=HOURS if "hours" in question.words else PRICE)
        return hand_over("sales", first="That is for my colleague Tom, so I will put you through to him now.")

    async with help_desk(engines, folder, desk, asked, model) as it:
        price = await it.clip("Wait, how much is a router?")
        steps = [WAIT, {"play": "human 1"}, {"interrupt": {"play": price, "after_ms": 1_200}}, WAIT]
        return Helped(await it.ring(*steps, {"play": "barge_in 1"}, WAIT, "hang_up"), desk, asked)


@pytest.mark.call(by=a_caller_who_speaks_during_the_handoff)
async def test_faults_23_what_the_caller_says_during_a_handoff_is_answered_by_the_new_agent(
    told: Helped, report: Any
) -> None:
    call = told.told
    (handoff,) = call.record["handoffs"]
    assert "real person" in handoff["context"]["pending"]
    assert "how much" in handoff["context"]["pending"].lower()
    assert "queued_utterance" in call.noticed
    answer = [turn for turn in call.record["turns"] if turn["who"] == "agent"][2]
    assert (answer["agent"], answer["heard"]) == ("sales", f"Hi, this is Tom from sales. {PRICE}")
    heard = call.heard().lower()
    assert "router costs" in heard
    assert "we are open from" in heard
    answered = call.rung.result.responses[1]
    assert call.details("queued_utterance") == [{"window_ms": handoff["window_ms"]}]
    assert 1_200 < handoff["window_ms"] < 6_000  # the announcement until then, and the caller's words
    report(
        23,
        "the caller speaks during a handoff",
        call,
        injected='"Wait, how much is a router?" 1.2 s into the announcement',
        heard=f"the new agent, who answers the question {answered.after_ms} ms after it",
        recorded=f"the handoff, {handoff['at_ms'] - answered.caller_end_ms} ms after the caller's last word, "
        f"with both wishes in its context; it took {handoff['window_ms']} ms; noticed: queued_utterance",
    )


# --- 24 ----------------------------------------------------------------------------------------------


async def agents_who_pass_the_caller_round(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(), list[Question]()

    def model(question: Question) -> Answer:
        if "hours" in question.words:
            return Answer(text=HOURS)
        return hand_over("support" if question.agent == "sales" else "sales")

    async with help_desk(engines, folder, desk, asked, model) as it:
        steps = [WAIT, {"play": "human 1"}, WAIT, {"play": "barge_in 1"}, WAIT, "hang_up"]
        return Helped(await it.ring(*steps), desk, asked)


@pytest.mark.call(by=agents_who_pass_the_caller_round)
async def test_faults_24_a_caller_passed_round_stays_and_is_offered_a_person(
    told: Helped, report: Any
) -> None:
    call = told.told
    assert [(made["from"], made["to"]) for made in call.record["handoffs"]] == [
        ("support", "sales"),
        ("sales", "support"),
    ]
    assert call.noticed.count("handoff_loop") == 1
    heard = call.heard().lower()
    assert "pass you round again" in heard
    assert "call you back" in heard
    assert "we are open from" in heard
    assert call.longest_silence_ms < 2_000
    report(
        24,
        "agents hand the caller to each other",
        call,
        injected="each agent's model hands over at once, always",
        heard="both agents, and then the offer of a call back in place of a third switch",
        recorded="two handoffs; noticed: handoff_loop",
    )


# --- 25 ----------------------------------------------------------------------------------------------


async def a_colleague_who_is_not_there(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(), list[Question]()

    def model(question: Question) -> Answer:
        if "hours" in question.words:
            return Answer(text=HOURS)
        if "bill" in question.words:
            done = question.results
            return Answer(text="I can look at the bill myself.") if done else hand_over("billing")
        if "cannot take the call" in question.text:
            return Answer(text="My colleague is away, but I can help you.")
        return hand_over("sales", first="I will put you through to Tom.")

    async with help_desk(engines, folder, desk, asked, model) as it:
        vanish(it, "sales")
        bill, person = [{"play": "support_bill 1"}, WAIT], [{"play": "human 1"}, WAIT]
        steps = [WAIT, *bill, *person, {"play": "barge_in 1"}, WAIT, "hang_up"]
        return Helped(await it.ring(*steps), desk, asked)


def vanish(it: Stage, agent: str) -> None:
    """From now on nobody can make a brain for this agent."""
    crew: Any = it.bot.services.reception._equip.__self__  # type: ignore[attr-defined]
    del crew.brains.business.agents[agent]


@pytest.mark.call(by=a_colleague_who_is_not_there)
async def test_faults_25_a_handoff_to_nobody_leaves_the_call_with_the_old_agent(
    told: Helped, report: Any
) -> None:
    call = told.told
    heard = call.heard().lower()
    assert "i can look at the bill myself" in heard
    assert "my colleague is away" in heard
    assert "we are open from" in heard
    assert "something went wrong" not in heard
    assert {turn["agent"] for turn in call.record["turns"] if turn["who"] == "agent"} == {"support"}
    assert call.record["agents"] == ["support", "sales", "support"]
    assert call.noticed == ["tool_args_invalid", "handoff_failed"]
    assert call.longest_silence_ms < 2_000
    report(
        25,
        "the agent to hand over to is not there",
        call,
        injected="the model names an agent there is none of; and one whose brain cannot be made",
        heard="the old agent, who goes on with what the caller wanted",
        recorded="noticed: tool_args_invalid, handoff_failed; the call back with the old agent",
    )


# --- 26 ----------------------------------------------------------------------------------------------


async def a_call_that_is_too_long_for_the_model(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(), list[Question]()

    async with help_desk(engines, folder, desk, asked, lambda question: model(question)) as it:

        def model(question: Question) -> Answer:
            if "hours" in question.words:
                return Answer(text=HOURS)
            if "It was paid" in question.text:  # the second time: not much more than this it can read
                it.openai.chat.context = question.tokens + 25
            return Answer(text="The bill of last month was ninety dollars. It was paid on the second of May.")

        bill: list[Any] = [{"play": "support_bill 1"}, WAIT]
        steps = [WAIT, *bill, *bill, {"play": "barge_in 1"}, WAIT, "hang_up"]
        return Helped(await it.ring(*steps), desk, asked)


@pytest.mark.call(by=a_call_that_is_too_long_for_the_model)
async def test_faults_26_a_call_too_long_for_the_model_is_told_to_it_in_part(
    told: Helped, report: Any
) -> None:
    call = told.told
    assert call.record["turns"][-1]["heard"] == HOURS
    assert call.responses_ms[-1] < 1_500
    assert call.longest_silence_ms < 1_500
    assert "ctx_compacted" in call.noticed
    last = told.asked[-1]
    assert "The beginning of the call is left out here." in last.text
    assert last.tokens < told.asked[-2].tokens
    report(
        26,
        "the call is longer than the model can read",
        call,
        injected="400 context_length_exceeded",
        heard="the answer, without a gap",
        recorded="noticed: ctx_compacted; the model is told the newest part of the call",
    )


SUMMARY = "The caller asked for order B7429, which is delayed."


async def a_call_that_has_become_long(engines: Engines, folder: Path) -> Helped:
    desk, asked = Desk(notes="It waits for a part. " * 1_400), list[Question]()

    def model(question: Question) -> Answer:
        if "You keep the notes of a telephone call" in question.text:
            return Answer(text=SUMMARY)
        if (
            not any(message["role"] == "tool" for message in question.messages)
            and SUMMARY not in question.text
        ):
            return Answer(calls=(find_order(),))
        return Answer(text=HOURS if "hours" in question.words else "The bill was paid in May.")

    async with help_desk(engines, folder, desk, asked, model) as it:
        bill: list[Any] = [{"play": "support_bill 1"}, WAIT]
        hours = [{"play": "barge_in 1"}, WAIT]
        steps = [WAIT, *bill * 6, *hours, "hang_up"]
        return Helped(await it.ring(*steps), desk, asked)


@pytest.mark.call(by=a_call_that_has_become_long)
async def test_faults_26_a_call_that_has_become_long_is_summed_up_while_it_goes_on(
    told: Helped, report: Any
) -> None:
    call = told.told
    assert call.record["turns"][-1]["heard"] == HOURS
    assert "we are open from" in call.heard().lower()
    assert max(call.responses_ms) < 1_500
    assert call.longest_silence_ms < 1_500
    assert {"by": "summary"} in call.details("ctx_compacted")
    longest, last = max(question.tokens for question in told.asked), told.asked[-1]
    assert SUMMARY in last.text
    assert last.tokens < longest / 2
    report(
        "26 (long)",
        "the call has become long",
        call,
        injected="a look-up returns 29,000 characters, and the caller asks on",
        heard="the answers, without a gap",
        recorded="noticed: ctx_compacted; the model is told a summary, which it wrote between two turns",
    )
