"""What figures depend on, to be told beside them."""

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("callbot", "numpy", "onnxruntime", "picows", "uvicorn", "uvloop")
_GIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Machine:
    """``cores`` are those that a process of ours may use. ``commit`` has a ``+`` when files were changed
    since, and is ``None`` outside a repository. ``load_before`` is the average of the minute before."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    commit: str | None
    load_before: float


def machine() -> Machine:
    return Machine(
        processor=processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        versions=dict(_versions(_PACKAGES)),
        commit=_commit(),
        load_before=round(psutil.getloadavg()[0], 2),
    )


def processor() -> str:
    """The model's name."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _commit() -> str | None:
    head, changed = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain")
    return None if head is None else head + ("+" if changed else "")


def _git(*arguments: str) -> str | None:
    try:
        told = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
