"""The carrier's end of one media WebSocket ("Media Streams", bidirectional)."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from callbot.exchange.callers import Spoken
from callbot.exchange.line import Cleared, Echo, Effect, Line, Warn
from callbot.exchange.result import Log, MarkEchoed
from callbot.exchange.signing import Signer
from callbot.exchange.sounds import FRAME_MS
from callbot.exchange.telephone import Telephone
from callbot.exchange.twiml import STREAM_REFUSED, Stream, StreamClosed
from callbot.exchange.webhooks import Route
from callbot.exchange.wire import CONNECTED, Messages

UNREACHABLE, BROKEN_PIPE, CLOSED_BY_SERVER, PROTOCOL_ERROR = 31901, 31903, 31921, 31924

_OPENING_SECONDS = 10.0
_CLOSING_SECONDS = 2.0
_SENDING_SECONDS = 5.0
_MOST_UNSENT = 1500
"""Messages: half a minute of audio that the bot does not read."""
_LARGEST_MESSAGE = 16 * 1024 * 1024
_PROTOCOL_CODES = frozenset({1002, 1003, 1007, 1009, 1010})


class _Opening(websocket_connect):
    """The carrier takes 101 for an answer and nothing else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_socket(url: str, *, signer: Signer | None, route: Route) -> ClientConnection:
    """The upgrade, signed if there is a signer.

    The signature is over ``url`` as it stands; ``route`` says where to connect.
    Raises ``OSError``, ``TimeoutError`` or what websockets raises for a refused handshake.
    """
    place = url
    to: dict[str, Any] = {}
    if route.connect_to is not None:
        place = urlunsplit(urlsplit(url)._replace(scheme="ws"))
        to = {"host": route.connect_to[0], "port": route.connect_to[1]}
    return await _Opening(
        place,
        additional_headers=signer.upgrade(url) if signer is not None else None,
        user_agent_header="Twilio.TmeWs/1.0",
        compression=None,
        proxy=None,
        open_timeout=_OPENING_SECONDS,
        close_timeout=_CLOSING_SECONDS,
        ping_interval=None,
        max_size=_LARGEST_MESSAGE,
        **to,
    )


@dataclass(slots=True)
class MediaStream:
    """One ``<Connect><Stream>``: the bot is connected to the caller until somebody closes.

    A ``Party`` of the telephone's: ``play`` and ``take`` never wait; ``run`` does the waiting.
    """

    stream: Stream
    messages: Messages
    telephone: Telephone
    opened: bool = False
    marks: list[MarkEchoed] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)
    _line: Line = field(init=False)
    _unsent: asyncio.Queue[str] = field(init=False)
    _begun: bool = False
    _frames: int = 0
    _trouble: str = ""

    @property
    def log(self) -> Log:
        return self.telephone.log

    def __post_init__(self) -> None:
        self._line = Line(self.messages.stream_sid)
        self._unsent = asyncio.Queue(_MOST_UNSENT)

    async def run(self, *, signer: Signer, route: Route) -> StreamClosed:
        """Open, serve, close. Ends when the bot closes, the socket breaks or the telephone is hung up."""
        try:
            socket = await open_socket(self.stream.url, signer=signer, route=route)
        except InvalidStatus as error:
            status = error.response.status_code
            return StreamClosed(STREAM_REFUSED, f"the handshake was answered with {status}, not 101")
        except (InvalidHandshake, InvalidURI) as error:
            return StreamClosed(STREAM_REFUSED, f"the handshake failed: {error}")
        except (OSError, TimeoutError) as error:
            return StreamClosed(UNREACHABLE, f"no answer from {self.stream.url}: {error!r}")
        async with socket:
            return await self._serve(socket)

    async def _serve(self, socket: ClientConnection) -> StreamClosed:
        self.opened = True
        self.telephone.party = self
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send_all(socket), name="send")
            hanging_up = tasks.create_task(self._stop_when_over(socket), name="stop")
            closed = await self._receive_all(socket)
            hanging_up.cancel()
            sending.cancel()
        self.log.add("stream_closed", detail=closed.detail, error=closed.error)
        return closed

    def _begin(self) -> None:
        """Between two frames: what the caller says from here on is at 0 of the stream's time."""
        self._begun = True
        self.telephone.stream_began()
        self._send(CONNECTED)
        self._send(self.messages.start(self.stream.parameters))
        self.log.add("stream_started", stream_sid=self.messages.stream_sid, url=self.stream.url)

    # --- the telephone's side --------------------------------------------------------------------

    def play(self, now: float) -> bytes:
        if not self._begun:
            self._begin()
        played = self._line.tick(now)
        self._perform(played.effects)
        return played.audio

    def take(self, spoken: Spoken) -> None:
        if spoken.digit:
            self.digits.append(spoken.digit)
            self.log.add("dtmf", digit=spoken.digit)
            self._send(self.messages.dtmf(spoken.digit))
        self._send(self.messages.media(spoken.audio, timestamp_ms=self._frames * FRAME_MS))
        self._frames += 1

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Echo(name, cleared):
                    self.marks.append(MarkEchoed(self.log.now_ms, name, cleared))
                    self.log.add("mark", name=name, cleared=cleared)
                    self._send(self.messages.mark(name))
                case Cleared(dropped):
                    self.log.add("clear", dropped_ms=dropped // 8)
                case Warn(code, detail):
                    self.log.warn(code, detail)

    # --- the socket's side -----------------------------------------------------------------------

    def _send(self, text: str) -> None:
        try:
            self._unsent.put_nowait(text)
        except asyncio.QueueFull:
            self._trouble = "the bot does not read"

    async def _send_all(self, socket: ClientConnection) -> None:
        try:
            while not self._trouble:
                text = await self._unsent.get()
                async with asyncio.timeout(_SENDING_SECONDS):
                    await socket.send(text)
                self._unsent.task_done()
        except TimeoutError:
            self._trouble = f"the bot took nothing for {_SENDING_SECONDS:g} s"
        except ConnectionClosed:
            return
        socket.transport.abort()

    async def _stop_when_over(self, socket: ClientConnection) -> None:
        """The caller has hung up: what is queued goes out, then ``stop``, then the socket closes."""
        await self.telephone.over.wait()
        if not self._begun:
            self._begin()
        self._send(self.messages.stop())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._unsent.join()
        await socket.close()

    async def _receive_all(self, socket: ClientConnection) -> StreamClosed:
        loop = asyncio.get_running_loop()
        try:
            while True:
                message = await socket.recv()
                self._perform(tuple(self._line.receive(message, loop.time())))
        except ConnectionClosed as closed:
            return self._how_it_closed(closed)

    def _how_it_closed(self, closed: ConnectionClosed) -> StreamClosed:
        if self._trouble:
            return StreamClosed(BROKEN_PIPE, self._trouble)
        if closed.sent is not None and not closed.rcvd_then_sent:
            if closed.sent.code in _PROTOCOL_CODES:
                return StreamClosed(PROTOCOL_ERROR, f"{closed.sent.code} {closed.sent.reason}".strip())
            return StreamClosed(0, "closed by the carrier")
        if closed.rcvd is None:
            return StreamClosed(BROKEN_PIPE, "the socket was lost")
        detail = f"{closed.rcvd.code} {closed.rcvd.reason}".strip()
        orderly = closed.rcvd.code in (1000, 1001)
        return StreamClosed(0 if orderly else CLOSED_BY_SERVER, detail)
