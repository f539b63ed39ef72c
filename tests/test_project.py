"""What a machine can check of how this project is kept: its imports, its dependencies, what it says."""

import ast
import asyncio
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "callbot"

# --- the core decides, and does nothing else ---------------------------------------------------------

CORE = (
    "call.py",
    "load.py",
    "seating.py",
    "errors.py",
    "conversation/**/*.py",
    "media_stream/**/*.py",
    "agents/**/*.py",
    "routing/**/*.py",
    "providers/accounting.py",
    "providers/breaker.py",
    "providers/budget.py",
    "providers/chains.py",
    "providers/ports.py",
    "providers/prices.py",
    "vendors.py",
    "carriers/twilio/tokens.py",
    "exchange/twiml.py",
    "exchange/line.py",
    "exchange/ear.py",
    "exchange/dtmf.py",
    "exchange/errors.py",
)
NOT_CORE = {
    "agents/flow_brain.py": "drives the walker",
    "agents/flow_checks.py": "checks flows while they are read",
    "agents/flow_file.py": "reads flows from files",
    "agents/flow_first_brain.py": "drives a flow and a language model",
    "agents/model_brain.py": "drives the thinking of a language model",
    "agents/stand_in.py": "drives a language model, and a flow in its place",
    "agents/tool_runs.py": "runs what an agent may do, and sees it to its end",
    "agents/tools.py": "runs what an agent may do",
    "agents/vectors.py": "keeps files",
    "agents/yaml_source.py": "reads files",
}
READERS = {
    "agents/knowledge.py": "load",
    "exchange/sounds.py": "read_wav",
}
"""Modules of values, each with the one function in it that reads a file: the core imports all but that."""

ACTS = frozenset(
    """asyncio concurrent http importlib io logging multiprocessing os pathlib queue random secrets selectors
    shutil signal socket sqlite3 ssl subprocess sys tempfile threading time urllib.request uuid""".split()  # noqa: SIM905
)
"""Modules of the standard library that do something, know the time or are never twice the same."""

VALUES = frozenset({"audioop", "msgspec", "numpy", "soxr", "yaml"})
"""Libraries that turn values into values."""

CALLS = re.compile(r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^(open|print|input)$")


def core_modules() -> list[Path]:
    found = {path for pattern in CORE for path in PACKAGE.glob(pattern)}
    packages = {
        parent / "__init__.py"
        for path in found
        for parent in path.parents
        if PACKAGE in [parent, *parent.parents]
    }
    return sorted((found | packages) - {PACKAGE / path for path in (*NOT_CORE, *READERS)})


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of whatever is imported; of ``from a import b`` that is ``a.b``."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from ((node.lineno, f"{module}.{name.name}") for name in names)
            case ast.ImportFrom():
                yield node.lineno, "." * node.level


def file_of(name: str) -> Path | None:
    """The file of ours that ``name`` is, or is defined in; ``None`` when it isn't ours."""
    parts = name.split(".")
    if parts[0] != "callbot":
        return None
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    raise AssertionError(f"{name} is nowhere")


def impurities(source: str) -> list[str]:
    """What keeps ``source`` from being core, one phrase for each."""
    tree = ast.parse(source)
    found = []
    for line, name in imports(tree):
        top = name.split(".")[0]
        if any(name == acts or name.startswith(f"{acts}.") for acts in ACTS):
            found.append(f"line {line} imports {name}")
        elif top == "":
            found.append(f"line {line} imports relatively: write the full name")
        elif top not in sys.stdlib_module_names | VALUES | {"callbot"}:
            found.append(f"line {line} imports {name}, a vendor")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and CALLS.search(called := ast.unparse(node.func)):
            found.append(f"line {node.lineno} calls {called}")
        elif isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append(f"line {node.lineno} awaits")
    return found


def strangers(path: Path) -> list[str]:
    """What ``path`` imports of ours that isn't core."""
    core = set(core_modules())
    readers = {PACKAGE / reader: function for reader, function in READERS.items()}
    return [
        f"line {line} imports {name}"
        for line, name in imports(ast.parse(path.read_text()))
        if (module := file_of(name)) is not None
        and module not in core
        and (module not in readers or name.split(".")[-1] in (readers[module], module.stem))
    ]


@pytest.mark.parametrize("path", core_modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_imports_no_loop_no_clock_no_chance_and_no_vendor(path: Path):
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize("path", core_modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_imports_only_core(path: Path):
    assert strangers(path) == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import asyncio.events as events",
        "from time import monotonic",
        "import random",
        "from urllib.request import urlopen",
        "from urllib import request",
        "import starlette",
        "from . import ports",
        "def f():\n    import socket",
        "import datetime\nbegan = datetime.datetime.now(datetime.UTC)",
        "from datetime import date\nday = date.today()",
        "text = open('flow.yaml').read()",
        "async def reply(brain): await brain",
    ],
)
def test_what_acts_is_recognised(source: str):
    assert impurities(source)


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime, time",
        "from urllib.parse import urlsplit",
        "import numpy as np",
        "def due(self, now: float): return self.now(now)",
    ],
)
def test_what_only_computes_is_not_mistaken_for_it(source: str):
    assert impurities(source) == []


@pytest.mark.parametrize("path", [*NOT_CORE, *READERS])
def test_an_exception_from_the_core_is_still_needed(path: str):
    source = PACKAGE / path
    assert impurities(source.read_text()) or strangers(source), f"{path} is as pure as the core: take it off"


# --- the exchange stands apart -----------------------------------------------------------------------


def ours_imported_by(path: Path) -> set[Path]:
    names = (name for _, name in imports(ast.parse(path.read_text())))
    return {found for name in names if (found := file_of(name)) is not None}


def test_the_exchange_imports_nothing_of_the_bot():
    exchange = PACKAGE / "exchange"
    for path in exchange.rglob("*.py"):
        theirs = {found for found in ours_imported_by(path) if exchange not in found.parents}
        assert not theirs, f"{path.name} imports {theirs}"


def test_only_the_command_line_opens_the_exchange():
    exchange, command_line = PACKAGE / "exchange", PACKAGE / "cli"
    for path in PACKAGE.rglob("*.py"):
        if not {exchange, command_line} & {path.with_suffix(""), *path.parents}:
            assert not [found for found in ours_imported_by(path) if exchange in found.parents], path


# --- what it depends on ------------------------------------------------------------------------------

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NEEDED = [
    *PROJECT["dependencies"],
    *(needed for name, extra in EXTRAS.items() if name != "dev" for needed in extra),
]


def pins(name: str) -> dict[str, list[tuple[Requirement, int]]]:
    """Of a constraints file: package name -> its pins (one for each set of platforms) and how many hashes."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in (ROOT / name).read_text().replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split("--hash=sha256:")
        pin = Requirement(requirement)
        found.setdefault(canonicalize_name(pin.name), []).append((pin, len(hashes)))
    return found


def pinned(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not exact"
    return specifier.version


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-call.txt"])
def test_every_pin_is_exact_and_has_a_hash(name: str):
    for package, versions in pins(name).items():
        for pin, hashes in versions:
            assert pinned(pin)
            assert hashes, f"{package} has no hash"


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("constraints.txt", [*NEEDED, *EXTRAS["dev"]]),
        ("constraints-call.txt", [*PROJECT["dependencies"], *EXTRAS["local"]]),
    ],
)
def test_the_pins_are_what_pyproject_asks_for(name: str, needed: list[str]):
    versions = pins(name)
    for requirement in map(Requirement, needed):
        package = canonicalize_name(requirement.name)
        assert package in versions, f"{package} is not pinned: make constraints"
        for pin, _ in versions[package]:
            assert requirement.specifier.contains(pinned(pin)), (
                f"{pin} is not {requirement}: make constraints"
            )


def test_a_call_is_pinned_to_what_everything_is_pinned_to():
    everything = pins("constraints.txt")
    for package, versions in pins("constraints-call.txt").items():
        assert [pinned(pin) for pin, _ in versions] == [pinned(pin) for pin, _ in everything[package]]


def test_third_party_names_every_package_that_runs():
    named = set(re.findall(r"[a-z][a-z0-9-]+", (ROOT / "THIRD_PARTY.md").read_text()))
    runs = {canonicalize_name(Requirement(needed).name) for needed in NEEDED}
    brought = {
        package
        for package, versions in pins("constraints-call.txt").items()
        if any(pin.marker is None or pin.marker.evaluate() for pin, _ in versions)
    }
    assert sorted((runs | brought) - named) == []


def test_every_library_imported_is_a_declared_dependency():
    declared = {canonicalize_name(Requirement(needed).name) for needed in NEEDED}
    distributions = packages_distributions()
    ours = {"callbot", "bench", "dashboards"}
    missing = {
        f"{name} in {path.relative_to(ROOT)}"
        for folder in ours
        for path in (ROOT / folder).rglob("*.py")
        if "peers" not in path.parts or path.name != "server.py"  # programs of others' environments
        for _, full_name in imports(ast.parse(path.read_text()))
        if (name := full_name.split(".")[0]) not in sys.stdlib_module_names | ours
        and (name, path.name) != ("tests", "network.py")  # the doubles of vendors, in a checkout alone
        and not declared & {canonicalize_name(found) for found in distributions.get(name, [name])}
    }
    assert missing == set()


# --- what it says ------------------------------------------------------------------------------------

TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.fixture
def texts() -> dict[str, str]:
    """Every file of the repository that is text, by name, whether or not it is committed yet."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the project is no git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    paths = {name: ROOT / name for name in listed if name}
    contents = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return {name: content.decode() for name, content in contents.items() if b"\0" not in content}


def test_no_file_names_a_package_index_or_a_place_on_one_machine(texts: dict[str, str]):
    hosts = "|".join(["pypi", "pythonhosted", "npmjs", "deb[.]debian"])
    places = "|".join(["work", "root", "Users", "tmp/scratch", "opt/pypi"])
    told = re.compile(rf"\b({hosts})[.](org|com)\b|(?<![\w.}}])/({places})/")
    assert {name: match[0] for name, text in texts.items() if (match := told.search(text))} == {}


def test_the_commands_that_stay_are_in_the_makefile():
    assert {"call", "test", "serve", "lint", "bench"} <= TARGETS


def test_every_make_command_that_is_written_about_exists():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        commands = re.findall(r"`make ([a-z ]+)", page.read_text())
        assert {target for command in commands for target in command.split()} <= TARGETS, page.name


def test_what_make_runs_exists():
    makefile = (ROOT / "Makefile").read_text()
    modules = [name.split(".") for name in re.findall(r"python -m ((?:bench|tests)\.[\w.]+)", makefile)]
    commands = [["callbot", "cli", name] for name in re.findall(r"\$\(BIN\)/callbot (\w+)", makefile)]
    assert modules
    assert commands
    assert [
        parts for parts in modules + commands if not ROOT.joinpath(*parts).with_suffix(".py").is_file()
    ] == []


def test_make_lists_its_commands():
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1] for line in listed.splitlines()} == TARGETS


def test_the_licence_is_the_apache_licence():
    assert PROJECT["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text().split()[:4] == ["Apache", "License", "Version", "2.0,"]


# --- and its tests stay on this machine --------------------------------------------------------------


def test_a_test_that_would_connect_elsewhere_fails():
    with pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"), socket.socket() as caller:
        caller.connect(("192.0.2.1", 80))


def test_a_test_that_would_resolve_a_name_fails():
    with pytest.raises(pytest.fail.Exception, match=r"api\.example\.com"):
        socket.create_connection(("api.example.com", 443))


async def test_a_test_that_would_connect_elsewhere_on_the_loop_fails():
    with pytest.raises(pytest.fail.Exception, match="2001:db8::1"):
        await asyncio.open_connection("2001:db8::1", 80)


def test_a_test_may_connect_to_loopback():
    with socket.create_server(("localhost", 0)) as server:
        socket.create_connection(server.getsockname()).close()
