"""The language is found while the caller speaks; driven with models that answer when they are let."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from callbot.errors import ConfigurationError, ProviderError
from callbot.exchange.sounds import read_wav
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Transcribed
from callbot.providers.registry import Models, hearing
from callbot.providers.stt.detecting import DetectingRecognizer
from tests.providers.conftest import Say

SPANISH = Path(__file__).parents[2] / "fixtures" / "audio" / "spanish.wav"
SPEECH = mulaw.encode(np.random.default_rng(7).normal(0, 0.1, 8000).astype(np.float32))
SILENCE = b"\xff" * 2400


class Texts:
    """Tells how long an utterance is; identifies what it is told, once it is let."""

    def __init__(self, *likely: Mapping[str, float]) -> None:
        self.likely = list(likely)
        self.identified: list[int] = []
        self.free = threading.Event()
        self.free.set()

    def transcribe(self, samples: NDArray[np.float32], language: str = "en") -> str:
        return f"{language} {round(samples.size / 1600) / 10}"

    def identify(self, samples: NDArray[np.float32], languages: Sequence[str]) -> Mapping[str, float]:
        self.identified.append(round(samples.size / 1600))
        assert self.free.wait(10)
        return self.likely.pop(0)


class Call:
    def __init__(self, model: Texts, pool: InferencePool) -> None:
        self.ears = DetectingRecognizer(model, model, pool, languages=["en", "es"])  # type: ignore[arg-type]
        self.events = self.ears.events()

    async def send(self, audio: bytes) -> None:
        for at in range(0, len(audio), 160):
            self.ears.send(audio[at : at + 160])
            await asyncio.sleep(0)

    async def final(self) -> Transcribed:
        async with asyncio.timeout(10):
            async for event in self.events:
                if event.final:
                    return event
        raise AssertionError("closed")


async def test_a_speaker_of_the_first_language_is_asked_about_once(pool: InferencePool):
    model = Texts({"en": 0.9, "es": 0.1})
    call = Call(model, pool)
    for number in (1, 2):
        call.ears.start(number)
        await call.send(SPEECH + SPEECH + SILENCE)
        call.ears.flush()
        event = await call.final()
        assert (event.utterance, event.language) == (number, "en")
    assert model.identified == [8]
    await call.ears.aclose()


async def test_another_language_is_heard_from_the_utterances_beginning_on(pool: InferencePool):
    call = Call(Texts({"en": 0.1, "es": 0.9}), pool)
    call.ears.start(1)
    await call.send(SPEECH + SILENCE)
    call.ears.flush()
    while (event := await call.final()).language != "es":
        assert event.language == "en"
    assert event == Transcribed(1, "es 1.3", True, "es")
    call.ears.start(2)
    await call.send(SPEECH[:4000] + SILENCE)
    call.ears.flush()
    event = await call.final()
    assert (event.utterance, event.language) == (2, "es")
    await call.ears.aclose()


async def test_a_final_of_the_first_model_does_not_wait_for_the_identification(pool: InferencePool):
    model = Texts({"en": 0.1, "es": 0.9})
    model.free.clear()
    call = Call(model, pool)
    call.ears.start(1)
    await call.send(SPEECH + SILENCE)
    call.ears.flush()
    assert (await call.final()).language == "en"
    model.free.set()
    assert await call.final() == Transcribed(1, "es 1.3", True, "es")
    await call.ears.aclose()


async def test_what_came_after_the_flush_is_not_in_the_final_but_in_the_next(pool: InferencePool):
    model = Texts({"en": 0.1, "es": 0.9})
    model.free.clear()
    call = Call(model, pool)
    call.ears.start(1)
    await call.send(SPEECH + SILENCE)
    call.ears.flush()
    await call.final()
    await call.send(SPEECH[:4000])
    model.free.set()
    assert (await call.final()).text == "es 1.3"
    call.ears.flush()
    assert (await call.final()).text == "es 1.8"
    await call.ears.aclose()


async def test_an_unclear_answer_is_asked_again_on_more_speech(pool: InferencePool):
    model = Texts({"en": 0.5, "es": 0.5}, {"en": 0.2, "es": 0.8})
    call = Call(model, pool)
    call.ears.start(1)
    await call.send(SPEECH)
    async with asyncio.timeout(10):
        async for event in call.events:
            if event.language == "es":
                break
            await call.send(SPEECH[:4000] + SILENCE)
    first, second = model.identified
    assert (first, second >= 16) == (8, True)
    await call.ears.aclose()


async def test_a_word_alone_does_not_decide(pool: InferencePool):
    model = Texts()
    call = Call(model, pool)
    call.ears.start(1)
    await call.send(SPEECH[:4000] + SILENCE)
    call.ears.flush()
    assert (await call.final()).language == "en"
    assert model.identified == []
    await call.ears.aclose()


async def test_an_identification_that_fails_is_a_provider_error(pool: InferencePool):
    call = Call(Texts(), pool)
    call.ears.start(1)
    await call.send(SPEECH + SILENCE)
    with pytest.raises(ProviderError, match="not identified"):
        await call.final()
    await call.ears.aclose()


async def test_closing_while_it_identifies_leaves_nothing_behind(pool: InferencePool):
    model = Texts({"en": 0.1, "es": 0.9})
    model.free.clear()
    call = Call(model, pool)
    call.ears.start(1)
    await call.send(SPEECH + SILENCE)
    await call.ears.aclose()
    model.free.set()
    assert [event async for event in call.events] == []


@pytest.mark.models
@pytest.mark.parametrize(("language", "words"), [("es", "horario"), ("en", "router")])
async def test_real_callers_are_heard_in_their_language(language: str, words: str, models: Models, say: Say):
    audio = (
        read_wav(SPANISH)[: 6 * 8000]
        if language == "es"
        else say("Hello, my router has a red light, and I would like to know what to do.")
    )
    ears = hearing("moonshine+whisper", models).for_call(["en", "es"])
    ears.start(1)
    for at in range(0, len(audio), 160):
        ears.send(audio[at : at + 160])
    ears.flush()
    async with asyncio.timeout(20):
        async for event in ears.events():
            if event.final and event.language == language:
                break
    await ears.aclose()
    assert words in event.text.lower()


@pytest.mark.models
async def test_a_caller_of_one_possible_language_is_heard_in_it(models: Models):
    heard = hearing("moonshine+whisper", models)
    assert not isinstance(heard.for_call(["es"]), DetectingRecognizer)
    assert not isinstance(heard.for_call(["en"]), DetectingRecognizer)
    with pytest.raises(ConfigurationError, match="'xx'"):
        heard.for_call(["en", "xx"])
