"""FAULTS.md 27 to 31: voices that are refused, silent, cut or wrong, and text that no voice should read."""

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.openai_chat_wire import Answer
from tests.doubles.plan import Fault
from tests.reliability.judging import gap_ms, misheard, plain
from tests.reliability.stage import ANSWER, KEPT_COMPANY_MS, TWO_QUESTIONS, Engines, Told, stage

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

FLASH = "elevenlabs:eleven_flash_v2_5/JBFqnCBsd6RMkjVDRZzb"
HTTP = "elevenlabs-http:eleven_flash_v2_5/JBFqnCBsd6RMkjVDRZzb"
OPENAI = "openai:gpt-4o-mini-tts/marin"
RETRIED_MS = 2_000 + 700
"""Two seconds of waiting for a sound, and before that the end of the turn and the model's first sentence."""
GREETING = "Larkfield, this is Maya. How can I help?"


def judge(call: Told, *, most_ms: int) -> None:
    """Both questions were answered whole, once, and soon."""
    assert misheard(call.heard(), call.said) <= 0.15
    greeting, first, second = (turn["heard"] for turn in call.record["turns"] if turn["who"] == "agent")
    assert greeting == GREETING
    assert first.endswith(ANSWER)
    assert second.endswith(ANSWER)
    assert max(call.responses_ms) <= most_ms
    assert call.longest_silence_ms <= KEPT_COMPANY_MS
    assert call.rung.result.hearing.heard_clipped == 0


# --- 27 ----------------------------------------------------------------------------------------------


async def a_voice_with_too_many_at_once(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        for endpoint in ("tts-multi", "tts-context"):
            status = 429 if endpoint == "tts-multi" else None
            it.elevenlabs.plan.always(endpoint, Fault(status=status, code="too_many_concurrent_requests"))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=a_voice_with_too_many_at_once)
async def test_faults_27_a_voice_that_is_too_busy_is_replaced(told: Told, report: Any) -> None:
    judge(told, most_ms=1_500)
    assert told.failures[0] == ("tts", FLASH, "rate_limited")
    assert {each["instead"] for each in told.record["failures"]} == {"openai:gpt-4o-mini-tts/marin"}
    report(
        27,
        "the voice takes no more at once",
        told,
        injected="429 too_many_concurrent_requests, always",
        heard="everything, in the next voice",
        recorded="`failures`: tts rate_limited, and who spoke instead",
    )


# --- 28 ----------------------------------------------------------------------------------------------


async def a_voice_that_says_nothing(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.elevenlabs.plan.always("tts-context", Fault(silent=True))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=a_voice_that_says_nothing)
async def test_faults_28_a_voice_that_takes_text_and_is_silent_is_replaced_within_two_seconds(
    told: Told, report: Any
) -> None:
    judge(told, most_ms=1_800)
    assert told.failures[0] == ("tts", FLASH, "slow")
    first = next(each for each in told.record["noticed"] if each["what"] == "tts_resumed")
    assert first["at_ms"] <= told.rung.result.responses[0].caller_end_ms + RETRIED_MS
    assert "order" in told.heard(first["at_ms"] - 100, first["at_ms"] + 1_500).lower()
    assert all(each["gap_ms"] <= 1_000 and each["from_word"] == 1 for each in told.details("tts_resumed"))
    assert {used["provider"] for used in told.record["usage"] if used["port"] == "tts"} == {OPENAI}
    report(
        28,
        "the voice takes the text and gives no audio",
        told,
        injected="contexts are acknowledged and stay silent",
        heard='"One moment, please", then everything in the next voice',
        recorded="`failures`: tts slow; heard is what the next voice said",
    )


# --- 29 ----------------------------------------------------------------------------------------------


async def a_voice_that_breaks_off(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.elevenlabs.plan.add("tts-context", Fault(cut_after=2))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=a_voice_that_breaks_off)
async def test_faults_29_a_voice_that_breaks_off_in_mid_sentence_is_gone_on_with(
    told: Told, report: Any
) -> None:
    judge(told, most_ms=1_500)
    assert told.failures == [("tts", FLASH, "cut")]
    gap = gap_ms(told)
    assert gap <= 1_000
    heard = told.heard().lower()
    assert (heard.count("your order has been shipped"), heard.count("thursday")) == (2, 2)  # no word twice
    (resumed,) = told.details("tts_resumed")
    assert resumed["provider"] == OPENAI
    assert 1 < resumed["from_word"] <= len(ANSWER.split())
    report(
        29,
        "the voice's socket drops in mid-sentence",
        told,
        injected="RST after two pieces of audio",
        heard=f"the rest of the sentence from the next voice, no word twice, after a gap of {gap} ms",
        recorded="`failures`: tts cut, and who went on; `noticed`: tts_resumed, from word "
        f"{resumed['from_word']} on",
    )


# --- 30 ----------------------------------------------------------------------------------------------


async def voices_with_wrong_audio(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, tts="elevenlabs,elevenlabs-http,openai") as it:
        it.elevenlabs.plan.always("tts-context", Fault(wrong_rate=True))
        it.elevenlabs.plan.always("tts-http", Fault(garbage=True))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=voices_with_wrong_audio)
async def test_faults_30_audio_of_a_wrong_rate_or_with_a_files_header_does_not_reach_the_ear(
    told: Told, report: Any
) -> None:
    judge(told, most_ms=2_000)
    assert misheard(told.heard(), told.said) <= 0.1
    assert told.failures[:2] == [("tts", FLASH, "bad_format"), ("tts", HTTP, "bad_format")]
    report(
        30,
        "audio of a wrong rate, with a file's header, of odd length",
        told,
        injected="16 kHz from one voice, a RIFF header and an odd byte from the next",
        heard="the third voice alone",
        recorded="`failures`: tts bad_format, twice",
    )


async def a_voice_that_clips(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, tts="elevenlabs-http,openai") as it:
        it.elevenlabs.plan.always("tts-http", Fault(clipped=True))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=a_voice_that_clips)
async def test_faults_30_audio_that_is_clipped_does_not_reach_the_ear(told: Told, report: Any) -> None:
    judge(told, most_ms=1_500)
    assert set(told.failures) == {("tts", HTTP, "bad_format")}
    assert {each["instead"] for each in told.record["failures"]} == {OPENAI}
    report(
        "30 (clipped)",
        "audio that is too loud",
        told,
        injected="18 dB more than there is room for, always",
        heard="everything, in the next voice, whose body comes in chunks of an odd length",
        recorded="`failures`: tts bad_format, and who spoke instead",
    )


# --- 31 ----------------------------------------------------------------------------------------------

MARKED_UP = (
    "**Your order** is on its way \N{DELIVERY TRUCK}: see [the page](https://example.com/orders/B7429?x=1).\n\n"
    "- It costs $42.50.\n- It arrives on *Thursday*, request 3f2b8c1e-9d4a-4b6f-8e21-0c5d7a9b1e34.\n"
    "You can rely on it \N{SMILING FACE WITH SMILING EYES}!"
)


async def text_for_the_eye(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, think=lambda request: Answer(text=MARKED_UP)) as it:
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=text_for_the_eye)
async def test_faults_31_markdown_emoji_addresses_and_ids_are_not_read_aloud(told: Told, report: Any) -> None:
    heard = plain(told.heard())
    for never in (
        "asterisk",
        "star",
        "http",
        "slash",
        "example",
        "dash",
        "bracket",
        "smil",
        "truck",
        "3f",
        "uuid",
    ):
        assert never not in heard
    for signs in "*[]_#":
        assert signs not in told.said
    assert heard.count("your order is on its way") == 2
    assert heard.count("you can rely on it") == 2
    assert heard.count(plain("It costs $42.50.")) == 2
    assert told.noticed.count("leaked_tool_text_filtered") == 2
    report(
        31,
        "Markdown, emoji, addresses of pages, ids in the text",
        told,
        injected="an answer with all of them",
        heard="the words alone, amounts as they are said",
        recorded="the turns without the signs; noticed: leaked_tool_text_filtered, for the id",
    )
