"""What OpenAI's voices do of their own, against a double; what all voices do is in test_text_to_speech.py."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import ConfigurationError, ProviderError, Trouble
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech
from callbot.providers.registry import Models, voice
from callbot.providers.tts import openai
from callbot.providers.tts.openai import FIRST_PART, PART, SECONDS_PER_LETTER, OpenAiVoice, Parts
from callbot.speaking import speak
from callbot.vendors import Account, Accounts
from tests.doubles.openai_speech import CHUNK, OpenAiSpeechDouble
from tests.doubles.plan import Fault, Plan
from tests.providers.conftest import tasks_of_ours

NAME = "openai:gpt-4o-mini-tts/marin"
LETTER = 480  # bytes: 60 ms
SENTENCE = "Your order is on its way, and it should arrive on Thursday."


def hum(text: str) -> bytes:
    """A tone for each letter, so that every text sounds otherwise."""
    times = np.arange(LETTER) / 8000
    letters = [0.3 * np.sin(2 * np.pi * (200 + 10 * (ord(letter) % 97)) * times) for letter in text]
    return mulaw.encode(np.concatenate(letters).astype(np.float32))


@pytest.fixture
async def double(plan: Plan) -> AsyncIterator[OpenAiSpeechDouble]:
    async with OpenAiSpeechDouble(plan, speak=hum) as double:
        yield double


@pytest.fixture
async def models(double: OpenAiSpeechDouble, pool: InferencePool, tmp_path: Path) -> AsyncIterator[Models]:
    accounts = Accounts({"openai": Account("openai", double.url, double.key)})
    models = Models(pool, cache=tmp_path, accounts=accounts)
    yield models
    await models.aclose()
    await double.deserted()


@pytest.fixture
def speaker(models: Models) -> OpenAiVoice:
    found = voice(NAME, models)
    assert isinstance(found, OpenAiVoice)
    return found


async def spoken(speaker: OpenAiVoice, text: str) -> list[Speech]:
    async with asyncio.timeout(20):
        return [speech async for speech in speaker.speak(text)]


def words(speeches: list[Speech]) -> list[str]:
    return " ".join(speech.text for speech in speeches).split()


# --- what is asked, and what comes -------------------------------------------------------------------


async def test_a_piece_is_asked_for_as_the_vendor_wants_it(speaker: OpenAiVoice, plan: Plan):
    await spoken(speaker, f"Thanks, Jane. {SENTENCE}")
    assert plan.of("speech") == [
        {"model": "gpt-4o-mini-tts", "voice": "marin", "input": text, "response_format": "pcm"}
        for text in ("Thanks, Jane.", SENTENCE)
    ]


async def test_the_sound_is_the_vendors_to_the_last_sample(speaker: OpenAiVoice):
    """The chunks of the body have an odd number of bytes."""
    assert CHUNK % 2
    audio = b"".join(speech.audio for speech in await spoken(speaker, SENTENCE))
    sound = mulaw.decode(hum(SENTENCE), rate=24_000)
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").astype(np.float32) / 32768
    assert audio == mulaw.encode(pcm, rate=24_000)


async def test_the_first_part_comes_before_the_vendor_has_said_more_than_it_needs(
    speaker: OpenAiVoice, plan: Plan
):
    plan.add("speech", Fault(stall_after=5))  # half a second of sound
    async with aclosing(speaker.speak(SENTENCE)) as speeches, asyncio.timeout(5):
        first = await anext(speeches)
    assert len(first.audio) == FIRST_PART


async def test_a_dash_is_not_asked_for(speaker: OpenAiVoice, plan: Plan):
    assert await spoken(speaker, "—") == [Speech("—", b"")]
    assert plan.of("speech") == []


async def test_connections_are_kept_and_shared(
    speaker: OpenAiVoice, models: Models, double: OpenAiSpeechDouble
):
    other = voice("openai:gpt-4o-mini-tts/ash", models)
    assert isinstance(other, OpenAiVoice)
    for each in (speaker, other, speaker):
        await spoken(each, "Hello there.")
    assert double.sockets == 1


@pytest.mark.parametrize(
    ("name", "model", "speaker", "language"),
    [
        ("openai", "gpt-4o-mini-tts", "marin", "en"),
        ("openai:tts-1", "tts-1", "marin", "en"),
        ("openai:tts-1/ash", "tts-1", "ash", "en"),
        ("openai:/ash/es", "gpt-4o-mini-tts", "ash", "es"),
    ],
)
async def test_model_voice_and_language_stand_in_the_name(
    name: str, model: str, speaker: str, language: str, models: Models, plan: Plan
):
    found = voice(name, models)
    assert (found.name, found.language) == (name, language)
    assert isinstance(found, OpenAiVoice)
    await spoken(found, "Hello there.")
    (asked,) = plan.of("speech")
    assert (asked["model"], asked["voice"]) == (model, speaker)


def test_a_name_with_a_part_too_many_is_refused(openai_models: Models):
    with pytest.raises(ConfigurationError, match="openai:MODEL/VOICE/LANGUAGE"):
        voice("openai:tts-1/ash/es/mx", openai_models)


# --- whose words are whose ---------------------------------------------------------------------------

TEXTS = st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1, max_size=30).map(" ".join)
CUTS = st.lists(st.integers(1, 9_000), max_size=12)


@given(text=TEXTS, cuts=CUTS, pace=st.floats(0.03, 0.12))
def test_parts_are_the_same_however_the_stream_is_cut(text: str, cuts: list[int], pace: float):
    audio = b"\0" * round(len(text) * pace * 8000)
    whole, cut, rest = Parts(text), Parts(text), audio
    expected = [*whole.feed(audio), whole.finish()]
    found = []
    for size in cuts:
        found += cut.feed(rest[:size])
        rest = rest[size:]
    found += [*cut.feed(rest), cut.finish()]
    assert found == expected
    assert b"".join(part.audio for part in found) == audio
    assert words(found) == text.split()
    assert all(
        len(part.audio) == size for part, size in zip(found[:-1], (FIRST_PART, *[PART] * 99), strict=False)
    )


@given(text=TEXTS, pace=st.floats(0.03, SECONDS_PER_LETTER))
def test_no_word_is_given_away_before_it_was_spoken(text: str, pace: float):
    parts = Parts(text)
    audio = b"\0" * round(len(text) * pace * 8000)
    given_away, seconds = 0, 0.0
    for part in parts.feed(audio):
        seconds += part.seconds
        given_away += len(part.text.split())
        assert sum(len(word) + 1 for word in text.split()[:given_away]) * pace <= seconds + 0.001
        assert given_away < len(text.split())  # the end is heard with the last part alone


async def test_a_sentence_is_heard_in_the_words_it_was_written_in(speaker: OpenAiVoice):
    written = "Your order no. 42 — the blue one — costs $19.50, and arrives on the 3rd. Is that all right?"
    clips = [clip async for clip in speak(speaker, 1, written)]
    assert " ".join(clip.text for clip in clips).split() == written.split()
    assert len(clips) > 8
    assert all(word.end <= len(clip.audio) / 8000 + 0.001 for clip in clips for word in clip.words)


# --- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "trouble", "retryable"),
    [
        (Fault(refuse=True), Trouble.CUT, True),
        (Fault(blackhole=True), Trouble.SLOW, True),
        (Fault(silent=True), Trouble.SLOW, True),
        (Fault(stall_after=0), Trouble.SLOW, True),
        (Fault(stall_after=9), Trouble.STALLED, True),
        (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
        (Fault(status=429, code="rate_limit_exceeded", retry_after=2), Trouble.RATE_LIMITED, True),
        (Fault(status=429, code="insufficient_quota"), Trouble.QUOTA, False),
        (Fault(status=404, code="model_not_found"), Trouble.REJECTED, False),
        (Fault(status=500), Trouble.UNAVAILABLE, True),
        (Fault(cut_after=0), Trouble.CUT, True),
        (Fault(cut_after=9), Trouble.CUT, True),
        (Fault(close_after=0), Trouble.CUT, True),
        (Fault(close_after=9), Trouble.CUT, True),
        (Fault(empty=True), Trouble.EMPTY, True),
        (Fault(wrong_rate=True), Trouble.BAD_FORMAT, True),
        (Fault(garbage=True), Trouble.BAD_FORMAT, True),
    ],
)
async def test_a_fault_is_told_in_our_words_and_the_next_text_is_spoken(
    fault: Fault,
    trouble: Trouble,
    retryable: bool,
    models: Models,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(openai, "LIMITS", 0.3)
    speaker = voice(NAME, models)
    assert isinstance(speaker, OpenAiVoice)
    plan.add("speech", fault)
    found: list[Speech] = []
    with pytest.raises(ProviderError) as raised:
        await _closed_after(speaker, SENTENCE, 99, found)
    error = raised.value
    assert (error.trouble, error.retryable, error.provider) == (trouble, retryable, NAME)
    assert error.retry_after == fault.retry_after
    assert "sk-" not in str(error)
    assert "order" not in str(error)
    whole = await spoken(speaker, SENTENCE)
    assert found == whole[: len(found)]
    assert bool(found) == (9 in (fault.stall_after, fault.cut_after, fault.close_after))


async def test_a_server_that_is_not_there_is_no_connection(openai_models: Models):
    speaker = voice(NAME, openai_models)
    with pytest.raises(ProviderError) as raised:
        await anext(speaker.speak(SENTENCE))
    assert (raised.value.trouble, raised.value.retryable) == (Trouble.CONNECT, True)


@pytest.mark.parametrize("fault", [Fault(delay=0.1), Fault(dribble=0.005)])
async def test_a_slow_vendor_is_waited_for(fault: Fault, speaker: OpenAiVoice, plan: Plan):
    expected = await spoken(speaker, SENTENCE)
    plan.add("speech", fault)
    assert await spoken(speaker, SENTENCE) == expected


@pytest.mark.parametrize("kind", ["audio/mpeg", "audio/wav", "text/html; charset=utf-8", "application/json"])
async def test_another_content_type_is_bad_format(
    kind: str, speaker: OpenAiVoice, double: OpenAiSpeechDouble
):
    double.content_type = kind
    with pytest.raises(ProviderError) as raised:
        await spoken(speaker, SENTENCE)
    assert raised.value.trouble is Trouble.BAD_FORMAT


@pytest.mark.parametrize("kind", ["audio/pcm", "audio/pcm; rate=24000", "application/octet-stream"])
async def test_what_pcm_is_called_is_taken(kind: str, speaker: OpenAiVoice, double: OpenAiSpeechDouble):
    double.content_type = kind
    assert words(await spoken(speaker, SENTENCE)) == SENTENCE.split()


async def test_a_wrong_key_is_not_in_the_error(
    double: OpenAiSpeechDouble, pool: InferencePool, tmp_path: Path
):
    accounts = Accounts({"openai": Account("openai", double.url, "sk-wrong-and-secret")})
    models = Models(pool, cache=tmp_path, accounts=accounts)
    speaker = voice(NAME, models)
    with pytest.raises(ProviderError) as raised:
        await anext(speaker.speak(SENTENCE))
    assert raised.value.trouble is Trouble.AUTH
    assert str(raised.value) == f"{NAME}: 401 invalid_api_key"
    await models.aclose()


# --- interruptions -----------------------------------------------------------------------------------


async def test_two_hundred_interruptions_leave_no_stale_audio_no_task_and_no_request(
    speaker: OpenAiVoice, double: OpenAiSpeechDouble, plan: Plan
):
    """Half of them close the stream where it is, half cancel whoever waits for it."""
    text = f"Thanks, Jane. {SENTENCE}"
    expected = await spoken(speaker, text)
    short = await spoken(speaker, "Pardon?")
    plan.always("speech", Fault(delay=0.002, dribble=0.0005))
    chance = random.Random(11)
    tasks = tasks_of_ours()
    for turn in range(200):
        found: list[Speech] = []
        if turn % 2:
            await _closed_after(speaker, text, chance.randrange(len(expected)), found)
        else:
            await _cancelled_after(speaker, text, chance.random() * 0.06, found)
        assert found == expected[: len(found)]
        assert tasks_of_ours() == tasks
        if turn % 10 == 0:
            assert await spoken(speaker, "Pardon?") == short  # nothing of what was interrupted
    await double.quiet()
    assert plan.open == 0
    assert double.sockets <= 2


async def _closed_after(speaker: OpenAiVoice, text: str, count: int, found: list[Speech]) -> None:
    async with aclosing(speaker.speak(text)) as speeches:
        async for speech in speeches:
            found.append(speech)
            if len(found) > count:
                break


async def _cancelled_after(speaker: OpenAiVoice, text: str, seconds: float, found: list[Speech]) -> None:
    async def speak() -> None:
        async with aclosing(speaker.speak(text)) as speeches:
            async for speech in speeches:
                found.append(speech)

    speaking = asyncio.create_task(speak())
    await asyncio.sleep(seconds)
    speaking.cancel()
    await asyncio.wait([speaking])
