"""The server: uvicorn, taught that a socket is somebody's call, and that it may not be the only server.

At SIGTERM uvicorn closes every open socket. Ours says on ``/readyz`` that it takes no more calls, turns
new ones away with a spoken line, and leaves when the last call is over or the time for it is up. It
goes on accepting meanwhile, unless another worker does: at the end of a call the carrier asks
``/twilio/resume`` how to go on, and a closed door there would be an error message in the caller's ear.
"""

import asyncio
import contextlib
import functools
import gc
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator
from types import FrameType
from typing import Any, Final, cast

import structlog
import uvicorn
from starlette.applications import Starlette

from callbot.accepting import Acceptor, listen, url_of
from callbot.app import create_app
from callbot.carriers.twilio.socket import upgrades
from callbot.config import Settings
from callbot.media_stream.messages import LARGEST_MESSAGE
from callbot.seating import Row
from callbot.services import Services, ServicesFactory

PING_EVERY = 20.0
LINGER = 2.0
"""Seconds that a draining server stays after its last call, for the carrier's last questions."""
GOODBYE_WITHIN = 6.0
"""Seconds that a leaving worker waits for its connections to end by themselves, when others take the new
ones: longer than a connection between two requests is kept."""
SHUTDOWN_LIMIT = 10
"""Seconds for calls that are cut off to say goodbye and to store what they have."""
TICK: Final = 0.1
"""uvicorn's main loop sleeps so long between two looks at the world."""

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """``ws`` makes the protocol of an upgraded connection, as for ``uvicorn.Config``; by default it is the
    media socket's. With ``services`` it watches its load, and leaves connections to workers that have less
    to do. ``on_drain`` is called once, at the first signal. A second signal cuts the calls, a third all else.
    """

    def __init__(
        self,
        app: Starlette,
        *,
        services: Services | None = None,
        ws: Any = None,
        drain_within: float = 0.0,
        on_drain: Callable[[], None] | None = None,
        linger: float = LINGER,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                ws=upgrades(app) if ws is None else ws,  # type: ignore[arg-type]  # any callable will do
                ws_max_size=LARGEST_MESSAGE,
                ws_per_message_deflate=False,
                ws_ping_interval=PING_EVERY,
                ws_ping_timeout=PING_EVERY,
                lifespan="off",  # entered and left by whoever runs the server: its errors are theirs to tell
                proxy_headers=False,  # who calls is proven by signatures, never by what a header claims
                server_header=False,
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=SHUTDOWN_LIMIT,
            )
        )
        self.listening = asyncio.Event()
        self._services = services
        self._on_drain = on_drain
        self._drain_within = drain_within
        self._linger = linger
        self._acceptors: list[Acceptor] = []
        self._deadline: float | None = None
        self._leave_at: float | None = None
        self._leaving_since: float | None = None
        self._ticked_at: float | None = None
        self._worked = 0.0

    @property
    def open_calls(self) -> int:
        """Connections that were upgraded."""
        http = self.config.http_protocol_class
        return sum(not isinstance(connection, http) for connection in self.server_state.connections)

    # --- from the first connection to the last -------------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept from ``sockets``, which others may share."""
        await self.lifespan.startup()
        protocol = functools.partial(
            cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        if self._services is not None:
            _settle_memory()
        self.servers = []
        self._acceptors = [Acceptor(listener, protocol, self) for listener in sockets or []]
        self.started = True
        self.listening.set()
        self.announce(sockets or [])

    def announce(self, sockets: list[socket.socket]) -> None:
        """Connections are accepted, and signals are heard."""
        for listener in sockets:
            log.info("listening", url=url_of(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop_accepting()
        if self._services is not None:
            self._services.seats.become(Row.LEAVING)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        now = asyncio.get_running_loop().time()
        if self._deadline is not None and self._on_drain is not None:
            self._on_drain()
            self._on_drain = None
            log.info("draining", calls=self.open_calls)
        since = TICK if self._ticked_at is None else now - self._ticked_at
        worked = time.thread_time()
        lag, busy = max(0.0, since - TICK), (worked - self._worked) / max(since, TICK)
        self._ticked_at, self._worked = now, worked
        if self._services is not None:
            arriving = sum(acceptor.arrived for acceptor in self._acceptors)
            self._services.tick(now, lag=lag, busy=busy, arriving=arriving)
        for acceptor in self._acceptors:
            acceptor.look()
        return await super().on_tick(counter) or self._drained(time.monotonic())

    # --- whose turn it is (accepting.Turn) -----------------------------------------------------------

    def pause(self) -> float | None:
        if self._services is None:
            return 0.0
        seats = self._services.seats
        if self._deadline is not None and seats.others_are_open():
            return None
        return seats.pause(asyncio.get_running_loop().time())

    def arriving(self, connections: int) -> None:
        if self._services is not None:
            self._services.seats.arriving(connections)

    # --- the way out ---------------------------------------------------------------------------------

    def drain(self) -> None:
        """Finish the calls, then leave. Told twice, it changes nothing."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._drain_within

    def cut(self) -> None:
        """Close the calls and leave."""
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        elif self._deadline is not None:
            self.cut()
        else:
            self.drain()

    def _drained(self, now: float) -> bool:
        if self._deadline is None:
            return False
        if now >= self._deadline:
            return True
        if self.open_calls:
            self._leave_at = now + self._linger
            return False
        if self._leave_at is not None and now < self._leave_at:
            return False
        return self._connections_are_over(now)

    def _connections_are_over(self, now: float) -> bool:
        """Where others answer the door, leave it to them, and break off nobody's question."""
        if self._services is None or not any(self._services.seats.others()):
            return True
        if self._leaving_since is None:
            self._leaving_since = now
            self._stop_accepting()
            self._services.seats.become(Row.LEAVING)
        return not self.server_state.connections or now >= self._leaving_since + GOODBYE_WITHIN

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are ours only when somebody asked to be told of a drain."""
        if self._on_drain is None:
            yield
            return
        with super().capture_signals():
            yield


def _settle_memory() -> None:
    """What is loaded now lives as long as the process: the garbage collector need not look at it again. A
    call that is over leaves no cycles behind, so it need not look often, and never for 100 ms in mid-call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@contextlib.asynccontextmanager
async def running(
    app: Starlette, host: str = "127.0.0.1", port: int = 0, *, listener: socket.socket | None = None
) -> AsyncIterator[int]:
    """Serve ``app`` on the running loop and yield the port; on leaving, every socket is closed.

    Pass a ``listener`` (see ``listen``) when the port must be known before ``app`` is made.
    """
    with contextlib.closing(listener or listen(host, port)) as accepting:
        async with app.router.lifespan_context(app):
            server = Server(app)
            serving = asyncio.create_task(server.serve(sockets=[accepting]), name="server")
            listening = asyncio.create_task(server.listening.wait(), name="listening")
            try:
                await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
                yield accepting.getsockname()[1]
            finally:
                listening.cancel()
                server.should_exit = True
                await serving


def serve(settings: Settings, *, services: ServicesFactory, listener: socket.socket) -> None:
    """Serve until told to stop, in the main thread. Returns when every call is over and stored.

    The door is open while models load: who knocks waits.
    """
    app = create_app(settings, services=services)

    async def run() -> None:
        async with app.router.lifespan_context(app):
            shared: Services = app.state.services
            server = Server(
                app, services=shared, drain_within=settings.max_call_seconds, on_drain=shared.drain
            )
            await server.serve(sockets=[listener])

    with contextlib.closing(listener), runner() as loop:
        loop.run(run())


def runner() -> asyncio.Runner:
    """The event loop that servers run on: uvloop, where it is installed."""
    return asyncio.Runner(loop_factory=uvicorn.Config("", log_config=None).get_loop_factory())
