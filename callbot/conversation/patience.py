"""What is said while the caller waits for a reply that is late, and when.

A reply is late by the time since the caller last heard anything of it, or since they stopped speaking. The
steps are in ``rules.yaml``; the phrases are rendered ahead, so that whatever is broken, they can be said.
"""

from typing import Final

from callbot.agents.brain import Answer
from callbot.conversation.effects import Phrase
from callbot.conversation.rules import TurnRules
from callbot.conversation.turns import AgentTurn

_ACKNOWLEDGEMENTS: Final = (Phrase.OKAY, Phrase.RIGHT, Phrase.LET_ME_SEE)
_MEMORY: Final = 0.5
"""The weight of the newest reply in what is usual."""


class Patience:
    """One call's. It knows how late replies have been."""

    def __init__(self, rules: TurnRules) -> None:
        self._steps = (
            (rules.one_moment, Phrase.ONE_MOMENT),
            (rules.still_working, Phrase.STILL_WORKING),
            (rules.still_here, Phrase.STILL_HERE),
        )
        self._acknowledge_if_later_than = rules.acknowledge_if_later_than
        self._usual = 0.0
        self._acknowledged = 0

    def replied(self, seconds: float) -> None:
        """A reply had its first words so long after the caller's last sound."""
        self._usual += _MEMORY * (seconds - self._usual)

    def acknowledgement(self, reply: AgentTurn) -> Phrase | None:
        """What to say at once, because the answer will take a while: never the same twice in a row."""
        if not isinstance(reply.request, Answer) or self._usual <= self._acknowledge_if_later_than:
            return None
        self._acknowledged += 1
        return _ACKNOWLEDGEMENTS[self._acknowledged % len(_ACKNOWLEDGEMENTS)]

    def due_at(self, reply: AgentTurn) -> float | None:
        """When to say something, if nothing of the reply comes before."""
        if reply.done or isinstance(reply.request, Phrase) or reply.steps >= len(self._steps):
            return None
        return reply.waiting_since + self._steps[reply.steps][0]

    def phrase(self, reply: AgentTurn) -> Phrase:
        """What to say now that it is due."""
        return self._steps[reply.steps][1]
