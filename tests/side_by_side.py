"""``make test``: the suite as two processes, side by side, and what both have covered.

Calls in real time wait more than they work: they have the machine first, and all other tests get what is
left of it. Two are enough: more would be in the calls' way.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from coverage import Coverage

IN_REAL_TIME = "realtime and not reliability"
THE_REST = "not realtime and not reliability"
BUILD = Path("build")


def tests(marked: str) -> list[str]:
    """The command that runs these."""
    return [sys.executable, "-m", "pytest", "-m", marked, "--cov", "--cov-report="]


def run(first: Sequence[str], beside: Sequence[str], *, folder: Path) -> int:
    """Both commands; the first one's output is told when it has ended, the other's as it comes. Each leaves
    its coverage in ``folder``. An exit code that is not 0, if one of them had one."""
    folder.mkdir(exist_ok=True)
    for left in folder.glob("coverage.*"):  # of a run before
        left.unlink()
    told = folder / "first.txt"
    with told.open("wb") as output, _started(first, folder / "coverage.first", stdout=output) as process:
        try:
            with _started(beside, folder / "coverage.beside", nice=10) as other:
                code = other.wait()
            sys.stdout.write("\nWhat went on beside that:\n\n")
            sys.stdout.flush()
            first_code = process.wait()
        except BaseException:
            process.terminate()
            raise
    sys.stdout.write(told.read_text(errors="replace"))
    sys.stdout.flush()
    return code or first_code


def _started(
    command: Sequence[str], coverage: Path, *, stdout: IO[bytes] | None = None, nice: int = 0
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["nice", "-n", str(nice), *command],
        stdout=stdout,
        stderr=None if stdout is None else subprocess.STDOUT,
        env=os.environ | {"COVERAGE_FILE": str(coverage.absolute())},
    )


def combine(folder: Path) -> None:
    """What both have covered, as if one had."""
    coverage = Coverage()
    coverage.combine([str(folder / "coverage.first"), str(folder / "coverage.beside")], strict=True)
    coverage.save()


if __name__ == "__main__":
    code = run(tests(IN_REAL_TIME), tests(THE_REST), folder=BUILD)
    combine(BUILD)
    sys.exit(code)
