"""How late answers are of late.

All calls of a process share one ``Lateness``: they share the providers too, so a call's first answer will be
about as late as those of the calls before it.
"""

from collections import deque
from typing import Final

from callbot.conversation.turns import AgentTurn

_REMEMBERED: Final = 9
"""Answers, by agent: what is usual is their median, so that one that was slow proves nothing."""
_ENOUGH: Final = 3
"""From so few on something is known."""


class _Usual:
    """What is usual, in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def get(self) -> float | None:
        known = sorted(self._seconds)
        return known[len(known) // 2] if len(known) >= _ENOUGH else None


class Lateness:
    """By agent: from being asked to the first sentence, and from that to its first sound."""

    def __init__(self) -> None:
        self._thinking: dict[str, _Usual] = {}
        self._speaking: dict[str, _Usual] = {}

    def spoke(self, reply: AgentTurn) -> None:
        """The first sound of ``reply`` is there."""
        if reply.meant_at is None or reply.spoke_at is None:
            return
        self._thinking.setdefault(reply.agent, _Usual()).add(reply.meant_at - reply.asked_at)
        self._speaking.setdefault(reply.agent, _Usual()).add(reply.spoke_at - reply.meant_at)

    def ready_at(self, reply: AgentTurn) -> float | None:
        """When the first sound of ``reply`` is there, or may be expected; None when nobody knows."""
        if reply.spoke_at is not None:
            return reply.spoke_at
        if reply.agent not in self._thinking:
            return None
        thinking, speaking = self._thinking[reply.agent].get(), self._speaking[reply.agent].get()
        if thinking is None or speaking is None:
            return None
        meant_at = reply.asked_at + thinking if reply.meant_at is None else reply.meant_at
        return meant_at + speaking
