"""One turn of the caller: the words, what they may be about, and what they say to the open question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from callbot.agents.filling import Filling, task_nodes, within
from callbot.agents.flow_state import State
from callbot.agents.flows import CommandKind, Flow, Slot
from callbot.agents.ranking import Candidate, Ranking, Topic
from callbot.agents.slots import Kind, Parsed
from callbot.agents.wording import contains, without, words

SHORT: Final = 3
"""So many words, fillers not counted, are a short reply like "no, that's fine"."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The evidence in one answer. ``digits`` are keys pressed."""

    flow: Flow
    state: State
    filling: Filling
    text: str
    digits: str
    ranking: Ranking

    @property
    def best(self) -> Candidate:
        return self.ranking.best

    def content(self, text: str) -> tuple[str, ...]:
        return without(words(text), [words(filler) for filler in self.flow.fillers])

    def is_question(self) -> bool:
        return self.text.rstrip().endswith("?") or self.opens_question()

    def opens_question(self) -> bool:
        """Whether the first words are those of a question; what follows a "but" is none."""
        said = words(self.text)
        content = self.content(self.text)
        return any(
            opener == said[: len(opener)] or opener == content[: len(opener)]
            for opener in map(words, self.flow.question_words)
        )

    def is_short_reply(self) -> bool:
        return len(self.content(self.text)) <= SHORT

    def is_command(self, *kinds: CommandKind) -> bool:
        """Whether the caller said one of these commands, and little else."""
        best = self.best
        if best.topic is not Topic.COMMAND or not self.ranking.fits:
            return False
        return best.phrase and (not kinds or self.flow.commands[best.name].does in kinds)

    def says(self, phrases: Sequence[str]) -> bool:
        said = words(self.text)
        return any(contains(said, words(phrase)) for phrase in phrases)

    def wanders(self, *, answered: bool) -> bool:
        """Whether these words are about something else than the open question."""
        best = self.best
        if not self.ranking.fits or best.name == self.state.task:
            return False
        if best.topic is Topic.COMMAND:
            does = self.flow.commands[best.name].does
            polite = does in (CommandKind.GOODBYE, CommandKind.THANKS)
            if answered:
                return (best.phrase and not polite) or (best.literal and not self.is_short_reply())
            urgent = does in (CommandKind.HUMAN, CommandKind.WAIT) or self.is_question()
            return best.phrase or (self.ranking.clear and urgent)
        if answered:
            return self.is_question() and (best.phrase or self.ranking.clear)
        return best.phrase or self.is_question() or self.ranking.clear

    def wants_more(self) -> bool:
        """Whether these words, said behind an answer, want something else than what was answered."""
        best = self.best
        if not self.ranking.fits or best.name == self.state.task:
            return False
        if best.topic is Topic.COMMAND:
            does = self.flow.commands[best.name].does
            return best.phrase and does not in (CommandKind.THANKS, CommandKind.WAIT, CommandKind.REPEAT)
        return (best.phrase or self.is_question()) and not self.leads_here()

    def leads_here(self) -> bool:
        """Whether these words are a wish that leads to the very question that is open."""
        if self.best.topic is not Topic.INTENT or not self.ranking.fits:
            return False
        return self.state.wait.node in task_nodes(self.flow, self.flow.intents[self.best.name].next)

    def yes_no(self) -> bool | None:
        return self.filling.yes_no(self.text, self.digits)

    def is_foreign(self) -> bool:
        """Whether it is a question about something that is none of our business."""
        return self.best.topic is Topic.NOTHING and self.is_question()

    def changes(self, names: Sequence[str], *, boldly: bool) -> list[tuple[Slot, Parsed]]:
        """What the words change among ``names``. ``boldly``: they are known to be about a change, so
        also slots that are not looked for in passing are read in them."""
        found: list[tuple[Slot, Parsed]] = []
        for name in names:
            slot = self.flow.slots[name]
            parsed = self.filling.read_early(slot, self.text)
            bold = boldly or self.filling.is_correction(self.text)
            if parsed is None and not found and bold and slot.kind not in (Kind.TEXT, Kind.YES_NO):
                parsed = self.filling.read(slot, self.text, self.digits)
                parsed = parsed if parsed and within(slot.limits, parsed.value) else None
            held = self.state.slots.get(name)
            if parsed is not None and (held is None or held.spoken != parsed.spoken):
                found.append((slot, parsed))
        return found
