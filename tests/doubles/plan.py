"""What goes wrong when: faults for a double's next requests, and what it was asked."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any, Final

FOR_EVER: Final = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one request, or with one connection. Nothing, as it stands.

    Times are in seconds. A "piece" is what the endpoint streams: an event, a chunk of audio, a message.
    """

    refuse: bool = False
    """The connection is reset before anything is answered."""
    blackhole: bool = False
    """The connection is accepted, and nothing ever comes."""
    status: int | None = None
    """Answered instead, with the vendor's own form of an error; WebSockets fail their handshake with it."""
    code: str = ""
    """The vendor's word for that error: ``insufficient_quota``, ``invalid_api_key``."""
    retry_after: float | None = None
    """Sent along with ``status``, in the vendor's headers."""
    delay: float = 0.0
    """Before the headers, or before the first message of a socket: a vendor that is slow, not broken."""
    stall_after: int | None = None
    """Headers (or the handshake) and so many pieces come, and then nothing, and the connection stays open."""
    dribble: float = 0.0
    """So long before each piece."""
    cut_after: int | None = None
    """So many pieces come, and then the connection breaks without a goodbye."""
    close_after: int | None = None
    """So many pieces come, and then a socket is closed with ``close_code``, or a body ends too early."""
    close_code: int = 1011
    empty: bool = False
    """It ends well and has given nothing."""
    silent: bool = False
    """Everything is taken and acknowledged as usual, but what was asked for never comes."""
    wrong_rate: bool = False
    """Audio comes at another rate than was asked for."""
    clipped: bool = False
    """Audio is 18 dB louder than there is room for."""
    garbage: bool = False
    """Pieces are no messages: not JSON, or a header and odd bytes where audio should be."""
    duplicate: bool = False
    """Each final comes twice."""
    late: float = 0.0
    """A final comes so much later than it could."""


NONE: Final = Fault()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, or a message on a socket, as the double got it."""

    endpoint: str
    what: Any
    headers: dict[str, str]


class Plan:
    """A double's faults by endpoint, and its memory. ``add`` before the request that is to suffer."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.open = 0
        """Connections that are open now."""
        self._next: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}

    def add(self, endpoint: str, *faults: Fault) -> None:
        """For the next requests to ``endpoint``, one each."""
        self._next[endpoint].extend(faults)

    def always(self, endpoint: str, fault: Fault) -> None:
        """For all requests that no ``add`` is for."""
        self._always[endpoint] = fault

    def fault(self, endpoint: str) -> Fault:
        """What is wrong with the request that has come now."""
        waiting = self._next[endpoint]
        return waiting.popleft() if waiting else self._always.get(endpoint, NONE)

    def note(self, endpoint: str, what: Any, headers: dict[str, str] | None = None) -> None:
        """Remember a request."""
        self.asked.append(Asked(endpoint, what, headers or {}))

    def of(self, endpoint: str) -> list[Any]:
        """What was asked of one endpoint, oldest first."""
        return [asked.what for asked in self.asked if asked.endpoint == endpoint]
