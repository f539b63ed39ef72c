"""Who answers: an agent of the business, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. ``name`` identifies it in numbers, handoffs and records; ``title`` is what callers hear.

    ``greeting`` is said when a call begins with this agent, one sentence each. ``tools`` and ``handoffs``
    name what the agent may use and whom it may give the call to. ``documents`` names the set of
    documents it answers from, or is empty.
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
