"""What all WebSockets to vendors have in common: how they are opened, and how they end."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from functools import cache
from ssl import SSLContext, create_default_context

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_to
from websockets.exceptions import WebSocketException


@cache
def _certificates() -> SSLContext:
    """Of all connections. To make one takes as long as a frame lasts, and meanwhile nobody is heard."""
    return create_default_context()


def secure(url: str) -> SSLContext | None:
    """For a connection to ``url``. Whoever prepares an adapter may call it, so that no call has to wait."""
    return _certificates() if url.startswith("wss:") else None


async def connect(
    url: str, headers: Mapping[str, str], *, within: float, close_within: float, largest: int | None
) -> ClientConnection:
    """Raises what ``failures.from_socket`` takes. ``largest`` is of one message, in bytes."""
    async with asyncio.timeout(within):
        return await connect_to(
            url,
            additional_headers=headers,
            ssl=secure(url),
            compression=None,
            max_size=largest,
            open_timeout=None,  # ours
            close_timeout=close_within,
            proxy=None,
        )


async def close(socket: ClientConnection, goodbye: Iterable[str | bytes] = (), *, within: float) -> None:
    """Says goodbye if there is somebody to hear it; then the connection is gone, whatever came between."""
    try:
        with contextlib.suppress(WebSocketException, OSError, TimeoutError):
            async with asyncio.timeout(within):
                for message in goodbye:
                    await socket.send(message)
                await socket.close()
    finally:  # a time-out in a task that was cancelled is a CancelledError in Python 3.11.2, Debian's
        socket.transport.abort()  # nothing, if it is closed
        await socket.wait_closed()  # its own tasks have ended, too
