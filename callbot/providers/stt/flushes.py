"""Which flush is answered, by a vendor that says how far it has heard, and may not answer.

Positions are seconds of all the audio that was sent.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Utterance = TypeVar("Utterance")


@dataclass(frozen=True, slots=True)
class _Flush(Generic[Utterance]):
    number: int
    utterance: Utterance
    begins: float
    at: float


class Flushes(Generic[Utterance]):
    """Those that wait for their answer. ``covered`` and ``overdue`` return whose are answered now."""

    def __init__(self) -> None:
        self._waiting: deque[_Flush[Utterance]] = deque()
        self._count = 0
        self._overdue = 0

    def add(self, utterance: Utterance, at: float, *, begins: float) -> None:
        """A flush ``at``, of an utterance that began at ``begins``."""
        self._count += 1
        self._waiting.append(_Flush(self._count, utterance, begins, at))

    def covered(self, to: float, *, slack: float = 0.0) -> list[Utterance]:
        """The vendor has heard everything up to there, for good. Of an utterance that it has heard some of,
        it may lack ``slack``."""
        return self._answered(
            sum(flush.at <= to or (flush.begins < to and flush.at <= to + slack) for flush in self._waiting)
        )

    def overdue(self) -> list[Utterance]:
        """The next of all that were ever added has waited long enough, if it still does."""
        self._overdue += 1
        return self._answered(sum(flush.number <= self._overdue for flush in self._waiting))

    def _answered(self, count: int) -> list[Utterance]:
        """The positions rise, so it is always the oldest that are answered; each utterance is told once."""
        return list(dict.fromkeys(self._waiting.popleft().utterance for _ in range(count)))
