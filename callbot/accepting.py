"""Takes connections from a socket that several workers share, and leaves them to who has less to do.

All workers wait on one queue, the kernel's, so none of what waits in it is lost when a worker goes. Each
hears of a new connection; one that has more calls than another holds back for some milliseconds, and takes
the connection only if it is still there. (With a socket for each worker, SO_REUSEPORT, the kernel would deal
connections out by their addresses, blindly, and reset those that wait in the queue of a worker that leaves.)
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from callbot.errors import ConfigurationError

BACKLOG: Final = 2048
RETRY_AFTER: Final = 1.0
"""Seconds to wait when the process may open no more files."""
COUNTED_FOR: Final = 1.0
"""Seconds for which a new connection counts as one more call: by then it is one, or it is none."""

log = structlog.get_logger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``ConfigurationError``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"HOST={host} PORT={port} cannot be listened on: {error.strerror or error}. "
            "Write another PORT, or stop what listens there."
        ) from error


def url_of(listener: socket.socket) -> str:
    """Where a listening socket listens, as one would write it in a browser."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Turn(Protocol):
    """Whose turn it is."""

    def pause(self) -> float | None:
        """Seconds to leave a new connection to others; None to leave it to them altogether."""

    def arriving(self, connections: int) -> None:
        """So many connections came in a moment ago."""


class Acceptor:
    """Accepts until ``close``. ``look`` is to be called now and then: others may have gone."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], turn: Turn) -> None:
        self.arrived = 0
        """Connections that came in during the last moment."""
        self._listener = listener
        self._protocol = protocol
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._waiting: asyncio.TimerHandle | None = None
        self._watching = False
        self._closed = False
        listener.setblocking(False)
        self._watch()

    def look(self) -> None:
        """Go on accepting, should it have become our turn."""
        if not self._watching and self._waiting is None:
            self._watch()

    def close(self) -> None:
        """Accept no more. The socket stays open: it is not ours alone."""
        self._closed = True
        self._unwatch()
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _watch(self) -> None:
        if not self._closed and self._turn.pause() is not None:
            self._watching = True
            self._loop.add_reader(self._listener.fileno(), self._readable)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._listener.fileno())

    def _readable(self) -> None:
        pause = self._turn.pause()
        if pause == 0.0:
            self._accept()
            return
        self._unwatch()
        if pause is not None:
            self._waiting = self._loop.call_later(pause, self._accept)

    def _accept(self) -> None:
        """Take one connection, if nobody has taken it."""
        self._waiting = None
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            self.look()
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            log.error("a connection cannot be accepted", error=str(error))
            self._unwatch()
            self._waiting = self._loop.call_later(RETRY_AFTER, self._retry)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._connect(connection), name="accept")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._count(+1)
        self._loop.call_later(COUNTED_FOR, self._count, -1)
        self.look()

    def _retry(self) -> None:
        self._waiting = None
        self.look()

    def _count(self, change: int) -> None:
        self.arrived += change
        self._turn.arriving(self.arrived)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # it was gone before it came
            connection.close()
