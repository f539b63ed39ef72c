"""What a flow and a language model that serve the same call tell each other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from callbot.agents.brain import Action, Did, Remember
from callbot.agents.filling import Filling
from callbot.agents.flow_state import Held, State, Wait
from callbot.agents.flows import Flow, UseTool
from callbot.agents.ranking import Ranking, Topic

_QUESTIONS: Final = frozenset({"ask", "offer", "check", "change", "try", "suggest"})
"""The waits whose question stands while something else is answered; others are passed over."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Where the flow stood when the model began to answer."""

    wait: Wait
    paused: tuple[Wait, ...]
    task: str
    question: tuple[str, ...]

    @property
    def asks(self) -> bool:
        return self.wait.kind in _QUESTIONS


def give_floor(flow: Flow, state: State) -> Floor:
    """The model answers: until it is done, no word of the caller's is an answer to the flow's question. A
    yes to the model must never be taken for one to the flow."""
    floor = Floor(state.wait, tuple(state.paused), state.task, tuple(state.question))
    if floor.asks:
        state.paused.append(replace(state.wait, task=state.task))
    state.wait = Wait("listen", flow.start)
    state.task = ""
    return floor


def take_floor(state: State, floor: Floor) -> None:
    """The model has asked nothing: the flow's question is the open one again."""
    state.wait = floor.wait
    state.paused = list(floor.paused)
    state.task = floor.task
    state.question = list(floor.question)


def learn(flow: Flow, state: State, action: Action, *, today: date) -> None:
    """Take over into the flow what the model filled and did."""
    if isinstance(action, Remember) and action.slot.name in flow.slots:
        slot = action.slot
        spoken = Filling(flow, today).spoken(flow.slots[slot.name], slot.value)
        state.slots[slot.name] = Held(slot.value, spoken, slot.said_by, slot.confirmed, state.turn)
    elif isinstance(action, Did) and action.result:
        for node in flow.nodes.values():
            if isinstance(node.step, UseTool) and node.step.tool == action.tool:
                state.results[node.step.save_as] = dict(action.result)
        state.finished |= action.changed


def aside(state: State, floor: Floor) -> str:
    """What the model must know of the flow to answer in its midst."""
    parts = []
    if state.results:
        known = (f"{name} = {json.dumps(values, default=str)}" for name, values in state.results.items())
        parts.append(f"Looked up or done before: {'; '.join(known)}.")
    if floor.asks and floor.question:
        question = " ".join(floor.question)
        parts.append(
            f'You had asked: "{question}" Answer only what the caller says now, and ask nothing: that '
            "question will be asked again after your answer."
        )
    return " ".join(parts)


def is_clear_wish(ranking: Ranking, *, short: bool) -> bool:
    """Whether words that follow a question of the model's are something that the flow surely serves."""
    best = ranking.best
    if not ranking.fits or best.topic not in (Topic.INTENT, Topic.COMMAND):
        return False
    return best.literal or ((best.phrase or ranking.clear) and not short)


def last_question(said: Sequence[str]) -> str:
    return said[-1] if said and said[-1].rstrip().endswith("?") else ""
