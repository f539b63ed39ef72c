"""The server: uvicorn, taught that a socket is somebody's call.

At SIGTERM uvicorn closes every open socket. Ours says on ``/readyz`` that it takes no more calls, turns
new ones away with a spoken line, and leaves when the last call is over or the time for it is up. It
goes on listening meanwhile: at the end of a call the carrier asks ``/twilio/resume`` how to go on, and
a closed door there would be an error message in the caller's ear.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator
from types import FrameType

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from callbot.app import create_app
from callbot.config import Settings
from callbot.errors import ConfigurationError
from callbot.services import ServicesFactory

LARGEST_MESSAGE = 64 * 1024
"""A frame of the carrier's is 300 bytes; beyond this a socket is closed with 1009."""
PING_EVERY = 20.0
LINGER = 2.0
"""Seconds that a draining server stays after its last call, for the carrier's last questions."""
SHUTDOWN_LIMIT = 10
"""Seconds for calls that are cut off to say goodbye and to store what they have."""
BACKLOG = 2048

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """``on_drain`` is called once, at the first signal. A second signal cuts the calls, a third all else."""

    def __init__(
        self,
        app: Starlette,
        *,
        drain_within: float = 0.0,
        on_drain: Callable[[], None] | None = None,
        linger: float = LINGER,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                ws="websockets-sansio",
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
        self._on_drain = on_drain
        self._drain_within = drain_within
        self._linger = linger
        self._deadline: float | None = None
        self._leave_at: float | None = None

    @property
    def open_calls(self) -> int:
        connections = self.server_state.connections
        return sum(isinstance(connection, WebSocketsSansIOProtocol) for connection in connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port, *_ = self.servers[0].sockets[0].getsockname()
        log.info("listening", url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        self.listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        elif self._deadline is not None:
            self.should_exit = True
        else:
            self._deadline = time.monotonic() + self._drain_within

    async def on_tick(self, counter: int) -> bool:
        if self._deadline is not None and self._on_drain is not None:
            self._on_drain()
            self._on_drain = None
            log.info("draining", calls=self.open_calls)
        return await super().on_tick(counter) or self._drained(time.monotonic())

    def _drained(self, now: float) -> bool:
        if self._deadline is None:
            return False
        if now >= self._deadline:
            return True
        if self.open_calls:
            self._leave_at = now + self._linger
            return False
        return self._leave_at is None or now >= self._leave_at

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are ours only when somebody asked to be told of a drain."""
        if self._on_drain is None:
            yield
            return
        with super().capture_signals():
            yield


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


def serve(
    settings: Settings, *, services: ServicesFactory, host: str | None = None, port: int | None = None
) -> None:
    """Serve until told to stop, in the main thread. Returns when every call is over and stored."""
    app = create_app(settings, services=services)
    host = settings.host if host is None else host
    port = settings.port if port is None else port

    def drain() -> None:
        app.state.services.draining = True

    async def run() -> None:
        # The door is open while models load: who knocks waits, and a taken port is reported at once.
        with contextlib.closing(listen(host, port)) as accepting:
            async with app.router.lifespan_context(app):
                server = Server(app, drain_within=settings.max_call_seconds, on_drain=drain)
                await server.serve(sockets=[accepting])

    with asyncio.Runner(loop_factory=uvicorn.Config(app, log_config=None).get_loop_factory()) as runner:
        runner.run(run())
