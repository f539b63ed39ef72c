"""Thousands of short calls, watching what a long-lived server must not do: grow.

    python -m bench.soak [--calls 24000] [--at-once 300] [--json FILE]

The server is the benchmark's (``bench/server.py``): everything is on but real speech and language providers.
The callers come in rounds, each a generator of its own; a call lasts some seconds, with a greeting and
often a question in it. After every few rounds, when no call is on: tasks, threads and open files must be
what they were the first time, and memory within 5 % of what it was after the warm-up, a tenth of all calls.
``bench/soak_models.py`` does the same with the real models, and few calls.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bench.machine import machine
from bench.peers.processes import CallbotTarget, Running, spawn
from bench.scraping import Look, look

MOST_GROWTH: Final = 0.05
WARM_UP: Final = 0.1
"""The share of all calls after which memory is taken to be warm."""
RAMP_SECONDS: Final = 6.0
HOLD_SECONDS: Final = 2.0
_ROUND_WITHIN: Final = 90.0
_SETTLED_WITHIN: Final = 12.0
_LOOKS_EVERY: Final = 5.5
"""The server looks at its own tasks and files every five seconds."""
ROUNDS: Final = 5
"""From one footprint to the next."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the server holds when no call is on. ``memory`` is resident, in bytes."""

    calls: int
    """That it has had."""
    memory: int
    files: int
    threads: int
    tasks: int

    def __str__(self) -> str:
        return (
            f"{self.calls} calls: {self.memory / 1e6:.1f} MB, {self.files} files, {self.threads} threads, "
            f"{self.tasks} tasks"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """``memory_growth`` is a share of what was in use when warm."""

    calls: int
    memory_growth: float
    bytes_per_call: float
    wrong: tuple[str, ...]


def judge(prints: Sequence[Footprint], lost: int) -> Verdict:
    """``prints`` in their order; ``lost`` calls were refused or broke off."""
    first, last = prints[0], prints[-1]
    warm = [one for one in prints if one.calls >= WARM_UP * last.calls]
    before, after = _middle(warm[: max(1, len(warm) // 10)]), _middle(warm[-max(1, len(warm) // 10) :])
    growth = (after - before) / before
    wrong = [
        f"{what}: {was} at first, {now} now"
        for what, was, now in (
            ("files", first.files, last.files),
            ("threads", first.threads, last.threads),
            ("tasks", first.tasks, last.tasks),
        )
        if now > was
    ]
    if growth > MOST_GROWTH:
        wrong.append(f"memory grew by {growth:.1%}")
    if lost:
        wrong.append(f"{lost} calls were refused or broke off")
    since = last.calls - warm[0].calls
    return Verdict(
        last.calls, round(growth, 4), round((after - before) / since, 1) if since else 0.0, tuple(wrong)
    )


def _middle(prints: Sequence[Footprint]) -> float:
    return statistics.median(one.memory for one in prints)


class _Soak:
    def __init__(self, running: Running, folder: Path, at_once: int) -> None:
        self._running = running
        self._folder = folder
        self._at_once = at_once
        self._calls = 0
        self.lost = 0

    def round(self, number: int) -> None:
        """A round of calls."""
        spec = {
            **self._running.place,
            "calls": self._at_once,
            "ramp_seconds": RAMP_SECONDS,
            "hold_seconds": HOLD_SECONDS,
            "seed": number,
        }
        path, found = self._folder / "spec.json", self._folder / "found.json"
        path.write_bytes(msgspec.json.encode(spec))
        with found.open("wb") as stdout, (self._folder / "said.txt").open("wb") as stderr:
            command = [sys.executable, "-m", "bench.generator", "--spec", str(path)]
            if (code := spawn(command, None, stdout=stdout, stderr=stderr).wait(_ROUND_WITHIN)) != 0:
                raise SystemExit(f"the generator ended with {code}")
        result = msgspec.json.decode(found.read_bytes())
        self._calls += result["calls_started"]
        self.lost += result["faults"]["refused"] + result["faults"]["lost"]

    def footprint(self) -> Footprint:
        """Once the server says that no call is on, and has looked at itself after that."""
        until = time.monotonic() + _SETTLED_WITHIN
        page = self._look()
        while time.monotonic() < until and (
            page.whole("callbot_calls_live") or page.whole("callbot_tasks") is None
        ):
            time.sleep(0.5)
            page = self._look()
        time.sleep(_LOOKS_EVERY)
        page = self._look()
        return Footprint(
            self._calls,
            psutil.Process(self._running.pid).memory_info().rss,
            page.whole("callbot_process_open_fds") or 0,
            page.whole("callbot_process_threads") or 0,
            page.whole("callbot_tasks") or 0,
        )

    def _look(self) -> Look:
        page = look(self._running.place["webhook"].removesuffix("/twilio/voice") + "/metrics")
        if page is None:
            raise SystemExit("the server does not answer")
        return page


def soak(calls: int, at_once: int) -> tuple[list[Footprint], Verdict]:
    prints: list[Footprint] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        server = CallbotTarget(
            machine().versions["callbot"], folder, command=("-m", "bench.server", "--port", "0")
        )
        try:
            soaking = _Soak(server.start(None), folder, at_once)
            while not prints or prints[-1].calls < calls:
                for number in range(ROUNDS):
                    soaking.round(len(prints) * ROUNDS + number)
                prints.append(soaking.footprint())
                print(prints[-1], flush=True)
        finally:
            server.stop()
    return prints, judge(prints, soaking.lost)


def main(argv: Sequence[str]) -> int:
    asking = argparse.ArgumentParser(prog="bench.soak", description="Thousands of calls, and what has grown.")
    asking.add_argument("--calls", type=int, default=24_000, metavar="N", help="in all (24000)")
    asking.add_argument("--at-once", type=int, default=300, metavar="N", help="in a round (300)")
    asking.add_argument("--json", type=Path, metavar="FILE")
    asked = asking.parse_args(argv)
    prints, verdict = soak(asked.calls, asked.at_once)
    if asked.json is not None:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        found = {"machine": machine(), "verdict": verdict, "after_each_round": prints}
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    print(
        f"memory since the warm-up: {verdict.memory_growth:+.1%}, {verdict.bytes_per_call:.0f} bytes a call"
    )
    print(
        "wrong: " + "; ".join(verdict.wrong) if verdict.wrong else f"{verdict.calls} calls, and nothing grew"
    )
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
