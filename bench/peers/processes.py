"""The systems under test as processes: started, found to answer, measured, and stopped by their own ids."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Protocol

import psutil

from bench.peers.venvs import Peer, Unavailable, prepare

ROOT: Final = Path(__file__).parents[2]

_READY_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.05
_SHOWN: Final = 300
_SPEC_FIELDS: Final = ("webhook", "stream", "public_url", "auth_token", "account_sid", "to_number")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes calls. ``place`` are the fields of the generator's spec that say where and how."""

    pid: int
    place: Mapping[str, str]


class Target(Protocol):
    """A system to measure. ``start`` raises ``Unavailable``; ``stop`` may be called whatever happened."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def prepare(self, tell: Callable[[str], None]) -> None:
        """What is done once, before anything is measured. Raises ``Unavailable``."""

    def start(self, core: int | None) -> Running:
        """Returns when calls can be made; with ``core``, it runs on that one alone."""

    def stop(self) -> None: ...


@dataclass(slots=True)
class Process:
    """A child process whose output goes to a file."""

    log: Path
    _child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], core: int | None) -> int:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._child = spawn(command, core, stdout=output, stderr=subprocess.STDOUT)
        return self._child.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Raises ``Unavailable`` if the process ends or takes too long."""
        assert self._child is not None
        until = time.monotonic() + _READY_SECONDS
        while not ready():
            if (code := self._child.poll()) is not None:
                raise Unavailable(f"its server ended with {code}: {self.last_words()}")
            if time.monotonic() > until:
                raise Unavailable(
                    f"its server did not answer within {_READY_SECONDS:g} s: {self.last_words()}"
                )
            time.sleep(_POLL_SECONDS)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace").strip()[-_SHOWN:] or "it said nothing"

    def stop(self) -> None:
        """Ask it to end; if it does not in a while, and if it leaves children behind, those are killed."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        family = _family(child.pid)
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_SECONDS)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        child.wait()


@dataclass(slots=True)
class PeerTarget:
    """A peer in its own environment. ``voice`` is what its bot says: mu-law at 8 kHz."""

    peer: Peer
    cache: Path
    voice: Path
    _python: Path = field(init=False)
    _process: Process = field(init=False)

    def __post_init__(self) -> None:
        self._process = Process(self.cache / f"{self.peer.name}.log")

    @property
    def name(self) -> str:
        return self.peer.name

    @property
    def version(self) -> str:
        return self.peer.version

    def prepare(self, tell: Callable[[str], None]) -> None:
        self._python = prepare(self.peer, self.cache, tell)

    def start(self, core: int | None) -> Running:
        port = free_port()
        server = [str(self._python), "-W", "ignore", str(self.peer.server)]
        pid = self._process.start([*server, "--port", str(port), "--voice", str(self.voice)], core)
        self._process.wait_until(lambda: _answers(port))
        return Running(pid, {"stream": f"ws://127.0.0.1:{port}{self.peer.path}"})

    def stop(self) -> None:
        self._process.stop()


@dataclass(slots=True)
class CallbotTarget:
    """callbot itself: ``python -m MODULE ARGUMENTS``, which prints a line of JSON when it is ready.

    Its keys are fields of the generator's spec: ``webhook``, and what it takes to be let in there.
    """

    version: str
    cache: Path
    command: Sequence[str] = ("-m", "bench.server", "--port", "0")
    name: str = "callbot"
    _process: Process = field(init=False)

    def __post_init__(self) -> None:
        self._process = Process(self.cache / f"{self.name}.log")

    def prepare(self, tell: Callable[[str], None]) -> None:
        """It is installed: this is its environment."""

    def start(self, core: int | None) -> Running:
        pid = self._process.start([sys.executable, *self.command], core)
        self._process.wait_until(lambda: read_ready(self._output()) is not None)
        place = read_ready(self._output())
        assert place is not None
        return Running(pid, place)

    def stop(self) -> None:
        self._process.stop()

    def _output(self) -> str:
        return self._process.log.read_text(errors="replace")


def read_ready(output: str) -> dict[str, str] | None:
    """The fields for the spec in the first whole line that is a JSON object, if it is there yet."""
    for line in output.splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            said = json.loads(line)
            return {name: said[name] for name in _SPEC_FIELDS if said.get(name)}
    return None


# --- processors ----------------------------------------------------------------------------------


def cores() -> tuple[int | None, int | None]:
    """One core for the server under test and another for the generator, where one can choose."""
    if not hasattr(psutil.Process, "cpu_affinity"):
        return None, None
    ours = psutil.Process().cpu_affinity() or []
    return (ours[0], ours[-1]) if len(ours) > 1 else (None, None)


def spawn(
    command: Sequence[str],
    core: int | None,
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    """From the top of the project, and on one core. Its threads and children inherit that."""
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=_environment()
    )
    if core is not None:
        psutil.Process(child.pid).cpu_affinity([core])
    return child


def _environment() -> dict[str, str]:
    """Ours, without what would have a peer report to its makers or take another's settings for its own."""
    return {name: value for name, value in os.environ.items() if name not in ("SENTRY_DSN", "REDIS_URL")}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children have used until now."""

    at: float
    cpu_seconds: float
    rss: int


def usage(pid: int) -> Usage | None:
    """``None`` when the process is gone."""
    cpu_seconds, rss = 0.0, 0
    for process in (family := _family(pid)):
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu_seconds += times.user + times.system
                rss += process.memory_info().rss
        except psutil.NoSuchProcess:
            return None
    return Usage(time.monotonic(), cpu_seconds, rss) if family else None


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


# --- ports ---------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
