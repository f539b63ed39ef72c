"""What an utterance may be about, best first."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Topic(StrEnum):
    INTENT = "intent"
    COMMAND = "command"
    DOCUMENT = "document"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Candidate:
    """``score`` compares candidates of one ranking; ``literal`` says that the utterance consists of one
    of the phrases written for it and nothing else; ``phrase`` that it contains one."""

    topic: Topic
    name: str
    score: float
    phrase: bool = False
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """Never empty: the last resort is ``NOTHING``. ``fits`` says that the best is worth acting on,
    ``clear`` that it stands well above the second."""

    candidates: tuple[Candidate, ...]
    fits: bool
    clear: bool

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @property
    def second(self) -> Candidate | None:
        return self.candidates[1] if len(self.candidates) > 1 else None

    def rather_answered(self) -> "Ranking":
        """When a wish and a passage fit nearly alike, the passage first: a question asked in passing is
        answered rather than made a task."""
        first, second = self.best, self.second
        if self.clear or second is None or (first.topic, second.topic) != (Topic.INTENT, Topic.DOCUMENT):
            return self
        return replace(self, candidates=(second, first, *self.candidates[2:]))


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that answers: its spoken answer, and where it stands."""

    document: str
    passage: str
    answer: tuple[str, ...]
    score: float
