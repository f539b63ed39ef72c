"""A ``SpeechToText`` over a vendor's WebSocket: the driver that all of them share.

What a vendor's messages look like is its ``Dialect``'s to know, which does no I/O. The socket is opened
when the ears are made, before the call is answered; what is sent meanwhile waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, Self, runtime_checkable

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_socket
from callbot.providers.ports import Transcribed
from callbot.providers.sockets import close, connect

CONNECT_WITHIN: Final = 2.0
CLOSE_WITHIN: Final = 1.0
RENEW_AGAIN_AFTER: Final = 15.0
"""A second line that could not be opened is tried again, while the first still goes on."""
OWED_WITHIN: Final = 10.0
"""What a line that was handed over still owes, it must say by then."""
MOST_WAITING: Final = 1_000
"""Messages that may wait for the socket: about a minute of audio in pieces of 60 ms."""
LARGEST_MESSAGE: Final = 1 << 20

log = structlog.get_logger()

Wire = str | bytes


class Dialect(Protocol):
    """One connection's conversation with a vendor; it does no I/O.

    What the methods return is done in order: a message is sent, and a ``Transcribed`` is told to the call.
    ``received`` raises ``ProviderError`` for what ends the connection; what it does not know it ignores.
    """

    name: str
    """The adapter's, as in settings."""
    cuts: bool
    """See ``SpeechToText``."""
    url: str
    headers: Mapping[str, str]
    keep_alive_after: float | None
    """Seconds with nothing sent after which ``keep_alive`` is; None where a vendor needs none."""

    def opened(self) -> Iterable[Wire]: ...
    def start(self, utterance: int) -> Iterable[Wire | Transcribed]: ...
    def audio(self, audio: bytes) -> Iterable[Wire | Transcribed]: ...
    def flush(self) -> Iterable[Wire | Transcribed]: ...
    def keep_alive(self) -> Iterable[Wire]: ...
    def closing(self) -> Iterable[Wire]: ...
    def received(self, message: Wire) -> Iterable[Wire | Transcribed]: ...


@runtime_checkable
class Renewable(Dialect, Protocol):
    """A dialect whose vendor ends every connection after a time.

    Before that a second one is opened, and takes over as soon as nothing is under way: at the latest with
    the next utterance, earlier if all audio was flushed and nothing is owed. The first is closed when it
    has said what it owes.
    """

    renew_after: float
    """Seconds after which the second is opened; it should leave time for a long utterance."""

    @property
    def owes(self) -> bool:
        """Finals of flushes are still to come."""

    def renewed(self) -> Self:
        """For the second connection. It goes on where the first is when it takes over."""


@runtime_checkable
class Patient(Protocol):
    """A ``Dialect`` of a vendor that does not answer every flush."""

    patience: float
    """Seconds since a flush went out, after which ``overdue`` is called: once for each, in their order."""

    def overdue(self) -> Iterable[Transcribed]:
        """Answers the flush from what is known, unless it was answered."""


@runtime_checkable
class Concerned(Protocol):
    """A ``Dialect`` that has promised something to others than the call's ears."""

    def lost(self, error: ProviderError) -> None:
        """The connection is over, whoever ended it."""


@dataclass(slots=True, eq=False)
class _Line:
    """One connection. ``outbox`` is what waits for it."""

    dialect: Dialect
    renewable: Renewable | None
    """The dialect, if it is one."""
    patient: Patient | None
    """Likewise."""
    outbox: asyncio.Queue[Wire | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    """None stands after a flush whose answer may not come."""
    patience: deque[asyncio.TimerHandle] = field(default_factory=deque)
    open: bool = False
    ending: bool = False
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def owes(self) -> bool:
        return self.renewable is not None and self.renewable.owes

    def end(self) -> None:
        """Once, so that its goodbye is not broken off."""
        if self.task is not None and not self.ending:
            self.ending = True
            self.task.cancel()


class SocketEars:
    """Hears one call. On the event loop's thread."""

    def __init__(self, dialect: Dialect) -> None:
        self._name = dialect.name
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Transcribed | ProviderError | None] = asyncio.Queue()
        self._closed = False
        self._failed = False
        self._unflushed = False
        """Audio of the present utterance was sent since its last flush."""
        self._lines: set[_Line] = set()
        """All that run."""
        self._next: _Line | None = None
        """The line that is to take over."""
        self._line = self._dial(dialect)

    @property
    def working(self) -> bool:
        return not (self._closed or self._failed)

    @property
    def dialect(self) -> Dialect:
        """Of the line that is in use."""
        return self._line.dialect

    @property
    def cuts(self) -> bool:
        return self._line.dialect.cuts

    def perform(self, said: Iterable[Wire | Transcribed]) -> None:
        """What the dialect wants said, when it was asked for more than to hear."""
        if self.working:
            self._do(self._line, said)

    def start(self, utterance: int) -> None:
        if self.working:
            self._unflushed = False
            self._hand_over()
            self._do(self._line, self._line.dialect.start(utterance))

    def send(self, audio: bytes) -> None:
        if audio and self.working:
            self._unflushed = True
            self._do(self._line, self._line.dialect.audio(audio))

    def flush(self) -> None:
        if self.working:
            self._unflushed = False
            said: list[Wire | Transcribed | None] = [*self._line.dialect.flush()]
            if said and self._line.patient is not None:
                said.append(None)
            self._do(self._line, said)

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed:
            event = await self._events.get()
            if isinstance(event, ProviderError):
                raise event
            if event is not None and not self._closed:
                yield event

    async def aclose(self) -> None:
        self._closed = True
        self._events.put_nowait(None)  # wakes who waits
        running = [line.task for line in self._lines if line.task is not None]
        for line in tuple(self._lines):
            line.end()
        if running:
            await asyncio.wait(running)

    def _do(self, line: _Line, said: Iterable[Wire | Transcribed | None]) -> None:
        try:
            for each in said:
                if isinstance(each, Transcribed):
                    self._events.put_nowait(each)
                else:
                    line.outbox.put_nowait(each)
        except asyncio.QueueFull:
            self._fail(
                ProviderError(
                    f"{self._name}: takes no more audio",
                    retryable=True,
                    trouble=Trouble.STALLED,
                    provider=self._name,
                )
            )

    def _fail(self, error: ProviderError) -> None:
        if not self._failed:
            self._failed = True
            self._events.put_nowait(error)

    # --- one line after the other ----------------------------------------------------------------

    def _dial(self, dialect: Dialect) -> _Line:
        line = _Line(
            dialect,
            dialect if isinstance(dialect, Renewable) else None,
            dialect if isinstance(dialect, Patient) else None,
        )
        line.task = self._loop.create_task(self._run(line), name=f"ears {self._name}")
        self._lines.add(line)
        line.task.add_done_callback(lambda task: self._lines.discard(line))
        return line

    def _opened(self, line: _Line) -> None:
        line.open = True
        if line.renewable is not None:
            line.timer = self._loop.call_later(line.renewable.renew_after, self._renew, line)
        self._hand_over_if_idle()

    def _renew(self, line: _Line) -> None:
        needed = line is self._line and self._next is None and self.working
        if needed and line.renewable is not None:
            self._next = self._dial(line.renewable.renewed())

    def _hand_over_if_idle(self) -> None:
        if not self._unflushed and not self._line.owes:
            self._hand_over()

    def _hand_over(self) -> None:
        """What is sent from now on goes to the line that waits, if one does."""
        if self._next is None or not self._next.open:
            return
        old, self._line, self._next = self._line, self._next, None
        if old.timer is not None:
            old.timer.cancel()
        if old.owes:
            old.timer = self._loop.call_later(OWED_WITHIN, old.end)
        else:
            old.end()

    def _ended(self, line: _Line, error: ProviderError) -> None:
        """A line that is not missed may end as it likes."""
        if line is self._next:
            self._next = None
            if self._line.timer is not None:
                self._line.timer.cancel()
            self._line.timer = self._loop.call_later(RENEW_AGAIN_AFTER, self._renew, self._line)
        elif line is self._line or line.owes:
            self._fail(error)

    # --- the socket ------------------------------------------------------------------------------

    async def _run(self, line: _Line) -> None:
        """From the connection to its end, which is a failure unless we brought it about."""
        try:
            await self._converse(line)
        except ProviderError as error:
            self._ended(line, error)
        except (WebSocketException, OSError, TimeoutError) as error:
            self._ended(line, from_socket(self._name, error, connected=line.open))
        except Exception as error:  # a bug in a dialect: others may hear this call
            log.exception("a recogniser's dialect broke", provider=self._name)
            detail = f"{self._name}: {type(error).__name__}"
            self._ended(line, ProviderError(detail, retryable=False, provider=self._name))
        finally:
            if line.timer is not None:
                line.timer.cancel()
            while line.patience:
                line.patience.popleft().cancel()
            if isinstance(line.dialect, Concerned):
                line.dialect.lost(from_socket(self._name, ConnectionError("closed"), connected=line.open))

    async def _converse(self, line: _Line) -> None:
        socket = await connect(
            line.dialect.url,
            line.dialect.headers,
            within=CONNECT_WITHIN,
            close_within=CLOSE_WITHIN,
            largest=LARGEST_MESSAGE,
        )
        sending: asyncio.Task[None] | None = None
        try:
            for message in line.dialect.opened():
                await socket.send(message)
            self._opened(line)
            sending = self._loop.create_task(self._send_all(line, socket), name=f"ears {self._name}: sending")
            async for message in socket:
                self._do(line, line.dialect.received(message))
                if line is self._line:
                    self._hand_over_if_idle()
                elif line is not self._next and not line.owes:
                    return
            raise ProviderError(
                f"{self._name}: closed with {socket.close_code}",
                retryable=True,
                trouble=Trouble.CUT,
                provider=self._name,
            )
        finally:
            try:
                if sending is not None:
                    sending.cancel()
                    await asyncio.wait([sending])
            finally:
                await close(socket, line.dialect.closing(), within=CLOSE_WITHIN)

    async def _send_all(self, line: _Line, socket: ClientConnection) -> None:
        """A socket that breaks is told by the one who reads it."""
        try:
            while True:
                messages: Iterable[Wire | None]
                try:
                    async with asyncio.timeout(line.dialect.keep_alive_after):
                        messages = [await line.outbox.get()]
                except TimeoutError:
                    messages = line.dialect.keep_alive()
                for message in messages:
                    if message is None:
                        self._be_patient(line)
                    else:
                        await socket.send(message)
        except WebSocketException:
            return

    def _be_patient(self, line: _Line) -> None:
        """From now on, as the flush has gone out: before, it waited for the connection."""
        if line.patient is not None:
            line.patience.append(self._loop.call_later(line.patient.patience, self._overdue, line))

    def _overdue(self, line: _Line) -> None:
        line.patience.popleft()
        if line.patient is not None:
            self._do(line, line.patient.overdue())
