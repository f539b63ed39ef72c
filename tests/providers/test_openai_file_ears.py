"""What OpenAI's transcription of files does of its own, against a double."""

import asyncio
import io
import random
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models, hearing
from callbot.providers.stt import openai_file
from callbot.providers.stt.openai_file import FileHearing, wav
from callbot.vendors import Account, Accounts
from tests.doubles.openai_speech import OpenAiSpeechDouble
from tests.doubles.plan import Fault, Plan
from tests.doubles.spelling import LETTER, hear, speak

NAME = "openai-file:gpt-transcribe"
Open = Callable[..., SpeechToText]


@pytest.fixture
async def double(plan: Plan) -> AsyncIterator[OpenAiSpeechDouble]:
    async with OpenAiSpeechDouble(plan, hear=hear) as double:
        yield double


@pytest.fixture
async def opened(double: OpenAiSpeechDouble, pool: InferencePool, tmp_path: Path) -> AsyncIterator[Open]:
    accounts = Accounts({"openai": Account("openai", double.url, double.key)})
    models = Models(pool, cache=tmp_path, accounts=accounts)
    ears: list[SpeechToText] = []

    def open(name: str = NAME, languages: tuple[str, ...] = ("en",)) -> SpeechToText:
        ears.append(hearing(name, models).for_call(languages))
        return ears[-1]

    yield open
    for each in ears:
        await each.aclose()
    await models.aclose()
    await double.deserted()


async def first(ears: SpeechToText, count: int) -> list[Transcribed]:
    found: list[Transcribed] = []
    async with asyncio.timeout(5):
        async for event in ears.events():
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_the_utterance_so_far_is_posted_as_a_wav_file(opened: Open, plan: Plan):
    ears = opened(languages=("en", "es"))
    ears.start(1)
    ears.send(speak("My name is"))
    ears.flush()
    ears.send(speak(" Jane Roe."))
    ears.flush()
    assert await first(ears, 2) == [
        Transcribed(1, "My name is", final=True),
        Transcribed(1, "My name is Jane Roe.", final=True),
    ]
    asked = plan.of("transcriptions")
    assert [post["model"] for post in asked] == [["gpt-transcribe"]] * 2
    assert asked[0]["languages[]"] == ["en", "es"]
    assert [post["file"][0].name for post in asked] == ["utterance.wav"] * 2


@pytest.mark.parametrize(("languages", "told"), [(("es",), ["es"]), (("en", "es"), None)])
async def test_a_model_that_takes_one_language_is_told_one_or_none(
    languages: tuple[str, ...], told: list[str] | None, opened: Open, plan: Plan
):
    ears = opened("openai-file:gpt-4o-transcribe", languages)
    ears.start(1)
    ears.send(speak("Buenas tardes."))
    ears.flush()
    await first(ears, 1)
    assert plan.of("transcriptions")[0].get("language") == told


def test_mu_law_becomes_pcm_of_16_bits():
    with wave.open(io.BytesIO(wav(b"\xff\x00\x80"))) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (8000, 2, 1)
        assert sound.readframes(3) == (0).to_bytes(2, "little") + (-32124 & 0xFFFF).to_bytes(2, "little") + (
            32124
        ).to_bytes(2, "little")


async def test_a_flush_with_nothing_new_asks_nothing(opened: Open, plan: Plan):
    ears = opened()
    ears.start(1)
    ears.flush()
    ears.send(speak("No"))  # and less than the vendor takes is filled up
    ears.flush()
    ears.flush()
    assert [event.text for event in await first(ears, 3)] == ["", "No", "No"]
    assert len(plan.of("transcriptions")) == 1


async def test_finals_come_in_the_order_of_the_flushes(opened: Open, plan: Plan):
    plan.add("transcriptions", Fault(late=0.2))
    ears = opened()
    for number, text in enumerate(["The slow one.", "The quick one."], 1):
        ears.start(number)
        ears.send(speak(text))
        ears.flush()
    assert [event.text for event in await first(ears, 2)] == ["The slow one.", "The quick one."]


async def test_a_language_that_was_asked_for_is_told(opened: Open, double: OpenAiSpeechDouble):
    double.languages = ["fr", "es"]
    ears = opened(languages=("en", "es"))
    ears.start(1)
    ears.send(speak("Hola a todos."))
    ears.flush()
    assert await first(ears, 1) == [Transcribed(1, "Hola a todos.", final=True, language="es")]


async def test_a_flush_belongs_to_an_utterance(opened: Open):
    with pytest.raises(InvalidState):
        opened().flush()


@pytest.mark.parametrize(
    ("fault", "trouble", "retryable"),
    [
        (Fault(refuse=True), Trouble.CUT, True),
        (Fault(blackhole=True), Trouble.SLOW, True),
        (Fault(silent=True), Trouble.SLOW, True),
        (Fault(stall_after=1), Trouble.SLOW, True),
        (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
        (Fault(status=429, code="rate_limit_exceeded", retry_after=2), Trouble.RATE_LIMITED, True),
        (Fault(status=429, code="insufficient_quota"), Trouble.QUOTA, False),
        (Fault(status=503), Trouble.UNAVAILABLE, True),
        (Fault(status=404, code="model_not_found"), Trouble.REJECTED, False),
        (Fault(cut_after=1), Trouble.CUT, True),
        (Fault(close_after=1), Trouble.CUT, True),
        (Fault(garbage=True), Trouble.BAD_FORMAT, True),
    ],
)
async def test_a_fault_is_told_in_our_words(
    fault: Fault,
    trouble: Trouble,
    retryable: bool,
    opened: Open,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(openai_file, "LIMITS", 0.3)
    plan.add("transcriptions", fault)
    ears = opened()
    ears.start(1)
    ears.send(speak("Is anybody there?"))
    ears.flush()
    with pytest.raises(ProviderError) as raised:
        await first(ears, 1)
    assert (raised.value.trouble, raised.value.retryable) == (trouble, retryable)
    assert raised.value.provider == NAME
    assert raised.value.retry_after == fault.retry_after
    assert "sk-" not in str(raised.value)


@pytest.mark.parametrize("fault", [Fault(delay=0.1), Fault(dribble=0.05), Fault(late=0.1)])
async def test_what_is_slow_is_heard(fault: Fault, opened: Open, plan: Plan):
    plan.add("transcriptions", fault)
    ears = opened()
    ears.start(1)
    ears.send(speak("Good morning."))
    ears.flush()
    assert (await first(ears, 1))[0].text == "Good morning."


async def test_an_empty_transcript_is_an_empty_final(opened: Open, plan: Plan):
    plan.add("transcriptions", Fault(empty=True))
    ears = opened()
    ears.start(1)
    ears.send(speak("Mumble."))
    ears.flush()
    assert (await first(ears, 1))[0].text == ""


async def test_two_hundred_calls_that_end_at_any_moment_leave_no_task(
    opened: Open, double: OpenAiSpeechDouble
):
    chance = random.Random(7)
    for _ in range(200):
        ears = opened()
        listening = asyncio.create_task(first(ears, 100))
        for step in range(chance.randrange(6)):
            ears.start(step)
            ears.send(speak("Good day.")[: chance.randrange(9 * LETTER)])
            ears.flush()
            await asyncio.sleep(chance.random() * 0.004)
        await ears.aclose()
        await listening
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("ears")]
    await double.quiet()


def test_the_model_stands_after_the_colon(openai_models: Models):
    for name, model in [("openai-file", "gpt-transcribe"), ("openai-file:whisper-1", "whisper-1")]:
        found = hearing(name, openai_models)
        assert isinstance(found, FileHearing)
        assert (found.name, found.model) == (name, model)
