"""The language between the walker, which decides, and whoever drives it.

A walk is a generator: it yields actions for the caller and needs for the driver, and is sent each
need's result. It awaits nothing, so that a test can walk a call by hand.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from callbot.agents.brain import Action
from callbot.agents.ranking import Found, Ranking

Returned = TypeVar("Returned")


@dataclass(frozen=True, slots=True)
class Rank:
    """Needs a ``Ranking`` of what ``text`` may be about."""

    text: str


@dataclass(frozen=True, slots=True)
class RunTool:
    """Needs a ``ToolResult``. The same ``key`` is the same request: a change is made once for it."""

    tool: str
    arguments: Mapping[str, Any]
    key: str
    changes: bool


@dataclass(frozen=True, slots=True)
class Search:
    """Needs the passage that answers ``query``, or the one called ``passage``: ``Found`` or None."""

    query: str
    passage: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """``values`` is None when the tool found nothing; ``failed`` when it could not work at all, ``late`` in
    time. ``instead`` has values, by argument, with which it would have found something."""

    values: Mapping[str, Any] | None
    failed: bool = False
    instead: Mapping[str, Sequence[str]] = field(default_factory=dict)
    late: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The flow does not understand the caller's words ``text``, and has not said so yet. Who does
    understand them answers, and leaves the walk here; given nothing, the walk goes on and admits it."""

    text: str


Need = Rank | RunTool | Search | Lost
Given = Ranking | ToolResult | Found | None
Walk = Generator[Action | Need, Given, Returned]
