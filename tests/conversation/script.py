"""Plays a conversation as a script: no loop, no clock, no sleep."""

import math
from pathlib import Path

import callbot.conversation
from callbot.agents.brain import Action, Expect, Expecting
from callbot.call import Call
from callbot.conversation.conversation import Conversation
from callbot.conversation.effects import Effect, ReleaseReply, SendAudio, StartReply
from callbot.conversation.events import (
    Acted,
    CallStarted,
    DeadlinePassed,
    Event,
    Marked,
    Meant,
    ReplyFinished,
    Spoke,
)
from callbot.conversation.rules import parse_rules
from callbot.media_stream.playback import Clip
from callbot.media_stream.vad import SpeechHeld, SpeechStarted, SpeechStopped
from callbot.providers.ports import Transcribed, WordTime

RULES = parse_rules((Path(callbot.conversation.__file__).parent / "rules.yaml").read_text())
CALL = Call("CA1", "+15550142", "+15550100")
WORD = 0.25


def clip(turn: int, text: str) -> Clip:
    """A quarter of a second a word."""
    words = text.split()
    times = tuple(WordTime(w, i * WORD, (i + 1) * WORD) for i, w in enumerate(words))
    return Clip(turn, text, b"\xff" * round(len(words) * WORD * 8000), times)


class Script:
    """A conversation with a carrier that returns marks at playing pace."""

    def __init__(self, *, started: bool = True) -> None:
        self.conversation = Conversation(RULES, CALL)
        self.now = 0.0
        self.effects: list[Effect] = []
        self.marks: list[tuple[float, str]] = []
        self.utterance = 0
        self.heard_to = math.inf
        """How far the caller's audio has come, and whether its end may be the beginning of speech."""
        self.stirring = False
        if started:
            self.tell(CallStarted("support"))

    def tell(self, event: Event) -> list[Effect]:
        effects = self.conversation.handle(event, self.now)
        for effect in effects:
            if isinstance(effect, SendAudio):
                self.marks.append((effect.plays_at + len(effect.audio) / 8000, effect.mark))
        if any(type(effect).__name__ == "ClearAudio" for effect in effects):
            self.marks = [
                (at, mark)
                for at, mark in self.marks
                if mark in {s.mark for s in self.conversation.playback._sent}
            ]
        self.effects += effects
        return effects

    def until(self, at: float) -> list[Effect]:
        """Let time pass: marks come back and deadlines fall due, in order."""
        found: list[Effect] = []
        while True:
            deadline = self.conversation.deadline
            due = [t for t in (deadline, self.marks[0][0] if self.marks else None) if t is not None]
            if not due or min(due) > at:
                break
            if self.marks and self.marks[0][0] <= min(due):
                self.now = max(self.now, self.marks[0][0])
                found += self.tell(Marked(self.marks.pop(0)[1]))
            else:
                self.now = max(self.now, min(due))
                found += self.tell(DeadlinePassed(self.heard_to, self.stirring))
            if self.conversation.ended:
                break
        self.now = max(self.now, at)
        return found

    def wait(self, seconds: float) -> list[Effect]:
        return self.until(self.now + seconds)

    @property
    def turn(self) -> int:
        """The newest reply that was asked for."""
        return [effect.turn for effect in self.effects if isinstance(effect, StartReply)][-1]

    def asked(self) -> list[object]:
        """What the brain was asked and its answer was wanted, in order."""
        found: list[object] = []
        ahead: dict[int, object] = {}
        for effect in self.effects:
            match effect:
                case StartReply(turn, request=request, ahead=True):
                    ahead[turn] = request
                case StartReply(request=request):
                    found.append(request)
                case ReleaseReply(turn):
                    found.append(ahead[turn])
        return found

    def replies(self, *sentences: str, actions: tuple[Action, ...] = (), finish: bool = True) -> list[Effect]:
        """The newest reply says these sentences."""
        turn, found = self.turn, []
        for sentence in sentences:
            found += self.tell(Meant(turn, sentence))
            found += self.tell(Spoke(turn, clip(turn, sentence)))
        for action in actions:
            found += self.tell(Acted(turn, action))
        if finish:
            found += self.tell(ReplyFinished(turn))
        return found

    def greeted(self, sentence: str = "Hello, how can I help?") -> "Script":
        self.replies(sentence, actions=(Expect(Expecting.ANYTHING),))
        self.wait(len(sentence.split()) * WORD + 0.5)
        return self

    def says(
        self, text: str, seconds: float = 1.0, *, hum: bool = False, after: float = 0.06
    ) -> list[Effect]:
        """The caller speaks: onset, held, stop, and the final transcript ``after`` seconds later."""
        found = self.starts(min(seconds, 0.16), hum=hum)
        end = self.now - min(seconds, 0.16) + seconds
        for held in (0.32, 0.608, 0.992):
            if held < seconds:
                found += self.until(end - seconds + held)
                found += self.tell(SpeechHeld(self.now, held, hum))
        found += self.until(end + 0.1)
        found += self.tell(SpeechStopped(end))
        found += self.until(end + 0.1 + after)
        found += self.tell(Transcribed(self.conversation._utterance, text, final=True))
        return found

    def starts(self, held: float = 0.16, *, hum: bool = False) -> list[Effect]:
        onset = self.now
        found = self.until(onset + 0.07)
        found += self.tell(SpeechStarted(onset))
        if held >= 0.16:
            found += self.until(onset + 0.16)
            found += self.tell(SpeechHeld(self.now, 0.16, hum))
        return found

    def kinds(self) -> list[str]:
        return [type(effect).__name__ for effect in self.effects]
