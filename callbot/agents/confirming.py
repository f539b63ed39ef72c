"""Whether the caller has agreed to a change, by what they heard and said: no model is asked."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from callbot.agents import slots as parsing
from callbot.agents.brain import Answer, History
from callbot.agents.memory import Proposal
from callbot.agents.slots import Kind
from callbot.agents.wording import contains, words

_KINDS: Final = (
    Kind.ORDER_ID,
    Kind.PHONE,
    Kind.EMAIL,
    Kind.DATE,
    Kind.TIME,
    Kind.DATETIME,
    Kind.NUMBER,
    Kind.AMOUNT,
)


def agrees(answer: Answer, *, language: str, today: date) -> bool:
    """Whether the answer is a yes that takes nothing back: "Yes, but on Tuesday" is none."""
    parsed = parsing.parse(Kind.YES_NO, answer.text, language=language, today=today, digits=answer.digits)
    if parsed is None or parsed.value is not True:
        return False
    if answer.digits:
        return True
    agreed = parsing.agreement(answer.text, language)
    rest = words(agreed.rest) if agreed else ()
    return not (parsing.is_correction(answer.text, language) or rest[:1] in (("but",), ("pero",)))


def question_heard(said: Sequence[str], history: History, agent: str) -> str:
    """What the caller heard of the last reply, ``said``, when a question was in it; else nothing.

    Of a reply that was interrupted, half of its question's words must have been heard: that is when
    callers begin to answer.
    """
    asked = [at for at, sentence in enumerate(said) if sentence.rstrip().endswith("?")]
    if not asked:
        return ""
    meant = words(" ".join(said))
    last = len(history.lines)
    lines: list[str] = []
    for at in range(last - 1, -1, -1):
        who, text = history.lines[at]
        if who == agent:
            lines.insert(0, text)
            last = min(last, at)
        elif lines:
            break
    heard = words(" ".join(lines))
    if not history.cut.intersection(range(last, last + len(lines))):
        return " ".join(said) if heard[-len(meant) :] == meant else ""
    before = len(words(" ".join(said[: asked[-1]])))
    enough = before + len(words(said[asked[-1]])) / 2
    return lines[-1] if heard == meant[: len(heard)] and len(heard) >= enough else ""


def confirmed(
    proposal: Proposal,
    proposed: Sequence[Proposal],
    heard: str,
    *,
    language: str,
    today: date,
) -> bool:
    """Whether a yes to the question ``heard`` is one to this change: it was what the question was about, or
    all its values were named in the question."""
    if not heard:
        return False
    if proposal in proposed:
        return True
    arguments: Mapping[str, Any] = json.loads(proposal.arguments)
    values = [value for value in arguments.values() if value not in ("", None)]
    return bool(values) and all(_named(value, heard, language=language, today=today) for value in values)


def _named(value: Any, heard: str, *, language: str, today: date) -> bool:
    """Whether ``value`` was said, as it is written or as a voice says it."""
    text = str(value)
    if isinstance(value, str) and words(text) and contains(words(heard), words(text)):
        return True
    for kind in _KINDS:
        parsed = parsing.parse(kind, heard, language=language, today=today)
        if parsed is not None and not parsed.partial and str(parsing.to_json(parsed.value)) == text:
            return True
    return False
