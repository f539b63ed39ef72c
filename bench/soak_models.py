"""Call after call on the whole offline stack, watching what a long-lived process must not do: grow.

    python -m bench.soak_models [MINUTES]

``bench/soak.py`` makes thousands of calls on stand-ins; here the real models answer them. Short calls
of a recorded caller, four at a time. After each minute: calls so far, memory, open files, threads and tasks.
Fails when files, threads or tasks have not come back to what they were after the first
minute, or when memory has grown by more than 5 % since then.
"""

import asyncio
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from callbot import logs
from callbot.cli.local import Local, local, local_settings
from callbot.cli.simulate import read, ring
from callbot.config import LogLevel

CALLER = Path(__file__).parent.parent / "fixtures" / "audio" / "hangup.wav"
AT_ONCE = 4
MOST_GROWTH = 1.05


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the process holds while no call is on."""

    rss: int
    files: int
    threads: int
    tasks: int

    @classmethod
    def now(cls) -> "Footprint":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(asyncio.all_tasks()),
        )

    def __str__(self) -> str:
        return f"{self.rss / 1e6:.0f} MB, {self.files} files, {self.threads} threads, {self.tasks} tasks"


async def _round(bot: Local, seconds: float) -> int:
    """Calls for so long; the number of calls that ended."""
    until = asyncio.get_running_loop().time() + seconds
    ended = 0

    async def one() -> None:
        nonlocal ended
        while asyncio.get_running_loop().time() < until:
            await ring(bot, read(CALLER))
            ended += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one())
    return ended


async def soak(minutes: int) -> int:
    """0 when the process came back to where it was, 1 when it grew."""
    calls = 0
    logs.configure(local_settings().model_copy(update={"log_level": LogLevel.WARNING}))
    with tempfile.TemporaryDirectory() as folder:
        async with local(local_settings(Path(folder))) as bot:
            base: Footprint | None = None
            for minute in range(1, minutes + 1):
                calls += await _round(bot, 60)
                footprint = Footprint.now()
                base = base or footprint
                print(f"minute {minute} of {minutes}: {calls} calls, {footprint}", flush=True)
    assert base is not None
    grown = [name for name in ("files", "threads", "tasks") if getattr(footprint, name) > getattr(base, name)]
    if footprint.rss > base.rss * MOST_GROWTH:
        grown.append("memory")
    print(f"grown since the first minute: {', '.join(grown) or 'nothing'}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(soak(int(sys.argv[1]) if len(sys.argv) > 1 else 10)))
