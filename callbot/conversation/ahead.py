"""Thinking ahead: a reply to what the caller has said so far, while they may yet go on.

It is begun at the first sign of silence, its audio is made and held, and at the end of the turn it is the
answer, if the words are the same; else it is thrown away, and what it used is waste.
"""

from typing import Final

from callbot.agents.brain import Answer, Expect, Request
from callbot.conversation import completeness
from callbot.conversation.completeness import Said
from callbot.conversation.effects import Effect, Phrase, StartReply, StopReply
from callbot.conversation.rules import TurnRules
from callbot.conversation.turns import AgentTurn, CallerTurn

_LIKELY: Final = (Said.ANSWER, Said.SENTENCE, Said.FRAGMENT, Said.OPENER)
"""What the final words must look like to be answered before the turn is over."""
_SURE: Final = (Said.ANSWER, Said.SENTENCE)
"""What words must look like that the recogniser is still working on."""


class Ahead:
    """One call's: the reply that is held, and how many were thrown away."""

    def __init__(self, rules: TurnRules) -> None:
        self.reply: AgentTurn | None = None
        self._most_discarded = rules.most_discarded
        self._discarded = 0

    def think(
        self, caller: CallerTurn, expect: Expect, language: str, *, number: int, agent: str, now: float
    ) -> list[Effect]:
        """Answer what the caller said so far, as turn ``number``, if it may be all that they have to say."""
        held = self.reply
        if held is not None and completeness.same_words(held.answered, caller.text):
            return []
        effects: list[Effect] = self.discard()
        if self._discarded < self._most_discarded and self._may_be_all(caller, expect, language):
            request = Answer(caller.text)
            self.reply = AgentTurn(number, agent, request, asked_at=now, last_news=now)
            effects.append(StartReply(number, agent, request, ahead=True))
        return effects

    def take(self, number: int, agent: str, request: Request | Phrase) -> AgentTurn | None:
        """The reply that is held, if it is the one to ``request``; from now on it is held no more."""
        held = self.reply
        if held is None or held.failed or (held.number, held.agent) != (number, agent):
            return None
        if not isinstance(request, Answer) or request.digits:
            return None
        if not completeness.same_words(held.answered, request.text):
            return None
        self.reply = None
        return held

    def discard(self) -> list[Effect]:
        """The caller goes on, or somebody else answers."""
        held, self.reply = self.reply, None
        if held is None:
            return []
        self._discarded += 1
        return [StopReply(held.number, unheard=True)]

    def _may_be_all(self, caller: CallerTurn, expect: Expect, language: str) -> bool:
        if caller.digits or not caller.hearing:
            return False
        said = caller.said(expect, language)
        return said in (_LIKELY if caller.final else _SURE)
