"""ElevenLabs' voice over HTTP, against a double that speaks its protocol."""

import asyncio
from contextlib import aclosing

import httpx
import pytest

from callbot.errors import Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.registry import voice
from callbot.providers.tts import elevenlabs_http
from callbot.providers.tts.elevenlabs_http import ElevenLabsHttpVoice
from tests.doubles.elevenlabs import KEY, VOICE, ElevenLabsDouble, hum
from tests.doubles.plan import Fault, Plan
from tests.providers.vendor_voices import (
    ELEVENLABS_HTTP,
    TEXT,
    Speaking,
    audio_of,
    failure,
    given_up,
    models_for,
    refused_and_then_spoken,
    spoken,
    until,
    words_of,
)

NAME = ELEVENLABS_HTTP.voice


@pytest.fixture
def speaking(plan: Plan, pool: InferencePool) -> Speaking:
    return ELEVENLABS_HTTP.speaking(plan, pool)


async def test_a_text_is_spoken_in_pieces_without_the_times_of_its_words(
    speaker: ElevenLabsHttpVoice, plan: Plan
):
    pieces = await spoken(speaker)
    assert audio_of(pieces) == hum(TEXT)
    assert words_of(pieces) == TEXT.split()
    assert len(pieces) > 3
    assert not any(piece.words for piece in pieces)
    assert plan.of("tts-http") == [
        {
            "voice": VOICE,
            "output_format": "ulaw_8000",
            "text": TEXT,
            "model_id": "eleven_flash_v2_5",
            "apply_text_normalization": "off",
            "language_code": "en",
        }
    ]


async def test_a_language_is_only_told_to_a_model_that_takes_it(speaking: Speaking, plan: Plan):
    async with speaking(f"elevenlabs-http:eleven_multilingual_v2/{VOICE}/es") as speaker:
        assert speaker.language == "es"
        await spoken(speaker)
    assert "language_code" not in plan.of("tts-http")[0]


REFUSALS = {
    "refused": (Fault(refuse=True), Trouble.CONNECT, True),
    "wrong key": (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
    "no money": (Fault(status=401, code="quota_exceeded"), Trouble.QUOTA, False),
    "no voice": (Fault(status=400, code="voice_not_found"), Trouble.REJECTED, False),
    "too many": (Fault(status=429, code="too_many_concurrent_requests"), Trouble.RATE_LIMITED, True),
    "busy": (Fault(status=429, code="system_busy"), Trouble.RATE_LIMITED, True),
    "down": (Fault(status=503), Trouble.UNAVAILABLE, True),
    "cut at once": (Fault(cut_after=0), Trouble.CUT, True),
    "ends too early": (Fault(close_after=0), Trouble.CUT, True),
    "empty": (Fault(empty=True), Trouble.EMPTY, True),
    "garbage": (Fault(garbage=True), Trouble.BAD_FORMAT, True),
}


@pytest.mark.parametrize(("fault", "trouble", "retryable"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_is_told_in_our_words_and_the_next_text_is_spoken(
    speaking: Speaking, plan: Plan, fault: Fault, trouble: Trouble, retryable: bool
):
    plan.add("tts-http", fault)
    async with speaking() as speaker:
        await refused_and_then_spoken(speaker, trouble, retryable=retryable)


@pytest.mark.parametrize(
    ("name", "key", "trouble"),
    [(NAME, "wrong", Trouble.AUTH), ("elevenlabs-http:/nobody", KEY, Trouble.REJECTED)],
)
async def test_a_wrong_setting_is_told(speaking: Speaking, name: str, key: str, trouble: Trouble):
    async with speaking(name, key=key) as speaker:
        _, error = await failure(speaker)
        assert (error.trouble, error.retryable) == (trouble, False)


@pytest.mark.parametrize("fault", [Fault(cut_after=4), Fault(close_after=4)], ids=["cut", "ends too early"])
async def test_what_came_before_the_break_is_spoken(speaking: Speaking, plan: Plan, fault: Fault):
    plan.add("tts-http", fault)
    async with speaking(between=0.005) as speaker:
        pieces, error = await failure(speaker)
        assert (error.trouble, error.retryable) == (Trouble.CUT, True)
        assert pieces
        assert words_of(pieces) == TEXT.split()[: len(words_of(pieces))]
        assert audio_of(await spoken(speaker)) == hum(TEXT)


async def test_nobody_at_the_other_end_is_a_failure_to_connect(
    plan: Plan, pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    async with ElevenLabsDouble(plan) as double:
        models = models_for(double, pool)
        speaker = voice(NAME, models)
    _, error = await failure(speaker)
    await models.aclose()
    assert (error.trouble, error.retryable) == (Trouble.CONNECT, True)


def test_a_connection_is_not_waited_for_longer_than_two_seconds():
    assert httpx.Timeout(None, connect=2.0) == elevenlabs_http._TIMEOUT


@pytest.mark.parametrize(
    "fault",
    [Fault(stall_after=2), Fault(silent=True), Fault(blackhole=True)],
    ids=["stalls", "silent", "blackhole"],
)
async def test_who_waits_no_longer_leaves_nothing_behind(speaking: Speaking, plan: Plan, fault: Fault):
    plan.add("tts-http", fault)
    async with speaking() as speaker:
        await given_up(speaker, after=0.1)
        await until(lambda: plan.open == 0)


async def test_closing_it_half_way_closes_the_vendor_s_stream(speaking: Speaking, plan: Plan):
    async with speaking(between=1.0) as speaker:
        async with aclosing(speaker.speak(TEXT)) as pieces:
            await anext(pieces)
            assert plan.open == 1
        async with asyncio.timeout(0.8):
            await until(lambda: plan.open == 0)
