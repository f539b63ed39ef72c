"""Reads, every now and then, what others count: so that counting costs the audio path nothing more.

Ten times a second it looks how late it was woken, once a second at the calls and the queues, and every
few seconds at what the operating system says of the process.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter, Gauge
from prometheus_client.process_collector import ProcessCollector

from callbot.detection import Detection
from callbot.media_stream.pace import Pace, Tally
from callbot.metrics.calls import CallMeter
from callbot.metrics.instruments import Metrics
from callbot.metrics.providers import ProviderMeter
from callbot.providers.breaker import Breakers
from callbot.providers.inference import InferencePool
from callbot.store.recorder import Recorder

LAG_EVERY: Final = 0.1
SAMPLE_EVERY: Final = 10
"""Looks at the lag between two looks at the calls: a second."""
PROCESS_EVERY: Final = 50
"""The same for the process: five seconds. It lists the open files, and a thousand calls are a thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the numbers of one process are found. The totals count from the start of the process."""

    live: Callable[[], Mapping[str, Pace]]
    """Of each live call, by its sid, its frames."""
    past: Tally
    """The frames of the calls that are over: added in the step in which they cease to be ``live``."""
    recorder: Recorder
    detection: Detection
    inference: InferencePool
    refused: Mapping[str, int]
    """Calls by what they were answered with instead of a stream."""
    bad_messages: Mapping[str, int]
    heard: Callable[[float], None]
    """Told of each live call, once a second, how late its latest frame was."""
    admitted: Callable[[], int]
    resumed: Callable[[], int]
    lost: Callable[[], int]
    recordings_disabled: Callable[[], int]
    seats: Callable[[], int]
    full: Callable[[], bool]
    draining: Callable[[], bool]
    breakers: Breakers | None = None


class Sampler:
    """Carries what ``sources`` count over to ``metrics``."""

    def __init__(self, metrics: Metrics, meter: CallMeter, sources: Sources) -> None:
        self._metrics = metrics
        self._meter = meter
        self._sources = sources
        self._carried: dict[Counter, float] = {}
        self._process = ProcessCollector(registry=None)
        self._providers = ProviderMeter(metrics)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sample until left, and once more then."""
        self.sample()
        self.sample_process()
        task = asyncio.create_task(self._run(), name="metrics")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()  # it ended by a bug of ours, which should be known
            self.sample()

    async def _run(self) -> None:
        looks = 0
        while True:
            due = time.perf_counter() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._metrics.loop_lag.observe(max(0.0, time.perf_counter() - due))
            looks += 1
            if looks % SAMPLE_EVERY == 0:
                self.sample()
            if looks % PROCESS_EVERY == 0:
                self.sample_process()

    def sample(self) -> None:
        """The calls and the queues, as they are now."""
        sources, metrics = self._sources, self._metrics
        live = sources.live()
        self._meter.forget_all_but(live)
        self._frames(live)
        metrics.calls_live.set(len(live))
        metrics.seats.set(sources.seats())
        metrics.workers.set(1)
        metrics.workers_full.set(sources.full())
        metrics.workers_draining.set(sources.draining())
        self._carry(sources.admitted(), metrics.calls_admitted)
        self._carry(sources.resumed(), metrics.calls_resumed)
        self._carry(sources.lost(), metrics.calls_lost)
        for answer, calls in sources.refused.items():
            self._carry(calls, metrics.calls_refused.labels(answer))
        for kind, messages in sources.bad_messages.items():
            self._carry(messages, metrics.bad_messages.labels(kind))
        self._records()
        if sources.breakers is not None:
            self._providers.stand(sources.breakers.standings(asyncio.get_running_loop().time()))
        metrics.queue.labels("detection").set(sources.detection.waiting)
        metrics.queue.labels("inference").set(sources.inference.waiting)
        metrics.inference_running.set(sources.inference.running)

    def sample_process(self) -> None:
        """Threads and tasks; memory, files and processor time, where the library can tell (on Linux)."""
        metrics = self._metrics
        found = {sample.name: sample.value for family in self._process.collect() for sample in family.samples}
        gauges: dict[str, Gauge] = {
            "process_resident_memory_bytes": metrics.memory,
            "process_open_fds": metrics.open_files,
        }
        for name, gauge in gauges.items():
            if name in found:
                gauge.set(found[name])
        self._carry(found.get("process_cpu_seconds_total", 0.0), metrics.cpu)
        metrics.threads.set(threading.active_count())
        metrics.tasks.set(len(asyncio.all_tasks()))

    def _frames(self, live: Mapping[str, Pace]) -> None:
        metrics, past = self._metrics, self._sources.past
        total = Tally(past.frames, past.lost, past.repeated, past.flooded)
        for pace in live.values():
            total.add(pace)
            late = pace.late()
            if late is not None:
                metrics.frame_lateness.observe(late)
                self._sources.heard(late)
        self._carry(total.frames, metrics.frames)
        self._carry(total.lost, metrics.frames_lost)
        self._carry(total.repeated, metrics.frames_repeated)
        self._carry(total.flooded, metrics.frames_flooded)

    def _records(self) -> None:
        metrics, recorder = self._metrics, self._sources.recorder
        metrics.queue.labels("recorder").set(recorder.waiting)
        metrics.database_broken.set(recorder.broken)
        self._carry(recorder.dropped, metrics.records_dropped)
        self._carry(recorder.retries, metrics.records_retried)
        self._carry(recorder.rejected, metrics.records_rejected)
        self._carry(self._sources.recordings_disabled(), metrics.recordings_disabled)

    def _carry(self, total: float, counter: Counter) -> None:
        """``counter`` grows by what ``total`` has grown since it was last carried."""
        carried = self._carried.get(counter, 0.0)
        if total > carried:
            counter.inc(total - carried)
            self._carried[counter] = total
