"""Records in a file while the database is down: appended, read back in order, then removed.

The processes of one machine share it: whoever reads or writes has the file to himself, so that a record is
not added to a file that is about to be removed. Its methods block: call them off the event loop.
"""

import fcntl
import os
from collections.abc import Generator, Iterable
from pathlib import Path

from callbot.store.records import Record, from_line, to_line


class Spool:
    """``path`` holds one record per line; lines that are none end up in ``rejected``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rejected = path.with_name(f"{path.stem}.rejected{path.suffix}")

    def exists(self) -> bool:
        return self.path.exists()

    def append(self, records: Iterable[Record]) -> None:
        """On the disk when it returns. Raises ``OSError``, and then nothing counts as written."""
        _append(self.path, (to_line(record) for record in records))

    def reject(self, records: Iterable[Record]) -> None:
        """Put aside what no database takes, for a person to look at."""
        _append(self.rejected, (to_line(record) for record in records))

    def read(self, most: int) -> Generator[list[Record], None, None]:
        """Every record in order, ``most`` at a time. When the last ones were taken, and more are asked for,
        the file is removed."""
        batch: list[Record] = []
        try:
            lines = self.path.open(encoding="utf-8")
        except FileNotFoundError:  # another process has read it
            return
        with lines:
            fcntl.flock(lines, fcntl.LOCK_EX)
            if _is_removed(lines.fileno()):
                return
            for line in lines:
                try:
                    batch.append(from_line(line))
                except (ValueError, KeyError, TypeError):  # torn by a crash, or written by something else
                    _append(self.rejected, [line.rstrip("\n")])
                if len(batch) == most:
                    yield batch
                    batch = []
            if batch:
                yield batch
            self.path.unlink()


def _append(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_removed(file.fileno()):
            return _append(path, lines)
        before = file.seek(0, os.SEEK_END)
        if before and not _ends_a_line(path):
            file.write(b"\n")
        try:
            file.writelines(line.encode() + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), before)
            raise


def _is_removed(fd: int) -> bool:
    """Whoever had the file before us has removed it."""
    return os.fstat(fd).st_nlink == 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
