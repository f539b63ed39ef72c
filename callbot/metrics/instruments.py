"""What is measured: every number on ``/metrics``, by name. ``docs/metrics.md`` has the arithmetic of each.

Labels come from closed lists of ours, and providers' names from the settings: the number of series is
fixed, and no caller's data is in them.
"""

from collections.abc import Iterable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from callbot.call import Disposition, EndedReason
from callbot.conversation.effects import Phrase
from callbot.conversation.noticing import COMPONENTS
from callbot.errors import Trouble
from callbot.providers.accounting import Port, Unit

BAD_MESSAGES: Final = ("binary", "oversize", "json", "base64", "shape")
"""``BadMessage.kind`` of a media stream."""
REFUSALS: Final = ("dial", "callback", "busy", "sorry", "closed")
"""What calls that were not let in were answered with."""
QUEUES: Final = ("recorder", "detection", "inference")
PARTS: Final = ("endpointing", "brain", "voice")
UNITS: Final = {
    Port.STT: (Unit.SECONDS_HEARD,),
    Port.LLM: (
        Unit.TOKENS_READ,
        Unit.TOKENS_CACHED,
        Unit.TOKENS_WRITTEN,
        Unit.AUDIO_TOKENS_READ,
        Unit.AUDIO_TOKENS_CACHED,
        Unit.AUDIO_TOKENS_WRITTEN,
    ),
    Port.TTS: (Unit.CHARACTERS_SPOKEN,),
}

RESPONSE: Final = (
    *(0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0),
    *(1.2, 1.5, 2.0, 3.0, 5.0, 8.0),
)
REPLY: Final = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1),
    *(0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0),
)
OVERHEAD: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1)
BARGE_IN: Final = (0.05, 0.075, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.175, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0)
LAG: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5)
LATENESS: Final = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
UNDERRUN: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

# The library's time stamps beside each number would double the page, and tell nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The instruments of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls()
        self._conversation()
        self._media()
        self._providers()
        self._process()

    def _calls(self) -> None:
        self.calls_started = self._counter(
            "callbot_calls_started_total",
            "Calls that an agent took. A call that came back on another stream counts again.",
        )
        self.calls_ended = self._counter(
            "callbot_calls_ended_total",
            "Calls that ended, by how.",
            disposition=Disposition,
        )
        self.ended_reasons = self._counter(
            "callbot_calls_ended_reason_total",
            "Calls that ended, by why; whose doing it was stands first.",
            reason=EndedReason,
        )
        self.calls_refused = self._counter(
            "callbot_calls_refused_total",
            "Calls that were not let in, by what they were answered with.",
            answer=REFUSALS,
        )
        self.calls_admitted = self._counter(
            "callbot_calls_admitted_total", "Calls whose webhook was answered with a stream."
        )
        self.calls_resumed = self._counter(
            "callbot_calls_resumed_total", "Calls that lost their stream and were given another."
        )
        self.calls_lost = self._counter(
            "callbot_calls_lost_total", "Calls that lost their stream and could not be given another."
        )
        self.calls_live = self._gauge("callbot_calls_live", "Calls that go on now.")
        self.seats = self._gauge("callbot_seats", "Calls that may go on at once.", mode="livemax")
        self.workers = self._gauge("callbot_workers", "Processes that serve.")
        self.workers_full = self._gauge(
            "callbot_workers_full", "Processes that take no more calls because they have enough to do."
        )
        self.workers_draining = self._gauge(
            "callbot_workers_draining", "Processes that finish their calls and take no more."
        )

    def _conversation(self) -> None:
        self.turns = self._counter(
            "callbot_turns_total", "Holdings of the floor, by whose.", who=("caller", "agent")
        )
        self.response = self._histogram(
            "callbot_response_seconds",
            "From the end of the caller's speech to the first audio of the answer sent.",
            RESPONSE,
        )
        self.response_part = self._histogram(
            "callbot_response_part_seconds",
            "Where the time of a response goes: until the turn was over, until the first sentence, "
            "until its first audio.",
            REPLY,
            part=PARTS,
        )
        self.reply = self._histogram(
            "callbot_reply_seconds",
            "From the decision to reply to the first audio sent; the brain and the voice are in it.",
            REPLY,
        )
        self.reply_overhead = self._histogram(
            "callbot_reply_overhead_seconds",
            "The same for replies that no provider is asked for: all of it is ours.",
            OVERHEAD,
        )
        self.barge_in = self._histogram(
            "callbot_barge_in_seconds",
            "From the onset of the caller's speech to the clearing of what we were saying.",
            BARGE_IN,
        )
        self.interruptions = self._counter(
            "callbot_interruptions_total", "Turns of an agent that the caller took the floor from."
        )
        self.replies_withdrawn = self._counter(
            "callbot_replies_withdrawn_total",
            "Replies taken back because the caller had not finished: turns that were ended too early.",
        )
        self.replies_discarded = self._counter(
            "callbot_replies_discarded_total",
            "Replies thought ahead and thrown away: the caller went on, or other words were heard.",
        )
        self.reply_failures = self._counter(
            "callbot_reply_failures_total", "Replies that broke: a provider failed, or a bug of ours."
        )
        self.noticed = self._counter(
            "callbot_noticed_total",
            "Things that went wrong in calls and were put right, by what.",
            what=COMPONENTS,
        )
        self.phrases = self._counter(
            "callbot_phrases_total", "Things that the call itself had to say, by what.", phrase=Phrase
        )
        self.handoffs = self._counter("callbot_handoffs_total", "Calls given from one agent to another.")

    def _media(self) -> None:
        self.frames = self._counter("callbot_frames_received_total", "Frames of callers' audio.")
        self.frames_lost = self._counter(
            "callbot_frames_lost_total", "Frames missing in the carrier's count."
        )
        self.frames_repeated = self._counter(
            "callbot_frames_repeated_total", "Frames that came twice or out of order, and were dropped."
        )
        self.frames_flooded = self._counter(
            "callbot_frames_flooded_total", "Frames dropped because audio came faster than time passes."
        )
        self.frame_lateness = self._histogram(
            "callbot_frame_lateness_seconds",
            "Of each call and second, how late the latest frame came on the carrier's media clock.",
            LATENESS,
        )
        self.bad_messages = self._counter(
            "callbot_bad_messages_total",
            "What came on media streams and was no message, by what was wrong.",
            kind=BAD_MESSAGES,
        )
        self.underruns = self._histogram(
            "callbot_underrun_seconds",
            "Silence inside a reply: how long what was sent had run out when the next piece was ready.",
            UNDERRUN,
        )
        self.loop_lag = self._histogram(
            "callbot_event_loop_lag_seconds",
            "How late the event loop wakes up, looked at ten times a second.",
            LAG,
        )

    def _providers(self) -> None:
        self.provider_failures = Counter(
            "callbot_provider_failures_total",
            "Requests to a provider that failed, by what was the trouble.",
            ("port", "provider", "trouble"),
            registry=self.registry,
        )
        self.provider_switches = Counter(
            "callbot_provider_switches_total",
            "Requests that another provider went on with, by the one that failed.",
            ("port", "provider"),
            registry=self.registry,
        )
        self.provider_breaker_open = Gauge(
            "callbot_provider_breaker_open",
            "Processes that leave a provider alone, but for a trial now and then.",
            ("port", "provider"),
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.provider_units = Counter(
            "callbot_provider_units_total",
            "What providers were used for, in the units that they charge for.",
            ("port", "provider", "unit"),
            registry=self.registry,
        )

    def expect(self, port: Port, providers: Iterable[str]) -> None:
        """These may be asked, named as in settings: their numbers are on the page from now on, at 0."""
        for provider in providers:
            for trouble in Trouble:
                self.provider_failures.labels(port, provider, trouble)
            for unit in UNITS[port]:
                self.provider_units.labels(port, provider, unit)
            self.provider_switches.labels(port, provider)
            self.provider_breaker_open.labels(port, provider)

    def _process(self) -> None:
        self.queue = self._gauge("callbot_queue_depth", "What waits, by where.", queue=QUEUES)
        self.inference_running = self._gauge(
            "callbot_inference_running", "Threads that run a model of ours now, speech detection apart."
        )
        self.database_broken = self._gauge(
            "callbot_database_broken", "Processes whose last write to the database failed."
        )
        self.records_dropped = self._counter(
            "callbot_records_dropped_total", "Records that were never stored, because too many waited."
        )
        self.records_retried = self._counter(
            "callbot_record_writes_retried_total", "Writes to the database that failed and were tried again."
        )
        self.records_rejected = self._counter(
            "callbot_records_rejected_total", "Records put aside because the database can never take them."
        )
        self.recordings_disabled = self._counter(
            "callbot_recordings_disabled_total",
            "Recordings that stopped because the disk failed or was too slow.",
        )
        self.memory = self._gauge("callbot_process_resident_memory_bytes", "Memory in use.")
        self.open_files = self._gauge("callbot_process_open_fds", "Open files and sockets.")
        self.threads = self._gauge("callbot_process_threads", "Threads that the process runs.")
        self.tasks = self._gauge("callbot_tasks", "Tasks of the event loop.")
        self.cpu = self._counter("callbot_process_cpu_seconds_total", "Processor time used.")

    # --- how they are made: each label's values exist from the start, at 0 ---------------------------

    def _counter(self, name: str, help_text: str, **label: Iterable[str]) -> Counter:
        counter = Counter(name, help_text, tuple(label), registry=self.registry)
        for (value,) in zip(*label.values(), strict=True):
            counter.labels(value)
        return counter

    def _gauge(
        self,
        name: str,
        help_text: str,
        *,
        mode: Literal["livesum", "livemax"] = "livesum",
        **label: Iterable[str],
    ) -> Gauge:
        """``mode``: what the values of several workers are together."""
        gauge = Gauge(name, help_text, tuple(label), registry=self.registry, multiprocess_mode=mode)
        for (value,) in zip(*label.values(), strict=True):
            gauge.labels(value)
        return gauge

    def _histogram(
        self, name: str, help_text: str, buckets: tuple[float, ...], **label: Iterable[str]
    ) -> Histogram:
        histogram = Histogram(name, help_text, tuple(label), registry=self.registry, buckets=buckets)
        for (value,) in zip(*label.values(), strict=True):
            histogram.labels(value)
        return histogram
