"""Where the time of each response goes, from the events and effects of its call: an ``Observer``.

A response runs from the last sound of the caller to the first audio of ours that is sent. Its parts follow
one another without a gap, so they add up to it; what was thought or rendered before the caller's turn was
over took none of it. Only replies that went out as soon as they were ready are counted: one that is held back
because the caller speaks again is waiting for the caller.

What is said meanwhile ("okay") is not the answer: the parts are of the answer itself, and when the first of
anything was sent is told beside them.
"""

from dataclasses import dataclass, field

from callbot.agents.brain import Answer, Expect, Expecting, TakeOver
from callbot.conversation import completeness
from callbot.conversation.completeness import Said
from callbot.conversation.effects import (
    Effect,
    ReleaseReply,
    SendAudio,
    StartHearing,
    StartReply,
    StopReply,
    TurnEnded,
)
from callbot.conversation.events import (
    Acted,
    CallStarted,
    Event,
    Filled,
    LanguageHeard,
    Meant,
    Pressed,
    Spoke,
)
from callbot.conversation.rules import TurnRules
from callbot.conversation.transcript import Turn
from callbot.conversation.turns import CallerTurn
from callbot.providers.ports import Transcribed


@dataclass(frozen=True, slots=True)
class Parts:
    """Of one response, in seconds, in their order.

    ``endpoint`` is the wait that the rules of turn-taking want after the caller's last sound; ``transcript``
    what the recogniser's final came later than that; ``brain`` until the first sentence; ``voice`` until its
    first audio; ``ours`` all else.
    """

    endpoint: float
    transcript: float
    brain: float
    voice: float
    ours: float

    @property
    def total(self) -> float:
        return self.endpoint + self.transcript + self.brain + self.voice + self.ours


@dataclass(frozen=True, slots=True)
class Response:
    """One answer to speech; seconds since the caller's last sound.

    ``first`` is our first sound, of whatever kind, on the wire; ``answer`` the first of the answer itself,
    when what was said meanwhile has played. ``finished``: the words were a whole sentence, or what was asked.
    """

    parts: Parts
    first: float
    answer: float
    acknowledged: bool
    finished: bool


@dataclass(slots=True)
class _Asked:
    """A reply that is being made. Times are the call's."""

    turn: int
    finished: bool
    speech_ended: float
    due: float
    """When the rules have the caller's turn end, given its words."""
    final_at: float
    at: float
    meant_at: float | None = None
    spoke_at: float | None = None
    first_at: float | None = None
    acknowledged: bool = False

    def response(self, sent_at: float, plays_at: float) -> Response:
        return Response(
            self.parts(sent_at),
            first=(sent_at if self.first_at is None else self.first_at) - self.speech_ended,
            answer=plays_at - self.speech_ended,
            acknowledged=self.acknowledged,
            finished=self.finished,
        )

    def parts(self, sent_at: float) -> Parts:
        assert self.meant_at is not None
        assert self.spoke_at is not None
        due = min(self.due, self.at)
        final_at = min(max(self.final_at, due), self.at)
        return Parts(
            endpoint=due - self.speech_ended,
            transcript=final_at - due,
            brain=self.meant_at - self.at,
            voice=self.spoke_at - self.meant_at,
            ours=(self.at - final_at) + (sent_at - self.spoke_at),
        )


@dataclass(slots=True)
class _Ahead:
    """A reply that is made before the caller's turn is over."""

    turn: int
    meant: bool = False
    spoke: bool = False


@dataclass(slots=True)
class _Call:
    language: str
    expect: Expect = field(default_factory=lambda: Expect(Expecting.ANYTHING))
    utterance: int = 0
    text: str = ""
    final_at: float | None = None
    keyed: bool = False
    ended: Turn | None = None
    """The caller's turn that the next reply answers."""
    asked: _Asked | None = None
    ahead: _Ahead | None = None
    meanwhile: bool = False
    """What is sent now is said meanwhile."""
    answered_at: float | None = None
    """Until our first sound."""


class Breakdown:
    """Collects ``responses`` from whatever calls it observes. ``rules`` are those of the calls.

    ``greetings`` are the seconds from the beginning of each call to our first sound in it; ``discarded``
    counts the replies that were begun ahead and thrown away.
    """

    def __init__(self, rules: TurnRules) -> None:
        self.responses: list[Response] = []
        self.greetings: list[float] = []
        self.discarded = 0
        self._rules = rules
        self._calls: dict[str, _Call] = {}

    def observe(self, call_sid: str, now: float, news: Event | Effect) -> None:
        """An ``Observer``: never waits, never raises."""
        if isinstance(news, CallStarted):
            self._calls[call_sid] = _Call(news.language, answered_at=now)
        elif (call := self._calls.get(call_sid)) is not None:
            self._heard(call, now, news)

    def _heard(self, call: _Call, now: float, news: Event | Effect) -> None:
        if isinstance(news, SendAudio) and call.answered_at is not None:
            self.greetings.append(now - call.answered_at)
            call.answered_at = None
        if isinstance(news, Event):
            call.meanwhile = isinstance(news, Filled)
        match news:
            case LanguageHeard(language):
                call.language = language
            case StartHearing(utterance):
                call.utterance, call.text, call.final_at = utterance, "", None
            case Transcribed() if news.utterance == call.utterance:
                call.text = news.text.strip()
                call.final_at = now if news.final else None
            case Pressed():
                call.keyed = True
            case TurnEnded(turn) if turn.who == "caller":
                call.ended = None if call.keyed else turn
                call.keyed = False
            case StartReply(turn, ahead=True):
                call.ahead = _Ahead(turn)
            case StartReply(turn, request=request):
                self._asked(call, now, turn, wanted=isinstance(request, Answer | TakeOver))
            case ReleaseReply(turn):
                self._asked(call, now, turn, wanted=True)
                if (asked := call.asked) is not None and (ahead := call.ahead) is not None:
                    asked.meant_at = now if ahead.meant else None  # it was there when it was wanted
                    asked.spoke_at = now if ahead.spoke else None
                call.ahead = None
            case Meant(turn) if call.ahead is not None and call.ahead.turn == turn:
                call.ahead.meant = True
            case Spoke(turn) if call.ahead is not None and call.ahead.turn == turn:
                call.ahead.spoke = True
            case StopReply(turn) if call.ahead is not None and call.ahead.turn == turn:
                self.discarded += 1
                call.ahead = None
            case StopReply(turn) if call.asked is not None and call.asked.turn == turn:
                call.asked = None
            case _:
                self._made(call, now, news)

    def _asked(self, call: _Call, now: float, turn: int, *, wanted: bool) -> None:
        ended, call.ended = call.ended, None
        call.asked = None
        if ended is not None and wanted:
            final_at = now if call.final_at is None else call.final_at
            said = completeness.said(call.text, call.expect.what, call.expect.complete, call.language)
            finished = said in (Said.ANSWER, Said.SENTENCE)
            call.asked = _Asked(turn, finished, ended.end, self._due(call, ended), final_at, now)
        call.expect = Expect(Expecting.ANYTHING)

    def _due(self, call: _Call, ended: Turn) -> float:
        """Asks the product's own rule, as if the final had been there at once."""
        caller = CallerTurn(call.utterance, ended.start, stopped=ended.end, text=call.text, final=True)
        due = caller.ends_at(self._rules, call.expect, call.language)
        assert due is not None
        return due

    def _made(self, call: _Call, now: float, news: Event | Effect) -> None:
        asked = call.asked
        match news:
            case Acted(_, Expect() as expect):
                call.expect = expect
            case Meant(turn) if asked is not None and asked.turn == turn and asked.meant_at is None:
                asked.meant_at = now
            case Spoke(turn) if asked is not None and asked.turn == turn and asked.spoke_at is None:
                asked.spoke_at = now
            case SendAudio() if asked is not None and call.meanwhile:
                asked.acknowledged = True
                if asked.first_at is None:
                    asked.first_at = now
            case SendAudio(plays_at=plays_at) if asked is not None and asked.spoke_at is not None:
                call.asked = None
                if asked.spoke_at == now and asked.meant_at is not None:
                    self.responses.append(asked.response(now, plays_at))
