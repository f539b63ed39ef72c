"""What was answered to the carrier about each call, so that asking twice gets one answer.

A webhook is repeated when the carrier retries it, and by whoever recorded one: its signature has no
time in it. The answers are this process's own; a retry that reaches another worker gets one as good, for
the same seat (``seats.py``), and only one of them can be used.
"""

from collections import OrderedDict

CAPACITY = 2_000
"""Calls; the carrier asks again within seconds, and each that is remembered takes a kilobyte."""
MOST_ANSWERS = 16


class Lifecycle:
    """The calls of this process, the last ``capacity`` of them."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._calls: OrderedDict[str, dict[str, str]] = OrderedDict()

    def answer(self, call_sid: str, request: str) -> str | None:
        """What was answered to this request of this call, if it was."""
        return self._calls.get(call_sid, {}).get(request)

    def answered(self, call_sid: str, request: str, twiml: str) -> None:
        if call_sid not in self._calls:
            while len(self._calls) >= self._capacity:
                self._calls.popitem(last=False)
            self._calls[call_sid] = {}
        self._calls.move_to_end(call_sid)
        answers = self._calls[call_sid]
        if len(answers) < MOST_ANSWERS:  # a call asks a handful of times; who asks more is not answered here
            answers[request] = twiml
