"""When an utterance is decoded, driven with a model that says how much it heard."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from callbot.errors import InvalidState, ModelMissing, ProviderError
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.stt.listener import Listener, Pace

RNG = np.random.default_rng(7)
FRAME = 160
SPEECH = mulaw.encode(RNG.normal(0, 0.1, 8000).astype(np.float32))  # a second
SILENCE = b"\xff" * 8000


class CountingModel:
    """Its text is how many milliseconds it heard. The first decode may be held, and all may fail."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.samples: list[NDArray[np.float32]] = []
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.error: Exception | None = None

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        self.heard.append(round(samples.size / 16))
        self.samples.append(samples)
        self.begun.set()
        if len(self.heard) == 1:
            assert self.free.wait(10)
        if self.error:
            raise self.error
        return f"{round(samples.size / 16)}ms"


@pytest.fixture
def model() -> Iterator[CountingModel]:
    model = CountingModel()
    yield model
    model.free.set()


class Ears:
    """A listener, and what it has told so far."""

    def __init__(self, model: CountingModel, pool: InferencePool, pace: Pace | None = None) -> None:
        self.news = asyncio.Event()
        self.listener = Listener(model, pool, self.news.set, pace=pace or Pace())

    async def next(self) -> str:
        """The next transcript; a final has a full stop."""
        async with asyncio.timeout(10):
            while True:
                self.news.clear()
                if events := self.listener.collect():
                    self.rest = events[1:]
                    return events[0].text + ("." if events[0].final else "")
                await self.news.wait()

    async def send(self, audio: bytes) -> None:
        """Frame by frame, with a turn of the loop after each."""
        for at in range(0, len(audio), FRAME):
            self.listener.send(audio[at : at + FRAME])
            await asyncio.sleep(0)


async def test_the_first_partial_waits_for_a_second_of_audio(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    ears.listener.start(1)
    await ears.send(SPEECH[:-FRAME])
    assert model.heard == []
    await ears.send(SPEECH[-FRAME:])
    assert await ears.next() == "1000ms"


async def test_partials_come_with_every_400_ms_of_new_audio(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    ears.listener.start(1)
    await ears.send(SPEECH)
    assert await ears.next() == "1000ms"
    await ears.send(SPEECH[: 3200 - FRAME])
    assert model.heard == [1000]
    await ears.send(SPEECH[:FRAME])
    assert await ears.next() == "1400ms"


async def test_a_partial_is_not_queued_behind_another(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    model.free.clear()
    ears.listener.start(1)
    await ears.send(SPEECH * 3)
    model.free.set()
    assert await ears.next() == "1000ms"
    assert await ears.next() == "3000ms"
    assert model.heard == [1000, 3000]


async def test_a_pause_is_decoded_at_once_and_the_final_is_that_decode(
    model: CountingModel, pool: InferencePool
):
    ears = Ears(model, pool)
    ears.listener.start(1)
    await ears.send(SPEECH[:4000] + SILENCE[:1600])
    await asyncio.to_thread(model.begun.wait, 10)
    ears.listener.flush()
    assert await ears.next() == "600ms."
    assert model.heard == [600]


async def test_speech_after_the_last_decode_is_in_the_final(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    ears.listener.start(1)
    await ears.send(SPEECH[:4000] + SILENCE[:1600] + SPEECH[:1600])
    ears.listener.flush()
    assert await ears.next() == "900ms."


async def test_a_final_does_not_wait_for_a_partial_that_is_running(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    model.free.clear()
    ears.listener.start(1)
    await ears.send(SPEECH)
    await asyncio.to_thread(model.begun.wait, 10)
    await ears.send(SPEECH[:800])
    ears.listener.flush()
    assert await ears.next() == "1100ms."
    model.free.set()


async def test_every_flush_of_an_utterance_reports_all_of_it(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    ears.listener.start(1)
    await ears.send(SPEECH[:4000] + SILENCE[:1600])
    await asyncio.to_thread(model.begun.wait, 10)
    ears.listener.flush()
    assert await ears.next() == "600ms."
    ears.listener.flush()
    assert await ears.next() == "600ms."
    await ears.send(SPEECH[:4000])
    ears.listener.flush()
    assert await ears.next() == "1200ms."


async def test_a_final_of_the_last_utterance_comes_although_the_next_has_begun(
    model: CountingModel, pool: InferencePool
):
    ears = Ears(model, pool)
    ears.listener.start(1)
    await ears.send(SPEECH[:4000])
    ears.listener.flush()
    ears.listener.start(2)
    await ears.send(SPEECH[:800])
    assert await ears.next() == "500ms."


async def test_nothing_and_silence_give_an_empty_final_without_asking_the_model(
    model: CountingModel, pool: InferencePool
):
    ears = Ears(model, pool)
    for number, audio in enumerate((b"", SILENCE * 3), 1):
        ears.listener.start(number)
        await ears.send(audio)
        ears.listener.flush()
        assert await ears.next() == "."
    assert model.heard == []


@settings(max_examples=15, deadline=None)
@given(seconds=st.integers(1, 12), pauses=st.sets(st.integers(0, 11)))
def test_however_long_an_utterance_all_its_speech_is_decoded_once(seconds: int, pauses: set[int]):
    async def hear() -> None:
        model, pool = CountingModel(), InferencePool(2)
        pace = Pace(longest=24_000, look_back_for_cut=8_000)
        ears = Ears(model, pool, pace)
        ears.listener.start(1)
        for second in range(seconds):
            ears.listener.send((SPEECH[:6400] + SILENCE[:1600]) if second in pauses else SPEECH)
        ears.listener.flush()
        parts = (await ears.next()).removesuffix(".").split()
        total = sum(int(part.removesuffix("ms")) for part in parts)
        assert 1000 * seconds - 200 <= total <= 1000 * seconds
        assert max(model.heard) <= 3000
        ears.listener.close()
        pool.close()

    asyncio.run(hear())


async def test_every_decode_hears_all_of_it_to_the_last_sample(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    ears.listener.start(1)
    said = SPEECH * 3 + SPEECH[:100]
    await ears.send(SPEECH)
    assert await ears.next() == "1000ms"
    await ears.send(said[8000:])
    ears.listener.flush()
    assert await ears.next() == "3012ms."
    assert len(model.samples) >= 2
    for heard in model.samples:
        whole = mulaw.decode(said[: heard.size // 2], rate=16_000)
        np.testing.assert_allclose(heard, whole, atol=1e-6)


async def test_a_failing_model_is_a_provider_error(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    model.error = RuntimeError("out of memory")
    ears.listener.start(1)
    await ears.send(SPEECH)
    ears.listener.flush()
    with pytest.raises(ProviderError, match="out of memory"):
        await ears.next()


async def test_an_error_of_ours_keeps_its_kind(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    model.error = ModelMissing("the file is gone")
    ears.listener.start(1)
    await ears.send(SPEECH[:4000])
    ears.listener.flush()
    with pytest.raises(ModelMissing):
        await ears.next()


async def test_a_closed_pool_is_a_provider_error(model: CountingModel):
    closed = InferencePool(1)
    closed.close()
    ears = Ears(model, closed)
    ears.listener.start(1)
    await ears.send(SPEECH[:4000])
    ears.listener.flush()
    with pytest.raises(ProviderError, match="shut down"):
        await ears.next()


async def test_closing_while_a_decode_runs_leaves_nothing_to_tell(model: CountingModel, pool: InferencePool):
    ears = Ears(model, pool)
    model.free.clear()
    ears.listener.start(1)
    await ears.send(SPEECH)
    ears.listener.flush()
    ears.listener.close()
    model.free.set()
    assert ears.listener.collect() == []
    assert len(asyncio.all_tasks()) == 1


async def test_audio_before_the_first_utterance_is_a_mistake_of_ours(
    model: CountingModel, pool: InferencePool
):
    with pytest.raises(InvalidState):
        Ears(model, pool).listener.send(SPEECH)
