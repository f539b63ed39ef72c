"""The driver: runs one call. Feeds the conversation what happens, performs what it decides.

One loop, ``_converse``, changes the conversation; everyone else posts to its inbox. The receive path
(``received``) never waits. A reply is one child task; barge-in cancels it, and by then the
conversation has retired its clips.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from callbot.agents.brain import Brain, Request, Say
from callbot.call import Call, EndedBy
from callbot.conversation.conversation import Conversation, Intake
from callbot.conversation.effects import (
    ClearAudio,
    Effect,
    FlushHearing,
    HandedOff,
    HangUp,
    Phrase,
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
    HungUp,
    LanguageHeard,
    Marked,
    Meant,
    Pressed,
    ReplyFailed,
    ReplyFinished,
    Spoke,
)
from callbot.conversation.rules import TurnRules
from callbot.errors import ProviderError
from callbot.media_stream import messages
from callbot.media_stream.messages import Dtmf, Mark, Media
from callbot.media_stream.pace import Pace, Verdict
from callbot.media_stream.vad import VoiceActivity
from callbot.providers.ports import SpeechDetector, SpeechToText, TextToSpeech
from callbot.speaking import speak

PREROLL_FRAMES: Final = 15
"""300 ms kept from before speech was noticed, so that no word loses its beginning."""

INBOX: Final = 10_000

log = structlog.get_logger()

Observer = Callable[[str, float, Event | Effect], None]
"""Told ``(call_sid, now, event or effect)`` of everything in a call; must not wait or raise."""


class Line(Protocol):
    """The carrier's side of a call, as a session sees it."""

    stream_sid: str

    def send(self, message: str) -> None:
        """Queue one message; never waits."""

    def hang_up(self) -> None:
        """Close the stream once everything queued is sent."""


class Recording(Protocol):
    """Where both sides of the call are kept; it never waits."""

    def caller(self, at_ms: int, audio: bytes) -> None: ...
    def agent(self, at_ms: int, audio: bytes) -> None: ...
    def cut_agent(self, at_ms: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a call needs of its process. Everything heavy in it is loaded and shared."""

    rules: TurnRules
    detector: SpeechDetector
    ears: Callable[[], SpeechToText]
    brain: Callable[[str], Brain]
    voices: Mapping[str, TextToSpeech]
    """By agent."""
    fixed_voices: Mapping[str, TextToSpeech]
    """The same, for sentences without call data: rendered once and kept."""
    phrases: Mapping[str, Mapping[Phrase, str]]
    """By language: what the call itself says."""
    first_agent: str
    language: str
    speakers: Mapping[str, str]
    """Language to the agent who takes callers that speak it."""
    intake: Intake | None = None


class Session:
    """One call, from the authenticated stream to its end. ``transcript`` is the record meanwhile."""

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
        self.conversation = Conversation(equipment.rules, call, equipment.intake, turns_before=turns_before)
        self.events = 0
        self.pace = Pace()
        self._line = line
        self._equipment = equipment
        self._recording = recording
        self._observers = observers
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._inbox: asyncio.Queue[Event] = asyncio.Queue(INBOX)
        self._activity = VoiceActivity()
        self._preroll: deque[bytes] = deque(maxlen=PREROLL_FRAMES)
        self._hearing = False
        self._ears = equipment.ears()
        self._brains: dict[str, Brain] = {}
        self._reply: asyncio.Task[None] | None = None
        self._replying = ""
        self._forgetful: set[str] = set()
        self._spoken = 0
        """The turn whose reply has begun to speak: its next sentence follows a breath."""

    @property
    def now(self) -> float:
        """Seconds since the stream started; the media clock."""
        return self._loop.time() - self._started

    # --- the receive path: never waits -----------------------------------------------------------

    def received(self, message: Media | Dtmf | Mark) -> None:
        """A message of the stream, in the order of the wire."""
        match message:
            case Media():
                self._frame(message)
            case Mark(name=name):
                self._inbox.put_nowait(Marked(name))
            case Dtmf(digit=digit):
                self._inbox.put_nowait(Pressed(digit))

    def hung_up(self, by: EndedBy) -> None:
        """The line is gone."""
        self._inbox.put_nowait(HungUp(by))

    def _frame(self, frame: Media) -> None:
        audio, now = frame.payload, self.now
        verdict = self.pace.judge(frame.chunk, len(audio) / 8000, now)
        if verdict is Verdict.HANG_UP:
            return self.hung_up(EndedBy.SYSTEM)
        if verdict is not Verdict.TAKE:
            return None
        at = min(max(frame.timestamp_ms / 1000, 0.0), now)
        if self._recording is not None:
            self._recording.caller(round(at * 1000), audio)
        if self._hearing:
            self._ears.send(audio)
        else:
            self._preroll.append(audio)
        for chunk in self._activity.feed(audio, at):
            probability, self._activity.state = self._equipment.detector.run(
                chunk[None], self._activity.state
            )
            for activity in self._activity.decide(float(probability[0]), chunk):
                self._inbox.put_nowait(activity)
        return None

    # --- the tasks -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the call has ended. Nothing that it started outlives it."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(), name="listen")
            try:
                await self._converse(tasks)
            finally:
                if self._reply is not None:
                    self._reply.cancel()
                await self._ears.aclose()
                listening.cancel()
                for brain in self._brains.values():
                    await brain.finish()

    async def _listen(self) -> None:
        try:
            async for transcribed in self._ears.events():
                language = transcribed.language
                if language and language != self.conversation.language:
                    agent = self._equipment.speakers.get(language)
                    if agent is not None:
                        await self._inbox.put(LanguageHeard(language, agent))
                await self._inbox.put(transcribed)
        except ProviderError as error:
            log.error("the recogniser failed", reason=str(error))

    async def _converse(self, tasks: asyncio.TaskGroup) -> None:
        equipment = self._equipment
        self._take(CallStarted(equipment.first_agent, equipment.language), tasks)
        while not self.conversation.ended:
            self._take(await self._next_event(), tasks)

    async def _next_event(self) -> Event:
        deadline = self.conversation.deadline
        if deadline is None:
            return await self._inbox.get()
        try:
            async with asyncio.timeout_at(self._started + deadline):
                return await self._inbox.get()
        except TimeoutError:
            return DeadlinePassed()

    def _take(self, event: Event, tasks: asyncio.TaskGroup) -> None:
        now = self.now
        self.events += 1
        self._tell(now, event)
        for effect in self.conversation.handle(event, now):
            self._tell(now, effect)
            self._perform(effect, now, tasks)

    def _tell(self, now: float, news: Event | Effect) -> None:
        for observer in self._observers:
            observer(self.call.sid, now, news)

    def _perform(self, effect: Effect, now: float, tasks: asyncio.TaskGroup) -> None:
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
                self._ears.start(utterance)
                while self._preroll:
                    self._ears.send(self._preroll.popleft())
            case FlushHearing():
                self._ears.flush()
            case StopHearing():
                self._hearing = False
            case StartReply():
                answer = self._answer(effect, after=self._reply)
                self._reply = tasks.create_task(answer, name=f"reply {effect.turn}")
                self._replying = effect.agent
            case StopReply(unheard=unheard):
                if self._reply is not None:
                    self._reply.cancel()
                if unheard:
                    self._forgetful.add(self._replying)
            case HangUp():
                line.hang_up()
                if self._recording is not None:
                    self._recording.cut_agent(round(now * 1000))
            case TurnEnded() | HandedOff():
                pass  # for the observers

    async def _answer(self, asked: StartReply, *, after: asyncio.Task[None] | None) -> None:
        """One reply: the brain thinks, the voice speaks, the inbox hears of both."""
        turn = asked.turn
        if after is not None:
            await asyncio.wait([after])  # one reply at a time has the brain
        try:
            if isinstance(asked.request, Phrase):
                await self._say(turn, asked.agent, self._phrase(asked.request), fixed=True)
            else:
                await self._think(turn, asked.agent, asked.request)
        except ProviderError as error:
            log.error("a reply failed", turn=turn, reason=str(error))
            await self._inbox.put(ReplyFailed(turn, str(error)))
        except Exception:  # a bug in an agent must not end its caller's call: apologise, and go on
            log.exception("a reply broke", turn=turn)
            await self._inbox.put(ReplyFailed(turn, "internal error"))
        else:
            await self._inbox.put(ReplyFinished(turn))

    async def _think(self, turn: int, agent: str, request: Request) -> None:
        if agent not in self._brains:
            self._brains[agent] = self._equipment.brain(agent)
        brain = self._brains[agent]
        if agent in self._forgetful:
            brain.forget()
            self._forgetful.discard(agent)
        async with aclosing(brain.reply(request, self.conversation.history())) as actions:
            async for action in actions:
                if isinstance(action, Say):
                    await self._say(turn, agent, action.text, fixed=action.fixed)
                else:
                    await self._inbox.put(Acted(turn, action))

    async def _say(self, turn: int, agent: str, sentence: str, *, fixed: bool) -> None:
        await self._inbox.put(Meant(turn, sentence))
        voices = self._equipment.fixed_voices if fixed else self._equipment.voices
        breath, self._spoken = turn == self._spoken, turn
        async for clip in speak(voices[agent], turn, sentence, breath=breath):
            await self._inbox.put(Spoke(turn, clip))

    def _phrase(self, phrase: Phrase) -> str:
        phrases = self._equipment.phrases
        return phrases.get(self.conversation.language, phrases["en"])[phrase]
