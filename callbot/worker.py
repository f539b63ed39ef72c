"""One worker: a process that a supervisor (``workers.py``) started, with a share in its socket and seats.

    python -m callbot.worker CHANNEL

``CHANNEL`` is a socket to the supervisor, which writes one line of JSON: what to serve and with what.
Afterwards it says ``cut`` when live calls must end at once; when it falls silent for good, the supervisor
has died, and the worker finishes its calls and leaves. The worker says ``ready``, or ``failed`` with the
reason. A signal, however often it comes, means: finish the calls and leave.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from types import FrameType

import structlog
from starlette.applications import Starlette
from uvicorn.importer import ImportFromStringError, import_from_string

from callbot import logs
from callbot.app import create_app
from callbot.config import load
from callbot.errors import ConfigurationError, ModelMissing
from callbot.seating import Row
from callbot.seats import Seats
from callbot.server import Server, runner
from callbot.services import Services
from callbot.workers import Assignment

CANNOT_START = 2
"""The exit code when a person has to put something right first."""


class Channel:
    """The worker's end of the line to its supervisor."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self) -> bytes:
        """The first line, or nothing when the supervisor is gone. Blocks."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self._connection.recv(1)  # and not a byte of what may follow
            if not byte:
                return b""
            line += byte
        return line

    def say(self, event: str, **fields: str) -> None:
        with contextlib.suppress(OSError):  # nobody is left to hear it
            self._connection.sendall(json.dumps({"event": event, **fields}).encode() + b"\n")

    def listen(self, server: Server) -> None:
        """From now on, do as the supervisor says."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            try:
                said = self._connection.recv(4096)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                said = b""
            if not said:
                loop.remove_reader(self._connection.fileno())
                server.drain()
            elif b"cut\n" in said:
                server.cut()

        self._connection.setblocking(False)
        loop.add_reader(self._connection.fileno(), readable)


class WorkerServer(Server):
    """Opens its row when it listens. A signal may come twice, from whoever stops the service and all of its
    processes, and from the supervisor: what ends calls comes over the channel."""

    def __init__(self, app: Starlette, services: Services, channel: Channel) -> None:
        super().__init__(
            app,
            services=services,
            drain_within=services.settings.max_call_seconds,
            on_drain=services.drain,
        )
        self._row = services.seats
        self._channel = channel

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._channel.listen(self)
        await super().startup(sockets)

    def announce(self, sockets: list[socket.socket]) -> None:
        self._row.report(asyncio.get_running_loop().time())
        self._row.become(Row.OPEN)
        self._channel.say("ready")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.drain()


def main() -> int:
    """Serve until told to leave; the exit code."""
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    line = channel.read()
    if not line:
        return 0
    assignment = Assignment.from_line(line)
    try:
        _serve(assignment, channel)
    except (ConfigurationError, ImportFromStringError, ModelMissing) as error:
        channel.say("failed", reason=str(error))
        return CANNOT_START
    return 0


def _serve(assignment: Assignment, channel: Channel) -> None:
    seats = Seats.join(assignment.seats, assignment.row)
    settings = load(workers=assignment.workers)
    logs.configure(settings)
    structlog.contextvars.bind_contextvars(worker=os.getpid())

    def joined(services: Services) -> None:
        services.share(seats, bytes.fromhex(assignment.secret))

    app = create_app(settings, services=import_from_string(assignment.services), joined=joined)
    listener = socket.socket(fileno=assignment.listener)
    with contextlib.closing(listener), runner() as loop:
        loop.run(_run(app, channel, listener))


async def _run(app: Starlette, channel: Channel, listener: socket.socket) -> None:
    async with app.router.lifespan_context(app):
        server = WorkerServer(app, app.state.services, channel)
        for number in (signal.SIGTERM, signal.SIGINT):  # when it has served, too, and its calls are stored
            signal.signal(number, server.handle_exit)
        await server.serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
