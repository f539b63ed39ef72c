"""The language between thinking, which decides what to ask a model and what to say, and whoever drives it.

As in ``walk``: a generator that yields actions for the caller and needs for the driver, and is sent each
need's result. Time comes with the results; it awaits nothing and reads no clock.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from callbot.agents.brain import Action
from callbot.agents.walk import RunTool, ToolResult
from callbot.errors import ProviderError
from callbot.providers.ports import Piece, Prompt

Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class AskModel:
    """Open a stream, in place of the one before it; ``NextPiece`` reads it."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class NextPiece:
    """Needs ``Came``, ``Broke``, or when it is ``until`` and nothing has come, ``Quiet``."""

    until: float | None


@dataclass(frozen=True, slots=True)
class StartTools:
    """Begin these, all at once, by the id of the model's call. What changes data is never cut."""

    runs: Mapping[str, RunTool]


@dataclass(frozen=True, slots=True)
class ToolsDone:
    """Needs ``Outcomes``: of all that were started, or of those that are done ``within`` so many seconds."""

    within: float | None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Needs ``Passages`` of the documents that may answer ``query``, best first."""

    query: str


class Notice(StrEnum):
    """What is ``Noticed`` in a model's answers."""

    EMPTY = "llm_empty"
    ARGUMENTS = "tool_args_invalid"
    LOOP = "tool_loop_cut"
    SLOW_TOOL = "tool_timeout"
    LEAKED = "leaked_tool_text_filtered"
    COMPACTED = "ctx_compacted"
    TRUNCATED = "llm_truncated"
    SLOW = "llm_slow_stream"
    UNCONFIRMED = "tool_unconfirmed"
    COMMITTED = "tool_committed"
    """A change went on although its reply was cut, and is told of now."""


Need = AskModel | NextPiece | StartTools | ToolsDone | Retrieve


@dataclass(frozen=True, slots=True)
class Came:
    piece: Piece
    now: float


@dataclass(frozen=True, slots=True)
class Quiet:
    now: float


@dataclass(frozen=True, slots=True)
class Broke:
    """The stream is over with ``error``; None when it ended without its last piece."""

    error: ProviderError | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """By the id of the model's call; those that are not done are not in it."""

    results: Mapping[str, ToolResult]


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A passage as the document says it, with its score."""

    document: str
    passage: str
    title: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Passages:
    found: tuple[Retrieved, ...]


Given = Came | Quiet | Broke | Outcomes | Passages | None
Thought = Generator[Action | Need, Given, Returned]
