"""FAULTS.md 10 to 18: language models that hang, dribble, refuse, break off, say nothing, or call for ever.

The first model is asked over chat completions and the second over responses, so that one can fail alone.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.openai_chat_wire import Answer, Call
from tests.doubles.plan import NONE, Fault
from tests.reliability.judging import answered, onsets_ms, soon
from tests.reliability.stage import (
    ANSWER,
    APOLOGY_MS,
    BILL,
    FILLER_MS,
    HOURS,
    KEPT_COMPANY_MS,
    OFFER_MS,
    SLACK_MS,
    TWO_QUESTIONS,
    Engines,
    Stage,
    Told,
    patient,
    stage,
    steps,
)

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

TWO_MODELS = "openai:gpt-5.4-mini,openai-responses:gpt-5.4-mini"
FIRST, SECOND = TWO_MODELS.split(",")
PATIENT = patient("support_bill 1", "barge_in 1")


async def chat_fails(
    engines: Engines,
    folder: Path,
    fault: Fault,
    caller: Sequence[Mapping[str, Any] | str] = PATIENT,
    **options: Any,
) -> Told:
    """A call to a bot whose first model always fails so."""
    async with stage(engines, folder, llm=TWO_MODELS, **options) as it:
        it.openai.chat.plan.always("chat", fault)
        return await it.ring(*caller)


# --- 10 to 12: slow ------------------------------------------------------------------------------------


async def hang(engines: Engines, folder: Path) -> Told:
    return await chat_fails(engines, folder, Fault(blackhole=True))


@pytest.mark.call(by=hang)
async def test_faults_10_while_a_model_hangs_the_caller_is_asked_for_patience_and_another_answers(
    told: Told, report: Any
) -> None:
    assert answered(told)
    assert told.said.count("One moment, please.") == 2
    assert told.heard().lower().count("one moment") == 2
    assert set(told.failures) == {("llm", FIRST, "slow")}
    assert {each["instead"] for each in told.record["failures"]} == {SECOND}
    assert soon(told)
    assert told.longest_silence_ms <= KEPT_COMPANY_MS
    report(
        10,
        "the language model takes the connection and never answers",
        told,
        injected="nothing is answered to any request of the first model",
        heard='"One moment, please." after 1.5 s, then the answer of the second model',
        recorded="`failures`: llm slow after 3 s, the next went on",
    )


WAIT = {"wait": "bot_stopped"}


async def all_hang(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, llm=TWO_MODELS) as it:
        for endpoint in ("chat", "responses"):
            it.openai.chat.plan.always(endpoint, Fault(blackhole=True))
        waits = [{"wait": {"seconds": 8}}, WAIT]
        return await it.ring(WAIT, {"play": "support_bill 1"}, *waits, {"play": "human 2"}, WAIT, "hang_up")


@pytest.mark.call(by=all_hang)
async def test_faults_10_when_every_model_hangs_a_callback_is_offered_within_twelve_seconds(
    told: Told, report: Any
) -> None:
    end_ms = told.rung.result.responses[0].caller_end_ms
    moment_ms, sorry_ms, offer_ms, *_ = onsets_ms(told, end_ms)
    assert moment_ms <= FILLER_MS + SLACK_MS
    assert sorry_ms <= APOLOGY_MS + SLACK_MS
    offered = told.heard(end_ms, end_ms + OFFER_MS).lower()
    assert offered.count("one moment") == 1
    assert "longer than usual" in offered
    assert "call you back" in offered
    assert told.longest_silence_ms <= KEPT_COMPANY_MS
    assert "call you back today" in told.heard(told.rung.result.responses[1].caller_end_ms).lower()
    assert set(told.failures) == {("llm", FIRST, "slow"), ("llm", SECOND, "slow")}
    assert told.record["failures"][-1]["instead"] == ""
    report(
        "10 (all)",
        "every language model takes the connection and never answers",
        told,
        injected="nothing is answered to any request of any model",
        heard=f'"One moment, please." after {moment_ms} ms, an apology after {sorry_ms} ms, and after '
        f"{offer_ms} ms the offer of a call back; the flow takes the yes to it",
        recorded="`failures`: llm slow, for each; the log: ReplyFailed",
    )


async def no_token(engines: Engines, folder: Path) -> Told:
    return await chat_fails(engines, folder, Fault(stall_after=0))


@pytest.mark.call(by=no_token)
async def test_faults_11_when_headers_come_and_no_token_does_another_answers(told: Told, report: Any) -> None:
    assert answered(told)
    assert told.said.count("One moment, please.") == 2
    assert set(told.failures) == {("llm", FIRST, "slow")}
    assert soon(told)
    assert told.longest_silence_ms <= KEPT_COMPANY_MS
    for question in told.rung.result.responses:
        _, answer_ms, *_ = onsets_ms(told, question.caller_end_ms)  # the filler, and then
        assert answer_ms <= APOLOGY_MS
    assert told.heard().lower().count("one moment") == 2
    assert [each["from_word"] for each in told.details("llm_resumed")] == [1, 1]
    report(
        11,
        "headers come, and the first token never does",
        told,
        injected="the stream of the first model stalls after its headers",
        heard='"One moment, please." after 1.5 s, then the answer of the second model',
        recorded="`failures`: llm slow after 3 s, the next went on",
    )


DRIBBLED = "It will arrive on Thursday"


async def dribble(engines: Engines, folder: Path) -> Told:
    caller = patient("support_bill 1", seconds=6)
    return await chat_fails(
        engines, folder, Fault(dribble=1.0), caller, think=lambda request: Answer(text=DRIBBLED)
    )


@pytest.mark.call(by=dribble)
async def test_faults_12_of_a_stream_that_dribbles_what_is_there_is_said_without_waiting_for_a_full_stop(
    told: Told, report: Any
) -> None:
    assert told.caller == [BILL]
    assert DRIBBLED in told.said.replace("One moment, please. ", "")
    assert "llm_slow_stream" in told.noticed
    assert told.failures == []
    (question,) = told.rung.result.responses
    _, first_words_ms, *_ = onsets_ms(told, question.caller_end_ms)  # after "One moment"
    assert first_words_ms <= APOLOGY_MS + SLACK_MS  # two seconds until there is a word, and it waits 1.2 s
    assert "thursday" in told.heard().lower()
    assert soon(told)
    assert told.longest_silence_ms <= KEPT_COMPANY_MS
    report(
        12,
        "the stream dribbles, with no end of a sentence",
        told,
        injected="a token a second, and no full stop",
        heard="the words that are there, piece by piece",
        recorded="`noticed`: llm_slow_stream",
    )


# --- 13 and 14: refused --------------------------------------------------------------------------------


async def limited(engines: Engines, folder: Path) -> tuple[Told, int]:
    async with stage(engines, folder, llm=TWO_MODELS) as it:
        it.openai.chat.plan.always("chat", Fault(status=429, code="rate_limit_exceeded", retry_after=30))
        told = await it.ring(*TWO_QUESTIONS)
        return told, len(it.openai.chat.plan.of("chat"))


async def out_of_money(engines: Engines, folder: Path) -> tuple[Told, int, list[Mapping[str, Any]]]:
    async with stage(engines, folder, llm=TWO_MODELS) as it:
        it.openai.chat.plan.always("chat", Fault(status=429, code="insufficient_quota"))
        told = await it.ring(*TWO_QUESTIONS)
        return told, len(it.openai.chat.plan.of("chat")), it.logged


@pytest.mark.call(by=limited)
async def test_faults_13_a_model_that_limits_its_rate_is_left_alone_for_as_long_as_it_says(
    told: tuple[Told, int], report: Any
) -> None:
    call, asked = told
    assert answered(call)
    assert asked == 1
    assert call.failures == [("llm", FIRST, "rate_limited")]
    assert call.record["failures"][0]["left_alone_ms"] == 30_000
    assert call.after("callbot_provider_breaker_open", port="llm", provider=FIRST) == 1
    assert soon(call)
    report(
        13,
        "429: too many requests",
        call,
        injected="429 with Retry-After: 30 to every request of the first model",
        heard="nothing of it: the second model answers, and the first is not asked again meanwhile",
        recorded="`failures`: llm rate_limited, once",
    )


@pytest.mark.call(by=out_of_money)
async def test_faults_13_a_model_whose_account_is_out_of_money_is_not_asked_again(
    told: tuple[Told, int, list[Mapping[str, Any]]], report: Any
) -> None:
    call, asked, logged = told
    assert answered(call)
    assert asked == 1
    assert call.failures == [("llm", FIRST, "quota")]
    assert call.record["failures"][0]["left_alone_ms"] == 300_000
    assert call.after("callbot_provider_breaker_open", port="llm", provider=FIRST) == 1
    assert any(line.get("key") == "OPENAI_API_KEY" for line in logged)
    assert soon(call)
    report(
        "13 (quota)",
        "429: the account is out of money",
        call,
        injected="429 insufficient_quota to every request of the first model",
        heard="nothing of it: the second model answers, and the first is barred for five minutes",
        recorded="`failures`: llm quota, once; the log names the key",
    )


async def limited_for_a_moment(engines: Engines, folder: Path) -> tuple[Told, list[str]]:
    async with stage(engines, folder, llm=TWO_MODELS) as it:
        it.openai.chat.plan.add("chat", Fault(status=429, code="rate_limit_exceeded", retry_after=3))
        told = await it.ring(*TWO_QUESTIONS)
        asked = [asked.endpoint for asked in it.openai.chat.plan.asked]
        return told, [endpoint for endpoint in asked if endpoint in ("chat", "responses")]


@pytest.mark.call(by=limited_for_a_moment)
async def test_faults_13_a_model_that_limits_its_rate_is_asked_again_when_it_has_said(
    told: tuple[Told, list[str]], report: Any
) -> None:
    call, asked = told
    assert answered(call)
    assert asked == ["chat", "responses", "chat"]
    assert call.failures == [("llm", FIRST, "rate_limited")]
    assert call.record["failures"][0]["left_alone_ms"] == 3_000
    assert call.after("callbot_provider_breaker_open", port="llm", provider=FIRST) == 0
    assert soon(call)
    report(
        "13 (over)",
        "429: too many requests, for a moment",
        call,
        injected="429 with Retry-After: 3 to the first request of the first model",
        heard="nothing of it: the second model answers once, and then the first again",
        recorded="`failures`: llm rate_limited, once, left alone for 3000 ms",
    )


async def mended(it: Stage, *, after: float, then: Fault = NONE) -> None:
    """From so long after the first question on, the second model is well, and the first ``then``."""
    plan = it.openai.chat.plan
    while not plan.of("chat"):  # noqa: ASYNC110 (a plan remembers, and tells nobody)
        await asyncio.sleep(0.05)
    await asyncio.sleep(after)
    plan.always("chat", then)
    plan.always("responses", NONE)


async def burst(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, llm=TWO_MODELS) as it, asyncio.TaskGroup() as tasks:
        for endpoint in ("chat", "responses"):
            it.openai.chat.plan.always(endpoint, Fault(status=503))
        tasks.create_task(mended(it, after=2.0))
        return await it.ring(*steps("support_bill 1", "support_bill 1", "barge_in 1"))


@pytest.mark.call(by=burst)
async def test_faults_14_a_burst_of_server_errors_costs_an_apology_and_not_the_call(
    told: Told, report: Any
) -> None:
    heard = told.heard().lower()
    assert "something went wrong" in heard
    assert heard.count("thursday") == 2
    assert told.caller == [BILL, BILL, HOURS]
    assert {failure[2] for failure in told.failures} == {"unavailable"}
    assert [each["attempt"] for each in told.record["failures"][:2]] == [1, 2]
    assert soon(told)
    report(
        14,
        "a burst of server errors",
        told,
        injected="503 to every request of both models for 2 s",
        heard='"Sorry, something went wrong on my side. Could you say that again?", then the answer',
        recorded="`failures`: llm unavailable, for each attempt",
    )


# --- 15 and 16: broken off, empty ----------------------------------------------------------------------


def goes_on(request: dict[str, Any]) -> Answer:
    """The second model is told what the caller has heard, and goes on there."""
    broke_off = "broke off there" in json.dumps(request)
    return Answer(text="and it will arrive on Thursday." if broke_off else ANSWER)


async def broken_off(engines: Engines, folder: Path) -> Told:
    return await chat_fails(engines, folder, Fault(cut_after=7), TWO_QUESTIONS, think=goes_on)


@pytest.mark.call(by=broken_off)
async def test_faults_15_a_sentence_that_breaks_off_is_finished_and_not_said_again(
    told: Told, report: Any
) -> None:
    assert answered(told)
    assert told.said.count(ANSWER) == 2
    assert told.heard().lower().count("your order") == 2
    assert set(told.failures) == {("llm", FIRST, "cut")}
    assert [each["from_word"] > 1 for each in told.details("llm_resumed")] == [True, True]
    assert told.longest_silence_ms <= KEPT_COMPANY_MS
    report(
        15,
        "the stream breaks off in mid-sentence",
        told,
        injected="RST after six words of every answer of the first model",
        heard="the sentence, once and whole: the second model goes on with the next word",
        recorded="`failures`: llm cut, the next went on",
    )


async def empty(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, llm=TWO_MODELS) as it, asyncio.TaskGroup() as tasks:
        for endpoint in ("chat", "responses"):
            it.openai.chat.plan.always(endpoint, Fault(empty=True))
        tasks.create_task(mended(it, after=2.0, then=Fault(empty=True)))
        return await it.ring(*steps("support_bill 1", "support_bill 1", "barge_in 1"))


@pytest.mark.call(by=empty)
async def test_faults_16_an_empty_answer_ends_its_turn_and_the_caller_is_asked_again(
    told: Told, report: Any
) -> None:
    heard = told.heard().lower()
    assert "could you say that again" in heard
    assert heard.count("thursday") == 2
    assert {failure[2] for failure in told.failures} == {"empty"}
    assert soon(told)
    report(
        16,
        "the model ends well and says nothing",
        told,
        injected="empty streams: of both models for 2 s, then of the first",
        heard="of both: to be asked to say it again; of one: nothing, the second model answers",
        recorded="`failures`: llm empty",
    )


# --- 17 and 18: tools ----------------------------------------------------------------------------------

WHICH = "Do you mean your last bill, or the one before?"
NONSENSE = (
    Call("end_call", '{"disposition": "wonderful"}'),
    Call("end_call", json.dumps('{"disposition": 5}')),
    Call("transfer_money", '{"to": "+15550177"}'),
    Call("offer_callback", '{"reason": ["a", "list"]}'),
)


def calls_nonsense(request: dict[str, Any]) -> Answer:
    called = sum(message["role"] == "tool" for message in request["messages"])
    return Answer(calls=(NONSENSE[called],)) if called < len(NONSENSE) else Answer(text=WHICH)


async def nonsense(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, think=calls_nonsense) as it:
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=nonsense)
async def test_faults_17_calls_that_make_no_sense_are_told_to_the_model_and_the_caller_is_asked(
    told: Told, report: Any
) -> None:
    assert told.caller == [BILL, HOURS]
    assert told.said.count(WHICH) == 2
    assert "last bill" in told.heard().lower()
    assert told.noticed.count("tool_args_invalid") >= 3
    assert told.record["tools"] == []
    assert soon(told)
    report(
        17,
        "bad arguments, arguments encoded twice, functions that there are not",
        told,
        injected="four such calls, before the model asks",
        heard="the model's question; nothing of the calls",
        recorded="`noticed`: tool_args_invalid, for each",
    )


def loops(request: dict[str, Any]) -> Answer:
    if HOURS in json.dumps(request["messages"][-3:]):
        return Answer(text=ANSWER)
    return Answer(calls=(Call("find_bill"),))


async def loop(engines: Engines, folder: Path) -> tuple[Told, int]:
    async with stage(engines, folder, think=loops) as it:
        told = await it.ring(*TWO_QUESTIONS)
        return told, len(it.openai.chat.plan.of("chat"))


@pytest.mark.call(by=loop)
async def test_faults_18_a_model_that_calls_for_ever_is_stopped_and_a_callback_is_offered(
    told: tuple[Told, int], report: Any
) -> None:
    call, asked = told
    heard = call.heard().lower()
    assert "get to the end of this" in heard
    assert "call you back" in heard
    assert "thursday" in heard
    assert call.noticed.count("tool_loop_cut") == 1
    assert asked <= 2 * (6 + 1)  # a reply begun before the caller had finished is thought again
    assert soon(call)
    report(
        18,
        "the model calls functions for ever",
        call,
        injected="each answer is a call",
        heard="\"I'm sorry, I can't get to the end of this right now.\", and the offer of a callback",
        recorded="`noticed`: tool_loop_cut, after 5 steps",
    )
