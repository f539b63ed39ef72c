"""The supervisor: one listening socket, and so many workers that take calls from it.

It opens the socket and the seats once and hands both to its workers (``worker.py``): processes of their
own, started anew and not forked, so that one started later runs the program and the settings of that day.
It serves nobody itself and loads nothing heavy.

    SIGTERM, SIGINT   every worker finishes its calls and leaves, and so do we; a second one cuts the calls,
                      a third kills
    SIGHUP            the workers are replaced one after the other: each finishes its calls while its
                      replacement takes the new ones; a replacement that cannot start changes nothing
    a worker dies     it is started again, after a pause that grows; its seats are free at once. While too
                      many old ones still have calls it has to wait, until one of them has left
    a worker hangs    it is killed, also while it loads, and what is said above applies
    we die            the workers finish their calls and leave
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from dataclasses import asdict, dataclass, field
from typing import Final, assert_never

import structlog

from callbot.accepting import url_of
from callbot.config import Settings
from callbot.errors import BadMessage, ConfigurationError
from callbot.metrics import sharing
from callbot.seating import MOST_ROWS, Row, Worker
from callbot.seats import Seats

FALSE_STARTS: Final = 5
"""So often in a row a worker may fail to start; then something is wrong that trying does not mend."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
SOUND_AFTER: Final = 60.0
"""A worker that lived so long is started again at once."""
HUNG_AFTER: Final = 5.0
"""Seconds without a sign of life: its calls have heard nothing for as long."""
HUNG_LOADING_AFTER: Final = 300.0
"""Seconds from its start to its being ready. That takes some seconds, and 20 more for each voice whose vendor
does not answer when the greetings are rendered."""
HUNG_LEAVING_AFTER: Final = 60.0
"""A worker that leaves stores what it has, and says nothing meanwhile."""
LOOK_EVERY: Final = 1.0

FAILED: Final = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """``services``: where the services factory is imported from, ``module:attribute``. ``listener`` and
    ``seats`` are inherited file descriptors; ``secret`` is what tokens are signed with, in hexadecimal;
    ``workers`` is how many there are, whatever the settings say."""

    services: str
    listener: int
    seats: int
    row: int
    secret: str
    workers: int

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Assignment":
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Said:
    """A line from a worker: ``ready``, or ``failed`` with the ``reason`` in words for a person."""

    event: str
    reason: str = ""

    @classmethod
    def from_line(cls, line: bytes) -> "Said":
        """Raises ``BadMessage`` for what no worker of ours says."""
        try:
            said = json.loads(line)
        except ValueError:
            raise BadMessage("json") from None
        match said:
            case {"event": "ready"}:
                return cls("ready")
            case {"event": "failed", "reason": str(reason)}:
                return cls("failed", reason)
        raise BadMessage("event")


def hangs(worker: Worker, now: float) -> bool:
    """Whether a worker has given no sign of life for longer than what it does may take."""
    match worker.state:
        case Row.LOADING:
            return now - worker.seen > HUNG_LOADING_AFTER
        case Row.OPEN | Row.DRAINING:
            return now - worker.seen > HUNG_AFTER
        case Row.LEAVING:
            return now - worker.seen > HUNG_LEAVING_AFTER
        case Row.EMPTY:
            return False
        case _ as unreachable:
            assert_never(unreachable)


class Restarts:
    """When a worker that left is started again."""

    def __init__(self) -> None:
        self._false_starts = 0
        self._pause = 0.0

    def pause(self, *, ready: bool, lived: float) -> float | None:
        """Seconds to wait after a crash, or None: give up. ``ready``: it had taken up its work."""
        self._false_starts = 0 if ready else self._false_starts + 1
        if self._false_starts >= FALSE_STARTS:
            return None
        if ready and lived >= SOUND_AFTER:
            self._pause = 0.0
        self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause))
        return self._pause


@dataclass(slots=True, eq=False)
class _Worker:
    """A process, and our end of the line to it."""

    slot: int
    row: int
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    started_at: float
    ready: bool = False
    reason: str | None = None
    """Why it could not start, in words for a person."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """It is ready, or it left before it was."""

    def leave(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def cut(self) -> None:
        self.writer.write(b"cut\n")
        self.leave()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class Supervisor:
    """Keeps ``workers`` of them. ``services`` is where each imports its services factory from."""

    def __init__(self, settings: Settings, *, services: str, workers: int, listener: socket.socket) -> None:
        rows = min(MOST_ROWS, max(8, 4 * workers))  # those that drain have theirs beside the new ones
        self.seats = Seats.shared(rows=rows, seats=workers * settings.max_calls)
        self._leaving = contextlib.ExitStack()
        self._numbers = self._leaving.enter_context(sharing.shared_folder())
        self._services = services
        self._secret = secrets.token_hex(32)
        self._listener = listener
        self._count = workers
        self.garbled = 0
        """Lines from workers that were no messages."""
        self._slots: dict[int, _Worker] = {}
        self._vacant: set[int] = set()
        """Slots whose worker could not be started for want of a row."""
        self._restarts = [Restarts() for _ in range(workers)]
        self._workers: set[_Worker] = set()
        self._someone_is_ready = asyncio.Event()
        self._someone_left = asyncio.Event()
        self._renewal_wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stops = 0
        self._code = 0
        self._cannot_start: str | None = None

    async def run(self) -> int:
        """Until told to stop, and until the last call is over; the exit code.

        Raises ``ConfigurationError`` when the first worker says why it cannot start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._renewal_wanted.set)
        log.info("listening", url=url_of(self._listener), workers=self._count)
        async with asyncio.TaskGroup() as self._tasks:
            looking = self._tasks.create_task(self._look_for_the_hung(), name="look for the hung")
            renewing = self._tasks.create_task(self._renew(), name="renew")
            await self._begin()
            await self._stopping.wait()
            renewing.cancel()
            while self._workers:
                self._someone_left.clear()
                await self._someone_left.wait()
            looking.cancel()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
        if self._cannot_start is not None:
            raise ConfigurationError(self._cannot_start)
        return self._code

    def close(self) -> None:
        """After ``run``: let go of the socket, the seats and the workers' numbers."""
        self._listener.close()
        os.close(self.seats.fd)
        self._leaving.close()

    # --- starting ------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """One worker first: what keeps it from starting is told once, and what it puts into the cache
        the others find there."""
        await self._start(0)
        await self._either(self._someone_is_ready, self._stopping)
        for slot in range(1, self._count):
            if not self._stopping.is_set():
                await self._start(slot)

    async def _start(self, slot: int, *, takes_over: bool = True) -> _Worker | None:
        """A new process for ``slot``; None when too many old ones still have calls. One that ``takes_over``
        is then started as soon as one of them has left."""
        now = asyncio.get_running_loop().time()
        row = self.seats.enter(now)
        if takes_over:
            (self._vacant.add if row is None else self._vacant.discard)(slot)
        if row is None:
            log.error("too many workers still finish their calls: no other is started", slot=slot)
            return None
        ours, theirs = socket.socketpair()
        with contextlib.closing(theirs):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "callbot.worker", str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self._listener.fileno(), self.seats.fd),
                env=sharing.environment(self._numbers),
                start_new_session=True,  # Ctrl-C is for us: we pass it on
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        assignment = Assignment(
            services=self._services,
            listener=self._listener.fileno(),
            seats=self.seats.fd,
            row=row,
            secret=self._secret,
            workers=self._count,
        )
        writer.write(assignment.to_line())
        worker = _Worker(slot, row, process, reader, writer, now)
        self._workers.add(worker)
        if takes_over:
            self._slots[slot] = worker
        log.info("a worker was started", worker=process.pid, slot=slot)
        self._tasks.create_task(self._attend(worker), name=f"worker {process.pid}")
        if self._stopping.is_set():
            worker.leave()
        return worker

    async def _attend(self, worker: _Worker) -> None:
        """From its start to its end."""
        listening = asyncio.create_task(self._listen(worker))
        code = await worker.process.wait()
        await listening
        worker.writer.close()
        calls = self.seats.free(worker.row)
        sharing.forget(self._numbers, worker.process.pid)
        self._workers.discard(worker)
        worker.settled.set()
        self._someone_left.set()
        level = log.info if code == 0 else log.error
        level("a worker left", worker=worker.process.pid, exit_code=code, calls_cut=calls)
        if self._stopping.is_set():
            if code != 0 and worker.ready and self._stops < 2:
                self._code = FAILED
            return
        if self._vacant:
            await self._start(min(self._vacant))
        if self._slots.get(worker.slot) is worker:
            await self._start_again(worker, code)

    async def _listen(self, worker: _Worker) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                try:
                    line = await worker.reader.readline()
                    if not line:
                        return
                    said = Said.from_line(line)
                except (BadMessage, ValueError) as error:  # a ValueError: the line is far too long
                    self.garbled += 1
                    log.error(
                        "a worker says what is no message; it is skipped",
                        worker=worker.process.pid,
                        reason=str(error),
                        times=self.garbled,
                    )
                    continue
                if said.event == "ready":
                    worker.ready = True
                    worker.settled.set()
                    self._someone_is_ready.set()
                    log.info("a worker is ready", worker=worker.process.pid)
                else:
                    worker.reason = said.reason

    async def _start_again(self, worker: _Worker, code: int) -> None:
        if worker.reason is not None and not self._someone_is_ready.is_set():
            self._cannot_start = worker.reason
            self._stop()
            return
        if worker.reason is not None:
            log.error("a worker cannot start", reason=worker.reason)
        pause: float | None = 0.0  # it was asked to leave, by somebody else
        if code != 0 or not worker.ready:
            lived = asyncio.get_running_loop().time() - worker.started_at
            pause = self._restarts[worker.slot].pause(ready=worker.ready, lived=lived)
        if pause is None:
            log.error("a worker could not be started, again and again: we give up", times=FALSE_STARTS)
            self._code = FAILED
            self._stop()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        if not self._stopping.is_set():
            log.info("a worker is started again", instead_of=worker.process.pid, after=pause)
            await self._start(worker.slot)

    # --- replacing -----------------------------------------------------------------------------------

    async def _renew(self) -> None:
        while True:
            await self._renewal_wanted.wait()
            self._renewal_wanted.clear()
            log.info("the workers are replaced, one after the other")
            for slot in range(self._count):
                if not await self._replace(slot):
                    log.error("the workers that are there stay")
                    break
            else:
                log.info("the workers were replaced")

    async def _replace(self, slot: int) -> bool:
        worker = await self._start(slot, takes_over=False)
        if worker is None:
            return False
        await worker.settled.wait()
        if not worker.ready:
            log.error("a worker cannot start", reason=worker.reason or "see above")
            return False
        old, self._slots[slot] = self._slots.get(slot), worker
        self._vacant.discard(slot)
        if old is not None:
            old.leave()
        return True

    # --- looking -------------------------------------------------------------------------------------

    async def _look_for_the_hung(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = loop.time()
            if now - before < 2 * LOOK_EVERY:  # else it was we, or the machine, who stood still
                for worker in self._workers:
                    found = self.seats.worker(worker.row)
                    if hangs(found, now):
                        doing = found.state.name.lower()
                        log.error("a worker hangs and is killed", worker=worker.process.pid, doing=doing)
                        worker.kill()
            before = now

    # --- stopping ------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stops += 1
        self._stopping.set()
        for worker in self._workers:
            if self._stops == 1:
                worker.leave()
            elif self._stops == 2:
                worker.cut()
            else:
                worker.kill()

    @staticmethod
    async def _either(*events: asyncio.Event) -> None:
        waiting = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()


def supervise(settings: Settings, *, services: str, workers: int, listener: socket.socket) -> int:
    """Serve with ``workers`` processes until told to stop, in the main thread; the exit code.

    ``services``: ``module:attribute`` of a services factory. The workers read their settings themselves,
    from the environment and ``.env``, when they start; ``settings`` are ours. Raises ``ConfigurationError``
    when they cannot start at all.
    """
    supervisor = Supervisor(settings, services=services, workers=workers, listener=listener)
    with contextlib.closing(supervisor), asyncio.Runner() as loop:
        return loop.run(supervisor.run())
