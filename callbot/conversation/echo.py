"""Is that our own voice? A telephone on loudspeaker, or a bad line, brings back what we say.

An echo is our own words in our own order, some of them misheard. They are compared by their letters, so that
"lark field" is "Larkfield", and a letter here or there does not matter. What the caller says after the echo
is theirs.
"""

from difflib import SequenceMatcher
from typing import Final

LAG: Final = 0.3
"""Seconds by which an echo comes later than the word: a turn that begins so soon after ours may be one."""
_RUN: Final = 3
"""Letters in a row that must be the same."""
_SHARE: Final = 0.75
"""Of the letters of an echo, as many are ours."""
_LEAST: Final = 8
"""Letters. Who repeats less than that may mean it, unless the line is known to echo."""


def without_echo(text: str, said: str, *, known: bool = False) -> str:
    """``text`` as recognised, without those words at its beginning that only bring back what was ``said``.

    ``known``: this line has echoed before, and a word or two are enough.
    """
    words = text.split()
    spelled = [_letters(word) for word in words]
    ours = _ours("".join(spelled), _letters(said))
    end = at = 0
    for number, word in enumerate(spelled, 1):
        before, at = at, at + len(word)
        enough = at >= (_RUN if known else _LEAST)
        if enough and sum(ours[before:at]) * 2 >= len(word) and sum(ours[:at]) >= _SHARE * at:
            end = number
    return " ".join(words[end:])


def _ours(letters: str, said: str) -> list[bool]:
    """For each letter, whether it is one of ours in our order."""
    found = [False] * len(letters)
    matcher = SequenceMatcher(None, said, letters, autojunk=False)
    for _, start, size in matcher.get_matching_blocks():
        if size >= _RUN:
            found[start : start + size] = [True] * size
    return found


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
