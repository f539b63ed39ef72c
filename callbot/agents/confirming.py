"""Whether the caller has agreed to a change, by what they heard and said: no model is asked."""

from collections.abc import Sequence
from datetime import date

from callbot.agents import slots as parsing
from callbot.agents.brain import Answer, History
from callbot.agents.slots import Kind
from callbot.agents.wording import words


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


def question_heard(said: Sequence[str], history: History, agent: str) -> bool:
    """Whether the caller heard the question in the last reply, ``said``.

    Of a reply that was interrupted, half of its question's words must have been heard: that is when
    callers begin to answer.
    """
    asked = [at for at, sentence in enumerate(said) if sentence.rstrip().endswith("?")]
    if not asked:
        return False
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
        return heard[-len(meant) :] == meant
    before = len(words(" ".join(said[: asked[-1]])))
    enough = before + len(words(said[asked[-1]])) / 2
    return heard == meant[: len(heard)] and len(heard) >= enough
