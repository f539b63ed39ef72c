"""What an OpenAI-compatible server takes in a request, learnt from its refusals.

OpenAI's newest models take fields that its older ones, and the servers people run themselves, answer with
400. A request is first made with all of them; whatever is refused is left out from then on.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

EFFORTS: Final = ("none", "minimal", "low")
"""Of reasoning, the least first: a caller waits for every token of it."""
REASONING: Final = 1_000
"""Tokens that a model may spend on it, where it cannot be told to do without."""

_REFUSES: Final = re.compile(
    r"un(supported|recognized|known|expected)|not (supported|permitted|allowed)|does not support"
    r"|extra[ _](inputs?|fields?|forbidden)|additional propert|invalid value",
    re.IGNORECASE,
)
_TEMPLATE: Final = re.compile(
    r"system message must|roles? must alternate|user and assistant roles", re.IGNORECASE
)
"""What chat templates say that take a system message nowhere but first, and the speakers by turns."""
_REFUSAL_CODES: Final = frozenset({"unsupported_parameter", "unknown_parameter", "unsupported_value"})


@dataclass(frozen=True, slots=True)
class Terms:
    """``refused`` are the names of fields that one model of one account does not take."""

    refused: frozenset[str] = frozenset()
    effort: str = EFFORTS[0]
    by_turns: bool = False
    """See ``openai_turns``."""

    def room(self, tokens: int) -> int:
        """The limit of an answer of so many: what a model reasons counts as written, too."""
        return tokens if self.effort == EFFORTS[0] else tokens + REASONING

    def keep(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Those of ``fields`` that are taken and have a value."""
        return {
            name: value
            for name, value in fields.items()
            if name not in self.refused and value not in (None, "")
        }

    def after(
        self, *, message: str, code: str | None, param: str | None, optional: frozenset[str]
    ) -> "Terms | None":
        """What to try next, of a 400 and what it said; None when it was about something else.

        ``optional`` are the fields of the request that can be done without. Each answer has fewer of them
        or more effort, so asking again comes to an end.
        """
        if of_the_template(message):
            return None if self.by_turns else replace(self, by_turns=True)
        if code not in _REFUSAL_CODES and not _REFUSES.search(message):
            return None
        named = frozenset(name for name in optional if _names(name, message, param))
        if any("effort" in name or name == "reasoning" for name in named) and (more := self._more(message)):
            return replace(self, effort=more)
        if not named and param is None:
            named = optional  # it does not say which
        return replace(self, refused=self.refused | named) if named else None

    def _more(self, message: str) -> str | None:
        """The next effort that the server says it knows."""
        known = message.lower().partition("supported values")[2]
        higher = EFFORTS[EFFORTS.index(self.effort) + 1 :]
        return next((effort for effort in higher if f"'{effort}'" in known), None)


def of_the_template(message: str) -> bool:
    """Whether it is the order of the messages that is refused. Some servers call that a failure of theirs."""
    return _TEMPLATE.search(message) is not None


def _names(name: str, message: str, param: str | None) -> bool:
    """Whether a refusal is about the field ``name``. A common word counts in quotes only."""
    if param:
        return re.split(r"[.\[]", param)[0] == name
    quoted = rf"[\"'`]{name}[\"'`.]"
    return re.search(rf"\b{name}\b" if "_" in name else quoted, message) is not None


@dataclass(slots=True)
class Memory:
    """The terms on which one model of one account last answered, for all that ask it."""

    terms: Terms = Terms()
