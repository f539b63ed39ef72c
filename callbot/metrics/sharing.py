"""Numbers of several workers on one page: they share a port, and a scrape reaches any of them.

Each worker keeps its numbers in files of a folder that the supervisor made for all of them, and the page
adds them up. The library does that, when a variable of the environment names the folder before it is first
imported: so the supervisor sets it for its workers, and never for itself.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.multiprocess import mark_process_dead

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_IN_MEMORY: Final = Path("/dev/shm")


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """A new folder for the numbers of one supervisor's workers, until the last has left. It is in memory
    where the system has such a place: a number must not wait for a disk."""
    where = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="callbot-metrics-", dir=where, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def environment(folder: Path) -> dict[str, str]:
    """What a worker is started with, so that it keeps its numbers in ``folder``."""
    return {**os.environ, VARIABLE: str(folder)}


def forget(folder: Path, pid: int) -> None:
    """A worker is dead: what it had in hand no longer counts, what it did goes on counting."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def folder_of_this_process() -> Path | None:
    """The folder that the supervisor named for us; None when we keep our numbers alone."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None
