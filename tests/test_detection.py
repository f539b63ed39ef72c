"""One detector for all calls: each call hears of its own speech, as if it were alone."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from callbot.detection import Detection
from callbot.media_stream.audio import SILENCE
from callbot.media_stream.vad import Activity, SpeechStarted, SpeechStopped
from callbot.providers.vad.silero import SileroDetector
from tests.staff import LevelDetector
from tests.test_session import SILENCE as QUIET
from tests.test_session import VOICE

pytestmark = pytest.mark.virtual_time


class CountingDetector(LevelDetector):
    """Remembers how many chunks each run had."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def look(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batches.append(len(chunks))
        return super().look(chunks)

    def listen(
        self, looks: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return super().listen(looks, states + 1)


async def settle() -> None:
    await asyncio.sleep(0.05)


async def test_speech_is_told_with_the_times_of_the_media_clock() -> None:
    detection, heard = Detection(LevelDetector()), list[Activity]()
    call = detection.join(heard.append)
    for n in range(100):
        call.feed(VOICE if 25 <= n < 60 else QUIET, n * 0.02)
        await asyncio.sleep(0.02)
    await settle()
    started, stopped = heard[0], heard[-1]
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert started.at == pytest.approx(0.5, abs=0.033)
    assert stopped.at == pytest.approx(1.2, abs=0.1)


async def test_many_calls_share_a_run_and_each_hears_only_of_itself() -> None:
    detector = CountingDetector()
    detection = Detection(detector)
    heard: list[list[Activity]] = [[] for _ in range(50)]
    calls = [detection.join(news.append) for news in heard]
    for n in range(60):
        for i, call in enumerate(calls):
            call.feed(VOICE if i % 2 == 0 and n > 20 else QUIET, n * 0.02)
        await asyncio.sleep(0.02)
    await settle()
    assert [bool(news) for news in heard] == [i % 2 == 0 for i in range(50)]
    assert max(detector.batches) >= 25


async def test_a_call_that_has_left_hears_nothing_and_its_place_is_used_again_from_the_start() -> None:
    rng = np.random.default_rng(0)
    speech = [rng.integers(0, 256, 160, np.uint8).tobytes() for _ in range(40)]

    async def onset(detection: Detection) -> list[Activity]:
        heard: list[Activity] = []
        call = detection.join(heard.append)
        for n, audio in enumerate(speech):
            call.feed(audio, n * 0.02)
        await settle()
        call.leave()
        call.leave()
        call.feed(speech[0], 1.0)
        await settle()
        return heard

    detection = Detection(SileroDetector.load())
    first, again = await onset(detection), await onset(detection)
    assert first == again


async def test_a_call_knows_how_far_it_has_been_heard() -> None:
    detection = Detection(LevelDetector())
    call = detection.join(lambda activity: None)
    assert call.heard_to == 0.0
    lacking = call.feed(VOICE * 2, 0.0)
    assert lacking == 256 - 64  # 320 bytes are a chunk and a quarter
    assert call.heard_to == 0.0  # the chunk waits for the detector
    await settle()
    assert call.heard_to == pytest.approx(0.032)
    assert call.stirring
    call.feed(VOICE * 2, 0.04)
    await settle()
    assert call.heard_to == pytest.approx(0.064)
    assert not call.stirring  # it is speech


async def test_silence_costs_the_detector_nothing() -> None:
    detector = CountingDetector()
    detection = Detection(detector)
    call = detection.join(lambda activity: None)
    for n in range(1000):
        call.feed(SILENCE * 160, n * 0.02)
    await settle()
    assert sum(detector.batches) < 20


async def test_several_chunks_of_a_call_are_one_run_in_which_each_knows_of_those_before() -> None:
    rng = np.random.default_rng(0)
    speech = [rng.integers(0, 256, 256, np.uint8).tobytes() for _ in range(40)]

    async def told(together: int) -> list[Activity]:
        heard: list[Activity] = []
        detection = Detection(SileroDetector.load())
        calls = [detection.join(heard.append), detection.join(lambda activity: None)]
        for n in range(0, len(speech), together):
            for m in range(n, n + together):
                for call in calls:
                    call.feed(speech[m], m * 0.032)
            await settle()
        return heard

    assert await told(1) == await told(8)


async def test_many_chunks_of_a_call_are_looked_at_at_once() -> None:
    detector = CountingDetector()
    detection = Detection(detector)
    call = detection.join(lambda activity: None)
    call.feed(VOICE * 16, 0.0)
    await settle()
    assert detector.batches == [10]


async def test_whoever_asks_is_told_when_what_comes_next_matters_and_when_not() -> None:
    detection, closely = Detection(LevelDetector()), list[bool]()
    call = detection.join(lambda activity: None, closely.append)
    told: list[int] = []
    for n in range(150):
        call.feed(VOICE if 50 <= n < 100 else QUIET, n * 0.02)
        await asyncio.sleep(0.02)
        told += [n] * (len(closely) - len(told))
    assert closely == [False, True, False, True, False]  # silence, a beginning, speech, an end, silence
    quiet, begins, speaks, ends, over = told
    assert quiet < 10
    assert 50 <= begins <= 52
    assert 62 <= speaks <= 67
    assert 100 <= ends <= 103
    assert 104 <= over <= 115
    call.leave()
    call.feed(VOICE * 2, 3.0)
    assert len(closely) == 5
