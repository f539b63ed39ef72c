"""One caller of the benchmark: when it speaks, what it hears, and what it holds against the bot.

Nothing here waits or looks at a clock: ``now`` is given in, and chance is a function. The caller's media
clock begins with its first frame; frame ``n`` is due ``n * 20 ms`` later, however late it is really sent,
and response and barge-in are measured against that.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

import msgspec

from bench.clips import Clip

FRAME_SECONDS: Final = 0.02
RATE: Final = 8000

GREETED_WITHIN: Final = 5.0
ANSWERED_WITHIN: Final = 5.0
CLEARED_WITHIN: Final = 2.0
REPLY_GAP: Final = 0.5
"""A line that was silent for so long has heard the end of a reply; what comes then is another."""
UNDERRUN: Final = 0.005
EARLY: Final = 0.1
"""A reply that begins so shortly before the caller's end interrupts nobody."""
PAUSE: Final = (REPLY_GAP, 1.5)
INTERRUPTED_AFTER: Final = (0.8, 1.5)
ENOUGH_LEFT: Final = 1.5
STILL_SENDING: Final = 0.3
"""A bot that sends as it plays never has ``ENOUGH_LEFT`` in the buffer; it goes on if it has just sent."""
LONGEST_BUFFER: Final = 600.0
MOST_EXAMPLES: Final = 10

_ROUNDING: Final = 1e-6


# --- judging -------------------------------------------------------------------------------------


class Fault(StrEnum):
    """What a bot may do wrong; the values are the names in the result."""

    REFUSED = "refused"
    """The call got no stream."""
    LOST = "lost"
    """The socket was closed, and not by the caller."""
    UNANSWERED = "unanswered"
    FALSE_TURN = "false_turns"
    """The bot began to speak before the caller had ended, or spoke twice to one utterance."""
    BARGE_IN_MISSED = "barge_in_missed"
    UNDERRUN = "underruns"
    """The buffer ran dry in the middle of a reply."""
    BAD_MESSAGE = "bad_messages"
    CUT_SHORT = "cut_short"
    """The bot cleared its own reply, though the caller was silent."""
    RESUMED = "resumed"
    """After it had cleared for a barge-in, the bot spoke again before the caller had ended."""


_WHENEVER: Final = frozenset({Fault.REFUSED, Fault.LOST, Fault.BAD_MESSAGE})
"""These count outside the time of measurement, too."""


@dataclass(frozen=True, slots=True)
class Example:
    """``second`` counts from the call's first frame."""

    call: int
    call_sid: str
    second: float
    what: str


@dataclass(slots=True)
class Tally:
    """What all callers found, from ``measured_from`` until ``measured_until``."""

    measured_from: float = math.inf
    measured_until: float = math.inf
    responses_ms: list[float] = field(default_factory=list)
    barge_ins_ms: list[float] = field(default_factory=list)
    replies: int = 0
    moot_barge_ins: int = 0
    """The reply was over before the bot need have noticed."""
    underrun_ms: float = 0.0
    faults: Counter[Fault] = field(default_factory=Counter)
    examples: dict[Fault, list[Example]] = field(default_factory=dict)

    def measures(self, now: float) -> bool:
        return self.measured_from <= now < self.measured_until

    def fault(self, fault: Fault, example: Example) -> None:
        """Count it, whenever it was."""
        self.faults[fault] += 1
        examples = self.examples.setdefault(fault, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(example)


# --- the bot's messages --------------------------------------------------------------------------


class _MediaBody(msgspec.Struct):
    payload: bytes


class _MarkBody(msgspec.Struct):
    name: str


class _Message(msgspec.Struct, tag_field="event"):
    stream_sid: str = msgspec.field(name="streamSid")


class _Media(_Message, tag="media"):
    media: _MediaBody


class _Mark(_Message, tag="mark"):
    mark: _MarkBody


class _Clear(_Message, tag="clear"):
    pass


_decoder = msgspec.json.Decoder(_Media | _Mark | _Clear)


def _surplus(text: bytes | memoryview, event: str) -> str:
    """The first field that the protocol doesn't have, if any."""
    message = msgspec.json.decode(text)
    body = message.get(event)
    inner = set(body) - {"payload", "name"} if isinstance(body, dict) else set()
    names = [*(set(message) - {"event", "streamSid", event}), *(f"{event}.{name}" for name in inner)]
    return min(names, default="")


# --- the line ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Playback:
    """What the carrier plays to the caller. It is computed when somebody asks, not as time passes."""

    ends_at: float = -math.inf
    last_sent: float = -math.inf
    marks: deque[tuple[float, str]] = field(default_factory=deque)

    def media(self, seconds: float, now: float) -> float:
        """Append audio; returns for how long nothing had played before it (0 when something did)."""
        dry = max(0.0, now - self.ends_at)
        self.ends_at = max(now, self.ends_at) + seconds
        self.last_sent = now
        return dry

    def mark(self, name: str, now: float) -> None:
        self.marks.append((max(now, self.ends_at), name))

    def reached(self, now: float) -> tuple[str, ...]:
        """The marks whose audio has played, once."""
        names: list[str] = []
        while self.marks and self.marks[0][0] <= now:
            names.append(self.marks.popleft()[1])
        return tuple(names)

    def clear(self, now: float) -> tuple[float, tuple[str, ...]]:
        """Empty the buffer; returns the seconds that won't be heard, and all the marks."""
        dropped = max(0.0, self.ends_at - now)
        names = tuple(name for _, name in self.marks)
        self.marks.clear()
        self.ends_at = -math.inf  # what follows is no part of what was cut
        return dropped, names

    @property
    def next_mark(self) -> float:
        """When the next mark is reached."""
        return self.marks[0][0] if self.marks else math.inf

    def buffered(self, now: float) -> float:
        return max(0.0, self.ends_at - now)


# --- the caller ----------------------------------------------------------------------------------


class _State(Enum):
    WAITING = auto()
    """For the greeting, or for the answer to what was said."""
    LISTENING = auto()
    PAUSING = auto()
    """The reply has played, or none came."""
    SPEAKING = auto()


@dataclass(slots=True, kw_only=True)
class Subscriber:
    """A caller who listens, pauses, speaks, and now and then interrupts, until it is told to stop.

    ``tick`` every 20 ms gives the frame to send; ``receive`` takes a message of the bot's. Both leave
    the marks to be returned in ``echoes``. ``began`` is when the first frame is due.
    """

    call: int
    call_sid: str
    stream_sid: str
    clips: Sequence[Clip]
    line: tuple[bytes, ...]
    uniform: Callable[[float, float], float]
    tally: Tally
    began: float
    barge_ins_per_minute: float = 1.0

    echoes: tuple[str, ...] = field(default=(), init=False)
    frames_sent: int = field(default=0, init=False)

    _track: tuple[bytes, ...] = field(init=False)
    _at: int = field(init=False)
    _wake: int = field(default=0, init=False)
    """The frame before which there is something to decide; until then it is only sent."""
    _next_clip: int = field(init=False)
    _playback: Playback = field(default_factory=Playback, init=False)
    _known_events: set[str] = field(default_factory=set, init=False)

    _state: _State = field(default=_State.WAITING, init=False)
    _turn_timer: float = field(init=False)
    _utterances: int = field(default=0, init=False)
    _replies: int = field(default=0, init=False)
    """Of the bot, to the last utterance."""
    _onset: float = field(default=math.nan, init=False)
    _end: float = field(default=math.nan, init=False)
    _speech_end: int = field(default=-1, init=False)
    """The frame with which the utterance is over."""
    _timed: bool = field(default=False, init=False)
    """The answer's time counts: nothing else was in the way of it."""

    _every: float = field(init=False)
    _barge_due: float = field(default=math.inf, init=False)
    """From when on the next reply is interrupted."""
    _barge_at: float = field(default=math.inf, init=False)
    _barging: bool = field(default=False, init=False)
    _missed_at: float = field(default=math.inf, init=False)
    """When an interruption that the bot hasn't noticed is taken to be missed."""

    def __post_init__(self) -> None:
        self._track = self.line
        self._at = int(self.uniform(0, len(self.line) - 1))
        self._next_clip = int(self.uniform(0, len(self.clips)))
        self._turn_timer = self.began + GREETED_WITHIN
        self._every = math.inf
        if self.barge_ins_per_minute:
            self._every = 60 / self.barge_ins_per_minute
            self._barge_due = self.began + self.uniform(0, self._every)

    # --- what it sends ---------------------------------------------------------------------------

    def tick(self, now: float) -> bytes:
        """The next frame, in base64."""
        if self.frames_sent >= self._wake:
            self._decide(now)
        at = self._at
        self._at = at + 1
        self.frames_sent += 1
        return self._track[at]

    def _decide(self, now: float) -> None:
        # a frame may be sent a little early; it is never decided before it is due
        now = max(now, self._due(self.frames_sent))
        self.echoes += self._playback.reached(now)
        if self.frames_sent == self._speech_end:
            self._speech_ended(now)
        self._time_passed(now)
        if self._at >= len(self._track):
            self._track, self._at = self.line, 0
        self._arm()
        self._wake = max(self._wake, self.frames_sent + 1)

    def _due(self, frame: int) -> float:
        return self.began + frame * FRAME_SECONDS

    def _arm(self) -> None:
        """Find the next frame before which to decide something."""
        until = min(self._turn_timer, self._barge_at, self._missed_at, self._playback.next_mark)
        wake = self.frames_sent + len(self._track) - self._at
        if until < self._due(wake):
            wake = math.ceil(max(0.0, until - self.began) / FRAME_SECONDS - _ROUNDING)
        if self._speech_end >= 0:
            wake = min(wake, self._speech_end)
        self._wake = wake

    def _speak(self, *, barging: bool) -> None:
        clip = self.clips[self._next_clip % len(self.clips)]
        self._next_clip += 1
        self._track, self._at = clip.frames, 0
        self._onset = self._due(self.frames_sent + clip.onset)
        self._end = self._due(self.frames_sent + clip.end)
        self._speech_end = self.frames_sent + clip.end
        self._utterances += 1
        self._replies = 0
        self._timed = True
        self._barging = barging
        self._missed_at = self._onset + CLEARED_WITHIN if barging else math.inf
        self._enter(_State.SPEAKING, math.inf)

    # --- time ------------------------------------------------------------------------------------

    def _enter(self, state: _State, until: float) -> None:
        self._state = state
        self._turn_timer = until
        self._arm()

    def _time_passed(self, now: float) -> None:
        if now >= self._missed_at:
            self._not_noticed(self._playback.ends_at)
        if now >= self._barge_at:
            self._consider_interrupting(now)
        if now >= self._turn_timer:
            self._turn_time_passed(now)

    def _turn_time_passed(self, now: float) -> None:
        match self._state:
            case _State.LISTENING if self._playback.ends_at > now:
                self._turn_timer = self._playback.ends_at
            case _State.LISTENING if self._utterances and not self._replies:
                # the bot had talked over the caller, and what it was told is still to be answered
                self._enter(_State.WAITING, now + ANSWERED_WITHIN)
            case _State.LISTENING:
                self._pause(now)
            case _State.WAITING:
                if self._utterances:
                    self._fault(Fault.UNANSWERED, now, f"no reply within {ANSWERED_WITHIN:g} s")
                self._pause(now)
            case _State.PAUSING:
                self._speak(barging=False)
            case _State.SPEAKING:
                self._turn_timer = math.inf

    def _pause(self, now: float) -> None:
        self._barge_at = math.inf
        self._enter(_State.PAUSING, now + self.uniform(*PAUSE))

    def _speech_ended(self, now: float) -> None:
        self._speech_end = -1
        if self._replies or self._playback.ends_at > now:
            self._timed = False
            self._enter(_State.LISTENING, self._playback.ends_at)
        else:
            self._enter(_State.WAITING, self._end + ANSWERED_WITHIN)

    def _consider_interrupting(self, now: float) -> None:
        self._barge_at = math.inf
        buffered = self._playback.buffered(now)
        sending = buffered > 0 and now - self._playback.last_sent <= STILL_SENDING
        if self._state is _State.LISTENING and (buffered >= ENOUGH_LEFT or sending):
            self._speak(barging=True)

    def _not_noticed(self, ended_at: float) -> None:
        """Nothing was cleared, and ``ended_at`` the reply that was interrupted had played out."""
        if ended_at - self._onset < ENOUGH_LEFT:
            self._missed_at = math.inf
            if self.tally.measures(self._onset):
                self.tally.moot_barge_ins += 1
            return
        self._fault(
            Fault.BARGE_IN_MISSED, self._onset, f"played on for {ended_at - self._onset:.1f} s, and no clear"
        )
        self._barged_in()

    def _barged_in(self) -> None:
        self._missed_at = math.inf
        self._barge_due += self._every * self.uniform(0.75, 1.25)

    # --- what it hears ---------------------------------------------------------------------------

    def receive(self, text: bytes | memoryview, now: float) -> None:
        """A text message of the bot's; what is none is a fault and changes nothing."""
        try:
            message = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self.bad_message(str(error), now)
            return
        if message.stream_sid != self.stream_sid:
            self.bad_message(f"streamSid {message.stream_sid!r:.40}, this is {self.stream_sid!r}", now)
            return
        match message:
            case _Media():
                self._check_once(text, "media", now)
                self._hear(len(message.media.payload) / RATE, now)
            case _Mark():
                self._check_once(text, "mark", now)
                self._playback.mark(message.mark.name, now)
                self.echoes += self._playback.reached(now)
                self._arm()
            case _Clear():
                self._check_once(text, "clear", now)
                self._cleared(now)

    def bad_message(self, what: str, now: float) -> None:
        self._fault(Fault.BAD_MESSAGE, now, what)

    def lost(self, what: str, now: float) -> None:
        """The socket is closed, and not by the caller: who has heard nothing yet was refused."""
        refused = self._playback.last_sent == -math.inf and now - self.began < GREETED_WITHIN
        self._fault(Fault.REFUSED if refused else Fault.LOST, now, what)

    def _check_once(self, text: bytes | memoryview, event: str, now: float) -> None:
        """The carrier warns once per stream of what is too much, and performs the message."""
        if event not in self._known_events:
            self._known_events.add(event)
            if surplus := _surplus(text, event):
                self.bad_message(f"{event} has no field {surplus}", now)

    def _hear(self, seconds: float, now: float) -> None:
        if self._playback.buffered(now) + seconds > LONGEST_BUFFER:
            self.bad_message("more than 10 minutes of audio are buffered; what follows is discarded", now)
            return
        ended_at = self._playback.ends_at
        dry = self._playback.media(seconds, now)
        if dry >= REPLY_GAP or (dry > 0 and self._state is _State.WAITING):
            self._reply_began(ended_at, now)
        elif dry > 0:
            if dry > UNDERRUN and self._fault(Fault.UNDERRUN, now, f"{dry * 1000:.0f} ms without audio"):
                self.tally.underrun_ms += dry * 1000
            if self._state is _State.PAUSING:
                self._enter(_State.LISTENING, self._playback.ends_at)

    def _reply_began(self, last_ended_at: float, now: float) -> None:
        if self._missed_at < math.inf:
            self._not_noticed(last_ended_at)
        if self.tally.measures(now):
            self.tally.replies += 1
        match self._state:
            case _State.SPEAKING if now < self._end - EARLY:
                left = f"{self._end - now:.2f} s before the caller's end"
                cleared = self._barging and last_ended_at == -math.inf
                self._fault(Fault.RESUMED if cleared else Fault.FALSE_TURN, now, f"spoke {left}")
                return
            case _State.SPEAKING:
                self._answered(now)
                return
            case _State.WAITING:
                self._answered(now)
            case _State.LISTENING | _State.PAUSING:
                if self._utterances and self._replies:
                    self._fault(Fault.FALSE_TURN, now, f"reply {self._replies + 1} to one utterance")
                self._replies += 1
        if self._utterances and now >= self._barge_due:
            self._barge_at = now + self.uniform(*INTERRUPTED_AFTER) - self._lead()
        self._enter(_State.LISTENING, self._playback.ends_at)

    def _lead(self) -> float:
        """How much of the next clip comes before its first sound."""
        return self.clips[self._next_clip % len(self.clips)].onset * FRAME_SECONDS

    def _answered(self, now: float) -> None:
        self._replies += 1
        if self._timed and self.tally.measures(now) and self.tally.measures(self._end):
            self.tally.responses_ms.append((now - self._end) * 1000)
        self._timed = False

    def _cleared(self, now: float) -> None:
        dropped, names = self._playback.clear(now)
        self.echoes += names
        if self._missed_at < math.inf and now >= self._onset:
            if self.tally.measures(self._onset) and self.tally.measures(now):
                self.tally.barge_ins_ms.append((now - self._onset) * 1000)
            self._barged_in()
            self._arm()
        elif dropped and (self._state is _State.LISTENING or self._missed_at < math.inf):
            self._fault(Fault.CUT_SHORT, now, f"{dropped:.1f} s of a reply cleared in silence")
            self._missed_at = math.inf
        if self._state is _State.LISTENING:
            self._barge_at = math.inf
            self._enter(_State.LISTENING, now)

    def _fault(self, fault: Fault, now: float, what: str) -> bool:
        """Whether it counts."""
        counts = fault in _WHENEVER or self.tally.measures(now)
        if counts:
            self.tally.fault(fault, Example(self.call, self.call_sid, round(now - self.began, 3), what))
        return counts
