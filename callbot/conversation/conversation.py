"""Everything that is decided in one call.

Events in, effects out; time is an argument. A reply is asked for (``StartReply``), the driver's reply
task reports what it means and speaks (``Meant``, ``Spoke``, ``Acted``, ``ReplyFinished``), and this
class decides what of it is sent, what was heard, and who has the floor.

When the caller starts to speak over us the carrier's buffer is cleared at once, but the reply is only
*paused*: words decide. A "mhm", a cough or nothing at all resumes it at the word where it stopped;
anything else stops it for good, and is answered.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, assert_never

from callbot.agents.brain import (
    Action,
    Answer,
    Changing,
    Cited,
    Did,
    EndCall,
    Expect,
    Expecting,
    Greet,
    HandOff,
    History,
    Noticed,
    Nudge,
    OfferHuman,
    Remember,
    Request,
    Say,
    TakeOver,
    Tried,
)
from callbot.call import Call, Disposition, EndedBy, EndedReason
from callbot.conversation.ahead import Ahead
from callbot.conversation.effects import (
    ClearAudio,
    Effect,
    FlushHearing,
    HandedOff,
    HangUp,
    Noted,
    Phrase,
    ReleaseReply,
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
from callbot.conversation.noticing import COMPONENTS
from callbot.conversation.overlap import Overlap
from callbot.conversation.patience import Patience
from callbot.conversation.rules import TurnRules
from callbot.conversation.silence import Silence
from callbot.conversation.transcript import Transcript, Turn
from callbot.conversation.turns import BLIP, AgentTurn, CallerTurn, Mishearing
from callbot.media_stream.playback import Clip, Playback
from callbot.media_stream.vad import SpeechHeld, SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from callbot.providers.accounting import Failed, Mended, News, Used
from callbot.providers.ports import Transcribed
from callbot.routing.handoff import NOT_THERE, ContextPacket, Passing, Switches
from callbot.routing.intake import Choice

_YES_OR_NO: Final = "[12]"
"""By key."""
LOOK_AGAIN: Final = 0.02
"""Seconds, one frame."""
MOST_FAILURES: Final = 2
"""After so many broken replies in a row the caller is offered a person. One more ends the call with an
apology."""
LONG_WAIT: Final = 2
"""A caller who was asked for patience so often, and is not answered then, is not asked to say it again."""
MOST_UNHEARD: Final = 1
"""So often in a row the caller is asked to say it again, because no recogniser hears them. Then they are
asked to answer with keys."""


Intake = Callable[[str], Choice | None]
"""Whom the caller's first words ask for, if not the agent who answered."""


class Conversation:
    """One call. Feed ``handle``; perform what it returns; call it again when ``deadline`` is due.

    A call whose stream was lost goes on in a new conversation, whose turns are numbered on from
    ``turns_before``. ``lateness`` is what the process knows of its providers.
    """

    def __init__(
        self,
        rules: TurnRules,
        call: Call,
        intake: Intake | None = None,
        *,
        turns_before: int = 0,
        lateness: Lateness | None = None,
    ) -> None:
        self.transcript = Transcript()
        self.playback = Playback()
        self.agent = ""
        self.language = "en"
        self.ended = False
        self._rules = rules
        self._call = call
        self._caller: CallerTurn | None = None
        self._reply: AgentTurn | None = None
        self._expect = Expect(Expecting.ANYTHING)
        self._turn = turns_before
        self._utterance = 0
        self._answered: dict[int, int] = {}
        self._switches = Switches()
        self._speaker: str | None = None
        self._silence = Silence(rules)
        self._owed: HandOff | None = None
        self._owed_since = 0.0
        self._withdrawn: AgentTurn | None = None
        self._ahead = Ahead(rules)
        self._wordless: CallerTurn | None = None
        """The turn before, in which no words were heard: they may come yet."""
        self._unheard_turns = 0
        self._patience = Patience(rules, lateness or Lateness())
        self._echoes = False
        """We have come back to ourselves: whoever speaks while we do, it takes words to stop us."""
        self._intake = intake
        self._failures = 0
        self._why_sorry = EndedReason.SYSTEM_MUTE
        """Why the call cannot go on, once the caller is told so."""
        self._over_at: float | None = None
        self._over = False

    # --- what the driver reads -------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When to handle ``DeadlinePassed``; None only before the start and after the end."""
        due = [at for at in self._timers() if at is not None]
        return min(due) if due and not self.ended else None

    @property
    def turns(self) -> int:
        """The number of the newest turn."""
        return self._turn

    @property
    def _overlap(self) -> Overlap:
        return Overlap(self._rules, self.playback, self._caller, self._reply, self._expect, self.language)

    def history(self) -> History:
        """What a brain may know now."""
        transcript = self.transcript
        lines = transcript.lines()
        if self._ahead.reply is not None:  # its brain is asked before the turn is in the transcript
            lines = (*lines, ("caller", self._ahead.reply.answered))
        return History(
            self._call,
            lines,
            dict(transcript.slots),
            tuple(transcript.tried),
            transcript.interrupted(),
        )

    # --- events ----------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event at ``now`` (seconds since the stream started) and say what to do."""
        if self.ended:
            return []
        match event:
            case SpeechStarted(at):
                return self._speech_started(at)
            case SpeechHeld(_, seconds, hum):
                return self._speech_held(seconds, hum, now)
            case SpeechPaused(at, lasting):
                return self._speech_paused(at, now, lasting=lasting)
            case SpeechResumed():
                return self._speech_resumed()
            case SpeechStopped(at):
                return self._speech_stopped(at, now)
            case Transcribed():
                return self._transcribed(event, now)
            case Meant(turn, text):
                if reply := self._current(turn):
                    reply.means(text, now)
                return []
            case Spoke(turn, clip):
                if (reply := self._current(turn)) and reply.speaks(clip, now):
                    self._patience.spoke(reply)
                return self._pump(now)
            case Filled():
                return self._filled(event, now)
            case Acted(turn, action):
                return self._acted(turn, action, now)
            case ReplyFinished(turn):
                if reply := self._current(turn):
                    reply.done = True
                return self._settle(now)
            case ReplyFailed(turn, _):
                if reply := self._current(turn):
                    reply.done = reply.failed = True
                return self._settle(now)
            case Marked(mark):
                return self._settle(now) if self.playback.marked(mark, now) else []
            case Pressed(digit):
                return self._pressed(digit, now)
            case LanguageHeard(language, agent):
                before, self.language, self._speaker = self.language, language, agent
                switched = {"from": before, "to": language}
                return [self._note(Mishearing.LANGUAGE, now, self._turn, **switched)]
            case Told(news):
                return self._told(news, now)
            case Wasted(used):
                self.transcript.wasted.add(used)
                return []
            case CallStarted(agent, language):
                self.agent, self.language = agent, language
                self.transcript.agents.append(agent)
                self._over_at = now + self._rules.longest_call
                return self._ask(Greet(), now)
            case HearingFailed():
                for caller in (self._caller, self._wordless):
                    if caller is not None:
                        caller.lost = True
                return []
            case HungUp(by):
                return self._hung_up(by, now)
            case DeadlinePassed():
                return self._deadline_passed(event, now)
        assert_never(event)

    def _told(self, news: News, now: float) -> list[Effect]:
        """A provider tells of itself."""
        match news:
            case Used():
                self.transcript.used.add(news)
                return []
            case Failed():
                return [Noted(self.transcript.failed(news, now, self._turn))]
            case Mended(_, provider, what, details):
                return [self._note(what, now, self._turn, provider=provider, **details)]
        assert_never(news)

    # --- the caller ------------------------------------------------------------------------------

    def _speech_started(self, at: float) -> list[Effect]:
        if self._caller is not None:
            self._caller.speaks_on()
            return self._ahead.discard()
        self._wordless = None
        self._utterance += 1
        self._caller = CallerTurn(self._utterance, at)
        return [StartHearing(self._utterance)]

    def _speech_held(self, seconds: float, hum: bool, now: float) -> list[Effect]:
        reply = self._reply
        if self._caller is not None:
            self._caller.hummed = hum and self._caller.hummed is not False
        if self._caller is None or reply is None or not self.playback.playing or self._echoes:
            return []  # on a line that echoes, words decide
        return [] if hum and seconds < self._rules.hold_hum else self._pause(reply, now)

    def _speech_paused(self, at: float, now: float, *, lasting: bool) -> list[Effect]:
        """Ask for the words at once: if it is the end of the turn, nothing was lost."""
        caller = self._caller
        if caller is None or not caller.hearing or self._reply is not None or at - caller.started < BLIP:
            return []
        caller.pausing = at
        return [FlushHearing(at, early=not lasting), *self._think_ahead(now)]

    def _speech_resumed(self) -> list[Effect]:
        if self._caller is None or self._caller.pausing is None:
            return []
        self._caller.speaks_on()
        return self._ahead.discard()

    def _speech_stopped(self, at: float, now: float) -> list[Effect]:
        caller = self._caller
        if caller is None:
            return []
        flushed, final = caller.pausing == at, caller.early
        caller.stopped, caller.pausing, caller.early = at, None, None
        if caller.blip and not caller.digits:
            return self._dismiss(now)
        if not caller.hearing:
            return []
        told = self._transcribed(final, now) if flushed and final is not None else self._think_ahead(now)
        return [FlushHearing(at), *told]

    def _transcribed(self, event: Transcribed, now: float) -> list[Effect]:
        caller = self._caller
        if caller is None or event.utterance != caller.utterance:
            return self._late(event, now) if event.final else []
        if caller.final and not event.final:
            return []  # a partial that was overtaken by its final
        caller.text = self._without_echo(event.text.strip(), caller)
        caller.heard_at, caller.turn_over, caller.confidence = now, event.turn_over, event.confidence
        caller.final = event.final and not caller.speaking
        if event.final and caller.pausing is not None:
            caller.early = event
        reply = self._reply
        if caller.final and caller.echo and not caller.text and not caller.digits:
            self._echoes = True
            return self._dismiss(now)
        if reply is None or caller.digits:
            return self._think_ahead(now)
        if caller.final and self._overlap.ignorable(caller.text):
            return self._dismiss(now)
        if not self._overlap.deliberate(caller):
            return []
        if reply.paused:
            return self._interrupt(reply, now)
        return self._pause(reply, now) if self.playback.playing else []

    def _without_echo(self, text: str, caller: CallerTurn) -> str:
        """What of it is the caller's, when it may be our own voice that comes back."""
        said = [turn.text for turn in self.transcript.turns[-3:] if turn.who == "agent"]
        theirs = self._overlap.without_echo(text, caller, said, echoes=self._echoes)
        caller.echo |= theirs != text
        return theirs

    def _late(self, event: Transcribed, now: float) -> list[Effect]:
        """A final for a turn that is over: keep its text; answer it if nothing was said yet."""
        number = self._answered.get(event.utterance)
        text = event.text.strip()
        if self._wordless is not None and self._wordless.utterance == event.utterance:
            return self._words_at_last(text, now)
        merged = None if number is None else self.transcript.merge_late(number, text)
        if merged is None:
            return []
        late_ms = round((now - merged.end) * 1000)
        noted = self._note(Mishearing.LATE_FINAL, now, merged.number, late_ms=late_ms)
        effects: list[Effect] = [TurnEnded(merged), noted]
        reply = self._reply
        if reply is None:
            return effects
        if self._speaker is not None and self._speaker != self.agent:
            return effects + self._interrupt(reply, now) + self._answer(text, "", now, now)
        if not reply.silent or reply.number != merged.number + 1:
            return effects
        self._reply = None
        effects.append(StopReply(reply.number, unheard=True))
        return effects + self._ask(Answer(text), now, answers=reply.answers)

    def _words_at_last(self, text: str, now: float) -> list[Effect]:
        """Of a turn that was over without any: another recogniser has caught up."""
        caller, self._wordless = self._wordless, None
        if caller is None or self._reply is not None or not any(letter.isalnum() for letter in text):
            return []
        caller.text, caller.final, caller.hearing = text, True, False
        self._caller = caller
        return self._end_caller_turn(now)

    def _pressed(self, digit: str, now: float) -> list[Effect]:
        effects = self._ahead.discard()
        self._wordless = None
        if self._caller is None:
            self._utterance += 1
            self._caller = CallerTurn(self._utterance, now, stopped=now, hearing=False)
        caller = self._caller
        if caller.hearing:
            caller.hearing = False
            effects.append(StopHearing())
        if self._reply is not None:
            effects += self._interrupt(self._reply, now)
        caller.stopped = now
        caller.digits += digit
        caller.keyed_at = now
        complete = _YES_OR_NO if self._expect.what is Expecting.YES_NO else self._expect.complete
        if digit == "#" or (complete is not None and re.fullmatch(complete, caller.digits)):
            effects += self._end_caller_turn(now)
        return effects

    def _end_caller_turn(self, now: float) -> list[Effect]:
        caller = self._caller
        assert caller is not None
        phantom = caller.phantom(self._rules)
        if phantom or caller.half_heard(self._rules):
            caller.text = ""
        text = "" if caller.digits else caller.text
        if not text and not caller.digits:
            if self._reply is None and not phantom:
                self._wordless = caller
            return self._dismiss(now)
        reply = self._reply
        if reply is not None and not caller.digits and self._overlap.ignorable(text):
            return self._dismiss(now)
        effects: list[Effect] = [StopHearing()] if caller.hearing else []
        if reply is not None:
            effects += self._interrupt(reply, now)
        self._caller = None
        self._silence.ends()
        self._unheard_turns = 0
        end = caller.stopped if caller.stopped is not None else now
        withdrawn, self._withdrawn = self._withdrawn, None
        if withdrawn is not None and not self.playback.heard(withdrawn.number):
            turn = self.transcript.extend(text or caller.digits, end)
        else:
            turn = self._next_turn("caller", text or caller.digits, caller.started, end)
        self._answered[caller.utterance] = turn.number
        effects.append(TurnEnded(turn))
        if caller.hearing and not caller.final:
            after_ms = round((now - end) * 1000)
            effects.append(self._note(Mishearing.FORCED_FINAL, now, turn.number, after_ms=after_ms))
        if withdrawn is not None:
            return effects + self._ask_again(withdrawn, text, caller.digits, end, now)
        return effects + self._answer(text, caller.digits, end, now)

    def _ask_again(
        self, withdrawn: AgentTurn, text: str, digits: str, end: float, now: float
    ) -> list[Effect]:
        """The caller went on: all that they said is answered as one."""
        whole = f"{withdrawn.answered} {text}".strip()
        if isinstance(withdrawn.request, TakeOver):
            packet = replace(withdrawn.request.packet, pending=whole)
            return self._ask(TakeOver(packet), now, answers=end)
        return self._answer(whole, digits, end, now)

    def _answer(self, text: str, digits: str, end: float, now: float) -> list[Effect]:
        """The caller's turn is over: who answers it?"""
        if self._speaker is not None and self._speaker != self.agent:
            return self._switch(HandOff(self._speaker, f"speaks {self.language}", text), now)
        if self._owed is not None:
            owed, self._owed = self._owed, None
            since = self._owed_since
            window_ms = round((now - since) * 1000)
            queued = [self._note(Passing.QUEUED, now, self._turn, window_ms=window_ms)] if text else []
            whole = replace(owed, pending=f"{owed.pending} {text}".strip())
            return queued + self._switch(whole, now, since=since)
        intake, self._intake = self._intake, None
        if text and intake is not None and (choice := intake(text)) is not None:
            return self._switch(HandOff(choice.agent, choice.reason, text), now)
        return self._ask(Answer(text, digits), now, answers=end)

    def _dismiss(self, now: float) -> list[Effect]:
        """That was no turn: nothing was said, or only "mhm". What we were saying goes on."""
        caller, self._caller = self._caller, None
        effects: list[Effect] = [StopHearing()] if caller is not None and caller.hearing else []
        effects += self._ahead.discard()
        if caller is not None and not (caller is self._wordless and caller.wordless(self._rules)):
            silent = Mishearing.ECHO if caller.echo else Mishearing.PHANTOM
            what = Mishearing.BACKCHANNEL if caller.text else silent
            effects.append(self._note(what, now, self._turn, **caller.sound()))
        if (reply := self._reply) is not None:
            if reply.paused:
                after_ms = round((now - reply.paused_at) * 1000)
                effects.append(self._note(Mishearing.RESUMED, now, reply.number, after_ms=after_ms))
            reply.paused = False
            return effects + self._pump(now) + self._settle(now)
        withdrawn, self._withdrawn = self._withdrawn, None
        if withdrawn is not None:
            return effects + self._ask_again(withdrawn, "", "", withdrawn.answers or now, now)
        if self._owed is not None:
            owed, self._owed = self._owed, None
            return effects + self._switch(owed, now, since=self._owed_since)
        self._silence.begins(now)
        return effects

    # --- the agent -------------------------------------------------------------------------------

    def _ask(
        self,
        request: Request | Phrase,
        now: float,
        *,
        answers: float | None = None,
        ending: EndCall | None = None,
    ) -> list[Effect]:
        """Let the agent who has the call reply."""
        self._turn += 1
        if (held := self._ahead.take(self._turn, self.agent, request)) is not None:
            return self._release(held, now, answers)
        effects = self._ahead.discard()
        expected, self._expect = self._expect, Expect(Expecting.ANYTHING)
        self._reply = AgentTurn(
            *(self._turn, self.agent, request),
            asked_at=now,
            answers=answers,
            last_news=now,
            ending=ending,
            waiting_since=now if answers is None or _by_keys(request) else answers,
        )
        effects.append(StartReply(self._turn, self.agent, request))
        return effects + self._patience.acknowledge(self._reply, expected, self.language, now)

    def _current(self, turn: int) -> AgentTurn | None:
        """The open reply, if this is its news; news of an old turn is stale."""
        for reply in (self._reply, self._ahead.reply):
            if reply is not None and reply.number == turn:
                return reply
        return None

    # --- thinking ahead, and waiting -------------------------------------------------------------

    def _think_ahead(self, now: float) -> list[Effect]:
        """The caller is silent: answer what they said so far, and hold the answer back."""
        caller = self._caller
        if caller is None or not caller.known or not caller.text:
            return []
        if not self._would_answer(caller.text):
            return self._ahead.discard()
        # The caller's turn is first. Another reply may have had the number: it was stopped before it was told
        # of this one, and no more news of it can come.
        number = self._turn + 2
        return self._ahead.think(
            caller, self._expect, self.language, number=number, agent=self.agent, now=now
        )

    def _would_answer(self, text: str) -> bool:
        """It would be the agent who has the call, and nothing is on its way to the caller."""
        if self._reply is not None or self._withdrawn is not None or self._owed is not None:
            return False
        if self._speaker not in (None, self.agent):
            return False
        return self._intake is None or self._intake(text) is None

    def _release(self, reply: AgentTurn, now: float, answers: float | None) -> list[Effect]:
        """What was thought ahead is the answer."""
        self._reply = reply
        expected, self._expect = self._expect, Expect(Expecting.ANYTHING)
        reply.last_news = now
        reply.answers, reply.waiting_since = answers, now if answers is None else answers
        effects: list[Effect] = [ReleaseReply(reply.number)]
        acted, reply.acted = reply.acted, []
        for action in acted:
            effects += self._acted(reply.number, action, now)
        effects += self._pump(now)
        if reply.silent:
            effects += self._patience.acknowledge(reply, expected, self.language, now)
        return effects + self._settle(now)

    def _patience_at(self) -> float | None:
        """When something must be said, because the caller hears nothing of the reply."""
        reply = self._reply
        if reply is None or reply.paused or reply.held or self._caller is not None or self.playback.playing:
            return None
        return self._patience.due_at(reply)

    def _filled(self, event: Filled, now: float) -> list[Effect]:
        """Say it, unless the reply has come, or the caller, in the meantime."""
        reply = self._reply
        if reply is None or reply.number != event.turn or reply.paused or self._caller is not None:
            return []
        if reply.held or self.playback.playing or (reply.steps and not event.asked):
            return []
        reply.steps += not event.asked
        reply.fillers.append((reply.words_sent, event.text))
        return self._send(reply, [replace(clip, filler=True) for clip in event.clips], now)

    def _acted(self, turn: int, action: Action, now: float) -> list[Effect]:
        reply = self._current(turn)
        if reply is not None and reply is self._ahead.reply:
            reply.acted.append(action)
            return []
        match action:
            case Did():  # also of a reply that was stopped: it has happened
                self.transcript.keep(action, turn)
                if reply is not None:
                    reply.changed |= action.changed
                self._switches.helped()
            case Noticed(what, details):
                return [self._note(what, now, turn, **details)]
            case _ if reply is None:
                pass
            case Expect():
                self._expect = action
            case Remember():
                self.transcript.keep(action, turn)
            case Tried() | Cited():
                self.transcript.keep(action, turn)
                self._switches.helped()
            case HandOff():
                reply.hand_off, reply.given_at = action, now
            case EndCall():
                reply.ending = action
            case Say() | Changing():
                pass
            case _:
                assert_never(action)
        return []

    def _pump(self, now: float) -> list[Effect]:
        """Send what is ready, unless that would talk over the caller."""
        reply = self._reply
        if reply is None or reply.paused or (self._caller is not None and not self.playback.playing):
            return []
        if not reply.held:
            return []
        clips = list(reply.held)
        reply.held.clear()
        reply.words_sent += sum(len(clip.text.split()) for clip in clips)
        effects = self._send(reply, clips, now)
        reply.waiting_since, reply.steps = self.playback.ends_at, 0
        return effects

    def _send(self, reply: AgentTurn, clips: Iterable[Clip], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for clip in clips:
            sent = self.playback.send(clip, now)
            if reply.first_sent is None:
                reply.first_sent = now
            effects.append(SendAudio(sent.clip.audio, sent.mark, sent.plays_at))
        return effects

    def _pause(self, reply: AgentTurn, now: float) -> list[Effect]:
        reply.paused, reply.paused_at, reply.cut = True, now, self.playback.remaining(now)
        reply.take_back(self.playback.clear(now).rest)
        return [ClearAudio()]

    def _interrupt(self, reply: AgentTurn, now: float) -> list[Effect]:
        """The caller takes the floor: what they do not want to hear is not played."""
        caller = self._caller
        effects = self._pause(reply, now) if self.playback.playing and not reply.paused else []
        stopped = self._stop_reply(now)
        if reply.paused and reply is not self._withdrawn:
            cut = {"cut_ms": round(reply.cut * 1000)}
            if caller is not None:
                cut["after_ms"] = max(0, round((reply.paused_at - caller.started) * 1000))
            effects.append(self._note(Mishearing.BARGE_IN, now, reply.number, **cut))
        return effects + stopped

    def _stop_reply(self, now: float) -> list[Effect]:
        """The caller has taken the floor: the reply ends here."""
        overlap = self._overlap
        reply, self._reply = self._reply, None
        assert reply is not None
        if not reply.changed and overlap.goes_on(reply):
            self._withdrawn = reply
            stop: list[Effect] = [StopReply(reply.number, unheard=True)]
            heard = self.playback.heard(reply.number)
            return stop + (self._close(reply, now, interrupted=True) if heard else [])
        self._owed, self._owed_since = (
            reply.hand_off,
            reply.given_at,
        )  # what was announced is done all the same
        return [StopReply(reply.number), *self._close(reply, now, interrupted=not reply.silent)]

    def _close(self, reply: AgentTurn, now: float, *, interrupted: bool) -> list[Effect]:
        if not reply.text:
            return []
        turn = reply.turn(now, heard=self.playback.heard(reply.number), interrupted=interrupted)
        self.transcript.turns.append(turn)
        return [TurnEnded(turn)]

    def _settle(self, now: float) -> list[Effect]:
        """If the reply has been heard to its end, go on to what follows it."""
        reply = self._reply
        if reply is None or not reply.done or reply.held or reply.paused or self.playback.playing:
            return []
        self._reply = None
        effects = self._close(reply, now, interrupted=False)
        if reply.failed or not (reply.sentences or reply.hand_off or reply.ending):
            return effects + self._repair(reply, now)
        if not isinstance(reply.request, Phrase):
            self._failures = 0
        if reply.ending is not None:
            by = EndedBy.SYSTEM if isinstance(reply.request, Phrase) else EndedBy.AGENT
            return effects + self._hang_up(reply.ending.disposition, by, self._why_ended(reply))
        if reply.hand_off is not None:
            return effects + self._switch(reply.hand_off, now, since=reply.given_at)
        self._silence.begins(now, afresh=not reply.nudge)
        return effects

    def _repair(self, reply: AgentTurn, now: float) -> list[Effect]:
        self._failures += 1
        if reply.request is Phrase.APOLOGY:
            return self._hang_up(Disposition.FAILED, EndedBy.SYSTEM, self._why_sorry)
        if isinstance(reply.request, OfferHuman) or self._failures > MOST_FAILURES:
            by_provider = any(failure.at >= reply.asked_at for failure in self.transcript.failures)
            self._why_sorry = EndedReason.PROVIDER_MUTE if by_provider else EndedReason.SYSTEM_MUTE
            return self._ask(Phrase.APOLOGY, now, ending=EndCall(Disposition.FAILED))
        if self._failures == MOST_FAILURES or reply.steps >= LONG_WAIT:
            return self._ask(OfferHuman("there is no answer", broken=True), now)
        if isinstance(reply.request, TakeOver) and not reply.words_sent:
            return self._take_back(reply, reply.request.packet, now)
        return self._ask(Phrase.REPAIR, now)

    def _switch(self, hand_off: HandOff, now: float, *, since: float | None = None) -> list[Effect]:
        """Give the call to another agent, with all that is known; or stop passing the caller round."""
        if hand_off.to == self.agent:
            return self._ask(Answer(hand_off.pending), now)
        if not self._switches.allow():
            loop = self._note(Passing.LOOP, now, self._turn)
            return [loop, *self._ask(OfferHuman(hand_off.reason), now)]
        return self._give(hand_off, now, since=since)

    def _take_back(self, reply: AgentTurn, packet: ContextPacket, now: float) -> list[Effect]:
        """Whom the call was given to cannot take it: who gave it goes on."""
        failed = self._note(Passing.FAILED, now, reply.number)
        return [failed, *self._give(HandOff(packet.from_agent, NOT_THERE, packet.pending), now)]

    def _give(self, hand_off: HandOff, now: float, *, since: float | None = None) -> list[Effect]:
        """``since`` it has been decided."""
        handoff = self.transcript.hand_off(
            *(self.agent, hand_off.to),
            reason=hand_off.reason,
            pending=hand_off.pending,
            at=now,
            window=0.0 if since is None else now - since,
        )
        self.agent = hand_off.to
        return [HandedOff(handoff), *self._ask(TakeOver(handoff.packet), now)]

    # --- time, and the end -----------------------------------------------------------------------

    def _timers(self) -> tuple[float | None, ...]:
        return (
            self._over_at,
            self._endpoint_at(),
            self._nudge_at(),
            self._ask_to_repeat_at(),
            self.playback.ends_at + self._rules.marks_overdue_after if self.playback.playing else None,
            self._reply_overdue_at(),
            self._patience_at(),
        )

    def _endpoint_at(self) -> float | None:
        at = self._turn_over_at()
        if at is not None and self._caller is not None and self._caller.looked_at >= at:
            return self._caller.looked_at + LOOK_AGAIN
        return at

    def _turn_over_at(self) -> float | None:
        if self._caller is None:
            return None
        at = self._caller.ends_at(self._rules, self._expect, self.language)
        reply = self._reply
        if at is not None and reply is not None and reply.paused and not self._caller.text:
            at = min(at, (self._caller.stopped or at) + self._rules.forgive_after)
        return at

    def _nudge_at(self) -> float | None:
        return self._silence.nudge_at if self._caller is None and self._reply is None else None

    def _ask_to_repeat_at(self) -> float | None:
        caller = self._wordless
        if caller is None or caller.stopped is None or self._reply is not None:
            return None
        if not caller.wordless(self._rules):
            return None
        return caller.stopped + (0.0 if caller.lost else self._rules.ask_again_after)

    def _ask_to_repeat(self, caller: CallerTurn, now: float) -> list[Effect]:
        """The caller spoke, and nobody heard them."""
        self._wordless = None
        self._unheard_turns += 1
        deaf = self._note(Mishearing.DEAF, now, self._turn, **caller.sound())
        if self._unheard_turns <= MOST_UNHEARD:
            return [deaf, *self._ask(Phrase.NOT_HEARD, now)]
        if self._unheard_turns == MOST_UNHEARD + 1:
            return [deaf, *self._ask(OfferHuman("you could not be heard", deaf=True), now)]
        self._why_sorry = EndedReason.PROVIDER_DEAF
        return [deaf, *self._ask(Phrase.APOLOGY, now, ending=EndCall(Disposition.FAILED))]

    def _reply_overdue_at(self) -> float | None:
        reply = self._reply
        if reply is None or reply.done:
            return None
        return reply.last_news + self._rules.reply_overdue_after

    def _deadline_passed(self, event: DeadlinePassed, now: float) -> list[Effect]:
        over, endpoint, nudge, repeat, marks, reply, wait = (
            at is not None and at <= now for at in self._timers()
        )
        if over:
            return self._time_is_up(now)
        if marks:
            self.playback.lapse(now)
            return self._settle(now)
        if endpoint and self._unheard(event, now):
            return []
        if endpoint:
            return self._end_caller_turn(now)
        if reply and self._reply is not None:
            self._reply.done = self._reply.failed = True
            stop: list[Effect] = [StopReply(self._reply.number)]
            return stop + self._settle(now)
        if wait and self._reply is not None:
            return self._patience.ask(self._reply)
        if repeat and self._wordless is not None:
            return self._ask_to_repeat(self._wordless, now)
        if nudge:
            return self._ask(self._silence.nudge(), now)
        return []

    def _unheard(self, event: DeadlinePassed, now: float) -> bool:
        """Whether the caller may have gone on, as far as we can hear: then we look again soon."""
        over_at = self._turn_over_at()
        if self._caller is None or over_at is None:
            return False
        known = not event.stirring and event.heard_to >= over_at - self._rules.heard_within
        return not known and self._caller.look_again(self._rules, now)

    def _time_is_up(self, now: float) -> list[Effect]:
        effects = self._ahead.discard()
        if self._reply is not None:
            if self.playback.playing:
                effects += self._pause(self._reply, now)
            effects += self._stop_reply(now)
        if self._caller is not None and self._caller.hearing:
            effects.append(StopHearing())
        self._caller = None
        if self._over:  # the line about it did not get through either
            too_long = EndedReason.SYSTEM_TOO_LONG
            return effects + self._hang_up(Disposition.ABANDONED, EndedBy.SYSTEM, too_long)
        self._over = True
        self._over_at = now + self._rules.reply_overdue_after
        return effects + self._ask(Phrase.TIME_IS_UP, now, ending=EndCall(Disposition.ABANDONED))

    def _hung_up(self, by: EndedBy, now: float) -> list[Effect]:
        effects = self._ahead.discard()
        reply = self._reply
        disposition = self._disposition()
        if reply is not None:
            if not reply.paused:
                self.playback.clear(now)
            effects += self._stop_reply(now)
        caller = self._caller
        if caller is not None and (caller.text or caller.digits):
            text = caller.digits or caller.text
            effects.append(TurnEnded(self._next_turn("caller", text, caller.started, caller.stopped or now)))
        self._caller = None
        why = EndedReason.CALLER_HUNG_UP if by is EndedBy.CALLER else EndedReason.SYSTEM_LINE
        return effects + self._hang_up(disposition, by, why)

    def _disposition(self) -> Disposition:
        """How a call ends whose caller hangs up now."""
        if self._reply is not None and self._reply.ending is not None:
            return self._reply.ending.disposition
        helped = self.transcript.done or self.transcript.cited or self.transcript.tried
        in_task = self._expect.what is not Expecting.ANYTHING
        return Disposition.RESOLVED if helped and not in_task else Disposition.ABANDONED

    def _why_ended(self, reply: AgentTurn) -> EndedReason:
        """After this reply, the last."""
        match reply.request:
            case Phrase.TIME_IS_UP:
                return EndedReason.SYSTEM_TOO_LONG
            case Phrase():
                return self._why_sorry
            case Nudge():
                return EndedReason.CALLER_SILENT
        return EndedReason.AGENT_DONE

    def _hang_up(self, disposition: Disposition, by: EndedBy, why: EndedReason) -> list[Effect]:
        self.ended = True
        transcript = self.transcript
        transcript.disposition, transcript.ended_by, transcript.ended_reason = disposition, by, why
        return [HangUp(disposition, by, why)]

    def _note(self, what: str, at: float, turn: int, **details: Any) -> Effect:
        return Noted(self.transcript.notice(what, COMPONENTS[what], details, at, turn))

    def _next_turn(self, who: str, text: str, start: float, end: float) -> Turn:
        self._turn += 1
        turn = Turn(self._turn, who, text, start, end)
        self.transcript.turns.append(turn)
        return turn


def _by_keys(request: Request | Phrase) -> bool:
    """Whoever answers by keys waits from when no more can follow: until then they know that we wait."""
    return isinstance(request, Answer) and bool(request.digits)
