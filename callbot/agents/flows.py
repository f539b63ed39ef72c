"""A flow: what one agent asks, says and does, as a graph of nodes.

These are the values that ``flow_file`` builds from YAML and that ``walker`` walks. ``docs/flows.md``
is the reference of the format; a field here is named as it is there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from callbot.agents.slots import Kind
from callbot.call import Disposition

Sentences = tuple[str, ...]
"""Templates, one sentence each; one that names a value nobody knows yet is left out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a slot's value must also satisfy. ``weekdays`` counts from Monday = 0; ``between`` is times
    of day as HH:MM, both included."""

    minimum: float | None = None
    maximum: float | None = None
    weekdays: frozenset[int] | None = None
    between: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A fact that the flow needs, and how it is asked for."""

    name: str
    kind: Kind
    about: str
    ask: Sentences
    again: Sentences = ()
    offer: Sentences = ()
    offer_value: str = ""
    optional: bool = False
    default: Any = None
    asked_when: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    early: bool = False
    early_pattern: re.Pattern[str] | None = None
    readback: str = ""
    limits: Limits = Limits()
    invalid: Sentences = ()
    give_up: str = ""


class CommandKind(StrEnum):
    """What a command that holds everywhere does."""

    GOODBYE = "goodbye"
    REPEAT = "repeat"
    HUMAN = "human"
    START_OVER = "start_over"
    WAIT = "wait"
    THANKS = "thanks"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Intent:
    """Something callers want. ``digression`` intents come back to the open question afterwards."""

    name: str
    next: str
    examples: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    about: str = ""
    heard: Sentences = ()
    forgets: tuple[str, ...] = ()
    digression: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """Something callers say anywhere, whatever is being asked."""

    name: str
    does: CommandKind
    examples: tuple[str, ...]
    phrases: tuple[str, ...] = ()
    say: Sentences = ()


# --- what a node does after its ``say`` ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Go:
    """Nothing: on to the next node."""

    next: str


@dataclass(frozen=True, slots=True)
class Ask:
    slot: str
    next: str


@dataclass(frozen=True, slots=True)
class Check:
    """Read ``slots`` back and go on only after a yes."""

    question: Sentences
    slots: tuple[str, ...]
    next: str


@dataclass(frozen=True, slots=True)
class UseTool:
    """Run a tool; its result is known as ``save_as``. ``missing`` when it found nothing; ``changes``
    when it changes data, which a check must have come before."""

    tool: str
    arguments: Mapping[str, str]
    save_as: str
    next: str
    missing: str
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """``when`` maps a value to a node, ``known`` holds for any other value, ``otherwise`` for none."""

    on: str
    when: Mapping[str, str]
    known: str
    otherwise: str


@dataclass(frozen=True, slots=True)
class Try:
    """A step the caller tries; never proposed twice in a call."""

    step: str
    question: Sentences
    worked: str
    failed: str


@dataclass(frozen=True, slots=True)
class AnswerFrom:
    """Answer ``query`` from the documents."""

    query: str
    next: str
    missing: str


@dataclass(frozen=True, slots=True)
class GiveTo:
    """Give the call to another agent. ``pending`` replaces the caller's own words when it is set."""

    to: str
    reason: str
    pending: str


@dataclass(frozen=True, slots=True)
class End:
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait for whatever the caller wants. ``finished``: what they called for has been done."""

    finished: bool = False


Step = Go | Ask | Check | UseTool | Branch | Try | AnswerFrom | GiveTo | End | Listen


@dataclass(frozen=True, slots=True)
class Node:
    """One place in the flow: it keeps the caller's words as the slot ``note``, says ``say``, empties the
    slots of ``forget``, and then does its step."""

    name: str
    step: Step
    say: Sentences = ()
    forget: tuple[str, ...] = ()
    note: str = ""


def leads_to(step: Step) -> tuple[str, ...]:
    """The nodes that may come after a step."""
    match step:
        case Go(next) | Ask(next=next) | Check(next=next):
            return (next,)
        case UseTool(next=next, missing=missing) | AnswerFrom(next=next, missing=missing):
            return (next, missing)
        case Branch(when=when, known=known, otherwise=otherwise):
            return (*when.values(), known, otherwise)
        case Try(worked=worked, failed=failed):
            return (worked, failed)
        case GiveTo() | End() | Listen():
            return ()


@dataclass(frozen=True, slots=True)
class Flow:
    """One agent's flow, with the sentences and commands of its language already in it.

    ``human`` is the node that arranges for a person to call back; ``can_do`` completes "I can help
    with ..."; ``fillers``, ``function_words``, ``question_words``, ``decline``, ``worked``, ``failed`` and
    ``acknowledged`` are words of the language.
    """

    name: str
    language: str
    start: str
    nodes: Mapping[str, Node]
    slots: Mapping[str, Slot]
    intents: Mapping[str, Intent]
    commands: Mapping[str, Command]
    phrases: Mapping[str, Sentences]
    can_do: str
    human: str
    take_over: Sentences = ()
    out_of_scope: tuple[str, ...] = ()
    question_words: tuple[str, ...] = ()
    fillers: tuple[str, ...] = ()
    function_words: tuple[str, ...] = ()
    decline: tuple[str, ...] = ()
    worked: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    acknowledged: tuple[str, ...] = ()

    def intent_of(self, node: str) -> str:
        """The intent that begins at ``node``, or an empty string."""
        return next((intent.name for intent in self.intents.values() if intent.next == node), "")
