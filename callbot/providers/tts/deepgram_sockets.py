"""Connections to Deepgram's voices, kept open between sentences and calls.

Opening one takes a few round trips, which the caller would hear as silence. After a barge-in the vendor is
told to ``Clear``; until it has answered, what comes is of the sentence that was cut off. That answer is
awaited when the connection is needed next, and by then it is usually there.
"""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import RATE
from callbot.providers.failures import from_socket
from callbot.providers.sockets import close, connect, secure
from callbot.vendors import Account

CONNECT_WITHIN: Final = 2.0
CLEARED_WITHIN: Final = 0.3
CLOSE_WITHIN: Final = 0.5
LARGEST_MESSAGE: Final = 1 << 20
SUSPECT_AFTER: Final = 1.0
"""Whoever leaves a connection that has been silent for so long has not lost interest, but patience."""
MOST_KEPT: Final = 4
LONGEST_IDLE: Final = 50.0
"""The vendor's newer voices hang up after 60 s without a message."""
LONGEST_OPEN: Final = 55 * 60.0
"""The vendor ends a connection after 60 minutes."""
WINDOW: Final = 60.0
FLUSHES: Final = 18
"""In a window, on one connection; of the 21st the vendor would not hear."""
CHARACTERS: Final = 2_300
"""The same; the vendor takes 2,400. A longer text than that has a connection of its own."""

_FLUSH, _CLEAR, _CLOSE = (json.dumps({"type": kind}) for kind in ("Flush", "Clear", "Close"))


@dataclass(frozen=True, slots=True)
class Flushed:
    """All audio of what was flushed has come."""


class Socket:
    """One connection; one ``speak`` at a time has it. The methods raise ``ProviderError``."""

    def __init__(self, name: str, connection: ClientConnection) -> None:
        self.broken = False
        self.kept = False
        """It has served before."""
        self.clearing = False
        """What comes is of what was cut off."""
        self._name = name
        self._connection = connection
        self._opened_at = self._used_at = self._news_at = time.monotonic()
        self._asked: deque[tuple[float, int, int]] = deque()
        self._first: bytes | Flushed | None = None

    @property
    def usable(self) -> bool:
        now = time.monotonic()
        return (
            not self.broken
            and self._connection.state is State.OPEN
            and now - self._used_at < LONGEST_IDLE
            and now - self._opened_at < LONGEST_OPEN
        )

    def allows(self, *, flushes: int, characters: int) -> bool:
        """Whether the vendor would take so much more now."""
        begin = time.monotonic() - WINDOW
        while self._asked and self._asked[0][0] < begin:
            self._asked.popleft()
        return (
            sum(asked[1] for asked in self._asked) + flushes <= FLUSHES
            and sum(asked[2] for asked in self._asked) + characters <= CHARACTERS
        )

    async def say(self, said: Sequence[Sequence[str]]) -> None:
        """Asks for the speech of all parts, with a flush after each of ``said``; returns when the answer
        begins."""
        characters = sum(len(part) for parts in said for part in parts)
        self._news_at = time.monotonic()
        self._asked.append((self._news_at, len(said), characters))
        try:
            for parts in said:
                for part in parts:
                    text = part.replace("\0", " ")
                    await self._connection.send(json.dumps({"type": "Speak", "text": text}))
                await self._connection.send(_FLUSH)
        except (WebSocketException, OSError) as error:
            raise self._failed(error) from error
        self._first = await self._next()

    async def receive(self) -> bytes | Flushed:
        """The next audio, or the end of what was flushed."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await self._next()

    async def clear(self) -> None:
        """What was asked for is not wanted any more. Does not wait for the vendor."""
        if time.monotonic() - self._news_at > SUSPECT_AFTER:
            self.broken = True
            return
        self._first = None
        self.clearing = self.broken = True  # for whoever breaks this off
        with contextlib.suppress(WebSocketException, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._connection.send(_CLEAR)
            self.broken = False

    async def cleared(self) -> bool:
        """Nothing of the sentence before is to come; False if the vendor does not say so in time."""
        try:
            async with asyncio.timeout(CLEARED_WITHIN):
                while self.clearing:
                    message = await self._connection.recv()
                    if isinstance(message, str) and json.loads(message).get("type") == "Cleared":
                        self.clearing = False
            await self._drop()
        except (WebSocketException, OSError, TimeoutError, ValueError, AttributeError):
            return False
        return True

    async def _drop(self) -> None:
        """What has come by now, and nobody asked for."""
        try:
            while True:
                async with asyncio.timeout(0):  # what is there is given at once
                    await self._connection.recv()
        except TimeoutError:
            return

    def served(self) -> None:
        self.kept = True
        self._used_at = time.monotonic()

    def abort(self) -> None:
        """Without a goodbye, and at once."""
        self.broken = True
        self._connection.transport.abort()

    async def aclose(self) -> None:
        self.broken = True
        await close(self._connection, [_CLOSE], within=CLOSE_WITHIN)

    async def _next(self) -> bytes | Flushed:
        while True:
            try:
                message = await self._connection.recv()
            except (WebSocketException, OSError) as error:
                raise self._failed(error) from error
            self._news_at = time.monotonic()
            if isinstance(message, bytes):
                if message:
                    return message
                continue
            if self._means_flushed(message):
                return Flushed()

    def _means_flushed(self, message: str) -> bool:
        """Metadata and what else there may be is ignored."""
        try:
            said = json.loads(message)
            kind, code = said["type"], str(said.get("code", ""))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._trouble("a message that is not as documented", Trouble.BAD_FORMAT) from error
        if kind == "Error":
            raise self._trouble(code or "an error", Trouble.UNAVAILABLE)
        if kind == "Warning" and "FLUSH" in code.upper():  # and so there will be no Flushed
            raise self._trouble(code, Trouble.RATE_LIMITED)
        return bool(kind == "Flushed")

    def _failed(self, error: Exception) -> ProviderError:
        self.broken = True
        return from_socket(self._name, error, connected=True)

    def _trouble(self, detail: str, trouble: Trouble) -> ProviderError:
        self.broken = True
        return ProviderError(f"{self._name}: {detail}", retryable=True, trouble=trouble, provider=self._name)


class Sockets:
    """The connections of one voice, of all calls of the process."""

    def __init__(self, name: str, account: Account, model: str) -> None:
        query = urlencode({"model": model, "encoding": "mulaw", "sample_rate": RATE})
        self._name = name
        self._url = f"{account.socket_url}/v1/speak?{query}"
        self._headers = {"Authorization": f"Token {account.key}"}
        secure(self._url)
        self._idle: list[Socket] = []
        self._closed = False

    async def connect(self) -> Socket:
        """A new one. Raises ``ProviderError``."""
        try:
            connection = await connect(
                self._url,
                self._headers,
                within=CONNECT_WITHIN,
                close_within=CLOSE_WITHIN,
                largest=LARGEST_MESSAGE,
            )
        except (WebSocketException, OSError, TimeoutError) as error:
            raise from_socket(self._name, error, connected=False) from error
        return Socket(self._name, connection)

    async def take(self, *, flushes: int, characters: int) -> Socket:
        """One that will take so much: of those that are kept, a new one if there is none."""
        for socket in self._idle.copy():
            if not socket.usable:
                self._idle.remove(socket)
                socket.abort()
        able = [socket for socket in self._idle if socket.allows(flushes=flushes, characters=characters)]
        if able:
            socket = min(able, key=lambda socket: socket.clearing)
            self._idle.remove(socket)
            clean = False
            try:
                clean = await socket.cleared()
            finally:
                if not clean:
                    socket.abort()
            if clean:
                return socket
        return await self.connect()

    def give(self, socket: Socket) -> None:
        """Back, for others; one that is broken is closed at once, and so is the oldest when they are many."""
        if self._closed or not socket.usable:
            socket.abort()
            return
        if len(self._idle) >= MOST_KEPT:
            self._idle.pop(0).abort()
        socket.served()
        self._idle.append(socket)

    async def aclose(self) -> None:
        """The idle ones; those that are in use are closed when they are given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        try:
            for socket in idle:
                await socket.aclose()
        finally:
            for socket in idle:
                socket.abort()
