"""Calls, measured from what happens in them: an ``Observer`` of the session, which takes the time from it.

It reads events and effects and nothing else, so any recorded call can be measured again.
"""

from collections.abc import Container
from dataclasses import dataclass

from callbot.agents.brain import Request
from callbot.call import Disposition, EndedReason
from callbot.conversation.effects import (
    ClearAudio,
    Effect,
    FlushHearing,
    HandedOff,
    HangUp,
    Noted,
    Phrase,
    ReleaseReply,
    SayMeanwhile,
    SendAudio,
    StartHearing,
    StartReply,
    StopHearing,
    StopReply,
    TurnEnded,
)
from callbot.conversation.events import CallStarted, Event, Filled, HungUp, Meant, ReplyFailed, Spoke, Told
from callbot.conversation.transcript import Noticing, Turn
from callbot.media_stream.audio import seconds
from callbot.media_stream.vad import SpeechHeld, SpeechStarted
from callbot.metrics.instruments import Metrics
from callbot.metrics.providers import ProviderMeter
from callbot.providers.ports import Transcribed


@dataclass(slots=True)
class _Call:
    """What must be remembered of a call between one piece of news and the next. Times are its own."""

    streams: int = 1
    cause: Event | None = None
    """The event that the effects we hear of are about."""
    ahead: int = 0
    """The reply that is made before the caller's turn is over, if any, and whether its words are there."""
    ahead_is_meant: bool = False
    reply: int = 0
    asked_at: float = 0.0
    silent: bool = True
    """Nothing of the reply has been sent."""
    fixed: bool = False
    meant_at: float | None = None
    """When the reply's first sentence was there."""
    runs_out_at: float | None = None
    """When what was sent of the reply will have played; None when nothing was, or it was cleared."""
    onset: float | None = None
    """Of the caller's speech, until it has cleared something."""
    utterance: int = 0
    caller_turn: int = 0

    def sent_at_once(self, now: float) -> bool:
        """The audio went out when it was ready and wanted, and was not held back because the caller spoke."""
        spoke = isinstance(self.cause, Spoke) and self.cause.turn == self.reply
        return spoke or (self.silent and self.asked_at == now)


class CallMeter:
    """Measures the calls of one process. ``observe`` belongs to the event loop's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._providers = ProviderMeter(metrics)
        self._calls: dict[str, _Call] = {}

    def observe(self, call_sid: str, now: float, news: Event | Effect) -> None:
        """An ``Observer``: never waits, never raises."""
        call = self._calls.get(call_sid)
        if isinstance(news, CallStarted):
            self._metrics.calls_started.inc()
            if call is not None:  # it is back on another stream before the first is known to be dead
                call.streams += 1
            else:
                self._calls[call_sid] = _Call()
        elif call is not None:
            self._heard(call_sid, call, now, news)

    def forget_all_but(self, live: Container[str]) -> None:
        """Calls that are live no more and did not say so: they broke."""
        for call_sid in [call_sid for call_sid in self._calls if call_sid not in live]:
            streams = self._calls.pop(call_sid).streams
            self._metrics.calls_ended.labels(Disposition.FAILED).inc(streams)
            self._metrics.ended_reasons.labels(EndedReason.SYSTEM_BROKE).inc(streams)

    def _heard(self, call_sid: str, call: _Call, now: float, news: Event | Effect) -> None:
        metrics = self._metrics
        match news:
            case SendAudio(audio=audio):
                self._sent(call, audio, now)
            case StartReply(turn, ahead=True):
                call.ahead, call.ahead_is_meant = turn, False
            case SayMeanwhile(phrase=phrase):
                metrics.phrases.labels(phrase).inc()
            case StartReply(turn, request=request):
                self._asked(call, turn, request, now)
            case ReleaseReply(turn):
                self._asked(call, turn, None, now)
                call.meant_at = now if call.ahead_is_meant else None
                call.ahead = 0
            case StopReply(turn) if turn == call.ahead:
                call.ahead = 0
                metrics.replies_discarded.inc()
            case StopReply(unheard=unheard):
                call.runs_out_at = None
                if unheard:
                    metrics.replies_withdrawn.inc()
            case ClearAudio():
                self._cleared(call, now)
            case StartHearing(utterance):
                call.utterance = utterance
            case FlushHearing() | StopHearing():
                pass
            case Noted(Noticing(what=what)):
                metrics.noticed.labels(what).inc()
            case Noted():
                pass  # a failure: it was told as an event
            case TurnEnded(turn):
                self._turn(call, turn)
            case HandedOff():
                metrics.handoffs.inc()
            case HangUp(disposition, reason=reason):
                metrics.calls_ended.labels(disposition).inc()
                metrics.ended_reasons.labels(reason).inc()
                call.streams -= 1
                if not call.streams:
                    del self._calls[call_sid]
            case _:
                call.cause = news
                self._happened(call, now, news)

    def _happened(self, call: _Call, now: float, event: Event) -> None:
        match event:
            case SpeechStarted(at):
                call.onset = at
            case Meant(turn) if turn == call.reply and call.meant_at is None:
                call.meant_at = now
            case Meant(turn) if turn == call.ahead:
                call.ahead_is_meant = True
            case Told(news):
                self._providers.told(news)
            case ReplyFailed():
                self._metrics.reply_failures.inc()

    def _asked(self, call: _Call, turn: int, request: Request | Phrase | None, now: float) -> None:
        """A reply is wanted from now on. ``request`` is None when it was begun ahead."""
        call.reply, call.asked_at = turn, now
        call.silent, call.meant_at, call.runs_out_at = True, None, None
        call.fixed = isinstance(request, Phrase)
        if isinstance(request, Phrase):
            self._metrics.phrases.labels(request).inc()

    def _sent(self, call: _Call, audio: bytes, now: float) -> None:
        metrics = self._metrics
        ran_out_at, call.runs_out_at = call.runs_out_at, max(now, call.runs_out_at or now) + seconds(audio)
        if isinstance(call.cause, Filled):
            return  # said meanwhile: the reply is still to come
        at_once = call.sent_at_once(now)
        if call.silent and at_once:
            taken = now - call.asked_at
            metrics.reply.observe(taken)
            if call.fixed:
                metrics.reply_overhead.observe(taken)
            elif call.meant_at is not None:
                metrics.response_part.labels("brain").observe(call.meant_at - call.asked_at)
                metrics.response_part.labels("voice").observe(now - call.meant_at)
        if ran_out_at is not None and ran_out_at < now and at_once and not call.silent:
            metrics.underruns.observe(now - ran_out_at)
        call.silent = False

    def _cleared(self, call: _Call, now: float) -> None:
        call.runs_out_at = None
        match call.cause:
            case SpeechHeld():
                by_voice = True
            case Transcribed(utterance=utterance):
                by_voice = utterance == call.utterance
            case _:
                by_voice = False
        if by_voice and call.onset is not None:
            self._metrics.barge_in.observe(max(0.0, now - call.onset))
            call.onset = None

    def _turn(self, call: _Call, turn: Turn) -> None:
        metrics = self._metrics
        if turn.who == "caller":
            if turn.number > call.caller_turn:  # else its text has come late, and it is told again
                call.caller_turn = turn.number
                metrics.turns.labels("caller").inc()
            return
        metrics.turns.labels("agent").inc()
        if turn.interrupted and not isinstance(call.cause, HungUp):
            metrics.interruptions.inc()
        if turn.response_ms is None:
            return
        response = turn.response_ms / 1000
        metrics.response.observe(response)
        if turn.number == call.reply:
            spent = turn.start - call.asked_at
            metrics.response_part.labels("endpointing").observe(max(0.0, response - spent))
