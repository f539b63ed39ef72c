"""What happened in a call. Times are seconds since the media stream started."""

import math
from dataclasses import dataclass

from callbot.agents.brain import Action
from callbot.call import EndedBy
from callbot.media_stream.playback import Clip
from callbot.media_stream.vad import SpeechHeld, SpeechPaused, SpeechResumed, SpeechStarted, SpeechStopped
from callbot.providers.accounting import News, Used
from callbot.providers.ports import Transcribed


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The stream is open and authenticated; ``agent`` takes the call, in ``language``."""

    agent: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Spoke:
    """The reply of this turn has the next clip ready."""

    turn: int
    clip: Clip


@dataclass(frozen=True, slots=True)
class Meant:
    """The reply of this turn begins a sentence; its clips follow. ``text`` is as written."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Filled:
    """What is said while the reply of this turn is waited for; ``text`` as written. ``asked`` is False when
    it is the agent's own idea (``Say.waiting``)."""

    turn: int
    text: str
    clips: tuple[Clip, ...]
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Acted:
    """The brain of this turn did something else than speak."""

    turn: int
    action: Action


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """The brain and the voice of this turn have nothing more to add."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The reply of this turn broke; what was sent of it stays sent."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class Marked:
    """The carrier returned a mark."""

    mark: str


@dataclass(frozen=True, slots=True)
class Told:
    """A provider was used, or failed, or a failure was put right."""

    news: News


@dataclass(frozen=True, slots=True)
class Wasted:
    """What was told to be used was for a reply that nobody heard."""

    used: Used


@dataclass(frozen=True, slots=True)
class LanguageHeard:
    """The caller speaks another language, and ``agent`` is the one who speaks it."""

    language: str
    agent: str


@dataclass(frozen=True, slots=True)
class HearingFailed:
    """Nobody is left to hear the caller. The next utterance may be heard again."""

    reason: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """The line is gone."""

    by: EndedBy


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """``Conversation.deadline`` is now or past.

    ``heard_to`` is the media time up to which the caller's audio has been looked at; ``stirring`` is true
    while the newest of it may be the beginning of speech.
    """

    heard_to: float = math.inf
    stirring: bool = False


Event = (
    CallStarted
    | SpeechStarted
    | SpeechHeld
    | SpeechPaused
    | SpeechResumed
    | SpeechStopped
    | Transcribed
    | Pressed
    | Meant
    | Spoke
    | Filled
    | Acted
    | ReplyFinished
    | ReplyFailed
    | Marked
    | LanguageHeard
    | HearingFailed
    | Told
    | Wasted
    | HungUp
    | DeadlinePassed
)
