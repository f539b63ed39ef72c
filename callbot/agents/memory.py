"""What a language-model brain keeps between two replies, besides the transcript: a plain value."""

from dataclasses import dataclass, field, replace

from callbot.agents.walk import RunTool
from callbot.providers.ports import Message, Role, ToolCall


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that is no line of the transcript; it stands before line ``at``."""

    at: int
    message: Message


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that the caller was asked about. ``arguments`` is JSON with sorted keys."""

    tool: str
    arguments: str


@dataclass(slots=True)
class Memory:
    """``opening`` is what the model knows before anybody speaks; ``entries`` are tool calls and notes, in
    order, and ``results`` what came of each call, by its id; ``facts`` and ``passages`` what the model was
    told already; ``proposed`` and ``said`` the changes and sentences of the last reply; ``running`` the
    changes whose results are still to come, ``done`` the keys of those that were made. Of the lines before
    ``since`` only ``summary`` is left."""

    entries: list[Entry] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    passages: list[str] = field(default_factory=list)
    proposed: list[Proposal] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    running: list[tuple[ToolCall, RunTool]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    opening: str = ""
    summary: str = ""
    since: int = 0

    def copy(self) -> "Memory":
        return replace(
            self,
            entries=list(self.entries),
            results=dict(self.results),
            facts=dict(self.facts),
            passages=list(self.passages),
            proposed=list(self.proposed),
            said=list(self.said),
            running=list(self.running),
            done=list(self.done),
        )

    def note(self, at: int, text: str) -> None:
        self.entries.append(Entry(at, Message(Role.NOTE, text)))

    def forget_words(self) -> None:
        """What was said along with a tool call stands in the transcript by now, as it was heard."""
        self.entries = [
            replace(entry, message=replace(entry.message, text="")) if entry.message.calls else entry
            for entry in self.entries
        ]
