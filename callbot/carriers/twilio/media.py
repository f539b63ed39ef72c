"""The media stream of one call: authenticated by its first messages, then handed to the call.

Whatever socket carries it calls ``received`` for each text frame and ``closed`` at the end, and lends
two methods (``Socket``): that is all the two know of each other. Nothing is spent before both are
right: the signature of the upgrade (``socket.py``), and the one-time token of the webhook's TwiML, which
arrives in ``start``. PROTOCOLS: Twilio Docs, Media Streams, "WebSocket messages".
"""

import asyncio
from collections import Counter
from typing import Final, Protocol

import structlog

from callbot.call import EndedBy
from callbot.carriers.twilio.tokens import Claims
from callbot.errors import BadMessage
from callbot.logs import call_context
from callbot.media_stream.messages import Connected, Dtmf, Mark, Media, Message, Start, Stop, decode
from callbot.services import Services
from callbot.session import Session

START_WITHIN: Final = 5.0
SILENT_FOR: Final = 15.0
"""A carrier sends a frame every 20 ms; so long without one and the socket is dead."""
LOOKS: Final = 5
"""We look so often in that time, which costs a frame less than to remember when it came."""
MOST_BAD_MESSAGES: Final = 50

POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
NORMAL: Final = 1000

_OF_A_STREAM: Final = (Media, Mark, Dtmf)

log = structlog.get_logger()


class Socket(Protocol):
    """What carries the stream."""

    def send(self, message: bytes) -> None:
        """Send a text frame, in order; never waits. Does nothing once the socket is gone."""

    def attend(self, closely: bool) -> None:
        """Whether frames are wanted one by one (``session.Line``)."""

    def close(self, code: int) -> None:
        """Close once everything is sent; then, or when that fails, the stream is told ``closed``."""


class MediaStream:
    """One socket's stream. It is the ``Line`` of its call. On the event loop's thread."""

    def __init__(self, services: Services, socket: Socket) -> None:
        self.stream_sid = ""
        self.bad: Counter[str] = Counter()
        self._services = services
        self._socket = socket
        self._session: Session | None = None
        self._lost = False
        """It broke off without saying that the call is over."""
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._alive = False
        """Something has come since the last look."""
        self._missed = 0
        self._watch = self._loop.call_later(START_WITHIN, self._no_start)

    # --- what the socket tells -------------------------------------------------------------------

    def received(self, frame: str | bytes | memoryview | None, *, more: bool = False) -> None:
        """One text frame, or ``None`` for a binary one; ``more`` were read with it. Never waits."""
        if self._over:
            return
        self._alive = True
        try:
            message = decode(frame)
        except BadMessage as error:
            self._skip(error)
            return
        session = self._session
        if session is None:
            self._before_start(message)
        elif isinstance(message, _OF_A_STREAM):
            if message.stream_sid == self.stream_sid:
                session.received(message, more=more)
            else:
                self._refuse("another stream's message")
        elif isinstance(message, Stop):
            self._end(EndedBy.CALLER)
        elif isinstance(message, Start):
            self._refuse("a second start")

    def closed(self) -> None:
        """The socket is gone, whoever closed it."""
        if self._session is None and not self._over:
            log.info("a media stream went away before it started")
        if not self._over:
            self._lost = True  # without a stop the caller may still be there: the carrier asks /resume
        self._end(EndedBy.CALLER)

    def stuck(self) -> None:
        """The peer has stopped reading what we send."""
        log.warning("the carrier stopped reading")
        self._end(EndedBy.CALLER)

    # --- what the session tells ------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        if not self._over:
            self._socket.send(message)

    def attend(self, closely: bool) -> None:
        self._socket.attend(closely)

    def hang_up(self) -> None:
        """The conversation is over; the socket is closed when its record is (``_serve``)."""
        self._over = True

    # --- from the opening to the call ------------------------------------------------------------

    def _before_start(self, message: Message) -> None:
        match message:
            case Connected():
                return
            case Start():
                self._start(message)
            case _:
                self._refuse(f"{type(message).__name__.lower()} before start")

    def _start(self, start: Start) -> None:
        if (start.encoding, start.sample_rate, start.channels) != ("audio/x-mulaw", 8000, 1):
            return self._refuse(f"cannot hear {start.encoding} at {start.sample_rate} Hz")
        token = start.parameters.get("token", "")
        claims = self._services.tokens.redeem(token, start.call_sid, self._loop.time())
        if claims is None:
            return self._refuse("token")
        self.stream_sid = start.stream_sid
        self._watch.cancel()
        self._watch = self._loop.call_later(SILENT_FOR / LOOKS, self._look)
        reception = self._services.reception
        with call_context(claims.call.sid):
            self._session = reception.take(claims.call, self, stream=claims.stream)
            return reception.attend(self._serve(self._session, claims))

    async def _serve(self, session: Session, claims: Claims) -> None:
        """The call's task: the edge at which whatever breaks in a call is told, and ends that call alone."""
        code = NORMAL
        try:
            await session.run()
        except Exception:  # the others go on
            log.exception("a call broke")
            code = INTERNAL_ERROR
        finally:
            self._over = True
            self._watch.cancel()
            if not self._lost:
                self._services.seats.ended(claims.call.sid)
            self._services.seats.leave(claims.call.sid, claims.stream)
            self._socket.close(code)
            await self._services.reception.end(session)
            self._session = None  # the two would keep each other in memory
        if self.bad:
            log.warning("bad messages were skipped", counts=dict(self.bad))

    # --- its end ---------------------------------------------------------------------------------

    def _skip(self, error: BadMessage) -> None:
        self.bad[error.kind] += 1
        self._services.counts.bad_messages[error.kind] += 1
        if self.bad.total() > MOST_BAD_MESSAGES:
            self._refuse("too many bad messages")

    def _no_start(self) -> None:
        self._refuse("no start in time")

    def _look(self) -> None:
        """Is the carrier still there?"""
        self._missed = 0 if self._alive else self._missed + 1
        self._alive = False
        if self._missed < LOOKS - 1:
            self._watch = self._loop.call_later(SILENT_FOR / LOOKS, self._look)
            return
        log.warning("the carrier fell silent")
        self._lost = True
        self._end(EndedBy.SYSTEM)

    def _refuse(self, reason: str) -> None:
        log.warning("a media stream was refused", reason=reason)
        self._socket.close(POLICY_VIOLATION)
        self._end(EndedBy.SYSTEM)

    def _end(self, by: EndedBy) -> None:
        self._over = True
        self._watch.cancel()
        if self._session is not None:
            self._session.hung_up(by)
