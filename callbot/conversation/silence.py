"""Silence after we have spoken: since when, and how often the caller was asked whether they are there."""

from callbot.agents.brain import Nudge
from callbot.conversation.rules import TurnRules


class Silence:
    """One call's. Whether it matters now is the conversation's to say: somebody may be speaking."""

    def __init__(self, rules: TurnRules) -> None:
        self.since: float | None = None
        self._waits = (rules.first_prompt, rules.second_prompt, rules.goodbye)
        self._nudges = 0

    def begins(self, now: float, *, afresh: bool = False) -> None:
        """Only if it is ``afresh`` does it matter that it has begun before."""
        if afresh or self.since is None:
            self.since = now

    def ends(self) -> None:
        """The caller has said something."""
        self.since, self._nudges = None, 0

    @property
    def nudge_at(self) -> float | None:
        """When the caller is to be asked, if nobody speaks."""
        if self.since is None:
            return None
        return self.since + self._waits[min(self._nudges, len(self._waits) - 1)]

    def nudge(self) -> Nudge:
        """Ask them; once more than the last time."""
        self._nudges += 1
        return Nudge(self._nudges)
