"""Is that our own voice? A telephone on loudspeaker, or a bad line, brings back what we say.

An echo is our own words in our own order, some of them misheard. They are compared by the letters of what is
spoken, so that "lark field" is "Larkfield" and "8" is "eight". What the caller says after the echo is theirs.
"""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from callbot.conversation import completeness
from callbot.conversation.spoken import spoken

LAG: Final = 0.3
"""Seconds by which an echo comes later than the word: a turn that begins so soon after ours may be one."""
ENDS_WITHIN: Final = 0.6
"""So soon after we have stopped for it an echo is over."""
_RUN: Final = 3
"""Letters in a row that must be the same, from the beginning of a word of ours."""
_LONG_RUN: Final = 5
"""So many prove it from the middle of one."""
_NOISE: Final = frozenset({"you"})
"""What recognisers make of the noise after the last word."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """``least`` letters are enough when they are ours to this ``share``. ``short``: nothing follows."""

    least: int
    share: float
    short: bool = False


NONE: Final = Suspicion(8, 0.75)
"""Who repeats less than that may mean it."""
IT_STOPPED_WITH_US: Final = Suspicion(_RUN, 0.5, short=True)
KNOWN: Final = Suspicion(_RUN, 0.75)
"""The line has echoed before."""


def without_echo(text: str, said: str, suspicion: Suspicion = NONE, *, language: str = "en") -> str:
    """``text`` as recognised, without those words at its beginning that only bring back what was ``said``."""
    tokens = spoken(text, language)
    words = [_letters(token.spoken) for token in tokens]
    while words and words[-1] in _NOISE:
        words.pop()
    ours = _ours("".join(words), [_letters(token.spoken) for token in spoken(said, language)])
    if not ours:
        return text
    if suspicion.short:
        interrupts = completeness.is_interruption(text, language)
        echoed = len(ours) >= suspicion.least and sum(ours) >= suspicion.share * len(ours)
        return "" if echoed and not interrupts else text
    end = at = 0
    for number, word in enumerate(words, 1):
        before, at = at, at + len(word)
        if at < suspicion.least or sum(ours[before:at]) * 2 < len(word):
            continue
        if sum(ours[:at]) >= suspicion.share * at:
            end = number
    if end == len(words):
        return ""
    return " ".join(token.written for token in tokens[end:]) if end else text


def _ours(letters: str, said: list[str]) -> list[bool]:
    """For each letter, whether it is one of ours in our order."""
    found = [False] * len(letters)
    beginnings = {0}
    for word in said:
        beginnings.add(max(beginnings) + len(word))
    matcher = SequenceMatcher(None, "".join(said), letters, autojunk=False)
    for place, start, size in matcher.get_matching_blocks():
        if size >= (_RUN if place in beginnings else _LONG_RUN):
            found[start : start + size] = [True] * size
    return found


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
