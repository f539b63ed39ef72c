"""The peers' own environments: each peer is installed beside callbot, once, and never into it."""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHE: Final = Path("build") / "peers"

_FOLDER: Final = Path(__file__).parent
_INSTALLED: Final = "installed"
_LAST_LINES: Final = 4


class Unavailable(Exception):
    """A system cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another project's bot. Its folder here holds its server, its requirements and their constraints.

    ``package`` is what it is called on the index, ``path`` where its server takes media streams.
    """

    name: str
    package: str
    path: str

    @property
    def server(self) -> Path:
        return _FOLDER / self.name / "server.py"

    @property
    def requirements(self) -> Path:
        return _FOLDER / self.name / "requirements.txt"

    @property
    def constraints(self) -> Path:
        return _FOLDER / self.name / "constraints.txt"

    @property
    def version(self) -> str:
        """The one that the requirements pin."""
        return pinned(self.requirements.read_text(encoding="utf-8"), self.package)


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("pipecat", "pipecat-ai", "/ws"),
        Peer("vocode", "vocode", "/connect_call/benchmark"),
    )
}


def pinned(requirements: str, package: str) -> str:
    """The exact version of ``package`` that ``requirements`` name. Raises ``ValueError`` if they don't."""
    for line in requirements.splitlines():
        name, pin, version = line.partition(";")[0].strip().partition("==")
        if pin and name.partition("[")[0] == package:
            return version
    raise ValueError(f"the requirements pin no version of {package}")


def fingerprint(peer: Peer) -> str:
    """Changes with whatever the environment is made from: requirements, constraints, and this Python."""
    made_from = hashlib.sha256(sys.version.encode())
    for file in (peer.requirements, peer.constraints):
        made_from.update(file.read_bytes())
    return made_from.hexdigest()


def prepare(peer: Peer, cache: Path, tell: Callable[[str], None]) -> Path:
    """The peer's interpreter, installed under ``cache`` if it is not there as its requirements want it.

    Takes a minute or so the first time. Raises ``Unavailable`` when pip cannot install it.
    """
    home = (cache / peer.name).absolute()
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    installed = home / _INSTALLED
    wanted = fingerprint(peer)
    if python.exists() and installed.exists() and installed.read_text() == wanted:
        return python
    tell(f"Installing {peer.package} {peer.version} into {home}, once; it takes a minute or two.")
    if home.exists():
        shutil.rmtree(home)
    venv.create(home, with_pip=True)
    _install(python, peer, tell)
    installed.write_text(wanted)
    return python


def _install(python: Path, peer: Peer, tell: Callable[[str], None]) -> None:
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    pip = subprocess.Popen(
        [*command, "--requirement", str(peer.requirements)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert pip.stdout is not None
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with pip.stdout:
        for line in map(str.strip, pip.stdout):
            if line:
                last.append(line)
            if line.endswith(" MB)"):
                tell(f"  {line}")
    if pip.wait():
        raise Unavailable(f"{peer.package} {peer.version} cannot be installed: {' / '.join(last)}")
