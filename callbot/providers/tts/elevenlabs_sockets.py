"""The sockets of one ElevenLabs voice, which all calls of the process share (PROTOCOLS D4).

A context is one text. The vendor takes five on a socket, and counts each until it has sent its last message,
also when it was closed before. A sixth would end the socket and with it the other five, so another socket is
opened for it (agents-js#1985, pipecat#4132).
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.providers.failures import from_socket, from_status
from callbot.providers.tts.word_borders import Character

CONNECT_WITHIN: Final = 2.0
CLOSE_WITHIN: Final = 1.0
MOST_CONTEXTS: Final = 5
MOST_SOCKETS: Final = 8
STAY_WARM: Final = 900.0
"""Seconds after the last text for which a socket that the vendor closed is opened again."""
WORTH_REOPENING: Final = 10.0
"""A socket that was of no use, and lived for less than so many seconds, is not."""
SUSPECT_AFTER: Final = 1.0
"""Seconds without a message after which a text that is given up makes its socket suspect."""
FINAL_WITHIN: Final = 20.0
"""Seconds in which the vendor ends a context that was closed."""
LARGEST_MESSAGE: Final = 1 << 22

_STATUS: Final[Mapping[str, int]] = {
    "invalid_api_key": 401,
    "missing_permissions": 401,
    "quota_exceeded": 402,
    "max_active_conversations": 429,
    "too_many_concurrent_requests": 429,
    "rate_limit_exceeded": 429,
    "system_busy": 429,
    "input_timeout_exceeded": 408,
    "internal_server_error": 500,
}
"""What HTTP would say instead of the words that the socket has for its errors."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio of a context, and its characters if the voice told."""

    audio: bytes
    characters: tuple[Character, ...]


class Context:
    """One text on a socket. ``leave`` it, whatever came."""

    def __init__(self, socket: "Socket", name: str, now: float) -> None:
        self.name = name
        self.begun = now
        self._socket = socket
        self._news: asyncio.Queue[Chunk | ProviderError | None] = asyncio.Queue()

    async def next(self) -> Chunk | None:
        """The next chunk, or None after the last. Raises ``ProviderError``."""
        news = await self._news.get()
        if isinstance(news, ProviderError):
            raise news
        return news

    def leave(self) -> None:
        """What still comes for this context is dropped."""
        self._socket.leave(self)

    def tell(self, news: Chunk | ProviderError | None) -> None:
        self._news.put_nowait(news)


class Socket:
    """One connection. Texts may be given to it while it is still being opened."""

    def __init__(
        self,
        provider: str,
        url: str,
        headers: Mapping[str, str],
        names: Callable[[], str],
        on_end: Callable[["Socket"], None],
    ) -> None:
        self._provider = provider
        self._url = url
        self._headers = headers
        self._names = names
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._contexts: dict[str, Context] = {}
        self._left: dict[str, float] = {}
        """Contexts that nobody wants, whose last message has not come, and when it must have."""
        self._retired = False
        self._opened: asyncio.Future[ProviderError | None] = self._loop.create_future()
        self._received_at = self.born = self._loop.time()
        self.used = False
        self._running = self._loop.create_task(self._run(), name=f"{provider}: socket")

    def takes_more(self) -> bool:
        """Whether there is room for another text."""
        if self._left and min(self._left.values()) < self._loop.time():
            self._retire()
        return not self._retired and len(self._contexts) + len(self._left) < MOST_CONTEXTS

    def speak(self, text: str) -> Context:
        """The context is closed as soon as it is opened: what was flushed is spoken all the same, and the
        last message comes with the last audio, whether somebody still listens or not."""
        context = Context(self, self._names(), self._loop.time())
        self._contexts[context.name] = context
        self.used = True
        self._send({"text": " ", "context_id": context.name})
        self._send({"text": f"{text} ", "context_id": context.name, "flush": True})
        self._send({"context_id": context.name, "close_context": True})
        return context

    def leave(self, context: Context) -> None:
        if self._contexts.pop(context.name, None) is None:
            return
        now = self._loop.time()
        self._left[context.name] = now + FINAL_WITHIN
        if now - max(context.begun, self._received_at) > SUSPECT_AFTER:
            self._retired = True
        if self._retired:
            self._retire()

    async def opened(self) -> None:
        """Raises ``ProviderError``."""
        error = await asyncio.shield(self._opened)
        if error is not None:
            raise error

    async def aclose(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])

    def _retire(self) -> None:
        """No more texts for this one; it goes with its last."""
        self._retired = True
        if not self._contexts:
            self._running.cancel()

    def _send(self, message: Mapping[str, Any]) -> None:
        self._outbox.put_nowait(json.dumps(message))

    # --- the connection --------------------------------------------------------------------------

    async def _run(self) -> None:
        error = ProviderError(
            f"{self._provider}: the socket was closed",
            retryable=True,
            trouble=Trouble.CUT,
            provider=self._provider,
        )
        socket: ClientConnection | None = None
        try:
            socket = await self._connect()
            self._opened.set_result(None)
            await self._converse(socket)
        except ProviderError as told:
            error = told
        except (WebSocketException, OSError, TimeoutError) as broken:
            error = from_socket(self._provider, broken, connected=socket is not None)
        finally:
            self._fail(error)
            if socket is not None:
                await self._part(socket)
            self._on_end(self)

    def _fail(self, error: ProviderError) -> None:
        """At once: to part may take a second."""
        self._retired = True
        if not self._opened.done():
            self._opened.set_result(error)
        for context in self._contexts.values():
            context.tell(error)
        self._contexts.clear()

    async def _connect(self) -> ClientConnection:
        async with asyncio.timeout(CONNECT_WITHIN):
            return await connect(
                self._url,
                additional_headers=self._headers,
                compression=None,
                max_size=LARGEST_MESSAGE,
                open_timeout=None,  # ours
                close_timeout=CLOSE_WITHIN,
                proxy=None,
            )

    async def _converse(self, socket: ClientConnection) -> None:
        sending = asyncio.create_task(self._send_all(socket), name=f"{self._provider}: sending")
        try:
            async for message in socket:
                self._received_at = self._loop.time()
                self._receive(message)
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _send_all(self, socket: ClientConnection) -> None:
        """A socket that breaks is told by the one who reads it."""
        try:
            while True:
                await socket.send(await self._outbox.get())
        except WebSocketException:
            return

    async def _part(self, socket: ClientConnection) -> None:
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await socket.send(json.dumps({"close_socket": True}))
                await socket.close()
        except (WebSocketException, OSError, TimeoutError):
            socket.transport.abort()
            await socket.wait_closed()

    def _receive(self, message: str | bytes) -> None:
        """Raises ``ProviderError`` for what ends the connection."""
        try:
            data = json.loads(message)
            name = data.get("contextId") or data.get("context_id")
            chunk = Chunk(base64.b64decode(data.get("audio") or "", validate=True), _characters(data))
        except (ValueError, TypeError, AttributeError, binascii.Error) as error:
            raise self._bad_format() from error
        if data.get("error"):
            word = str(data["error"])
            raise from_status(self._provider, _STATUS.get(word, 400), word)
        context = self._contexts.get(name)
        if context is not None and chunk.audio:
            context.tell(chunk)
        if data.get("isFinal") or data.get("is_final"):  # the documentation has both
            self._left.pop(name, None)
            if context is not None:
                del self._contexts[name]
                context.tell(None)
            if self._retired:
                self._retire()

    def _bad_format(self) -> ProviderError:
        return ProviderError(
            f"{self._provider}: a message that is none",
            retryable=True,
            trouble=Trouble.BAD_FORMAT,
            provider=self._provider,
        )


def _characters(data: Mapping[str, Any]) -> tuple[Character, ...]:
    """Of the text as it was given, else as the vendor read it."""
    alignment = data.get("alignment") or data.get("normalizedAlignment")
    if not alignment:
        return ()
    characters = alignment.get("chars") or []
    starts = alignment.get("charStartTimesMs") or []
    lasting = alignment.get("charDurationsMs") or alignment.get("charsDurationsMs") or [0] * len(starts)
    return tuple(
        (str(character), start / 1000, (start + duration) / 1000)
        for character, start, duration in zip(characters, starts, lasting, strict=True)
    )


class Sockets:
    """As many as it takes, and one that stays open between the calls. On the event loop's thread."""

    def __init__(self, provider: str, url: str, headers: Mapping[str, str]) -> None:
        self._provider = provider
        self._url = url
        self._headers = headers
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
        socket = Socket(
            self._provider, self._url, self._headers, lambda: f"c{next(self._numbers)}", self._ended
        )
        self._sockets.append(socket)
        return socket

    def _ended(self, socket: Socket) -> None:
        """The vendor closes a socket that is told nothing for three minutes."""
        self._sockets.remove(socket)
        now = asyncio.get_running_loop().time()
        useful = socket.used or now - socket.born > WORTH_REOPENING
        if not self._sockets and not self._closed and useful and now - self._spoke_at < STAY_WARM:
            self._open()
