"""What was said to the carrier about each call, so that asking twice gets one answer.

A webhook is repeated when the carrier retries it, and by whoever recorded one: its signature has no
time in it. A call is therefore let in once, and resumed once, however often that is asked.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

CAPACITY = 10_000


@dataclass(slots=True)
class _Known:
    answers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    resumed: bool = False


class Lifecycle:
    """The calls of this process, the last ``capacity`` of them."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._calls: OrderedDict[str, _Known] = OrderedDict()

    def answer(self, call_sid: str, request: str) -> str | None:
        """What was answered to this request of this call, if it was."""
        known = self._calls.get(call_sid)
        return None if known is None else known.answers.get(request)

    def answered(self, call_sid: str, request: str, twiml: str) -> None:
        answers = self._known(call_sid).answers
        if len(answers) < 16:  # a call asks a handful of times; whoever asks more is not answered from here
            answers[request] = twiml

    def ended(self, call_sid: str) -> None:
        """The conversation is over and the line may be cut: said by whoever closes the media socket."""
        self._known(call_sid).ended = True

    def has_ended(self, call_sid: str) -> bool:
        known = self._calls.get(call_sid)
        return known is not None and known.ended

    def resume(self, call_sid: str) -> bool:
        """Whether this call, whose stream was lost, gets another: once."""
        known = self._known(call_sid)
        first, known.resumed = not known.resumed, True
        return first

    def _known(self, call_sid: str) -> _Known:
        if call_sid not in self._calls:
            while len(self._calls) >= self._capacity:
                self._calls.popitem(last=False)
            self._calls[call_sid] = _Known()
        self._calls.move_to_end(call_sid)
        return self._calls[call_sid]
