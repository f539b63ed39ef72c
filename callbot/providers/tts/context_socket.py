"""One socket of a voice that speaks several texts on it at once, each in a context of its own.

What is said on it is its vendor's ``Dialect``; when it is opened, trusted, left and closed stands here.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_socket
from callbot.providers.sockets import close, connect
from callbot.providers.tts.context_dialect import Chunk, Dialect

CONNECT_WITHIN: Final = 2.0
CLOSE_WITHIN: Final = 1.0
WORTH_REOPENING: Final = 10.0
"""A socket that was of no use, and lived for less than so many seconds, is not."""
SUSPECT_AFTER: Final = 1.0
"""Seconds without a message after which a text that is given up makes its socket suspect."""
FINAL_WITHIN: Final = 20.0
"""Seconds in which the vendor ends a context that was closed."""
LARGEST_MESSAGE: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Line:
    """Where the sockets lead, and what is spoken there. ``provider`` is the voice, as in settings."""

    dialect: Dialect
    provider: str
    url: str
    headers: Mapping[str, str] = field(repr=False)


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

    def distrust(self) -> None:
        """What came was wrong: the next text goes to another socket."""
        self._socket.retire()

    def tell(self, news: Chunk | ProviderError | None) -> None:
        self._news.put_nowait(news)


class Socket:
    """One connection. Texts may be given to it while it is still being opened."""

    def __init__(
        self,
        line: Line,
        names: Callable[[], str],
        on_end: Callable[["Socket"], None],
    ) -> None:
        self._line = line
        self._dialect = line.dialect
        self._provider = line.provider
        self._names = names
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._contexts: dict[str, Context] = {}
        self._silent: set[str] = set()
        """Contexts of which no audio has come."""
        self._left: dict[str, float] = {}
        """Contexts that nobody wants, whose last message has not come, and when it must have."""
        self._retired = False
        self._over = False
        self._opened: asyncio.Future[ProviderError | None] = self._loop.create_future()
        self._received_at = self._born = self._loop.time()
        self._used = False
        self.fell_asleep = False
        """It was good, and the vendor closed it because nobody had a text for it."""
        self._running = self._loop.create_task(self._run(), name=f"{line.provider}: socket")

    def takes_more(self) -> bool:
        """Whether there is room for another text."""
        if self._left and min(self._left.values()) < self._loop.time():
            self.retire()
        return not self._retired and len(self._contexts) + len(self._left) < self._dialect.most_contexts

    def speak(self, text: str) -> Context:
        """In a new context. Never waits."""
        context = Context(self, self._names(), self._loop.time())
        self._contexts[context.name] = context
        self._silent.add(context.name)
        self._used = True
        for message in self._dialect.say(context.name, text):
            self._send(message)
        return context

    def leave(self, context: Context) -> None:
        if self._contexts.pop(context.name, None) is None:
            return
        now = self._loop.time()
        cancel = self._dialect.cancel(context.name, sounds=context.name not in self._silent)
        self._silent.discard(context.name)
        if cancel is not None:
            self._send(cancel)
        if self._dialect.counts_to_the_end:
            self._left[context.name] = now + FINAL_WITHIN
        if self._retired or now - max(context.begun, self._received_at) > SUSPECT_AFTER:
            self.retire()

    async def opened(self) -> None:
        """Raises ``ProviderError``."""
        error = await asyncio.shield(self._opened)
        if error is not None:
            raise error

    async def aclose(self) -> None:
        if not self._over:
            self._running.cancel()
        await asyncio.wait([self._running])

    def retire(self) -> None:
        """No more texts for this one; it goes with its last."""
        self._retired = True
        if not self._contexts and not self._over:
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
            useful = self._used or self._loop.time() - self._born > WORTH_REOPENING
            self.fell_asleep = socket is not None and useful and not self._retired and not self._contexts
            self._fail(error)
            try:
                if socket is not None:
                    await self._part(socket)
            finally:
                self._on_end(self)

    def _fail(self, error: ProviderError) -> None:
        """At once: to part may take a second."""
        self._retired = self._over = True
        if not self._opened.done():
            self._opened.set_result(error)
        for context in self._contexts.values():
            context.tell(error)
        self._contexts.clear()

    async def _connect(self) -> ClientConnection:
        return await connect(
            self._line.url,
            self._line.headers,
            within=CONNECT_WITHIN,
            close_within=CLOSE_WITHIN,
            largest=LARGEST_MESSAGE,
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
        goodbye = self._dialect.goodbye
        await close(socket, [] if goodbye is None else [json.dumps(goodbye)], within=CLOSE_WITHIN)

    def _receive(self, message: str | bytes) -> None:
        """Raises ``ProviderError`` for what ends the connection."""
        news = self._dialect.received(self._provider, message)
        context = self._contexts.get(news.context)
        if news.chunk.audio and news.context in self._silent:
            self._silent.discard(news.context)
            if (more := self._dialect.sounds(news.context)) is not None:
                self._send(more)
        if context is not None and (news.chunk.audio or news.chunk.of_text):
            context.tell(news.chunk)
        if news.final or news.error:
            self._left.pop(news.context, None)
            self._silent.discard(news.context)
            if context is not None:
                del self._contexts[news.context]
                context.tell(news.error)
            if self._retired:
                self.retire()
