"""A ``SpeechToText`` over a vendor's WebSocket: the driver that all of them share.

What a vendor's messages look like is its ``Dialect``'s to know, which does no I/O. The socket is opened
when the ears are made, before the call is answered; what is sent meanwhile waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, Protocol, runtime_checkable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_socket
from callbot.providers.ports import Transcribed

CONNECT_WITHIN: Final = 2.0
CLOSE_WITHIN: Final = 1.0
MOST_WAITING: Final = 1_000
"""Messages that may wait for the socket: about a minute of audio in pieces of 60 ms."""
LARGEST_MESSAGE: Final = 1 << 20

Wire = str | bytes


class Dialect(Protocol):
    """One connection's conversation with a vendor; it does no I/O.

    The methods return what is to be sent, in order. ``received`` raises ``ProviderError`` for what ends
    the connection; what it does not know it ignores.
    """

    name: str
    """The adapter's, as in settings."""
    url: str
    headers: Mapping[str, str]
    keep_alive_after: float | None
    """Seconds with nothing sent after which ``keep_alive`` is; None where a vendor needs none."""

    def opened(self) -> Iterable[Wire]: ...
    def start(self, utterance: int) -> Iterable[Wire]: ...
    def audio(self, audio: bytes) -> Iterable[Wire]: ...
    def flush(self) -> Iterable[Wire]: ...
    def keep_alive(self) -> Iterable[Wire]: ...
    def closing(self) -> Iterable[Wire]: ...
    def received(self, message: Wire) -> Iterable[Transcribed]: ...


@runtime_checkable
class Patient(Protocol):
    """A ``Dialect`` of a vendor that does not answer every flush."""

    patience: float
    """Seconds since a flush went out, after which ``overdue`` is called: once for each, in their order."""

    def overdue(self) -> Iterable[Transcribed]:
        """Answers the flush from what is known, unless it was answered."""


class SocketEars:
    """Hears one call. On the event loop's thread."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._outbox: asyncio.Queue[Wire | None] = asyncio.Queue(MOST_WAITING)
        """None stands after a flush whose answer may not come."""
        self._patience: deque[asyncio.TimerHandle] = deque()
        self._events: asyncio.Queue[Transcribed | ProviderError | None] = asyncio.Queue()
        self._closed = False
        self._failed = False
        self._connected = False
        self._running = asyncio.get_running_loop().create_task(self._run(), name=f"ears {dialect.name}")

    def start(self, utterance: int) -> None:
        self._send(self._dialect.start(utterance))

    def send(self, audio: bytes) -> None:
        if audio:
            self._send(self._dialect.audio(audio))

    def flush(self) -> None:
        messages: list[Wire | None] = [*self._dialect.flush()]
        if messages and isinstance(self._dialect, Patient):
            messages.append(None)
        self._send(messages)

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed:
            event = await self._events.get()
            if isinstance(event, ProviderError):
                raise event
            if event is not None:
                yield event

    async def aclose(self) -> None:
        self._closed = True
        self._events.put_nowait(None)  # wakes who waits
        self._running.cancel()
        await asyncio.wait([self._running])
        while self._patience:
            self._patience.popleft().cancel()

    def _send(self, messages: Iterable[Wire | None]) -> None:
        if self._closed or self._failed:
            return
        try:
            for message in messages:
                self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self._fail(
                ProviderError(
                    f"{self._dialect.name}: takes no more audio",
                    retryable=True,
                    trouble=Trouble.STALLED,
                    provider=self._dialect.name,
                )
            )

    def _fail(self, error: ProviderError) -> None:
        if not self._failed:
            self._failed = True
            self._events.put_nowait(error)

    # --- the socket ------------------------------------------------------------------------------

    async def _run(self) -> None:
        """From the connection to its end, which is a failure unless ``aclose`` brought it about."""
        try:
            await self._converse()
        except ProviderError as error:
            self._fail(error)
        except (WebSocketException, OSError, TimeoutError) as error:
            self._fail(from_socket(self._dialect.name, error, connected=self._connected))

    async def _converse(self) -> None:
        async with asyncio.timeout(CONNECT_WITHIN):
            socket = await connect(
                self._dialect.url,
                additional_headers=self._dialect.headers,
                compression=None,
                max_size=LARGEST_MESSAGE,
                open_timeout=None,  # ours
                close_timeout=CLOSE_WITHIN,
                proxy=None,
            )
        self._connected = True
        sending = asyncio.create_task(self._send_all(socket), name=f"ears {self._dialect.name}: sending")
        try:
            async for message in socket:
                for event in self._dialect.received(message):
                    self._events.put_nowait(event)
            raise ProviderError(
                f"{self._dialect.name}: closed with {socket.close_code}",
                retryable=True,
                trouble=Trouble.CUT,
                provider=self._dialect.name,
            )
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            await self._part(socket)

    async def _send_all(self, socket: ClientConnection) -> None:
        """A socket that breaks is told by the one who reads it."""
        try:
            for first in self._dialect.opened():
                await socket.send(first)
            while True:
                messages: Iterable[Wire | None]
                try:
                    async with asyncio.timeout(self._dialect.keep_alive_after):
                        messages = [await self._outbox.get()]
                except TimeoutError:
                    messages = self._dialect.keep_alive()
                for message in messages:
                    if message is None:
                        self._be_patient()
                    else:
                        await socket.send(message)
        except WebSocketException:
            return

    def _be_patient(self) -> None:
        """From now on, as the flush has gone out: before, it waited for the connection."""
        if isinstance(self._dialect, Patient):
            loop = asyncio.get_running_loop()
            self._patience.append(loop.call_later(self._dialect.patience, self._overdue, self._dialect))

    def _overdue(self, dialect: Patient) -> None:
        self._patience.popleft()
        for event in dialect.overdue():
            self._events.put_nowait(event)

    async def _part(self, socket: ClientConnection) -> None:
        """Say goodbye if there is somebody to hear it."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                for message in self._dialect.closing():
                    await socket.send(message)
                await socket.close()
        except (WebSocketException, OSError, TimeoutError):
            socket.transport.abort()
