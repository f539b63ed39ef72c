"""What is left of a call: everything that happened, and both tracks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from callbot.exchange.ear import BargeIn, Hearing, Response
from callbot.exchange.twiml import EndedBy


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened, ``t_ms`` after the first media stream began; negative before.

    Observers of a running call get it when it happens. Until a stream begins, they are told the time since
    the call was answered.
    """

    t_ms: int
    kind: str
    data: Mapping[str, object] = field(default_factory=dict)


Observer = Callable[[Happened], None]


@dataclass(frozen=True, slots=True)
class Warned:
    """An error or warning as the carrier's console would list it."""

    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class MarkEchoed:
    """A mark that went back to the bot: reached by playback, or flushed by ``clear``."""

    t_ms: int
    name: str
    cleared: bool


@dataclass(frozen=True, slots=True)
class CallResult:
    """A finished call. All times are ms since the first media stream began (without one: the answer).

    ``said`` is the caller's track and ``heard`` what reached the caller's ear: mu-law at 8 kHz, equally
    long, on one clock. ``status`` is the carrier's: completed, busy, no-answer or failed.
    """

    call_sid: str
    stream_sids: tuple[str, ...]
    status: str
    ended_by: EndedBy
    detail: str
    said: bytes
    heard: bytes
    events: tuple[Happened, ...]
    warnings: tuple[Warned, ...]
    documents: tuple[str, ...]
    marks: tuple[MarkEchoed, ...]
    dtmf: str
    duration_ms: int
    hearing: Hearing

    @property
    def stream_sid(self) -> str:
        """The last media stream's, or ``""`` when none was opened."""
        return self.stream_sids[-1] if self.stream_sids else ""

    @property
    def responses(self) -> tuple[Response, ...]:
        """From the end of each of the caller's utterances to the bot's first sound."""
        return self.hearing.responses

    @property
    def barge_ins(self) -> tuple[BargeIn, ...]:
        """From the caller's onset over the bot to silence at the ear."""
        return self.hearing.barge_ins


@dataclass(slots=True)
class Log:
    """Collects what happens in one call and tells whoever watches. ``now_ms`` is set by the call's clock."""

    observer: Observer | None = None
    now_ms: int = 0
    entries: list[Happened] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)

    def add(self, kind: str, **data: object) -> None:
        happened = Happened(self.now_ms, kind, data)
        self.entries.append(happened)
        if self.observer is not None:
            self.observer(happened)

    def warn(self, code: int, detail: str) -> None:
        self.warnings.append(Warned(code, detail))
        self.add("warning", code=code, detail=detail)

    def begin_anew(self) -> None:
        """Time is counted from now on; what was before becomes negative."""
        passed, self.now_ms = self.now_ms, 0
        self.entries = [Happened(entry.t_ms - passed, entry.kind, entry.data) for entry in self.entries]
