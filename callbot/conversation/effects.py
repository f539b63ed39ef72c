"""What to do about it. The driver performs effects in the order given."""

from dataclasses import dataclass
from enum import StrEnum

from callbot.agents.brain import Request
from callbot.call import Disposition, EndedBy, EndedReason
from callbot.conversation.transcript import Handoff, Noticing, ProviderFailure, Turn


class Phrase(StrEnum):
    """Things that the call itself says, whoever the agent is; rendered ahead in every language."""

    REPAIR = "repair"
    NOT_HEARD = "not_heard"
    APOLOGY = "apology"
    TIME_IS_UP = "time_is_up"
    OKAY = "okay"
    RIGHT = "right"
    LET_ME_SEE = "let_me_see"
    ONE_MOMENT = "one_moment"
    STILL_WORKING = "still_working"
    STILL_HERE = "still_here"


@dataclass(frozen=True, slots=True)
class StartHearing:
    """A caller's utterance begins: give its audio, with the 300 ms before, to the recogniser."""

    utterance: int


@dataclass(frozen=True, slots=True)
class FlushHearing:
    """The caller paused ``at`` a time on the media clock: the recogniser should say what it has. ``early``:
    it may well be a dip in the middle of a word, so not one that would hear the rest of the word apart. If it
    was none, another of these follows, with the same time, for those that were not asked."""

    at: float
    early: bool = False


@dataclass(frozen=True, slots=True)
class StopHearing:
    """The utterance is over."""


@dataclass(frozen=True, slots=True)
class StartReply:
    """Let ``agent`` answer, as turn ``turn``. A ``Phrase`` is spoken without asking the brain.

    ``ahead``: the caller may go on, so no data may be changed until ``ReleaseReply``.
    """

    turn: int
    agent: str
    request: Request | Phrase
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """The caller's turn is over, and what was begun ahead is the answer to it."""

    turn: int


@dataclass(frozen=True, slots=True)
class SayMeanwhile:
    """The reply of this turn is late: report this phrase as ``Filled``, in the agent's voice."""

    turn: int
    agent: str
    phrase: Phrase


@dataclass(frozen=True, slots=True)
class StopReply:
    """Cancel the reply of this turn. ``unheard``: nothing of it was sent, so its brain should forget
    that it was asked."""

    turn: int
    unheard: bool = False


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Send mu-law, then a mark of this name. ``plays_at`` is when it should reach the ear."""

    audio: bytes
    mark: str
    plays_at: float


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Send ``clear``: what has not played must not."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn is complete: record it."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class HandedOff:
    """Another agent has the call: record it."""

    handoff: Handoff


@dataclass(frozen=True, slots=True)
class Noted:
    """Something went wrong: record it."""

    news: Noticing | ProviderFailure


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""

    disposition: Disposition
    ended_by: EndedBy
    reason: EndedReason


Effect = (
    StartHearing
    | FlushHearing
    | StopHearing
    | StartReply
    | ReleaseReply
    | SayMeanwhile
    | StopReply
    | SendAudio
    | ClearAudio
    | TurnEnded
    | HandedOff
    | Noted
    | HangUp
)
