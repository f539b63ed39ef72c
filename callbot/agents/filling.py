"""Which slots a sentence fills."""

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from callbot.agents import slots as parsing
from callbot.agents.flow_state import Held
from callbot.agents.flows import Ask, Flow, Limits, Listen, Slot, UseTool, leads_to
from callbot.agents.slots import Agreement, Kind, Parsed
from callbot.agents.templates import names
from callbot.agents.wording import contains, words

KEYPAD = frozenset({Kind.ORDER_ID, Kind.PHONE, Kind.NUMBER, Kind.AMOUNT})
"""The kinds a caller can type."""

LASTING = frozenset({Kind.CHOICE, Kind.ORDER_ID, Kind.EMAIL})
"""The kinds that, said to one agent, still hold for the next: a day or a number meant something else."""


@dataclass(frozen=True, slots=True)
class Filling:
    """Reads slots of one flow on one day."""

    flow: Flow
    today: datetime.date

    def read(self, slot: Slot, text: str, digits: str = "") -> Parsed | None:
        """The whole value given for ``slot``, or None; the limits are not looked at."""
        parsed = parsing.parse(
            slot.kind,
            text,
            language=self.flow.language,
            today=self.today,
            options=slot.options,
            digits=digits,
        )
        return None if parsed is None or parsed.partial else parsed

    def completed(self, slot: Slot, before: str, text: str) -> Parsed | None:
        """The value whose end was given before, when ``text`` gives only its beginning."""
        return parsing.completed(slot.kind, before, text, language=self.flow.language)

    def begins_anew(self, slot: Slot, text: str) -> bool:
        return parsing.begins_anew(slot.kind, text, language=self.flow.language)

    def agreement(self, text: str) -> Agreement | None:
        return parsing.agreement(text, self.flow.language)

    def problem(self, slot: Slot, text: str, digits: str = "") -> str:
        """Why ``read`` found nothing, as a sentence, or an empty string."""
        found = parsing.problem(
            slot.kind,
            text,
            language=self.flow.language,
            today=self.today,
            options=slot.options,
            digits=digits,
        )
        return found or ""

    def read_early(self, slot: Slot, text: str) -> Parsed | None:
        """The value given for ``slot`` in a sentence that answers something else."""
        if slot.early_pattern is not None:
            found = slot.early_pattern.search(text)
            text = found[0] if found else ""
        if not slot.early or not text:
            return None
        parsed = self.read(slot, text)
        return parsed if parsed and within(slot.limits, parsed.value) else None

    def early(self, names: Iterable[str], text: str) -> Iterator[tuple[Slot, Parsed]]:
        """All of ``names`` that ``text`` fills in passing."""
        for name in names:
            slot = self.flow.slots[name]
            parsed = self.read_early(slot, text)
            if parsed is not None:
                yield slot, parsed

    def hinted(self, names: Iterable[str], text: str) -> Iterator[str]:
        """The slots with a default that must be asked for after all, because of what was said."""
        said = words(text)
        for name in names:
            if any(contains(said, words(hint)) for hint in self.flow.slots[name].asked_when):
                yield name

    def yes_no(self, text: str, digits: str = "") -> bool | None:
        parsed = parsing.parse(
            Kind.YES_NO, text, language=self.flow.language, today=self.today, digits=digits
        )
        return None if parsed is None else bool(parsed.value)

    def is_correction(self, text: str) -> bool:
        return parsing.is_correction(text, self.flow.language)

    def spoken(self, slot: Slot, value: Any) -> str:
        """How an agent says a value that came from elsewhere than the caller's mouth."""
        if isinstance(value, bool):
            value = "yes" if value else "no"
        parsed = self.read(slot, str(value))
        return parsed.spoken if parsed else str(value)

    def held(self, parsed: Parsed, *, said_by: str, turn: int) -> Held:
        return Held(parsing.to_json(parsed.value), parsed.spoken, said_by, turn=turn)


def within(limits: Limits, value: Any) -> bool:
    """Whether a parsed value keeps to the limits written for its slot."""
    if limits.minimum is not None and value < limits.minimum:
        return False
    if limits.maximum is not None and value > limits.maximum:
        return False
    if limits.weekdays is not None and isinstance(value, datetime.date):
        return value.weekday() in limits.weekdays
    if limits.between is not None and isinstance(value, datetime.time):
        first, last = limits.between
        return first <= value.isoformat(timespec="minutes") <= last
    return True


def task_slots(flow: Flow, node: str) -> tuple[str, ...]:
    """The slots that a task beginning at ``node`` may need, in the order of the graph: those it asks
    for, and those its look-ups use when they are known."""
    slots: dict[str, None] = {}
    for step in (flow.nodes[name].step for name in task_nodes(flow, node)):
        if isinstance(step, Ask):
            slots[step.slot] = None
        elif isinstance(step, UseTool):
            used = [each for template in step.arguments.values() for each in names(template)]
            slots |= dict.fromkeys(each for each in used if each in flow.slots)
    return tuple(slots)


def task_nodes(flow: Flow, node: str) -> tuple[str, ...]:
    """The nodes that a task beginning at ``node`` may pass, nearest first, up to where it listens."""
    seen: dict[str, None] = {}
    waiting = [node]
    while waiting:
        name = waiting.pop(0)
        step = flow.nodes[name].step
        if name not in seen and not isinstance(step, Listen):
            seen[name] = None
            waiting += leads_to(step)
    return tuple(seen)
