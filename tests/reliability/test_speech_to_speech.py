"""Calls by a model that hears, thinks and speaks by itself: OpenAI's realtime models, as a double of them."""

import shutil
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.doubles.openai_chat_wire import Answer
from tests.doubles.plan import Fault
from tests.reliability.helpdesk import COMPANY, Desk, Question, find_order, hand_over, thinks
from tests.reliability.judging import misheard, plain
from tests.reliability.stage import SLACK_MS, Engines, Stage, Told, stage

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

WAIT = {"wait": "bot_stopped"}
NAME = "openai-realtime:gpt-realtime-2.1/marin"
GREETING = "Larkfield, this is Maya. How can I help?"
HOURS = "We are open from eight to six."
PRICE = "The router costs ninety dollars."
LONG = (
    "You can send anything back within thirty days, and the label for it is free of charge. "
    "Put it into the box in which it came, and bring it to the post office."
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A call, what the model was asked in it, and what it was sent."""

    told: Told
    asked: list[Question]
    sent: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message.get("type") == kind]


def model(question: Question) -> Answer:
    if "policy" in question.words or "return" in question.words:
        return Answer(text=LONG)
    if "price" in question.words or "router" in question.words:
        if question.agent == "support":
            return hand_over("sales", first="I will put you through to Tom.")
        return Answer(text=PRICE)
    if "order" in question.words:
        return Answer(text="It is delayed.") if question.results else Answer(calls=(find_order(),))
    return Answer(text=HOURS)


def desk_by_speech(
    engines: Engines,
    folder: Path,
    desk: Desk,
    asked: list[Question],
    *,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> AbstractAsyncContextManager[Stage]:
    """The help desk, whose agents hear and speak by one model."""
    company = folder / "company"
    shutil.copytree(COMPANY, company, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for agent in company.glob("agents/*.yaml"):
        text = agent.read_text(encoding="utf-8")
        agent.write_text(text.replace("thinking: model", "thinking: speech"), encoding="utf-8")
    return stage(
        engines,
        folder,
        company=company,
        tools=desk.tools(),
        think=thinks(model, asked),
        settings={"speech_to_speech": "openai-realtime", **(settings or {})},
        **options,
    )


def spoken(it: Stage, told: Told, asked: list[Question]) -> Spoken:
    return Spoken(told, asked, it.openai.speech.plan.of("realtime"))


def providers(told: Told) -> set[tuple[str, str]]:
    return {(each["port"], each["provider"]) for each in told.record["usage"]}


# --- a call ------------------------------------------------------------------------------------------


async def a_call_by_speech(engines: Engines, folder: Path) -> Spoken:
    desk, asked = Desk(), list[Question]()
    async with desk_by_speech(engines, folder, desk, asked) as it:
        order = await it.clip("Where is my order?")
        price = await it.clip("What is the price of a router?")
        told = await it.ring(WAIT, {"play": order}, WAIT, {"play": price}, WAIT, "hang_up")
        assert desk.ran == ["find_order B7429"]
        return spoken(it, told, asked)


@pytest.mark.call(by=a_call_by_speech)
async def test_it_hears_thinks_and_speaks(told: Spoken, report: Any) -> None:
    call = told.told
    assert misheard(" ".join(call.caller), "Where is my order? What is the price of a router?") <= 0.2
    assert call.record["agents"] == ["support", "sales"]
    assert [tool["tool"] for tool in call.record["tools"]] == ["find_order"]
    said = [turn["text"] for turn in call.record["turns"] if turn["who"] != "caller"]
    assert said[:2] == [GREETING, "It is delayed."]
    assert said[-1].endswith(PRICE)
    assert misheard(call.heard(), call.said) <= 0.15  # mu-law to the end: another format would be noise
    assert call.failures == []
    assert providers(call) == {("stt", NAME), ("llm", NAME)}
    assert max(call.responses_ms) < 2_000
    report(
        "speech to speech",
        "nothing: a call by a model that hears and speaks by itself",
        call,
        injected="a question for which a tool is called, and one for another agent",
        heard="the greeting, the answer, the other agent's answer, in one voice",
        recorded="turns, the tool, the handoff, tokens of text and of audio",
    )


@pytest.mark.call(by=a_call_by_speech)
async def test_a_handoff_changes_who_speaks_and_not_the_format_of_the_audio(told: Spoken) -> None:
    sessions = [message["session"] for message in told.of("session.update") if "Larkfield" in str(message)]
    assert len({session["instructions"] for session in sessions}) == 2
    for session in sessions:
        assert (
            session["audio"]["input"]["format"]
            == session["audio"]["output"]["format"]
            == {"type": "audio/pcmu"}
        )
    assert {tool["name"] for tool in sessions[-1]["tools"]} >= {"find_order", "hand_over", "end_call"}


@pytest.mark.call(by=a_call_by_speech)
async def test_what_it_costs_is_counted_in_tokens_of_text_and_of_audio(told: Spoken) -> None:
    units = {each["unit"] for each in told.told.record["usage"]}
    assert {"tokens_read", "audio_tokens_read", "audio_tokens_written", "seconds_heard"} <= units
    assert told.told.record["cost"]["unpriced"] == []


# --- an interruption ---------------------------------------------------------------------------------


async def a_barge_in_by_speech(engines: Engines, folder: Path) -> Spoken:
    asked = list[Question]()
    async with desk_by_speech(engines, folder, Desk(), asked) as it:
        interrupt = {"interrupt": {"play": "barge_in 2", "after_ms": 2_000}}
        told = await it.ring(WAIT, {"play": "backchannel 1"}, interrupt, WAIT, "hang_up")
        return spoken(it, told, asked)


@pytest.mark.call(by=a_barge_in_by_speech)
async def test_after_a_barge_in_the_model_remembers_what_was_heard(told: Spoken, report: Any) -> None:
    call = told.told
    turn = next(turn for turn in call.record["turns"] if turn.get("interrupted"))
    assert LONG.startswith(turn["heard"])
    assert 20 < len(turn["heard"]) < 70
    (barge_in,) = call.rung.result.barge_ins
    (cut,) = told.of("conversation.item.truncate")
    played_ms = barge_in.onset_ms + barge_in.after_ms - turn["start_ms"]
    assert played_ms - 900 <= cut["audio_end_ms"] <= played_ms + SLACK_MS
    remembered = [m["content"] for m in told.asked[-1].messages if m["role"] == "assistant"][-1]
    assert "post office" not in told.asked[-1].text
    # its words have no times: we rather count too few of them; its memory is cut by the audio
    assert misheard(remembered, call.heard(turn["start_ms"], barge_in.onset_ms + 300)) <= 0.35
    assert plain(remembered).startswith(plain(turn["heard"]))
    report(
        "speech to speech, interrupted",
        "a barge-in over the answer of a model that speaks by itself",
        call,
        injected="the caller interrupts 2 s into an answer that has all been sent",
        heard=f"silence {barge_in.after_ms} ms after the caller's first sound",
        recorded=f"its memory is cut to {cut['audio_end_ms']} ms of the answer",
    )


# --- failing -----------------------------------------------------------------------------------------


async def killed_in_mid_sentence(engines: Engines, folder: Path) -> Spoken:
    asked = list[Question]()
    async with desk_by_speech(engines, folder, Desk(), asked) as it:
        it.openai.speech.plan.add("answers", Fault(cut_after=8))
        told = await it.ring(WAIT, {"play": "backchannel 1"}, WAIT, {"play": "barge_in 1"}, WAIT, "hang_up")
        return spoken(it, told, asked)


@pytest.mark.call(by=killed_in_mid_sentence)
async def test_killed_in_mid_sentence_others_go_on(told: Spoken, report: Any) -> None:
    call = told.told
    assert ("llm", NAME, "cut") in call.failures
    assert call.longest_silence_ms <= 2_500
    heard = call.heard().lower()
    assert "post office" in heard
    assert misheard(call.record["turns"][-1]["heard"], HOURS) <= 0.1
    report(
        "speech to speech, killed",
        "the session breaks in mid-sentence",
        call,
        injected="the connection is reset 1.6 s into an answer",
        heard="the rest of the answer, in another voice; then the next answer",
        recorded="; ".join(" ".join(failure) for failure in call.failures),
    )


async def with_a_wrong_key(engines: Engines, folder: Path) -> tuple[Told, list[Mapping[str, Any]]]:
    asked = list[Question]()
    wrong = {"openai_api_key": SecretStr("a-wrong-key-0000")}
    async with desk_by_speech(engines, folder, Desk(), asked, stt="deepgram", settings=wrong) as it:
        order = await it.clip("Has my order been sent?")
        return await it.ring(WAIT, {"play": order}, WAIT, "hang_up"), it.logged


@pytest.mark.call(by=with_a_wrong_key)
async def test_with_a_wrong_key_the_call_is_answered_and_the_log_names_the_key(told: Any) -> None:
    call, logged = told
    assert call.record["turns"][0]["heard"] == GREETING
    assert "order number" in call.heard().lower()  # the flow asks
    refused = [line for line in logged if line.get("key") == "OPENAI_API_KEY"]
    assert any(line["event"] == "a key is refused" for line in refused)
