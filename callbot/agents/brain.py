"""The port through which an agent thinks: an utterance in, sentences and actions out."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from callbot.call import Call, Disposition
from callbot.providers.ports import Speech
from callbot.routing.handoff import ContextPacket, SlotValue


class Expecting(StrEnum):
    """What the agent's last question asks for. Endpointing waits accordingly."""

    ANYTHING = "anything"
    YES_NO = "yes_no"
    CHOICE = "choice"
    DIGITS = "digits"
    SPELLING = "spelling"
    EMAIL = "email"
    DATE = "date"
    AMOUNT = "amount"
    ADDRESS = "address"


# --- what a brain is asked -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Greet:
    """The call begins with this agent: say the greeting."""


@dataclass(frozen=True, slots=True)
class TakeOver:
    """This agent receives the call from another, with what is known."""

    packet: ContextPacket


@dataclass(frozen=True, slots=True)
class Answer:
    """The caller's turn is over; ``text`` is all they said in it. ``digits`` are keys pressed."""

    text: str
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Nudge:
    """The caller has been silent: ``step`` 1 and 2 prompt, 3 says goodbye."""

    step: int


@dataclass(frozen=True, slots=True)
class OfferHuman:
    """The caller has been passed round too often: do not switch again, offer a person instead. ``deaf``: or
    no recogniser hears them, and they can answer with keys alone. ``broken``: or there is no answer to them,
    because what thinks of one fails."""

    reason: str
    deaf: bool = False
    broken: bool = False

    @property
    def phrase(self) -> str:
        """The name of what is said before the offer, among a flow's phrases."""
        if self.deaf:
            return "only_keys"
        return "too_many_steps" if self.broken else "no_more_switches"


Request = Greet | TakeOver | Answer | Nudge | OfferHuman


# --- what a brain does ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """One sentence for the caller. ``fixed`` marks text without call data in it: render once, cache.

    ``waiting``: it only asks for patience. A caller who was asked already, or hears something else, is not
    told it. ``speech`` is the sentence, or a piece of one, as the model itself has spoken it.
    """

    text: str
    fixed: bool = False
    waiting: bool = False
    speech: Speech | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """What the question just asked expects for an answer; holds until the next reply.

    ``complete`` is a regular expression on the digits and letters given so far (lower case, no
    spaces): a match means that the answer is whole and endpointing need not wait.
    """

    what: Expecting
    slot: str | None = None
    complete: str | None = None


@dataclass(frozen=True, slots=True)
class Remember:
    """A slot was filled, corrected or confirmed."""

    slot: SlotValue


@dataclass(frozen=True, slots=True)
class Tried:
    """A step was tried with the caller, and what came of it (troubleshooting)."""

    step: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Cited:
    """The passage that the last answer rests on."""

    document: str
    passage: str
    score: float


@dataclass(frozen=True, slots=True)
class Did:
    """A tool ran. ``changed`` is true when it changed data (an order placed, a callback booked)."""

    tool: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Changing:
    """Data is changed as soon as the next action is asked for: whoever is not sure yet that the reply is
    wanted must not ask for it."""

    tool: str


@dataclass(frozen=True, slots=True)
class HandOff:
    """Give the call to another agent, by name. ``pending`` is what the caller still wants answered."""

    to: str
    reason: str
    pending: str = ""


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up once everything said has been heard."""

    disposition: Disposition


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something went wrong and was put right. ``what`` is a word for it, for the records; in ``details`` are
    no words of the caller's."""

    what: str
    details: Mapping[str, Any] = field(default_factory=dict)


Action = Say | Expect | Remember | Tried | Cited | Did | Changing | HandOff | EndCall | Noticed


@dataclass(frozen=True, slots=True)
class History:
    """What a brain may know of the call so far: who said what, as heard; the slots; the steps tried.
    ``cut`` has the places of those ``lines`` that the caller interrupted."""

    call: Call
    lines: tuple[tuple[str, str], ...] = ()
    slots: Mapping[str, SlotValue] = field(default_factory=dict)
    tried: tuple[tuple[str, str], ...] = ()
    cut: frozenset[int] = frozenset()


class Brain(Protocol):
    """Thinks for one agent in one call; keeps its own place in the conversation.

    ``reply`` may be closed at any ``await`` (barge-in). Before a tool changes data, ``Changing`` is yielded.
    A tool that has begun to change data is finished, not undone, and its result is kept for the next reply.
    """

    def reply(self, request: Request, history: History) -> AsyncGenerator[Action]: ...

    def forget(self) -> None:
        """Nothing of the last reply was heard: go back to before it was asked. What tools changed
        stays changed, and is known."""

    async def finish(self) -> None:
        """The call is over: wait for changes that a stopped reply has left running."""
