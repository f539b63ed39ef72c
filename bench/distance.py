"""A line of some length between us and a server on loopback: a TCP proxy that is late on purpose."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Self
from urllib.parse import urlsplit

TRIPS_TO_OPEN: Final = 2
"""There and back: TCP's handshake, and TLS 1.3's."""
_MOST: Final = 65_536

_Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Distance:
    """``async with Distance(server, round_trip=0.04) as line: line.url``, with the path of ``server``.

    Seconds. Each byte takes half of ``round_trip``; a connection takes ``TRIPS_TO_OPEN`` of them until it
    carries anything. ``behind``: how much later all comes that the server sends after its first word (of a
    socket, its answer to the handshake).
    """

    def __init__(self, server: str, *, round_trip: float, behind: float = 0.0) -> None:
        self._server = urlsplit(server)
        self._round_trip = round_trip
        self._behind = behind
        self._carrying: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port = self._listening.sockets[0].getsockname()[1]
        self.url = self._server._replace(netloc=f"127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        for task in self._carrying:
            task.cancel()
        if self._carrying:
            await asyncio.wait(self._carrying)

    async def _accepted(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the other end learns of it now
            async with _broken_off(back):
                far, there = await asyncio.open_connection(self._server.hostname, self._server.port)
                async with _broken_off(there):
                    await self._connect((near, there), (far, back))

    async def _connect(self, going: _Way, coming: _Way) -> None:
        way = self._round_trip / 2
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_carry(*going, TRIPS_TO_OPEN * self._round_trip + way, way))
                tasks.create_task(_carry(*coming, way, way + self._behind))
        except* OSError:
            pass


@contextlib.asynccontextmanager
async def _broken_off(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Whatever happens, the connection is gone afterwards."""
    try:
        yield
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _carry(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, first: float, later: float
) -> None:
    """Everything, in order; the first piece takes ``first`` seconds, the others ``later``."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                if target.can_write_eof():
                    target.write_eof()
                return
            target.write(data)
            await target.drain()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(arrive())
        takes = first
        while True:
            data = await source.read(_MOST)
            under_way.put_nowait((loop.time() + takes, data))
            if not data:
                return
            takes = later
