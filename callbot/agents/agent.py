"""Who answers: an agent of the business, as data."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Thinking(StrEnum):
    """Who thinks for an agent: its flow, a language model, the flow as far as it understands, or a model that
    hears and speaks by itself."""

    FLOW = "flow"
    MODEL = "model"
    FLOW_FIRST = "flow_first"
    SPEECH = "speech"


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. ``name`` identifies it in numbers, handoffs and records; ``title`` is what callers hear.

    ``greeting`` is said when a call begins with this agent, one sentence each. ``tools`` and ``handoffs``
    name what the agent may use and whom it may give the call to. ``documents`` names the set of
    documents it answers from, or is empty. ``budget`` is how much its model and voice may cost in one call,
    in US dollars.
    """

    name: str
    title: str
    role: str
    instructions: str
    greeting: tuple[str, ...]
    voice: str
    language: str = "en"
    tools: tuple[str, ...] = ()
    handoffs: tuple[str, ...] = ()
    documents: str = ""
    thinking: Thinking = Thinking.FLOW
    budget: Decimal | None = None
