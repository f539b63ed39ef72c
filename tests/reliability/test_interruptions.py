"""FAULTS.md 32 to 37: callers, and what is no caller, who speak while we do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.openai_chat_wire import Answer
from tests.reliability import noises
from tests.reliability.helpdesk import Question
from tests.reliability.judging import gap_ms, misheard, plain
from tests.reliability.stage import Engines, Told, stage

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

WAIT = {"wait": "bot_stopped"}
GREETING = "Larkfield, this is Maya. How can I help?"
STOP = "Wait, stop. What about Saturday?"
HOURS = "We are open from eight to six."
LONG = (
    "You can send anything back within thirty days, and the label for it is free of charge. "
    "Put it into the box in which it came, and bring it to the post office."
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A call, and what the model was asked in it."""

    told: Told
    asked: list[Question]


async def ring(engines: Engines, folder: Path, *steps: Any, echo: bool = False) -> Spoken:
    """``cough`` and ``bark`` stand for those sounds."""
    asked = list[Question]()

    def think(request: dict[str, Any]) -> Answer:
        asked.append(Question(request))
        return Answer(text=LONG if "policy" in asked[-1].words else HOURS)

    async with stage(engines, folder, think=think) as it:
        sounds = {"cough": it.sound(noises.cough()), "bark": it.sound(noises.bark())}
        caller = it.caller(*(_with_sounds(step, sounds) for step in steps), "hang_up")
        return Spoken(await it.ring_as(noises.Echoing(caller) if echo else caller), asked)


def _with_sounds(step: Any, sounds: dict[str, str]) -> Any:
    if isinstance(step, dict):
        return {key: _with_sounds(value, sounds) for key, value in step.items()}
    return sounds.get(step, step) if isinstance(step, str) else step


def over(play: str, after_ms: int) -> Any:
    """This is heard on the line so far into our next words."""
    return {"interrupt": {"play": play, "after_ms": after_ms}}


def clears(call: Told) -> list[Any]:
    return [event for event in call.rung.result.events if event.kind == "clear"]


RETURNS, OPENING = {"play": "backchannel 1"}, {"play": "barge_in 1"}

# --- 32, 34 ------------------------------------------------------------------------------------------


async def a_barge_in(engines: Engines, folder: Path) -> Spoken:
    return await ring(engines, folder, WAIT, RETURNS, over("barge_in 2", 2_000), WAIT, OPENING, WAIT)


@pytest.mark.call(by=a_barge_in)
async def test_faults_32_on_a_barge_in_what_is_buffered_is_not_played(told: Spoken, report: Any) -> None:
    call = told.told
    (clear,) = clears(call)
    assert clear.data["dropped_ms"] > 4_000  # the whole answer had been sent
    (barge_in,) = call.rung.result.barge_ins
    stopped_ms = barge_in.onset_ms + barge_in.after_ms
    assert stopped_ms <= clear.t_ms + 200
    assert clear.t_ms - barge_in.onset_ms <= 400
    (cut,) = call.details("barge_in")
    assert abs(cut["cut_ms"] - clear.data["dropped_ms"]) <= 200
    assert cut["after_ms"] <= 400
    assert misheard(call.caller[1], STOP) <= 0.2
    assert call.caller[2:] == ["What are your opening hours?"]
    assert call.record["turns"][-1]["heard"] == HOURS
    report(
        32,
        "a barge-in while the rest of the answer is buffered at the carrier",
        call,
        injected='"Wait, stop." 2 s into an answer that has all been sent',
        heard=f"silence {clear.t_ms - barge_in.onset_ms + 20} ms after the caller's first sound",
        recorded=f"`interrupted`; noticed: barge_in, which cut {cut['cut_ms']} ms",
    )


@pytest.mark.call(by=a_barge_in)
async def test_faults_34_the_model_is_told_what_was_heard_and_not_what_was_meant(
    told: Spoken, report: Any
) -> None:
    call = told.told
    turn = call.record["turns"][2]
    assert turn["interrupted"]
    assert LONG.startswith(turn["heard"])
    assert 20 < len(turn["heard"]) < 60
    (barge_in,) = call.rung.result.barge_ins
    ear = call.heard(turn["start_ms"], barge_in.onset_ms + 300)
    assert misheard(turn["heard"], ear) <= 0.2
    lines = [message["content"] for message in told.asked[-1].messages if message["role"] == "assistant"]
    assert turn["heard"] in lines
    assert "the label for it" not in told.asked[-1].text
    assert "The caller interrupted you there and did not hear the rest." in told.asked[-1].text
    report(
        34,
        "less was heard than was said",
        call,
        injected="marks come back for the beginning of an answer",
        heard="nothing twice",
        recorded="`heard` is what reached the ear, and what the model is told of its own answer",
    )


# --- 33 ----------------------------------------------------------------------------------------------


async def a_cough_over_the_greeting(engines: Engines, folder: Path) -> Spoken:
    return await ring(engines, folder, over("cough", 700), WAIT, OPENING, WAIT)


@pytest.mark.call(by=a_cough_over_the_greeting)
async def test_faults_33_a_cough_does_not_cost_the_caller_the_greeting(told: Spoken, report: Any) -> None:
    call = told.told
    assert call.record["turns"][0]["heard"] == GREETING
    assert call.caller == ["What are your opening hours?"]
    assert misheard(call.heard(), f"{GREETING} {HOURS}") <= 0.15
    assert gap_ms(call) <= 1_000
    report(
        33,
        "a cough over the greeting",
        call,
        injected="a third of a second of noise",
        heard="the greeting, whole",
        recorded=f"no turn of the caller's; noticed: {', '.join(call.noticed) or 'nothing'}",
    )


async def a_bark_over_the_greeting(engines: Engines, folder: Path) -> Spoken:
    return await ring(engines, folder, over("bark", 700), WAIT, OPENING, WAIT)


@pytest.mark.call(by=a_bark_over_the_greeting)
async def test_faults_33_a_sound_that_stops_the_greeting_and_is_no_word_lets_it_go_on(
    told: Spoken, report: Any
) -> None:
    call = told.told
    assert len(clears(call)) == 1  # it was taken for a voice
    assert call.record["turns"][0]["heard"] == GREETING
    assert not call.record["turns"][0]["interrupted"]
    assert call.caller == ["What are your opening hours?"]
    assert misheard(call.heard(), f"{GREETING} {HOURS}") <= 0.15
    assert gap_ms(call) <= 1_000
    assert call.noticed[-1] == "resumed"
    report(
        "33 (a voice)",
        "a sound that is taken for a voice over the greeting",
        call,
        injected="a third of a second with the formants of an open mouth, 0.7 s into the greeting",
        heard=f"the greeting, whole, with a gap of {gap_ms(call)} ms",
        recorded=f"no turn of the caller's; noticed: {', '.join(call.noticed)}",
    )


# --- 35 ----------------------------------------------------------------------------------------------


async def a_backchannel(engines: Engines, folder: Path) -> Spoken:
    return await ring(engines, folder, WAIT, RETURNS, over("backchannel 2", 2_000), WAIT, OPENING, WAIT)


@pytest.mark.call(by=a_backchannel)
async def test_faults_35_a_caller_who_only_listens_does_not_stop_us(told: Spoken, report: Any) -> None:
    call = told.told
    assert clears(call) == []
    assert call.record["turns"][2]["heard"] == LONG
    assert not call.record["turns"][2]["interrupted"]
    assert call.caller[1:] == ["What are your opening hours?"]
    assert misheard(call.heard(), call.said) <= 0.1
    assert call.noticed == ["backchannel"]
    report(
        35,
        '"mm-hmm" while we speak',
        call,
        injected="the caller hums with a closed mouth 2 s into an answer",
        heard="the answer, without a gap",
        recorded="noticed: backchannel",
    )


# --- 36 ----------------------------------------------------------------------------------------------


async def a_sound_like_a_voice(engines: Engines, folder: Path) -> Spoken:
    return await ring(engines, folder, WAIT, RETURNS, over("bark", 2_000), WAIT, OPENING, WAIT)


@pytest.mark.call(by=a_sound_like_a_voice)
async def test_faults_36_a_sound_that_stops_us_and_is_no_word_lets_us_go_on_where_we_were(
    told: Spoken, report: Any
) -> None:
    call = told.told
    assert len(clears(call)) == 1
    assert gap_ms(call) <= 1_000
    assert call.record["turns"][2]["heard"] == LONG
    assert call.caller[1:] == ["What are your opening hours?"]
    assert misheard(call.heard(), call.said) <= 0.1
    assert call.noticed[-1] == "resumed"
    assert call.details("resumed")[0]["after_ms"] <= 1_000
    report(
        36,
        "a sound that is taken for a voice",
        call,
        injected="a third of a second with the formants of an open mouth, 2 s into an answer",
        heard=f"the answer, with a gap of {gap_ms(call)} ms, no word twice",
        recorded=f"noticed: {', '.join(call.noticed)}",
    )


# --- 37 ----------------------------------------------------------------------------------------------


async def a_line_that_echoes(engines: Engines, folder: Path) -> Spoken:
    steps = [WAIT, RETURNS, over("barge_in 2", 2_500), WAIT, OPENING, WAIT]
    return await ring(engines, folder, *steps, echo=True)


@pytest.mark.call(by=a_line_that_echoes)
async def test_faults_37_our_own_voice_is_not_answered_and_a_caller_can_still_interrupt(
    told: Spoken, report: Any
) -> None:
    call = told.told
    greeting, answer, *others = (turn for turn in call.record["turns"] if turn["who"] == "agent")
    assert greeting["heard"] == GREETING
    assert answer["interrupted"]
    assert LONG.startswith(answer["heard"])
    assert [turn["heard"] for turn in others] == [HOURS, HOURS]
    first, second, third = call.caller
    assert (first, third) == ("What's your return policy?", "What are your opening hours?")
    assert plain(second).startswith("wait stop what about")  # the rest is heard through our own voice
    assert "send" not in second
    assert call.noticed.count("echo_suppressed") >= 3
    heard = plain(call.heard())
    assert heard.count("open from 8 to 6") + heard.count("open from eight to six") == 2
    assert heard.count("how can i help") == 1
    stops = [clear.t_ms for clear in clears(call)]
    report(
        37,
        "our own voice comes back on the line",
        injected="a telephone that gives back what it plays, 240 ms later and 12 dB lower",
        heard=f"the greeting, which stops once, after {stops[0]} ms, and goes on; answers to what the caller "
        "says and to nothing else; words of the caller's still interrupt",
        recorded="noticed: echo_suppressed; no turn of the caller's has our words in it",
    )
