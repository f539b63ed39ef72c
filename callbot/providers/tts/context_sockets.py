"""The sockets of one voice, which all calls of the process share.

Where a vendor takes only so many contexts on a socket, another socket is opened for the next: ElevenLabs ends
one, and the other five with it, for a sixth (agents-js#1985, pipecat#4132).
"""

import asyncio
from itertools import count
from typing import Final

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.providers.tts.context_socket import Context, Line, Socket

MOST_SOCKETS: Final = 8
STAY_WARM: Final = 900.0
"""Seconds after the last text for which a socket that the vendor closed is opened again."""


class Sockets:
    """As many as it takes, and one that stays open between the calls. On the event loop's thread.

    ``prefix`` begins the contexts' names, for vendors that want them unique beyond a socket."""

    def __init__(self, line: Line, *, prefix: str = "c") -> None:
        self._prefix = prefix
        self._line = line
        self._provider = line.provider
        self._numbers = count(1)
        self._sockets: list[Socket] = []
        self._spoke_at = 0.0
        self._closed = False

    def speak(self, text: str) -> Context:
        """Never waits. Raises ``ProviderError`` when there are too many texts at once."""
        context = self._with_room().speak(text)
        self._spoke_at = asyncio.get_running_loop().time()
        return context

    async def connect(self) -> None:
        """Ahead of the first text. Raises ``ProviderError``."""
        await self._with_room().opened()

    async def aclose(self) -> None:
        self._closed = True
        for socket in tuple(self._sockets):
            await socket.aclose()

    def _with_room(self) -> Socket:
        if self._closed:
            raise InvalidState(f"{self._provider} is closed")
        for socket in self._sockets:
            if socket.takes_more():
                return socket
        if len(self._sockets) >= MOST_SOCKETS:
            raise ProviderError(
                f"{self._provider}: {MOST_SOCKETS} sockets are full",
                retryable=True,
                trouble=Trouble.RATE_LIMITED,
                provider=self._provider,
            )
        return self._open()

    def _open(self) -> Socket:
        socket = Socket(self._line, lambda: f"{self._prefix}{next(self._numbers)}", self._ended)
        self._sockets.append(socket)
        return socket

    def _ended(self, socket: Socket) -> None:
        self._sockets.remove(socket)
        missed = socket.fell_asleep and not self._sockets and not self._closed
        if missed and asyncio.get_running_loop().time() - self._spoke_at < STAY_WARM:
            self._open()
