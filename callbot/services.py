"""What every request and every call of one process shares, built once when the process starts."""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
from starlette.requests import HTTPConnection

from callbot.carriers.twilio.lifecycle import Lifecycle
from callbot.carriers.twilio.signatures import Signatures
from callbot.carriers.twilio.tokens import LIFETIME, Claims, Tokens
from callbot.config import Settings
from callbot.load import Limits, Load
from callbot.metrics.exposition import Exposition
from callbot.metrics.instruments import Metrics
from callbot.reception import Reception
from callbot.routing.intake import Number
from callbot.seating import Row
from callbot.seats import Seats
from callbot.store.recorder import Recorder

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """What became of the calls that asked to come in; of this process, since it started."""

    admitted: int = 0
    resumed: int = 0
    lost: int = 0
    """Streams that broke off and were not resumed."""
    refused: Counter[str] = field(default_factory=Counter)
    """By what they were answered with: ``dial``, ``callback``, ``busy``, ``sorry``; ``closed`` when the
    process was not ready."""
    bad_messages: Counter[str] = field(default_factory=Counter)
    """What came on media streams and was no message, by its kind."""


class Ticking(Protocol):
    """A media socket, as far as it must know how the process fares."""

    def tick(self, *, busy: bool) -> None:
        """Ten times a second; ``busy`` is ``Load.busy``."""


@dataclass(slots=True, kw_only=True)
class Services:
    """``missing`` names what is not loaded yet, in words for an operator; empty means ready for calls.

    Times are the running loop's ``time()``.
    """

    settings: Settings
    recorder: Recorder
    reception: Reception
    missing: Callable[[], tuple[str, ...]]
    signatures: Signatures
    numbers: Mapping[str, Number] = field(default_factory=dict)
    """The business's numbers, by the number dialled: how each of them overflows."""
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    titles: Mapping[str, str] = field(default_factory=dict)
    """Agents' names to what callers know them as."""
    ringing: Callable[[], None] = lambda: None
    """Told of each call that is let in, before its stream begins."""
    queue: Callable[[], float] = lambda: 0.0
    """Jobs that wait for each of the models' threads."""
    limits: Limits = field(default_factory=Limits)
    exposition: Exposition = field(default_factory=lambda: Exposition(Metrics()))
    media_sockets: set[Ticking] = field(default_factory=set)
    draining: bool = False
    counts: Counts = field(default_factory=Counts)
    seats: Seats = field(init=False)
    tokens: Tokens = field(init=False)
    load: Load = field(init=False)
    _full: str | None = None

    def __post_init__(self) -> None:
        self.load = Load(replace(self.limits, calls=self.settings.max_calls))
        self.share(Seats.alone(self.settings.max_calls), secrets.token_bytes(32))

    def share(self, seats: Seats, secret: bytes) -> None:
        """Take part in what the workers of this machine share."""
        self.seats = seats
        self.tokens = Tokens(secret, seats)

    # --- who is let in -------------------------------------------------------------------------------

    def admit(self, claims: Claims, now: float) -> str | None:
        """A token for this stream of the call, whose seat is kept until it starts; None when none is free."""
        if not self.seats.reserve(claims.call.sid, claims.stream, now, LIFETIME):
            return None
        self.ringing()
        return self.tokens.issue(claims, now)

    def why_closed(self) -> tuple[str, ...]:
        """Why no call is taken here, whatever the load; empty when one may be."""
        draining = self.draining and not self.seats.others_are_open()
        why = ("draining: calls are finished here, and no more are taken",) if draining else ()
        return why + self.missing()

    def why_full(self, now: float) -> str | None:
        """Why there is no room for another call; None when there is."""
        return self.seats.why_full(now)

    def why_not_ready(self, now: float) -> tuple[str, ...]:
        """Why a call would be turned away."""
        full = self.why_full(now)
        return self.why_closed() + ((f"full: {full}",) if full else ())

    # --- how this process is -------------------------------------------------------------------------

    def drain(self) -> None:
        """Take no more calls."""
        self.draining = True
        self.seats.become(Row.DRAINING)

    def tick(self, now: float, *, lag: float, busy: float = 0.0, arriving: int = 0) -> None:
        """Ten times a second: look at the load, tell the media sockets and the other workers."""
        self.load.tick(now, lag=lag, queue=self.queue(), busy=busy)
        for socket in self.media_sockets:
            socket.tick(busy=self.load.busy)
        full = self.load.full(self.seats.live_calls())
        if full and not self._full:
            log.warning("this worker is full", reason=full)
        elif self._full and not full:
            log.info("this worker takes calls again")
        self._full = full
        self.seats.report(now, arriving=arriving, full=full)


ServicesFactory = Callable[[Settings], AbstractAsyncContextManager[Services]]


def services_of(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services
