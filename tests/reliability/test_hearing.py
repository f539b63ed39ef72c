"""FAULTS.md 1 to 9: recognisers that break, are deaf, late, hasty or wrong."""

import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callbot.exchange.sounds import encode_wav
from callbot.providers import mulaw
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.plan import Fault
from tests.reliability import judging, noises
from tests.reliability.judging import misheard, soon
from tests.reliability.stage import (
    ANSWER,
    APOLOGY_MS,
    BILL,
    FILLER_MS,
    HOURS,
    SILENCE_MS,
    SLACK_MS,
    TWO_QUESTIONS,
    Engines,
    Told,
    stage,
    steps,
)

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

DEEPGRAM, OPENAI = "deepgram:nova-3", "openai:gpt-live-transcribe"


def agents_turns(told: Told) -> list[dict[str, Any]]:
    return [turn for turn in told.record["turns"] if turn["who"] == "agent"]


def answered(told: Told) -> bool:
    """... with one turn for each."""
    return judging.answered(told) and len(agents_turns(told)) == 3


# --- 1: the socket is lost -----------------------------------------------------------------------------


async def cut(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.deepgram.plan.add("listen", Fault(cut_after=2))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=cut)
async def test_faults_01_of_an_utterance_in_which_the_recognisers_socket_is_lost_no_word_is(
    told: Told, report: Any
) -> None:
    assert answered(told)
    assert told.failures == [("stt", DEEPGRAM, "cut")]
    assert told.record["failures"][0]["instead"] == DEEPGRAM
    assert told.noticed == ["stt_resumed"]
    (resumed,) = told.details("stt_resumed")
    assert resumed["provider"] == DEEPGRAM
    assert resumed["replayed_ms"] > 300
    assert resumed["gap_ms"] < 2_000
    assert [event.kind for event in told.log] == ["ProviderFailed", "Noticed", "Ended"]
    assert soon(told)
    report(
        1,
        "the recogniser's socket is lost in mid-utterance",
        told,
        injected="RST after two partials",
        heard="nothing of it: the utterance is sent again on a new connection",
        recorded=f"`failures`: stt cut, the same again; `noticed`: stt_resumed, after {resumed['gap_ms']} ms "
        f"and {resumed['replayed_ms']} ms of audio",
    )


LONG_BILL = "Hello, I have a question about my last bill, because it is so much higher than the one before."


async def gone(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, stt="deepgram,openai") as it:
        it.deepgram.plan.add("listen", Fault(cut_after=2), Fault(refuse=True))
        it.openai.speech.plan.add("realtime", Fault(refuse=True), Fault(refuse=True))
        wait = {"wait": "bot_stopped"}
        bill = await it.clip(LONG_BILL)
        return await it.ring(wait, {"play": bill}, wait, {"play": "barge_in 1"}, wait, "hang_up")


@pytest.mark.call(by=gone)
async def test_faults_01_when_more_than_two_seconds_of_it_are_lost_the_caller_is_asked_to_say_it_again(
    told: Told, report: Any
) -> None:
    heard = told.heard().lower()
    assert heard.count("say that again") == 1
    assert heard.count("thursday") == 1
    assert told.caller == [HOURS]
    assert told.noticed[0] == "stt_deaf"
    assert told.details("stt_deaf")[0]["sound_ms"] > 2_000
    assert {failure[2] for failure in told.failures} == {"cut", "connect"}
    assert soon(told)
    report(
        "1 (gone)",
        "every recogniser's socket is lost in mid-utterance, and more than 2 s of it with them",
        told,
        injected="RST after two partials, and the next connections of both are refused",
        heard="\"I'm sorry, I can't hear you well. Could you say that again?\"; no answer to half of it",
        recorded="`failures`: stt cut, then connect; `noticed`: stt_deaf; the log: HearingFailed",
    )


# --- 2: hold -------------------------------------------------------------------------------------------


async def held(engines: Engines, folder: Path) -> tuple[Told, int]:
    async with stage(engines, folder, deepgram_idle=5.5) as it:
        told = await it.ring(
            *steps("support_bill 1")[:-1], {"wait": {"seconds": 6}}, *steps("barge_in 1")[1:]
        )
        return told, sum(said["type"] == "KeepAlive" for said in it.deepgram.plan.of("listen message"))


async def idle(engines: Engines, folder: Path) -> tuple[Told, int]:
    async with stage(engines, folder, deepgram_idle=3.0) as it:
        told = await it.ring(
            *steps("support_bill 1")[:-1], {"wait": {"seconds": 6}}, *steps("barge_in 1")[1:]
        )
        return told, len(it.deepgram.plan.of("listen"))


@pytest.mark.call(by=held)
async def test_faults_02_while_nobody_speaks_a_recogniser_is_kept_from_hanging_up(
    told: tuple[Told, int], report: Any
) -> None:
    call, kept_alive = told
    assert answered(call)
    assert kept_alive >= 1
    assert call.failures == []
    report(
        "2 (kept alive)",
        "nobody speaks for longer than the recogniser's idle time-out",
        call,
        injected="the vendor hangs up after 5.5 s without a message; the caller is silent for 7 s",
        heard="nothing of it: KeepAlive is sent",
        recorded="nothing, for nothing failed",
    )


@pytest.mark.call(by=idle)
async def test_faults_02_a_recogniser_that_hangs_up_in_silence_is_called_again_for_the_next_words(
    told: tuple[Told, int], report: Any
) -> None:
    call, connections = told
    assert answered(call)
    assert connections >= 2
    assert set(call.failures) == {("stt", DEEPGRAM, "cut")}
    assert soon(call)
    report(
        2,
        "the recogniser hangs up while nobody speaks (1011, NET-0001)",
        call,
        injected="the vendor hangs up after 3 s without a message, sooner than we send one",
        heard="nothing of it: it is connected again for the next words",
        recorded="`failures`: stt cut, the same again",
    )


# --- 3: refused at the start ---------------------------------------------------------------------------


async def refused(engines: Engines, folder: Path) -> tuple[Told, list[Mapping[str, Any]]]:
    async with stage(engines, folder) as it:
        it.deepgram.plan.always("listen", Fault(status=401, code="INVALID_AUTH"))
        return await it.ring(*TWO_QUESTIONS), it.logged


async def unreachable(engines: Engines, folder: Path) -> Told:
    nowhere = {"deepgram_base_url": "http://127.0.0.1:1"}
    async with stage(engines, folder, stt="deepgram,elevenlabs,openai", settings=nowhere) as it:
        it.elevenlabs.plan.always("stt", Fault(status=429, code="too_many_concurrent_requests"))
        return await it.ring(*TWO_QUESTIONS)


async def refused_by_all(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, stt="deepgram,openai") as it:
        it.deepgram.plan.always("listen", Fault(status=401, code="INVALID_AUTH"))
        it.openai.speech.plan.always("realtime", Fault(status=401, code="invalid_api_key"))
        wait = {"wait": "bot_stopped"}
        spoken = [wait, {"play": "support_bill 1"}, wait, {"play": "barge_in 1"}, wait]
        return await it.ring(*spoken, {"press": "1"}, wait, "hang_up")


@pytest.mark.call(by=refused)
async def test_faults_03_a_recogniser_that_refuses_at_the_start_is_replaced_before_the_caller_has_spoken(
    told: tuple[Told, list[Mapping[str, Any]]], report: Any
) -> None:
    call, logged = told
    assert answered(call)
    assert call.heard().lower().startswith("larkfield, this is maya")
    assert call.failures == [("stt", DEEPGRAM, "auth")]
    assert call.record["failures"][0]["instead"] == OPENAI
    assert call.record["failures"][0]["left_alone_ms"] == 300_000
    assert call.after("callbot_provider_breaker_open", port="stt", provider=DEEPGRAM) == 1
    assert any(line.get("key") == "DEEPGRAM_API_KEY" for line in logged)
    assert soon(call)
    report(
        3,
        "the recogniser refuses at the start",
        call,
        injected="401 to every handshake",
        heard="nothing of it: the greeting plays, and the next recogniser hears the first words",
        recorded="`failures`: stt auth, the next went on; the log names the key",
    )


@pytest.mark.call(by=unreachable)
async def test_faults_03_recognisers_that_are_not_there_or_too_busy_are_replaced_as_well(
    told: Told, report: Any
) -> None:
    assert answered(told)
    assert told.heard().lower().startswith("larkfield, this is maya")
    assert told.failures[:2] == [
        ("stt", DEEPGRAM, "connect"),
        ("stt", "elevenlabs:scribe_v2_realtime", "rate_limited"),
    ]
    assert [each["instead"] for each in told.record["failures"][:2]] == [told.failures[1][1], OPENAI]
    assert soon(told)
    report(
        "3 (busy)",
        "one recogniser is not there, the next is too busy",
        told,
        injected="nobody listens at the address of the first; 429 to every handshake of the second",
        heard="nothing of it: the greeting plays, and the third recogniser hears the first words",
        recorded="`failures`: stt connect, stt rate_limited, and who went on",
    )


@pytest.mark.call(by=refused_by_all)
async def test_faults_03_a_caller_whom_all_recognisers_refuse_to_hear_answers_with_keys(
    told: Told, report: Any
) -> None:
    heard = told.heard().lower()
    assert heard.count("hear you well") == 1
    assert "keys" in heard
    assert misheard(told.record["turns"][-1]["heard"], ANSWER) <= 0.1  # the model, to the key
    assert told.caller == ["1"]
    assert told.noticed == ["stt_deaf"] * 2
    assert {event.kind for event in told.log} == {
        *("ProviderFailed", "HearingFailed", "Noticed", "Pressed", "Ended")
    }
    assert max(told.responses_ms) < FILLER_MS + 2 * SLACK_MS
    report(
        "3 (all)",
        "every recogniser refuses at the start",
        told,
        injected="401 to every handshake of both",
        heard="\"I'm sorry, I can't hear you well. Could you say that again?\"; then to answer with keys, "
        "and the offer of a callback, which a key accepts",
        recorded="`failures`: stt auth; `noticed`: stt_deaf; the key is a turn",
    )


# --- 4: connected and deaf -----------------------------------------------------------------------------


async def deaf(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.deepgram.plan.always("listen", Fault(silent=True))
        return await it.ring(*TWO_QUESTIONS)


async def all_deaf(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, stt="deepgram,openai") as it:
        it.deepgram.plan.add("listen", Fault(silent=True))
        it.openai.speech.plan.add("realtime", Fault(silent=True), Fault(silent=True))
        return await it.ring(*steps("support_bill 1", "support_bill 1", "barge_in 1"))


@pytest.mark.call(by=deaf)
async def test_faults_04_what_a_deaf_recogniser_did_not_hear_the_next_one_does(
    told: Told, report: Any
) -> None:
    assert answered(told)
    assert told.failures[0] == ("stt", DEEPGRAM, "deaf")
    assert told.record["failures"][0]["instead"] == OPENAI
    assert "stt_deaf" not in told.noticed
    assert max(told.responses_ms) < FILLER_MS + SLACK_MS
    report(
        4,
        "the recogniser is connected and deaf: speech, and no text",
        told,
        injected="audio is taken, and nothing comes",
        heard="a late answer: another recogniser hears the same words",
        recorded="`failures`: stt deaf, the next went on",
    )


@pytest.mark.call(by=all_deaf)
async def test_faults_04_a_caller_whom_nobody_hears_is_asked_to_say_it_again(told: Told, report: Any) -> None:
    assert "hear you well" in told.heard().lower()
    assert told.caller[-1] == HOURS
    assert "stt_deaf" in told.noticed
    assert max(told.responses_ms) < APOLOGY_MS
    assert told.longest_silence_ms < APOLOGY_MS
    report(
        "4 (all)",
        "every recogniser is deaf for a while",
        told,
        injected="the first connections of both take audio, and nothing comes",
        heard="\"I'm sorry, I can't hear you well. Could you say that again?\" 3 s after the last sound",
        recorded="`failures`: stt slow; `noticed`: stt_deaf",
    )


# --- 5 to 7: finals that are late, missing, doubled ----------------------------------------------------


async def late(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, stt="openai,moonshine") as it:
        it.openai.speech.plan.add("realtime", Fault(late=3.0))
        return await it.ring(*steps("support_bill 1"), within=60)


@pytest.mark.call(by=late)
async def test_faults_05_a_final_that_comes_when_its_turn_is_answered_is_merged_and_not_answered_again(
    told: Told, report: Any
) -> None:
    assert told.caller == [BILL]
    assert len(agents_turns(told)) == 2
    assert told.heard().lower().count("thursday") == 1
    assert told.noticed == ["forced_final", "late_final_merged"]
    assert told.failures == [("stt", OPENAI, "slow")]
    assert told.details("late_final_merged")[0]["late_ms"] > 2_000
    assert max(told.responses_ms) < FILLER_MS + 2 * SLACK_MS
    report(
        5,
        "the final transcript comes after the turn was closed",
        told,
        injected="each final 3 s late",
        heard="one answer, to what was known 1.2 s after the last sound",
        recorded="`noticed`: forced_final, late_final_merged; `failures`: stt slow; one turn with all words",
    )


FORCED_MS = 1_200


async def never_final(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, stt="elevenlabs,moonshine") as it:
        it.elevenlabs.plan.always("stt", Fault(late=60.0))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=never_final)
async def test_faults_06_turns_of_partials_only_are_answered(told: Told, report: Any) -> None:
    assert len(told.caller) == 2
    assert len(agents_turns(told)) == 3
    assert told.heard().lower().count("thursday") == 2
    assert told.noticed[0] == "forced_final"
    assert {failure[::2] for failure in told.failures} == {("stt", "slow")}
    first, second = told.responses_ms  # of the second question no partial comes either: another hears it
    assert FORCED_MS <= first <= FORCED_MS + 2 * SLACK_MS
    assert second < APOLOGY_MS
    forced_ms = told.details("forced_final")[0]["after_ms"]
    assert FORCED_MS <= forced_ms <= FORCED_MS + SLACK_MS
    report(
        6,
        "partials and never a final",
        told,
        injected="no final comes within a minute",
        heard="an answer to the last partial, 1.2 s after the last sound; then the next recogniser hears",
        recorded="`noticed`: forced_final; `failures`: stt slow",
    )


async def twice(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.deepgram.plan.always("listen", Fault(duplicate=True))
        return await it.ring(*TWO_QUESTIONS)


@pytest.mark.call(by=twice)
async def test_faults_07_a_final_that_comes_twice_is_answered_once(told: Told, report: Any) -> None:
    assert answered(told)
    assert told.failures == []
    assert set(told.noticed) <= {"dup_final_dropped"}  # adapters that count flushes drop it before
    report(
        7,
        "each final comes twice",
        told,
        injected="each final is sent twice",
        heard="one answer to each question",
        recorded="one turn for each; nothing failed",
    )


# --- 8: sound that is no speech ------------------------------------------------------------------------


async def noise(engines: Engines, folder: Path) -> Told:
    rng = np.random.default_rng(8)
    burst = rng.normal(0.0, 0.08, 6_400).astype(np.float32)
    silence = np.zeros(4_000, dtype=np.float32)
    sound = mulaw.encode(np.concatenate([burst, silence, burst]))
    (folder / "noise.wav").write_bytes(encode_wav(sound))
    async with stage(engines, folder, hear=lambda audio: "Thank you for watching.") as it:
        return await it.ring(
            {"wait": "bot_speaking"},
            {"wait": {"seconds": 0.5}},
            {"play": "noise.wav"},
            {"wait": {"seconds": 1.5}},
            {"play": "noise.wav"},
            {"wait": {"seconds": 2}},
            "hang_up",
        )


@pytest.mark.call(by=noise)
async def test_faults_08_noise_neither_interrupts_nor_is_answered_whatever_a_recogniser_hears_in_it(
    told: Told, report: Any
) -> None:
    assert "how can i help" in told.heard().lower()
    assert told.caller == []
    (greeting,) = agents_turns(told)
    assert not greeting["interrupted"]
    report(
        8,
        "phantom text from noise",
        told,
        injected='bursts of noise over the greeting and after it; the recogniser hears "Thank you for '
        'watching." in whatever it is given',
        heard="the whole greeting, and no answer",
        recorded="no caller's turn; `noticed`: phantom_dropped if the noise was taken for speech",
    )


async def phantom(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder, hear=lambda audio: "Thank you for watching.") as it:
        bark = it.sound(noises.bark())
        wait = {"wait": {"seconds": 2}}
        return await it.ring({"wait": "bot_stopped"}, {"play": bark}, wait, {"play": bark}, wait, "hang_up")


@pytest.mark.call(by=phantom)
async def test_faults_08_words_that_a_recogniser_makes_of_a_sound_like_a_voice_are_not_answered(
    told: Told, report: Any
) -> None:
    assert told.caller == []
    (greeting,) = agents_turns(told)
    assert misheard(told.heard(), greeting["heard"]) <= 0.15  # and nothing else reached the ear
    assert set(told.noticed) == {"phantom_dropped"}
    sounds = told.details("phantom_dropped")
    assert all(0 < sound["sound_ms"] < 600 for sound in sounds)
    assert any(0 <= sound.get("confidence", -1) <= 1 for sound in sounds)  # there were words, and how sure
    report(
        "8 (heard)",
        "phantom text from a sound that is taken for a voice",
        told,
        injected="a third of a second with the formants of an open mouth, twice, while nobody speaks; the "
        'recogniser hears "Thank you for watching." in it',
        heard="nothing",
        recorded="no caller's turn; `noticed`: phantom_dropped, how long it was, the confidence",
    )


# --- 9: another language -------------------------------------------------------------------------------

SPANISH = "Hola, buenos días. ¿Cuál es el horario de apertura?"
ABRIMOS = "Abrimos de ocho a seis, de lunes a sábado."


def hears_spanish(audio: bytes) -> str:
    """As much of it as has been said."""
    words = SPANISH.split()
    return " ".join(words[: round(len(audio) / 8000 / 3.2 * len(words))]) if len(audio) > 1_600 else ""


def thinks_in_spanish(request: dict[str, Any]) -> Answer:
    return Answer(text=ABRIMOS)


def letters(text: str) -> str:
    """Without accents."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text.lower()) if letter.isalpha())


async def spanish(engines: Engines, folder: Path) -> tuple[Told, list[str]]:
    company = Path(__file__).parent / "bilingual"
    async with stage(engines, folder, company=company, hear=hears_spanish, think=thinks_in_spanish) as it:
        told = await it.ring(*steps("spanish 1"))
        return told, [str(asked.what) for asked in it.elevenlabs.plan.asked]


@pytest.mark.call(by=spanish)
async def test_faults_09_a_caller_who_speaks_another_language_is_answered_in_it(
    told: tuple[Told, list[str]], report: Any
) -> None:
    call, asked = told
    assert call.record["agents"] == ["support", "recepcion"]
    assert [(handoff["from"], handoff["to"]) for handoff in call.record["handoffs"]] == [
        ("support", "recepcion")
    ]
    assert ABRIMOS in call.said
    assert any(event.kind == "LanguageHeard" and event.data["language"] == "es" for event in call.log)
    assert any("Abrimos" in said for said in asked)
    assert any("'language_code': 'es'" in said for said in asked)
    (question,) = call.rung.result.responses
    reached, meant = letters(call.heard(question.caller_end_ms)), letters(ABRIMOS)  # by English ears
    assert SequenceMatcher(None, reached, meant, autojunk=False).ratio() >= 0.6
    assert call.details("language_switched") == [{"from": "en", "to": "es"}]
    assert call.longest_silence_ms < SILENCE_MS
    report(
        9,
        "the caller speaks another language",
        call,
        injected="a caller who speaks Spanish, on a line that has English and Spanish",
        heard="an agent who speaks Spanish, with that language's voice",
        recorded="`noticed`: language_switched, from which to which; `handoffs`: who took over, and why",
    )
