"""One step of the capacity benchmark: a server and a generator, both new, watched while they hold calls."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final
from urllib.parse import urljoin

import msgspec
import psutil

from bench import scraping
from bench.peers.climb import Heard
from bench.peers.processes import CallbotTarget, Running, spawn
from bench.peers.venvs import Unavailable
from bench.scraping import Look
from bench.steps import LATE_FRAME_SECONDS, Measured, Rules, Served, Spent

CALLS_PER_SECOND: Final = 50.0
"""Dialled while the step is set up."""

_STARTING: Final = 3.0
"""Seconds that the generator may take until it dials; the hold is taken to begin after them."""
_ENDING: Final = 60.0
_LOOKS_EVERY: Final = 0.5
_COUNTED_WITHIN: Final = 5.0
"""A server that has much to do may still be reading frames when the last call is over."""


@dataclass(frozen=True, slots=True)
class Progress:
    """``said`` is the generator's last word on how it is going."""

    calls: int
    doing: str
    seconds_left: float
    said: str = ""


Watch = Callable[[Progress], None]


def hold(calls: int, rules: Rules, version: str, folder: Path, watch: Watch) -> Measured:
    """Start a server, hold the calls, stop it. ``folder`` gets the processes' logs.

    Raises ``Unavailable`` when the server or the generator does not do its part.
    """
    server = CallbotTarget(version, folder, command=_server(rules))
    ramp = calls / CALLS_PER_SECOND
    watch(Progress(calls, "starting the server", _STARTING + ramp + rules.hold_seconds))
    try:
        return _Hold(calls, ramp, rules, server.start(None), folder, watch).run()
    finally:
        server.stop()


def _server(rules: Rules) -> tuple[str, ...]:
    command = ["-m", "bench.server", "--port", "0"]
    for name, seconds in asdict(rules.latencies).items():
        command += [f"--{name}", str(seconds)]
    if rules.workers > 1:
        command += ["--workers", str(rules.workers)]
    return tuple(command)


# --- watching ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Used:
    """What the server's processes had used at ``at``. ``memory`` is in bytes, and what processes share is
    counted once."""

    at: float
    cpu_seconds: float
    memory: int


def used(pid: int) -> Used | None:
    """``None`` when one of them is gone."""
    cpu_seconds, memory = 0.0, 0
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        for process in family:
            times = process.cpu_times()
            cpu_seconds += times.user + times.system
            memory += _memory(process, alone=len(family) == 1)
    except psutil.NoSuchProcess:
        return None
    return Used(time.monotonic(), cpu_seconds, memory)


def _memory(process: psutil.Process, *, alone: bool) -> int:
    if alone:
        return int(process.memory_info().rss)
    full = process.memory_full_info()  # Linux alone knows what part of a shared page is whose
    return int(getattr(full, "pss", full.rss))


def spent(calls: int, empty: Used, began: Used, ended: Used) -> Spent:
    """``empty`` is before the first call; the others are the beginning and the end of the hold."""
    cores = (ended.cpu_seconds - began.cpu_seconds) / (ended.at - began.at)
    return Spent(
        cpu_ms_per_call_second=round(1000 * cores / calls, 3),
        cores=round(cores, 3),
        kib_per_call=round((ended.memory - empty.memory) / 1024 / calls, 1),
    )


def served(began: Look | None, ended: Look | None, over: Look | None) -> Served:
    """From looks at the beginning and the end of the hold, and after the last call."""
    late = scraping.between(began, ended, "callbot_frame_lateness_seconds")
    return Served(
        frames_received=None if over is None else over.whole("callbot_frames_received_total"),
        frames_late=None if late is None else scraping.above(late, LATE_FRAME_SECONDS),
        own_part_p99=_p99_ms(began, ended, "callbot_reply_seconds"),
        loop_lag_p99=_p99_ms(began, ended, "callbot_event_loop_lag_seconds"),
    )


def _p99_ms(began: Look | None, ended: Look | None, histogram: str) -> float | None:
    gained = scraping.between(began, ended, histogram)
    seconds = None if gained is None else scraping.percentile(gained, 99)
    return None if seconds is None else round(seconds * 1000, 2)


# --- one hold ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Hold:
    calls: int
    ramp: float
    rules: Rules
    running: Running
    folder: Path
    watch: Watch

    def run(self) -> Measured:
        empty = used(self.running.pid)
        generator, began_at = self._generate(), time.monotonic()
        try:
            ends_at = began_at + self.ramp + self.rules.hold_seconds
            settled = min(_STARTING, self.rules.hold_seconds / 2)
            self._wait(generator, began_at + self.ramp + settled, "dialling", ends_at)
            began, first = used(self.running.pid), self._look()
            self._wait(generator, ends_at, "holding", ends_at)
            ended, last = used(self.running.pid), self._look()
            self._finish(generator)
        finally:
            if generator.poll() is None:
                generator.kill()
                generator.wait()
        return self._measured(
            None if not (empty and began and ended) else spent(self.calls, empty, began, ended), first, last
        )

    def _generate(self) -> "Popen[bytes]":
        spec = {
            **self.running.place,
            "calls": self.calls,
            "ramp_seconds": self.ramp,
            "hold_seconds": self.rules.hold_seconds,
            "barge_ins_per_minute": self.rules.barge_ins_per_minute,
            "seed": self.rules.seed,
        }
        path = self.folder / "spec.json"
        path.write_bytes(msgspec.json.encode(spec))
        command = [sys.executable, "-m", "bench.generator", "--spec", str(path)]
        with self._found.open("wb") as stdout, self._said.open("wb") as stderr:
            return spawn(command, None, stdout=stdout, stderr=stderr)

    @property
    def _found(self) -> Path:
        return self.folder / "found.json"

    @property
    def _said(self) -> Path:
        return self.folder / "said.txt"

    def _wait(self, generator: "Popen[bytes]", until: float, doing: str, ends_at: float) -> None:
        while generator.poll() is None and (left := until - time.monotonic()) > 0:
            self._tell(doing, ends_at - time.monotonic())
            time.sleep(min(_LOOKS_EVERY, left))

    def _finish(self, generator: "Popen[bytes]") -> None:
        """Raises ``Unavailable``."""
        deadline = time.monotonic() + _ENDING
        while (code := generator.poll()) is None:
            if time.monotonic() > deadline:
                raise Unavailable(f"the generator had not finished {_ENDING:g} s after the hold")
            self._tell("hanging up", 0.0)
            time.sleep(_LOOKS_EVERY)
        if code:
            said = self._said.read_text(errors="replace").strip()[-300:]
            raise Unavailable(f"the generator ended with {code}: {said}")

    def _tell(self, doing: str, seconds_left: float) -> None:
        lines = self._said.read_text(errors="replace").splitlines()
        self.watch(Progress(self.calls, doing, max(0.0, seconds_left), lines[-1] if lines else ""))

    def _look(self) -> Look | None:
        return scraping.look(urljoin(self.running.place["webhook"], "/metrics"))

    def _measured(self, cost: Spent | None, first: Look | None, last: Look | None) -> Measured:
        result = msgspec.json.decode(self._found.read_bytes())
        return Measured(
            heard=msgspec.convert(result, Heard),
            frames_sent=result["frames_sent"],
            generator_cpu_ms_per_call_second=result["generator_cpu_ms_per_call_second"],
            served=served(first, last, self._look_until_all_are_counted(result["frames_sent"])),
            spent=cost,
            result=result,
        )

    def _look_until_all_are_counted(self, frames: int) -> Look | None:
        deadline = time.monotonic() + _COUNTED_WITHIN
        while True:
            page = self._look()
            received = None if page is None else page.whole("callbot_frames_received_total")
            if received is None or received >= frames or time.monotonic() > deadline:
                return page
            time.sleep(_LOOKS_EVERY)
