"""One step of the comparison: so many calls held against one system, and what that cost it."""

import base64
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final

import msgspec

from bench.clips import clips
from bench.peers.climb import Cost, Heard, Measured
from bench.peers.processes import Running, Target, Usage, spawn, usage
from bench.peers.venvs import Unavailable

_RAMP: Final = (2.0, 30.0)
_CALLS_PER_SECOND: Final = 4.0
"""Dialled at first; a ramp is never longer than the longest, so many calls come faster."""
_STARTING: Final = 3.0
"""Seconds that the generator may take until it dials: measuring begins after them, to be in the hold."""
_ALONE: Final = 90.0
"""Seconds that a single call is held at least: every later step is judged by its median."""
_ENDING: Final = 60.0
_REPLY_SECONDS: Final = 4
_RATE: Final = 8000


@dataclass(frozen=True, slots=True)
class Rules:
    """How every step is held. ``hold_seconds`` is what the generator judges, after all calls are up."""

    hold_seconds: float = 60.0
    barge_ins_per_minute: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.hold_seconds < 2 * _STARTING:
            raise ValueError(f"hold_seconds: must be at least {2 * _STARTING:g}, not {self.hold_seconds:g}")


def ramp_seconds(calls: int) -> float:
    shortest, longest = _RAMP
    return min(longest, max(shortest, calls / _CALLS_PER_SECOND))


def voice(path: Path) -> Path:
    """Write what a peer's bot says: four seconds of speech, mu-law at 8 kHz."""
    speech = b"".join(base64.b64decode(frame) for clip in clips() for frame in clip.frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(speech[: _REPLY_SECONDS * _RATE])
    return path.absolute()


def cost(calls: int, idle: Usage, began: Usage, ended: Usage) -> Cost:
    cpu = (ended.cpu_seconds - began.cpu_seconds) / (ended.at - began.at)
    return Cost(
        cpu_ms_per_call_second=round(1000 * cpu / calls, 3),
        cores=round(cpu, 3),
        memory_kib_per_call=round((ended.rss - idle.rss) / 1024 / calls, 1),
    )


def measure(target: Target, calls: int, rules: Rules, cores: tuple[int | None, int | None]) -> Measured:
    """Start the system, call it, stop it. Raises ``Unavailable``."""
    server_core, generator_core = cores
    try:
        running = target.start(server_core)
        with tempfile.TemporaryDirectory() as folder:
            return _call(running, calls, rules, Path(folder), generator_core)
    finally:
        target.stop()


def _call(running: Running, calls: int, rules: Rules, folder: Path, core: int | None) -> Measured:
    ramp = ramp_seconds(calls)
    if calls == 1:
        rules = replace(rules, hold_seconds=max(_ALONE, rules.hold_seconds))
    spec, found, said = (folder / name for name in ("spec.json", "found.json", "said.txt"))
    spec.write_bytes(
        msgspec.json.encode({**running.place, **asdict(rules), "calls": calls, "ramp_seconds": ramp})
    )
    idle = usage(running.pid)
    command = [sys.executable, "-m", "bench.generator", "--spec", str(spec)]
    began = time.monotonic()
    with found.open("wb") as stdout, said.open("wb") as stderr:
        generator = spawn(command, core, stdout=stdout, stderr=stderr)
    try:
        used: list[Usage | None] = []
        for until in (began + _STARTING + ramp, began + ramp + rules.hold_seconds):
            _wait(lambda: generator.poll() is not None, until)
            used.append(usage(running.pid))
        code = generator.wait(_ENDING)
    except TimeoutExpired:
        raise Unavailable(f"the generator had not finished {_ENDING:g} s after the hold") from None
    finally:
        if generator.poll() is None:
            generator.kill()
            generator.wait()
    if code:
        raise Unavailable(
            f"the generator ended with {code}: {said.read_text(errors='replace').strip()[-300:]}"
        )
    result = msgspec.json.decode(found.read_bytes())
    first, last = used
    told = cost(calls, idle, first, last) if idle and first and last else None
    return Measured(msgspec.convert(result, Heard), told, result)


def _wait(over: Callable[[], bool], until: float) -> None:
    while not over() and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
