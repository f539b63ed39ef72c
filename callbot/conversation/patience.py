"""What is said while the caller waits for a reply that is late, and when.

A reply is late by the time since the caller last heard anything of it, or since they stopped speaking. The
steps are in ``rules.yaml``; the phrases are rendered ahead, so that whatever is broken, they can be said.
"""

from typing import Final

from callbot.agents.brain import Answer, Expect, Expecting
from callbot.conversation import completeness
from callbot.conversation.completeness import Said
from callbot.conversation.effects import Effect, Phrase, SayMeanwhile
from callbot.conversation.farewell import is_farewell
from callbot.conversation.lateness import Lateness
from callbot.conversation.rules import TurnRules
from callbot.conversation.turns import AgentTurn

_TO_A_QUESTION: Final = (Phrase.LET_ME_SEE, Phrase.OKAY)
_TO_ALL_ELSE: Final = (Phrase.OKAY, Phrase.RIGHT)
_LET_ME_SEE_TAKES: Final = 0.5
"""Seconds, about: it must not keep an answer waiting that is there before it has been said."""
_FEWEST_WORDS: Final = 3
"""Who says less than that is not told that it was understood."""


class Patience:
    """One call's. How late answers are it knows from all of them."""

    def __init__(self, rules: TurnRules, lateness: Lateness) -> None:
        self._steps = (
            (rules.one_moment, Phrase.ONE_MOMENT),
            (rules.still_working, Phrase.STILL_WORKING),
            (rules.still_here, Phrase.STILL_HERE),
        )
        self._rules = rules
        self._lateness = lateness
        self._acknowledged: Phrase | None = None

    def spoke(self, reply: AgentTurn) -> None:
        """The first sound of ``reply`` is there."""
        if isinstance(reply.request, Answer):
            self._lateness.spoke(reply)

    def acknowledge(self, reply: AgentTurn, expect: Expect, language: str, now: float) -> list[Effect]:
        """Say something at once, if the answer will take a while: never the same twice in a row.

        ``expect``: what the caller was asked for before they said what ``reply`` answers.
        """
        if not isinstance(reply.request, Answer) or reply.answers is None:
            return []
        ready_at = self._lateness.ready_at(reply)
        if ready_at is None or not self._is_late(ready_at, reply.answers, now):
            return []
        text = reply.request.text
        if not _deserves_it(text, expect, language):
            return []
        long = ready_at - now > _LET_ME_SEE_TAKES and completeness.is_question(text, language)
        fitting = _TO_A_QUESTION if long else _TO_ALL_ELSE
        self._acknowledged = next(phrase for phrase in fitting if phrase is not self._acknowledged)
        return [SayMeanwhile(reply.number, reply.agent, self._acknowledged)]

    def due_at(self, reply: AgentTurn) -> float | None:
        """When to say something, if nothing of the reply comes before."""
        if reply.done or isinstance(reply.request, Phrase) or reply.steps >= len(self._steps):
            return None
        return reply.waiting_since + self._steps[reply.steps][0]

    def ask(self, reply: AgentTurn) -> list[Effect]:
        """Ask for patience, now that it is due."""
        _, phrase = self._steps[reply.steps]
        reply.steps += 1
        return [SayMeanwhile(reply.number, reply.agent, phrase)]

    def _is_late(self, ready_at: float, answers: float, now: float) -> bool:
        """It will come later than the caller would wait, and not in a moment."""
        rules = self._rules
        return (
            ready_at - answers > rules.acknowledge_if_later_than
            and ready_at - now > rules.acknowledge_unless_within
        )


def _deserves_it(text: str, expect: Expect, language: str) -> bool:
    """Nobody says "okay" to a "yes", a "thank you" or a "goodbye"."""
    if len(text.split()) < _FEWEST_WORDS:
        return False
    if is_farewell(text, language) or completeness.is_courtesy(text, language):
        return False
    if expect.what not in (Expecting.YES_NO, Expecting.CHOICE):
        return True
    return completeness.said(text, expect.what, expect.complete, language) is not Said.ANSWER
