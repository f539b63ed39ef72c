"""What issue 4 promises besides: a provider is killed in mid-sentence, a key is wrong."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from callbot.vendors import VENDORS
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.plan import Fault
from tests.reliability.judging import answered, soon
from tests.reliability.stage import BILL, HOURS, KEPT_COMPANY_MS, TWO_QUESTIONS, Engines, Stage, Told, stage
from tests.reliability.test_thinking import FIRST, TWO_MODELS, goes_on

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

GONE = Fault(refuse=True)

# --- killed in mid-sentence ----------------------------------------------------------------------------


async def ears_killed(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.deepgram.plan.add("listen", Fault(cut_after=2))
        it.deepgram.plan.always("listen", GONE)
        return await it.ring(*TWO_QUESTIONS)


async def model_killed(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, llm=TWO_MODELS, think=goes_on) as it:
        it.openai.chat.plan.add("chat", Fault(cut_after=7))
        it.openai.chat.plan.always("chat", GONE)
        return await it.ring(*TWO_QUESTIONS)


LONG = "Your order has been shipped this morning, with two routers in it, and it will arrive on Thursday."


async def voice_killed(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, think=lambda request: Answer(text=LONG)) as it:
        it.elevenlabs.plan.always("tts-context", Fault(cut_after=3))
        it.elevenlabs.plan.always("tts-multi", GONE)
        return await it.ring(*TWO_QUESTIONS)


def killed(told: Told, port: str) -> None:
    """What holds of each of them."""
    assert answered(told)
    assert told.longest_silence_ms <= KEPT_COMPANY_MS
    assert soon(told)
    assert {failure[0] for failure in told.failures} == {port}
    assert all(each["instead"] for each in told.record["failures"])


@pytest.mark.call(by=ears_killed)
async def test_a_recogniser_that_is_killed_in_mid_sentence_leaves_no_gap(told: Told, report: Any) -> None:
    killed(told, "stt")
    report(
        "killed: hearing",
        "the recogniser is killed in mid-sentence",
        told,
        injected="RST after two partials, and every new connection is refused",
        heard="an answer to every word: the next recogniser hears the utterance from its beginning",
        recorded="`failures`: stt cut, then connect; who went on",
    )


@pytest.mark.call(by=model_killed)
async def test_a_model_that_is_killed_in_mid_sentence_leaves_no_gap(told: Told, report: Any) -> None:
    killed(told, "llm")
    assert ("llm", FIRST, "cut") in told.failures
    report(
        "killed: thinking",
        "the language model is killed in mid-sentence",
        told,
        injected="RST after six words, and every new connection is refused",
        heard="the sentence, once and whole",
        recorded="`failures`: llm cut, then connect; who went on",
    )


@pytest.mark.call(by=voice_killed)
async def test_a_voice_that_is_killed_in_mid_sentence_leaves_no_gap(told: Told, report: Any) -> None:
    killed(told, "tts")
    assert told.said.count(LONG) == 2
    assert told.heard().lower().count("your order") == 2
    report(
        "killed: speaking",
        "the voice is killed in mid-sentence",
        told,
        injected="RST after three pieces of audio, and every new connection is refused",
        heard="the sentence, once and whole; its end in the next voice",
        recorded="`failures`: tts cut, then connect; who went on",
    )


# --- a wrong key ---------------------------------------------------------------------------------------


async def wrong_key(engines: Engines, folder: Path, vendor: str) -> tuple[Told, Stage]:
    async with stage(engines, folder, settings={f"{vendor}_api_key": SecretStr("a-wrong-key-0000")}) as it:
        return await it.ring(*TWO_QUESTIONS), it


async def wrong_deepgram(engines: Engines, folder: Path) -> tuple[Told, Stage]:
    return await wrong_key(engines, folder, "deepgram")


async def wrong_openai(engines: Engines, folder: Path) -> tuple[Told, Stage]:
    return await wrong_key(engines, folder, "openai")


async def wrong_elevenlabs(engines: Engines, folder: Path) -> tuple[Told, Stage]:
    return await wrong_key(engines, folder, "elevenlabs")


def names_the_key(it: Stage, vendor: str) -> None:
    """And no other key, and not the key itself."""
    refused = {line.get("key") for line in it.logged if line["event"] == "a key is refused"}
    assert refused == {VENDORS[vendor].key_setting}
    assert not any("a-wrong-key-0000" in str(line) for line in it.logged)


@pytest.mark.call(by=wrong_deepgram)
async def test_with_a_wrong_deepgram_key_the_call_is_answered_and_the_log_names_it(
    told: tuple[Told, Stage], report: Any
) -> None:
    call, it = told
    assert answered(call)
    names_the_key(it, "deepgram")
    report(
        "key: Deepgram",
        "a wrong key for Deepgram",
        call,
        injected="`DEEPGRAM_API_KEY` is not the vendor's",
        heard="nothing of it: the next recogniser hears",
        recorded="`failures`: stt auth; the log: a key is refused, DEEPGRAM_API_KEY",
    )


@pytest.mark.call(by=wrong_elevenlabs)
async def test_with_a_wrong_elevenlabs_key_the_call_is_answered_and_the_log_names_it(
    told: tuple[Told, Stage], report: Any
) -> None:
    call, it = told
    assert answered(call)
    assert "how can i help" in call.heard().lower()
    names_the_key(it, "elevenlabs")
    report(
        "key: ElevenLabs",
        "a wrong key for ElevenLabs",
        call,
        injected="`ELEVENLABS_API_KEY` is not the vendor's",
        heard="the next voice, from the greeting on",
        recorded="the log, when the process starts: a key is refused, ELEVENLABS_API_KEY",
    )


@pytest.mark.call(by=wrong_openai)
async def test_with_a_wrong_openai_key_the_flow_answers_and_the_log_names_it(
    told: tuple[Told, Stage], report: Any
) -> None:
    call, it = told
    assert call.caller == [BILL, HOURS]
    assert "from eight to six" in call.heard().lower()
    assert call.record["disposition"] != "failed"
    names_the_key(it, "openai")
    report(
        "key: OpenAI",
        "a wrong key for OpenAI, and no other model",
        call,
        injected="`OPENAI_API_KEY` is not the vendor's",
        heard="the answers of the agent's flow",
        recorded="`failures`: llm auth; the log: a key is refused, OPENAI_API_KEY",
    )
