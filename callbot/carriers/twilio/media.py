"""The media socket: authenticate, then run the call.

Nothing is spent before both are right: the signature of the upgrade, and the one-time token of the
webhook's TwiML, which arrives in ``start``. PROTOCOLS: Twilio Docs, Media Streams, "WebSocket messages".
"""

import asyncio
import contextlib
from collections import Counter
from typing import Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from callbot.call import EndedBy
from callbot.carriers.twilio.tokens import Claims
from callbot.errors import BadMessage
from callbot.logs import call_context
from callbot.media_stream.messages import Connected, Dtmf, Mark, Media, Message, Start, Stop, decode
from callbot.services import Services, services_of
from callbot.session import Session

START_WITHIN: Final = 5.0
SILENT_FOR: Final = 15.0
"""A carrier sends a frame every 20 ms; so long without one and the socket is dead."""
SEND_WITHIN: Final = 5.0
MOST_BAD_MESSAGES: Final = 50
MOST_QUEUED: Final = 5_000

POLICY_VIOLATION: Final = 1008
NORMAL: Final = 1000

log = structlog.get_logger()


class Refused(Exception):
    """This stream is not served; its socket is closed with 1008."""


class _Outbox:
    """The line of one call: what we send, in order, by one task with a time limit."""

    def __init__(self, websocket: WebSocket, stream_sid: str) -> None:
        self.stream_sid = stream_sid
        self._websocket = websocket
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(MOST_QUEUED)
        self._closing = False

    def send(self, message: str) -> None:
        if not self._closing:
            self._queue.put_nowait(message)

    def hang_up(self) -> None:
        if not self._closing:
            self._closing = True
            self._queue.put_nowait(None)

    async def drain(self) -> None:
        """Send until hung up. Raises ``TimeoutError`` when the peer has stopped reading."""
        while (message := await self._queue.get()) is not None:
            async with asyncio.timeout(SEND_WITHIN):
                await self._websocket.send_text(message)


async def media_endpoint(websocket: WebSocket) -> None:
    """``WS /twilio/media``."""
    services = services_of(websocket)
    if not services.signatures.upgrade(websocket.headers, websocket.scope["raw_path"].decode("latin-1")):
        log.warning("a media stream was refused", reason="signature")
        await websocket.close(POLICY_VIOLATION)  # before accept: the handshake is answered with 403
        return
    await websocket.accept()
    stream = _Stream(websocket)
    try:
        async with asyncio.timeout(START_WITHIN):
            start = await stream.start()
        claims = services.tokens.redeem(
            start.parameters.get("token", ""), start.call_sid, asyncio.get_running_loop().time()
        )
        if claims is None:
            raise Refused("token")
        await _serve(services, stream, start, claims)
    except (Refused, TimeoutError) as error:
        log.warning("a media stream was refused", reason=str(error) or "no start in time")
        await stream.close(POLICY_VIOLATION)
    except WebSocketDisconnect:
        log.info("a media stream went away before it started")


async def _serve(services: Services, stream: "_Stream", start: Start, claims: Claims) -> None:
    outbox = _Outbox(stream.websocket, start.stream_sid)
    with call_context(claims.call.sid):
        async with services.reception.call(claims.call, outbox) as session, asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(_receive(stream, start, session), name="receive")
            sending = tasks.create_task(_send(outbox, session), name="send")
            await session.run()
            if not stream.lost:
                services.lifecycle.ended(claims.call.sid)
            outbox.hang_up()
            receiving.cancel()
            await asyncio.wait([sending], timeout=SEND_WITHIN)
            sending.cancel()
        if stream.bad:
            log.warning("bad messages were skipped", counts=dict(stream.bad))
        await stream.close(NORMAL)


async def _send(outbox: _Outbox, session: Session) -> None:
    try:
        await outbox.drain()
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        # the peer stopped reading, or is gone: Starlette tells the latter in two ways
        session.hung_up(EndedBy.CALLER)


async def _receive(stream: "_Stream", start: Start, session: Session) -> None:
    """Hand over messages until the stream ends, for whatever reason."""
    by = EndedBy.CALLER
    try:
        while True:
            async with asyncio.timeout(SILENT_FOR):
                message = await stream.next()
            match message:
                case Media() | Dtmf() | Mark():
                    if message.stream_sid != start.stream_sid:
                        raise Refused("another stream's message")
                    session.received(message)
                case Stop():
                    break
                case Start():
                    raise Refused("a second start")
                case Connected():
                    pass
    except WebSocketDisconnect:
        stream.lost = True  # without a stop: the caller may still be there, and the carrier asks /resume
    except TimeoutError:
        log.warning("the carrier fell silent")
        stream.lost = True
        by = EndedBy.SYSTEM
    except Refused as error:
        log.warning("a media stream was closed", reason=str(error))
        await stream.close(POLICY_VIOLATION)
        by = EndedBy.SYSTEM
    session.hung_up(by)


class _Stream:
    """Messages from a socket; what is not one is counted and skipped, up to a limit."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.bad: Counter[str] = Counter()
        self.lost = False
        """It broke off without saying that the call is over."""

    async def start(self) -> Start:
        """The ``start`` that must come first. Raises ``Refused`` when something else does."""
        while True:
            match await self.next():
                case Connected():
                    continue
                case Start() as start:
                    _check_format(start)
                    return start
                case other:
                    raise Refused(f"{type(other).__name__.lower()} before start")

    async def next(self) -> Message:
        """The next message. Raises ``WebSocketDisconnect``, or ``Refused`` after too many bad ones."""
        while True:
            frame = await self.websocket.receive()
            if frame["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(frame.get("code", 1006))
            try:
                return decode(frame.get("text"))
            except BadMessage as error:
                self.bad[error.kind] += 1
                if self.bad.total() > MOST_BAD_MESSAGES:
                    raise Refused("too many bad messages") from None

    async def close(self, code: int) -> None:
        if self.websocket.application_state is WebSocketState.CONNECTED and (
            self.websocket.client_state is WebSocketState.CONNECTED
        ):
            with contextlib.suppress(WebSocketDisconnect):  # the peer was faster
                await self.websocket.close(code)


def _check_format(start: Start) -> None:
    if (start.encoding, start.sample_rate, start.channels) != ("audio/x-mulaw", 8000, 1):
        raise Refused(f"cannot hear {start.encoding} at {start.sample_rate} Hz")
