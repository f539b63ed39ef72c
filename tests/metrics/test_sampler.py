"""What others count, carried over to the page."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from callbot.conversation.events import CallStarted
from callbot.detection import Detection
from callbot.media_stream.pace import Pace, Tally
from callbot.metrics.calls import CallMeter
from callbot.metrics.instruments import Metrics
from callbot.metrics.sampler import Sampler, Sources
from callbot.providers.inference import InferencePool
from callbot.store.recorder import Recorder
from callbot.store.records import Happened
from tests.metrics.page import Page
from tests.staff import LevelDetector


@dataclass
class Process:
    """What a process has to count, in a test's hands."""

    recorder: Recorder
    pool: InferencePool
    live: dict[str, Pace] = field(default_factory=dict)
    past: Tally = field(default_factory=Tally)
    refused: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.meter = CallMeter(self.metrics)
        self.sources = Sources(
            live=lambda: self.live,
            past=self.past,
            recorder=self.recorder,
            detection=Detection(LevelDetector()),
            inference=self.pool,
            refused=self.refused,
            bad_messages=self.bad,
            heard=self.late.append,
            admitted=lambda: 7,
            resumed=lambda: 2,
            lost=lambda: 1,
            recordings_disabled=lambda: 3,
            seats=lambda: 200,
            full=lambda: False,
            draining=lambda: False,
        )
        self.sampler = Sampler(self.metrics, self.meter, self.sources)

    def page(self) -> Page:
        return Page.of(self.metrics)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    recorder = Recorder(f"sqlite+aiosqlite:///{tmp_path / 'calls.db'}", spool=tmp_path / "spool")
    pool = InferencePool(1)
    yield Process(recorder, pool)
    pool.close()
    await recorder.aclose()


def frames(pace: Pace, first: int, last: int, *, late: float = 0.0) -> None:
    for chunk in range(first, last + 1):
        pace.judge(chunk, 0.02, chunk * 0.02 + late, chunk * 0.02)


async def test_what_grew_is_carried_over_once(process: Process):
    pace = process.live["CA1"] = Pace()
    frames(pace, 1, 10)
    process.sampler.sample()
    process.sampler.sample()
    assert process.page()("callbot_frames_received_total") == 10
    frames(pace, 13, 20)
    frames(pace, 20, 20)
    process.sampler.sample()
    page = process.page()
    assert page("callbot_frames_received_total") == 19
    assert page("callbot_frames_lost_total") == 2
    assert page("callbot_frames_repeated_total") == 1
    assert page("callbot_frames_flooded_total") == 0


async def test_the_frames_of_a_call_that_came_and_went_between_two_samples_are_counted(process: Process):
    process.sampler.sample()
    short = Pace()
    frames(short, 1, 5)
    process.past.add(short)
    long = process.live["CA2"] = Pace()
    frames(long, 1, 3)
    process.sampler.sample()
    assert process.page()("callbot_frames_received_total") == 8
    del process.live["CA2"]
    process.past.add(long)
    process.sampler.sample()
    assert process.page()("callbot_frames_received_total") == 8


async def test_while_a_call_changes_its_stream_no_frame_is_counted_twice(process: Process):
    before = process.live["CA1"] = Pace()
    frames(before, 1, 50)
    process.sampler.sample()
    after = process.live["CA1"] = Pace()  # the first stream is not known to be dead yet
    frames(after, 1, 10)
    process.sampler.sample()
    process.past.add(before)
    process.sampler.sample()
    assert process.page()("callbot_frames_received_total") == 60


async def test_of_each_call_and_second_the_latest_frame_is_observed(process: Process):
    process.live |= {"CA1": Pace(), "CA2": Pace(), "CA3": Pace()}
    frames(process.live["CA1"], 1, 50)
    frames(process.live["CA2"], 1, 50)
    frames(process.live["CA2"], 51, 51, late=0.08)
    process.sampler.sample()
    page = process.page()
    assert page.times("callbot_frame_lateness_seconds") == (2, 0.08)
    assert page("callbot_frame_lateness_seconds_bucket", le="0.06") == 1


async def test_calls_queues_and_refusals_are_as_they_are(process: Process):
    process.live["CA1"] = Pace()
    process.refused.update(["busy", "closed", "busy"])
    process.bad.update(["json"])
    process.recorder.put(Happened("CA1", 1, 0, "Pressed", {}))
    process.sampler.sample()
    page = process.page()
    assert page("callbot_calls_live") == 1
    assert page("callbot_seats") == 200
    assert page("callbot_workers") == 1
    assert page("callbot_workers_full") == page("callbot_workers_draining") == 0
    assert page("callbot_calls_refused_total", answer="busy") == 2
    assert page("callbot_calls_refused_total", answer="dial") == 0
    assert page("callbot_bad_messages_total", kind="json") == 1
    assert page("callbot_queue_depth", queue="recorder") == 1
    assert page("callbot_database_broken") == 0
    assert page("callbot_calls_admitted_total") == 7
    assert page("callbot_calls_resumed_total") == 2
    assert page("callbot_calls_lost_total") == 1
    assert page("callbot_recordings_disabled_total") == 3


async def test_jobs_that_wait_for_a_model_are_seen_and_those_that_run(process: Process):
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(10)

    running = process.pool.submit(work)
    waiting = [process.pool.submit(lambda: None) for _ in range(3)]
    assert begun.wait(10)
    process.sampler.sample()
    page = process.page()
    go_on.set()
    for job in (running, *waiting):
        job.result(10)
    assert page("callbot_inference_running") == 1
    assert page("callbot_queue_depth", queue="inference") == 3


async def test_records_that_are_dropped_are_told(tmp_path: Path, process: Process):
    full = Recorder(f"sqlite+aiosqlite:///{tmp_path / 'full.db'}", spool=tmp_path / "full", capacity=1)
    crowded = replace(process.sources, recorder=full)
    for entry in range(4):
        full.put(Happened("CA1", entry, 0, "Pressed", {}))
    Sampler(process.metrics, process.meter, crowded).sample()
    await full.aclose()
    assert process.page()("callbot_records_dropped_total") == 3


async def test_a_call_that_broke_is_found_by_its_absence(process: Process):
    process.live["CA1"] = Pace()
    for sid in ("CA1", "CA2"):
        process.meter.observe(sid, 0.0, CallStarted("support"))
    process.sampler.sample()
    assert process.page()("callbot_calls_ended_total", disposition="failed") == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system tells nothing of its processes")
async def test_the_process_is_measured_by_what_the_system_says(process: Process):
    process.sampler.sample_process()
    page = process.page()
    assert page("callbot_process_resident_memory_bytes") > 20e6
    assert page("callbot_process_open_fds") >= 3
    assert page("callbot_process_cpu_seconds_total") > 0.1


async def test_a_loop_that_stands_still_is_seen_to_lag(process: Process):
    async with process.sampler.running():
        await asyncio.sleep(0)  # it sleeps now
        time.sleep(0.25)  # noqa: ASYNC251  # what no coroutine may do
        for _ in range(3):
            await asyncio.sleep(0)  # it wakes up
    count, lag = process.page().times("callbot_event_loop_lag_seconds")
    assert count >= 1
    assert lag > 0.1


async def test_sampling_ends_with_its_process_and_takes_a_last_look(process: Process):
    pace = process.live["CA1"] = Pace()
    async with process.sampler.running():
        frames(pace, 1, 10)
    assert process.page()("callbot_frames_received_total") == 10
    assert "metrics" not in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.virtual_time
async def test_the_calls_are_looked_at_once_a_second(process: Process):
    pace = process.live["CA1"] = Pace()
    async with process.sampler.running():
        frames(pace, 1, 10)
        await asyncio.sleep(0.95)
        assert process.page()("callbot_frames_received_total") == 0
        await asyncio.sleep(0.1)
        assert process.page()("callbot_frames_received_total") == 10
