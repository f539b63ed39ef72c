"""Where one call stands in a flow: a plain value, to be stored, compared and taken up elsewhere."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Held:
    """A slot's value as JSON, how it is said aloud, and where it came from (as in ``SlotValue``)."""

    value: Any
    spoken: str
    said_by: str = "caller"
    confirmed: bool = False
    turn: int = 0


@dataclass(slots=True)
class Wait:
    """What the next answer is an answer to.

    ``kind`` is ``listen``, ``ask`` (a slot's value), ``offer`` (take this value? have one?), ``check``
    (is it right?), ``change`` (what should change?), ``try`` (did it work?), ``human`` (shall a
    colleague call?), ``which`` (this intent or that?), ``suggest`` (did you mean ``offered``?) or ``tool``
    (a tool has not returned yet).
    ``misses`` counts answers that were none; ``partial`` holds half an answer; ``names`` holds the
    slots to read back again, the intents to choose from, or the check to go back to. ``task`` is the
    intent a paused question belongs to.
    """

    kind: str
    node: str
    slot: str = ""
    misses: int = 0
    partial: str = ""
    names: tuple[str, ...] = ()
    task: str = ""
    offered: str = ""


@dataclass(slots=True)
class State:
    """All that the walker knows of the call. ``question`` is the open question as it was said;
    ``said`` the whole last reply; ``paused`` the questions to come back to; ``task`` the intent being
    served and ``task_number`` how many were begun; ``last_check`` the node whose answer may still be
    corrected; ``heard`` the words that began the task; ``cause`` the words last acted upon; ``refused``
    the suggested values that the caller said no to."""

    wait: Wait
    slots: dict[str, Held] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    declined: list[str] = field(default_factory=list)
    hinted: list[str] = field(default_factory=list)
    tried: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    question: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    paused: list[Wait] = field(default_factory=list)
    task: str = ""
    task_number: int = 0
    last_check: str = ""
    heard: str = ""
    cause: str = ""
    refused: list[str] = field(default_factory=list)
    misses: int = 0
    turn: int = 0
    finished: bool = False
    reason: str = ""

    def copy(self) -> "State":
        return deepcopy(self)

    def to_json(self) -> dict[str, Any]:
        """JSON's own types only."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "State":
        """The inverse of ``to_json``, also after a round through JSON text."""
        values = dict(data)
        values["wait"] = _wait(values["wait"])
        values["paused"] = [_wait(item) for item in values["paused"]]
        values["slots"] = {name: Held(**held) for name, held in values["slots"].items()}
        return cls(**values)


def _wait(data: Mapping[str, Any]) -> Wait:
    return Wait(**{**data, "names": tuple(data["names"])})
