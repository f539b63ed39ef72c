"""A model's text as it streams -> pieces to speak: whole sentences, and less when the caller would wait.

The first clause goes ahead if it is long, or the sentence is; and of a stream that dribbles whatever whole
words have waited ``LONGEST_WAIT``. Time is an argument.
"""

import re
from typing import Final

from callbot.agents.markup import opened_at
from callbot.agents.sentences import SentenceSplitter

LONGEST_WAIT: Final = 1.2
"""Seconds that a word waits for the end of its sentence."""
LONG: Final = 60
"""Characters from which on a sentence is long: its first clause need not wait for the rest."""
LONG_CLAUSE: Final = 30
"""Likewise a clause, some two seconds of speech: it need not wait until the sentence is long."""
SHORTEST_CLAUSE: Final = 15
"""Characters; a voice makes little of less."""

_CLAUSE = re.compile(r"[,;:–—]+[\"'”’)\]]*(?=\s)")
_SPACES = " \n\t"


class Phrasing:
    """Cuts one reply. Joined by spaces, the pieces have the words of the text, in order."""

    def __init__(self) -> None:
        self._splitter = SentenceSplitter()
        self._first = True
        self._since: float | None = None

    @property
    def due(self) -> float | None:
        """When to call ``flush`` unless something comes before."""
        return None if self._since is None else self._since + LONGEST_WAIT

    @property
    def complete(self) -> bool:
        """Whether what has come so far could be all of it."""
        return self._splitter.pending.rstrip()[-1:] in ("", ".", "?", "!", "…")

    def feed(self, text: str, now: float) -> list[str]:
        """The pieces that ``text`` completes."""
        pieces = self._splitter.feed(text)
        if not pieces and self._first and (end := self._first_clause()):
            pieces = [self._splitter.cut(end)]
        if pieces:
            self._since = None
        if self._since is None and self._whole_words():
            self._since = now
        if self.due is not None and self.due <= now:
            pieces += self.flush(now)
        self._first &= not pieces
        return pieces

    def flush(self, now: float) -> list[str]:
        """The whole words that have waited long enough; what may be code stays."""
        if self.due is None or now < self.due:
            return []
        self._since = None
        end = self._whole_words()
        piece = self._splitter.cut(end) if end else ""
        self._first &= not piece
        return [piece] if piece else []

    def finish(self) -> list[str]:
        """What remains: the text is over."""
        self._since = None
        return self._splitter.finish()

    def _whole_words(self) -> int:
        """How much of what is pending are whole words that are sure to be words."""
        pending = self._splitter.pending
        end = max(pending.rfind(space) for space in _SPACES)
        end = min(end, opened_at(pending))
        return end if end > 0 and pending[:end].strip() else 0

    def _first_clause(self) -> int:
        pending = self._splitter.pending
        shortest = SHORTEST_CLAUSE if len(pending) >= LONG else LONG_CLAUSE
        sure = opened_at(pending)
        ends = (found.end() for found in _CLAUSE.finditer(pending))
        return next((end for end in ends if shortest <= end <= sure), 0)
