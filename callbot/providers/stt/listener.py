"""What to decode when, for a model that only knows whole utterances.

While the caller speaks, the utterance so far is decoded again and again: those are the partials.
When the energy drops, it is decoded at once, so that by the time the pause counts as one and
``flush`` comes, the final is done or nearly so: it is that same decode, as long as nothing but
silence has come since.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from callbot.errors import CallbotError, InvalidState, ProviderError
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Transcribed
from callbot.providers.stt.loudness import Loudness
from callbot.providers.stt.utterance_audio import UtteranceAudio


class UtteranceModel(Protocol):
    """A model that hears one whole utterance. Threads share it."""

    def transcribe(self, samples: NDArray[np.float32]) -> str:
        """The text of float32 samples at 16 kHz. Blocking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When to decode; in bytes of mu-law, 8 to the millisecond."""

    first_partial: int = 8_000
    """From less than a second of audio, models make words up."""
    partial_every: int = 3_200
    partials_per_length: int = 10
    """A long utterance is decoded again only after a tenth more: each decode costs all of its length."""
    pause: int = 800
    """This much quiet after speech, and the utterance is decoded at once."""
    longest: int = 240_000
    """Models hear at most 30 s. What is older is decoded for good, and its text kept."""
    look_back_for_cut: int = 40_000


DEFAULT_PACE: Final = Pace()


@dataclass(frozen=True, slots=True)
class _Decode:
    """A decode of the open segment up to byte ``until`` of the utterance."""

    until: int
    job: Future[str]
    text: asyncio.Future[str]

    @property
    def still_queued(self) -> bool:
        return not self.job.running() and not self.job.done()


@dataclass(slots=True)
class _Utterance:
    number: int
    loudness: Loudness = field(default_factory=Loudness)
    audio: UtteranceAudio = field(default_factory=UtteranceAudio)
    """Of the segment that is still open."""
    kept: list[_Decode] = field(default_factory=list)
    """The segments before it, which are decoded once."""
    newest: _Decode | None = None

    @property
    def begin(self) -> int:
        """Where in the utterance the open segment begins."""
        return self.audio.begin

    @property
    def end(self) -> int:
        return self.audio.end

    @property
    def size(self) -> int:
        """Of the open segment, in bytes."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class _Report:
    """A transcript that is due as soon as its parts are decoded."""

    utterance: int
    parts: tuple[_Decode, ...]
    final: bool

    @property
    def ready(self) -> bool:
        return all(part.text.done() for part in self.parts)


class Listener:
    """The deciding half of a recogniser: it is told what is heard, and collects what was said.

    ``on_news`` is called when ``collect`` may have something to give. All methods belong to the
    event loop's thread; the model runs in ``pool``.
    """

    def __init__(
        self,
        model: UtteranceModel,
        pool: InferencePool,
        on_news: Callable[[], None],
        *,
        language: str | None = None,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._model = model
        self._pool = pool
        self._on_news = on_news
        self._language = language
        self._pace = pace
        self._now: _Utterance | None = None
        self._partials: deque[_Report] = deque(maxlen=4)
        self._finals: deque[_Report] = deque()
        self._running: set[asyncio.Future[str]] = set()

    @property
    def speech_bytes(self) -> int:
        """How much of the present utterance is speech, by its energy."""
        return self._now.loudness.speech_bytes if self._now else 0

    def start(self, utterance: int) -> None:
        self._drop_partials()
        self._now = _Utterance(utterance)

    def send(self, audio: bytes) -> None:
        now = self._utterance("send")
        now.audio.feed(audio)
        now.loudness.feed(audio)
        while now.size >= self._pace.longest:
            self._cut(now)
        self._decode_when_due(now)

    def flush(self) -> None:
        now = self._utterance("flush")
        if not self._covers_all_speech(now) or (now.newest and now.newest.still_queued):
            now.newest = self._decode(now, now.end, urgent=True)
        self._finals.append(_report(now, final=True))
        self._drop_partials()
        self._on_news()

    def collect(self) -> list[Transcribed]:
        """What has become known since the last call, in order. Raises ``ProviderError``."""
        due: list[_Report] = []
        for reports in (self._finals, self._partials):
            while reports and reports[0].ready:
                due.append(reports.popleft())
        return [
            Transcribed(report.utterance, _joined(report.parts), report.final, self._language)
            for report in due
        ]

    def close(self) -> None:
        """Drops all that waits; what a thread is just decoding comes to nothing."""
        self._now = None
        self._partials.clear()
        self._finals.clear()
        for future in tuple(self._running):
            future.cancel()

    def _utterance(self, call: str) -> _Utterance:
        if self._now is None:
            raise InvalidState(f"{call} before start, or after close")
        return self._now

    def _decode_when_due(self, now: _Utterance) -> None:
        """One decode at a time: while one runs, the audio that comes waits for the next."""
        if self._running:
            return
        covered = now.newest.until if now.newest else now.begin
        speech_end = now.loudness.speech_end
        paused = covered < speech_end + self._pace.pause <= now.end and speech_end > now.begin
        enough = max(self._pace.partial_every, now.size // self._pace.partials_per_length)
        much_is_new = speech_end > covered and now.end - covered >= enough
        long_enough = now.end >= self._pace.first_partial
        if paused or (much_is_new and long_enough):
            now.newest = self._decode(now, now.end, urgent=False)
            if long_enough:
                self._partials.append(_report(now, final=False))

    def _covers_all_speech(self, now: _Utterance) -> bool:
        """Whether the newest decode heard all there is to hear, and a little silence after it."""
        if now.loudness.speech_end <= now.begin:
            return True
        heard_enough = min(now.end, now.loudness.speech_end + self._pace.pause)
        return now.newest is not None and now.newest.until >= heard_enough

    def _decode(self, now: _Utterance, until: int, *, urgent: bool) -> _Decode:
        """Decodes the open segment up to a position in the utterance."""
        excerpt = now.audio.up_to(until)

        def work() -> str:
            return self._model.transcribe(excerpt.samples())

        job = self._pool.submit(work, urgent=urgent)
        text = asyncio.wrap_future(job)
        self._running.add(text)
        text.add_done_callback(self._decoded)
        return _Decode(until, job, text)

    def _decoded(self, text: asyncio.Future[str]) -> None:
        self._running.discard(text)
        if not text.cancelled():
            text.exception()  # it is told by whoever reports this decode; nobody may
        if self._now:
            self._decode_when_due(self._now)
        self._on_news()

    def _cut(self, now: _Utterance) -> None:
        """Ends the segment where it is quietest near its end, and decodes it for good."""
        end = now.begin + self._pace.longest
        cut = now.loudness.quietest(end - self._pace.look_back_for_cut, end)
        if now.loudness.speech_end > now.begin:
            now.kept.append(self._decode(now, cut, urgent=True))
        now.audio.forget(cut)
        now.newest = None

    def _drop_partials(self) -> None:
        """Forgets partials; a decode that waits and that no final needs is not made."""
        needed = {id(part) for report in self._finals for part in report.parts}
        for report in self._partials:
            for part in report.parts:
                if id(part) not in needed and (not self._now or part not in self._now.kept):
                    part.text.cancel()
        self._partials.clear()


def _report(now: _Utterance, *, final: bool) -> _Report:
    newest = (now.newest,) if now.newest else ()
    return _Report(now.number, (*now.kept, *newest), final)


def _joined(parts: tuple[_Decode, ...]) -> str:
    texts: list[str] = []
    for part in parts:
        if part.text.cancelled():
            raise ProviderError("the recogniser was shut down", retryable=False)
        error = part.text.exception()
        if isinstance(error, CallbotError):
            raise error
        if error is not None:
            raise ProviderError(f"the recogniser failed: {error}", retryable=False) from error
        texts.append(part.text.result())
    return " ".join(text for text in texts if text)
