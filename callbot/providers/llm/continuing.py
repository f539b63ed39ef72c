"""An answer that goes on in other words than it began: what a second model adds to the first one's."""

import re
from typing import Final

_NO_LETTER: Final = re.compile(r"\W+")
_WORD: Final = re.compile(r"\S+\s+")
_UP_TO_SPACE: Final = re.compile(r".*\s", re.DOTALL)


class WholeWords:
    """Passes on text up to its last white space: a word whose end has not come may be half a word."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> str:
        self._rest += text
        whole = _UP_TO_SPACE.match(self._rest)
        end = whole.end() if whole else 0
        due, self._rest = self._rest[:end], self._rest[end:]
        return due

    def finish(self) -> str:
        rest, self._rest = self._rest, ""
        return rest


class Continuation:
    """Takes from a continuation the words that it repeats of what was ``said``, in case that the model did
    not do as it was told.

    It may repeat all, or the last few words: two at least, for one may well be meant twice. While what came
    is like something that was said, it is held back.
    """

    def __init__(self, said: str) -> None:
        self._said = [_plain(word) for word in said.split()]
        self._held = ""
        self._decided = not self._said

    def feed(self, text: str) -> str:
        """Whole words, and what of them may be passed on."""
        if self._decided:
            return text
        self._held += text
        words = [_plain(word) for word in self._held.split()]
        if any(self._said[at : at + len(words)] == words for at in range(len(self._said))):
            return ""
        return self.finish()

    def finish(self) -> str:
        """What is held back, less what is repeated."""
        if not self._held:
            return ""
        self._decided = True
        held, self._held = self._held, ""
        words = [_plain(word) for word in held.split()]
        for at in range(len(self._said)):
            repeated = self._said[at:]
            if len(repeated) >= min(2, len(self._said)) and words[: len(repeated)] == repeated:
                return _after(held, len(repeated))
        return held


def _plain(word: str) -> str:
    return _NO_LETTER.sub("", word).casefold() or word


def _after(text: str, words: int) -> str:
    for _ in range(words):
        found = _WORD.search(text)
        if found is None:
            return ""
        text = text[found.end() :]
    return text
