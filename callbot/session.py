"""The driver: runs one call. Feeds the conversation what happens, performs what it decides.

One function, ``_take``, changes the conversation; everyone posts to its inbox, which is emptied at once:
between a frame of the caller's and what it leads to there is no task switch, and nothing that waits.
A reply is one child task; barge-in cancels it, and by then the conversation has retired its clips.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from callbot.agents.brain import Brain, Changing, Request, Say
from callbot.call import Call, EndedBy
from callbot.conversation.conversation import Conversation, Intake
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
from callbot.conversation.events import (
    Acted,
    CallStarted,
    DeadlinePassed,
    Event,
    Filled,
    HearingFailed,
    HungUp,
    LanguageHeard,
    Marked,
    Meant,
    Pressed,
    ReplyFailed,
    ReplyFinished,
    Spoke,
    Told,
    Wasted,
)
from callbot.conversation.lateness import Lateness
from callbot.conversation.rules import TurnRules
from callbot.detection import Detection
from callbot.errors import ProviderError
from callbot.media_stream import messages
from callbot.media_stream.messages import Dtmf, Mark, Media
from callbot.media_stream.pace import TAKE, Pace, Verdict
from callbot.media_stream.playback import clips
from callbot.providers.accounting import News, Report, Used
from callbot.providers.ports import Speech, SpeechToText, TextToSpeech, Transcribed
from callbot.speaking import speak

PREROLL: Final = 2_400
"""Bytes, 300 ms, kept from before speech was noticed, so that no word loses its beginning."""
PIECE: Final = 480
"""Bytes, 60 ms: what the recogniser is given at a time, so that it is not woken for every frame."""
FRAME_MS: Final = 20
SAMPLES_PER_MS: Final = 8
CLOCK_STEP: Final = 0.002
"""A timer may fire so much early."""

log = structlog.get_logger()

Observer = Callable[[str, float, Event | Effect], None]
"""Told ``(call_sid, now, event or effect)`` of everything in a call; must not wait or raise."""


class Line(Protocol):
    """The carrier's side of a call, as a session sees it."""

    stream_sid: str

    def send(self, message: bytes) -> None:
        """Send one text message, in order; never waits."""

    def attend(self, closely: bool) -> None:
        """Whether the caller's next frame matters at once, because something begins or ends in what they
        say. Where it does not, it may come together with those after it."""

    def hang_up(self) -> None:
        """Close the stream once everything queued is sent."""


class Recording(Protocol):
    """Where both sides of the call are kept; it never waits."""

    def caller(self, at_ms: int, audio: bytes) -> None: ...
    def agent(self, at_ms: int, audio: bytes) -> None: ...
    def cut_agent(self, at_ms: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Voices:
    """By agent. ``fixed`` are for sentences without call data: rendered once and kept."""

    voices: Mapping[str, TextToSpeech]
    fixed: Mapping[str, TextToSpeech]


@dataclass(slots=True)
class _Reply:
    """What a reply's task has used, and whether anybody wants it."""

    used: list[Used] = field(default_factory=list)
    unheard: bool = False


_reply: Final[ContextVar[_Reply | None]] = ContextVar("reply", default=None)


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a call needs of its process. Everything heavy in it is loaded and shared; what its providers have
    to tell of themselves in this call, they tell to the ``Report`` that they are given."""

    rules: TurnRules
    detection: Detection
    ears: Callable[[Report], SpeechToText]
    brain: Callable[[str, Report], Brain]
    voices: Callable[[Report], Voices]
    phrases: Mapping[str, Mapping[Phrase, str]]
    """By language: what the call itself says."""
    first_agent: str
    language: str
    speakers: Mapping[str, str]
    """Language to the agent who takes callers that speak it."""
    intake: Intake | None = None
    lateness: Lateness = field(default_factory=Lateness)


class Session:
    """One call, from the authenticated stream to its end. ``transcript`` is the record meanwhile."""

    __slots__ = (
        "__weakref__",
        "_brains",
        "_context",
        "_ears",
        "_equipment",
        "_flushed_at",
        "_forgetful",
        "_gathered",
        "_gathered_from_ms",
        "_gathered_to",
        "_hearing",
        "_inbox",
        "_lacking",
        "_line",
        "_listening",
        "_loop",
        "_making",
        "_observers",
        "_over",
        "_piece",
        "_preroll",
        "_recording",
        "_reply",
        "_replying",
        "_speech",
        "_spoken",
        "_started",
        "_sure",
        "_taking",
        "_tasks",
        "_timer",
        "_timer_at",
        "_voices",
        "call",
        "conversation",
        "events",
        "pace",
    )

    def __init__(
        self,
        call: Call,
        line: Line,
        equipment: Equipment,
        *,
        recording: Recording | None = None,
        observers: tuple[Observer, ...] = (),
        turns_before: int = 0,
    ) -> None:
        self.call = call
        self.conversation = Conversation(
            equipment.rules,
            call,
            equipment.intake,
            turns_before=turns_before,
            lateness=equipment.lateness,
        )
        self.events = 0
        self.pace = Pace()
        self._line = line
        self._equipment = equipment
        self._recording = recording
        self._observers = observers
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._inbox: deque[Event] = deque()
        self._taking = True  # until ``run``: what comes before it waits
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._speech = equipment.detection.join(self._post, line.attend)
        self._gathered = b""
        """The caller's audio that is not passed on yet, less than one chunk of the detector's."""
        self._gathered_from_ms = 0
        self._gathered_to = 0  # in samples
        self._lacking = 0
        self._preroll = bytearray()
        self._piece = b""
        self._hearing = False
        self._flushed_at = -1.0
        self._listening = asyncio.Event()
        """There is a new utterance to hear, should the recognisers have failed in the one before."""
        self._ears = equipment.ears(self._report)
        self._voices = equipment.voices(self._report)
        self._brains: dict[str, Brain] = {}
        self._reply: asyncio.Task[None] | None = None
        self._making = _Reply()
        self._replying = ""
        self._sure = asyncio.Event()
        """That the caller's turn is over which the reply answers."""
        self._forgetful: set[str] = set()
        self._spoken = 0
        """The turn whose reply has begun to speak: its next sentence follows a breath."""

    @property
    def now(self) -> float:
        """Seconds since the stream started; the media clock."""
        return self._loop.time() - self._started

    # --- the receive path: never waits -----------------------------------------------------------

    def received(self, message: Media | Dtmf | Mark, *, more: bool = False) -> None:
        """A message of the stream, in the order of the wire; ``more`` follow at once, and are waited for."""
        if isinstance(message, Media):
            self._frame(message)
        elif isinstance(message, Mark):
            self._post(Marked(message.name))
        else:
            self._post(Pressed(message.digit))
        if not more and len(self._gathered) >= self._lacking:
            self._pass_on()

    def hung_up(self, by: EndedBy) -> None:
        """The line is gone."""
        self._post(HungUp(by))

    def _frame(self, frame: Media) -> None:
        audio, at_ms = frame.payload, frame.timestamp_ms
        now = self._loop.time() - self._started
        verdict = self.pace.judge(frame.chunk, len(audio) / 8000, now, at_ms / 1000)
        if verdict is not TAKE:
            if verdict is Verdict.HANG_UP:
                self.hung_up(EndedBy.SYSTEM)
            return
        if not 0 <= at_ms <= now * 1000 + FRAME_MS:  # the carrier's clock is never far ahead of ours
            at_ms = max(0, min(at_ms, round(now * 1000)))
        if at_ms * SAMPLES_PER_MS != self._gathered_to:  # there is a gap before it, or it is the first
            self._pass_on()
            self._gathered_from_ms = at_ms
        self._gathered += audio
        self._gathered_to = at_ms * SAMPLES_PER_MS + len(audio)

    def _pass_on(self) -> None:
        """Everyone gets what has been gathered; next time is when the detector's next chunk is whole."""
        audio, at_ms = self._gathered, self._gathered_from_ms
        self._gathered = b""
        self._gathered_from_ms = self._gathered_to // SAMPLES_PER_MS
        if self._recording is not None:
            self._recording.caller(at_ms, audio)
        if self._hearing:
            self._piece += audio
            if len(self._piece) >= PIECE:
                self._hear()
        else:
            self._preroll += audio
            if len(self._preroll) > 2 * PREROLL:  # so it is moved but now and then
                del self._preroll[:-PREROLL]
        self._lacking = self._speech.feed(audio, at_ms / 1000)

    def _hear(self) -> None:
        self._ears.send(self._piece)
        self._piece = b""

    # --- the tasks -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the call has ended. Nothing that it started outlives it."""
        self._context = contextvars.copy_context()
        async with asyncio.TaskGroup() as self._tasks:
            listening = self._tasks.create_task(self._listen(), name="listen")
            try:
                self._inbox.appendleft(CallStarted(self._equipment.first_agent, self._equipment.language))
                self._take_all()
                await self._over
            finally:
                self._taking = True
                self._pass_on()
                self._speech.leave()
                if self._timer is not None:
                    self._timer.cancel()
                if self._reply is not None:
                    self._reply.cancel()
                await self._ears.aclose()
                listening.cancel()
                for brain in self._brains.values():
                    await brain.finish()

    async def _listen(self) -> None:
        while True:
            try:
                async for transcribed in self._ears.events():
                    self._heard(transcribed)
                return
            except ProviderError as error:
                log.error("the recogniser failed", reason=str(error))
                self._listening.clear()
                self._post(HearingFailed(str(error)))
            await self._listening.wait()

    def _heard(self, transcribed: Transcribed) -> None:
        language = transcribed.language
        if language and language != self.conversation.language:
            agent = self._equipment.speakers.get(language)
            if agent is not None:
                self._post(LanguageHeard(language, agent))
        self._post(transcribed)

    # --- the inbox -------------------------------------------------------------------------------

    def _post(self, event: Event) -> None:
        self._inbox.append(event)
        if not self._taking:
            self._take_all()

    def _take_all(self, *, at_least: float = 0.0) -> None:
        """Everything in the inbox, and what is posted meanwhile."""
        self._taking = True
        try:
            while self._inbox:
                self._take(self._inbox.popleft(), max(self.now, at_least))
        except Exception as error:  # a bug, in whoever's callback: by ``run`` it ends this call alone
            if self._over.done():
                log.exception("a call broke when it was over")
            else:
                self._over.set_exception(error)
            return
        if self.conversation.ended:
            if not self._over.done():
                self._over.set_result(None)
            return
        self._taking = False
        self._wait()

    def _take(self, event: Event, now: float) -> None:
        self.events += 1
        self._tell(now, event)
        for effect in self.conversation.handle(event, now):
            self._tell(now, effect)
            self._perform(effect, now)

    def _wait(self) -> None:
        """See that ``DeadlinePassed`` comes. A timer that would be early is left to find that out."""
        deadline = self.conversation.deadline
        if deadline is None:
            return
        at = self._started + deadline
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(at, self._due), at

    def _due(self) -> None:
        self._timer = None
        deadline = self.conversation.deadline
        if self._taking or deadline is None:
            return
        if self.now >= deadline - CLOCK_STEP:
            self._inbox.append(DeadlinePassed(self._speech.heard_to, self._speech.stirring))
            self._take_all(at_least=deadline)
        else:
            self._wait()

    def _report(self, news: News) -> None:
        """A provider tells of itself."""
        self._post(Told(news))
        reply = _reply.get()
        if isinstance(news, Used) and reply is not None:
            reply.used.append(news)
            if reply.unheard:
                self._post(Wasted(news))

    def _tell(self, now: float, news: Event | Effect) -> None:
        for observer in self._observers:
            observer(self.call.sid, now, news)

    def _perform(self, effect: Effect, now: float) -> None:
        line = self._line
        match effect:
            case SendAudio(audio, mark, plays_at):
                line.send(messages.media(line.stream_sid, audio))
                line.send(messages.mark(line.stream_sid, mark))
                if self._recording is not None:
                    self._recording.agent(round(plays_at * 1000), audio)
            case ClearAudio():
                line.send(messages.clear(line.stream_sid))
                if self._recording is not None:
                    self._recording.cut_agent(round(now * 1000))
            case StartHearing(utterance):
                self._hearing = True
                self._listening.set()
                self._ears.start(utterance)
                self._piece += self._preroll[-PREROLL:]
                self._preroll.clear()
                self._hear()
            case FlushHearing(at, early):
                if at != self._flushed_at and not (early and self._ears.cuts):
                    self._flushed_at = at
                    self._hear()
                    self._ears.flush()
            case StopHearing():
                self._hearing = False
                self._piece = b""
            case StartReply():
                self._sure = asyncio.Event()
                if not effect.ahead:
                    self._sure.set()
                self._making = _Reply()
                context = self._context.copy()
                context.run(_reply.set, self._making)
                answer = self._answer(effect, after=self._reply, sure=self._sure)
                self._reply = self._tasks.create_task(answer, name=f"reply {effect.turn}", context=context)
                self._replying = effect.agent
            case ReleaseReply():
                self._sure.set()
            case SayMeanwhile():
                filling = self._fill(effect.turn, effect.agent, self._phrase(effect.phrase))
                self._tasks.create_task(filling, name=f"meanwhile {effect.turn}", context=self._context)
            case StopReply(unheard=unheard):
                if self._reply is not None:
                    self._reply.cancel()
                if unheard:
                    self._forgetful.add(self._replying)
                    self._making.unheard = True
                    self._inbox.extend(Wasted(used) for used in self._making.used)
            case HangUp():
                line.hang_up()
                if self._recording is not None:
                    self._recording.cut_agent(round(now * 1000))
            case TurnEnded() | HandedOff() | Noted():
                pass  # for the observers

    async def _fill(self, turn: int, agent: str, text: str, *, asked: bool = True) -> None:
        """A phrase that keeps the caller company; it is rendered already."""
        try:
            clips = [clip async for clip in speak(self._voices.fixed[agent], turn, text)]
        except ProviderError as error:
            log.warning("nothing can be said while a reply is late", reason=str(error))
        else:
            self._post(Filled(turn, text, tuple(clips), asked))

    async def _answer(
        self, asked: StartReply, *, after: asyncio.Task[None] | None, sure: asyncio.Event
    ) -> None:
        """One reply: the brain thinks, the voice speaks, the inbox hears of both."""
        turn = asked.turn
        if after is not None:
            await asyncio.wait([after])  # one reply at a time has the brain
        try:
            if isinstance(asked.request, Phrase):
                await self._say(turn, asked.agent, self._phrase(asked.request), fixed=True)
            else:
                await self._think(turn, asked.agent, asked.request, sure)
        except ProviderError as error:
            log.error("a reply failed", turn=turn, reason=str(error))
            self._post(ReplyFailed(turn, str(error)))
        except Exception:  # a bug in an agent must not end its caller's call: apologise, and go on
            log.exception("a reply broke", turn=turn)
            self._post(ReplyFailed(turn, "internal error"))
        else:
            self._post(ReplyFinished(turn))

    async def _think(self, turn: int, agent: str, request: Request, sure: asyncio.Event) -> None:
        """Until the caller's turn is ``sure`` to be over, nothing is changed."""
        if agent not in self._brains:
            self._brains[agent] = self._equipment.brain(agent, self._report)
        brain = self._brains[agent]
        if agent in self._forgetful:
            brain.forget()
            self._forgetful.discard(agent)
        async with aclosing(brain.reply(request, self.conversation.history())) as actions:
            async for action in actions:
                match action:
                    case Say(text, waiting=True):
                        await self._fill(turn, agent, text, asked=False)
                    case Say(text, speech=Speech() as speech):
                        self._spoken_by_model(turn, text, speech)
                    case Say(text, fixed):
                        await self._say(turn, agent, text, fixed=fixed)
                    case Changing():
                        await sure.wait()
                    case _:
                        self._post(Acted(turn, action))

    async def _say(self, turn: int, agent: str, sentence: str, *, fixed: bool) -> None:
        self._post(Meant(turn, sentence))
        voices = self._voices.fixed if fixed else self._voices.voices
        breath, self._spoken = turn == self._spoken, turn
        async for clip in speak(voices[agent], turn, sentence, breath=breath):
            self._post(Spoke(turn, clip))

    def _spoken_by_model(self, turn: int, text: str, speech: Speech) -> None:
        self._spoken = turn
        if text:
            self._post(Meant(turn, text))
        for clip in clips(turn, text, speech.audio, speech.words):
            self._post(Spoke(turn, clip))

    def _phrase(self, phrase: Phrase) -> str:
        phrases = self._equipment.phrases
        return phrases.get(self.conversation.language, phrases["en"])[phrase]
