"""The media socket: picows speaks WebSocket for ``/twilio/media``, uvicorn for everything else.

A call sends fifty frames a second. On picows, which is compiled, one costs about a quarter of what it
costs on Starlette (``docs/performance.md``). Both share the port and the process: uvicorn reads the
request, and when it is an upgrade asks ``Upgrade`` for a protocol; that one looks at the path, and hands
the connection on.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import structlog
from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from starlette.applications import Starlette
from starlette.datastructures import Headers
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from callbot.carriers.twilio.media import MediaStream
from callbot.carriers.twilio.webhooks import MEDIA_PATH
from callbot.media_stream.messages import LARGEST_MESSAGE
from callbot.services import Services

SEND_WITHIN: Final = 5.0
"""Seconds for a peer that has stopped reading to go on, and for a closing handshake."""
READ_BUFFER: Final = 4096
"""Bytes a socket reads into; ten frames. It grows to the largest message when it must."""

ONE: Final = 1
FEW: Final = 1000
"""Bytes. A frame is 390, so from here on three of them have come."""

_TEXT: Final = WSMsgType.TEXT

PROTOCOL_ERROR: Final = 1002
MESSAGE_TOO_BIG: Final = 1009
SERVICE_RESTART: Final = 1012

log = structlog.get_logger()
_picows_log: Final = logging.getLogger("callbot.media_socket")
_picows_log.setLevel(logging.CRITICAL)  # it tells of every connection, and of what a peer did wrong


class MediaSocket(WSListener):
    """A connection at ``/twilio/media``. Fragments are put together, up to the largest message."""

    def __init__(self, services: Services, open_sockets: set[Any]) -> None:
        super().__init__()
        self._services = services
        self._open_sockets = open_sockets
        self._fragments: bytearray | None = None
        self._fragments_type = WSMsgType.TEXT
        self._give_up: asyncio.TimerHandle | None = None
        self._closing = False
        self._came = False
        """Something has come since the last tick."""
        self._in_time = True
        """Whatever comes is to be read as it comes: the process has the time for it, or may wait in vain."""
        self._closely = True
        self._low_water = ONE

    # --- picows calls ----------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._open_sockets.add(self)
        self._services.media_sockets.add(self)
        self._stream = MediaStream(self._services, self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._came = True
        kind = frame.msg_type
        if kind is _TEXT and frame.fin:
            self._stream.received(frame.get_payload_as_memoryview(), more=not frame.last_in_buffer)
        elif kind is WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif kind is WSMsgType.BINARY and frame.fin:
            self._stream.received(None)
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._fragment(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._closing = True
        self._open_sockets.discard(self)
        self._services.media_sockets.discard(self)
        if self._give_up is not None:
            self._give_up.cancel()
        self._stream.closed()
        del self._stream  # the two would keep each other in memory

    def pause_writing(self) -> None:
        if not self._closing:
            self._give_up = self._loop.call_later(SEND_WITHIN, self._stuck)

    def resume_writing(self) -> None:
        if self._give_up is not None and not self._closing:
            self._give_up.cancel()

    # --- the stream calls ------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        self._transport.send(_TEXT, message)

    def attend(self, closely: bool) -> None:
        self._closely = closely
        self._set_low_water()

    def close(self, code: int) -> None:
        if self._closing:
            return
        self._in_time = True  # the peer's answer is short
        self._set_low_water()
        self._closing = True
        if self._give_up is not None:
            self._give_up.cancel()
        self._transport.send_close(code)  # type: ignore[arg-type]  # any code, not only theirs
        # the peer answers and the connection ends; if it does not, it ends all the same
        self._give_up = self._loop.call_later(SEND_WITHIN, self._abort)

    # --- the services call -----------------------------------------------------------------------

    def tick(self, *, busy: bool) -> None:
        """A busy process is woken for a few frames at a time, as long as they keep coming: what has not
        come by the next tick may be the end, and is read at once."""
        self._in_time, self._came = not (busy and self._came), False
        self._set_low_water()

    def _set_low_water(self) -> None:
        """How much must have come before the kernel wakes us."""
        wanted = ONE if self._in_time or self._closely else FEW
        if wanted != self._low_water and not self._closing:
            self._low_water = wanted
            wire: socket.socket = self._transport.underlying_transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # not everywhere; then each frame is read as it comes
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)

    # --- uvicorn calls ---------------------------------------------------------------------------

    def shutdown(self) -> None:
        """The server leaves."""
        self.close(SERVICE_RESTART)

    # ---------------------------------------------------------------------------------------------

    def _fragment(self, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.CONTINUATION:
            self._fragments, self._fragments_type = bytearray(), frame.msg_type
        if self._fragments is None:
            return self.close(PROTOCOL_ERROR)
        if len(self._fragments) + frame.payload_size > LARGEST_MESSAGE:
            return self.close(MESSAGE_TOO_BIG)
        self._fragments += frame.get_payload_as_memoryview()
        if frame.fin:
            whole, self._fragments = bytes(self._fragments), None
            self._stream.received(whole if self._fragments_type is WSMsgType.TEXT else None)
        return None

    def _stuck(self) -> None:
        self._closing = True
        self._stream.stuck()
        self._abort()

    def _abort(self) -> None:
        self._transport.disconnect(graceful=False)


class Upgrade:
    """What uvicorn takes for its WebSocket protocol, as ``ws=upgrades(app)``."""

    def __init__(
        self, app: Starlette, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._app = app
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The request, whole. uvicorn makes this object the transport's protocol when we return; before
        anything more is read, the one that it is for takes its place."""
        path = data.split(b" ", 2)[1].partition(b"?")[0]
        protocol = self._picows() if path == MEDIA_PATH.encode() else self._sansio()
        protocol.connection_made(self._transport)
        if isinstance(protocol, asyncio.BufferedProtocol):
            rest = memoryview(data)
            while rest:
                buffer = memoryview(protocol.get_buffer(len(rest)))
                size = min(len(rest), len(buffer))
                buffer[:size] = rest[:size]
                protocol.buffer_updated(size)
                rest = rest[size:]
        else:
            protocol.data_received(data)
        self._loop.call_soon(self._transport.set_protocol, protocol)

    def _sansio(self) -> asyncio.Protocol:
        return WebSocketsSansIOProtocol(
            config=self._config, server_state=self._server_state, app_state=self._app_state
        )

    def _picows(self) -> asyncio.BufferedProtocol:
        protocol: asyncio.BufferedProtocol = WSProtocol(
            None,
            None,
            False,  # the server's side
            self._listener,
            _picows_log,
            True,  # an exception of ours closes the socket
            SEND_WITHIN,
            False,  # no pings: a stream that is alive sends fifty frames a second
            SEND_WITHIN,
            SEND_WITHIN,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            True,  # pings are answered
            LARGEST_MESSAGE,
            None,
            READ_BUFFER,
        )
        return protocol

    def _listener(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        services: Services = self._app.state.services
        headers = Headers(
            raw=[
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.items()
            ]
        )
        if not services.signatures.upgrade(headers, request.path.decode("latin-1")):
            log.warning("a media stream was refused", reason="signature")
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(403), None)
        return MediaSocket(services, self._server_state.connections)


def upgrades(app: Starlette) -> Callable[..., Upgrade]:
    """For ``uvicorn.Config(ws=...)``; ``app.state.services`` is read when a socket opens."""

    def upgrade(config: Config, server_state: ServerState, app_state: dict[str, Any]) -> Upgrade:
        return Upgrade(app, config, server_state, app_state)

    return upgrade
