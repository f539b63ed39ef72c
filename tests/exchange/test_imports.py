"""What the exchange may know: nothing of the bot, and in its core nothing of sockets and clocks."""

import ast
from pathlib import Path

import pytest

import callbot.exchange

FOLDER = Path(callbot.exchange.__file__).parent
CORE = ("callers", "dtmf", "ear", "errors", "line", "scenario", "signing", "sounds", "twiml", "wire")
FORBIDDEN = {"asyncio", "time", "random", "secrets", "datetime", "socket", "websockets", "httpx", "threading"}


def imported(module: Path) -> set[str]:
    tree = ast.parse(module.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("module", sorted(FOLDER.glob("*.py")), ids=lambda module: module.stem)
def test_the_exchange_imports_nothing_of_the_bots(module):
    ours = {name for name in imported(module) if name.startswith(("callbot", "."))}
    assert {name for name in ours if not name.startswith("callbot.exchange")} == set()


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_no_clock_and_no_socket(name):
    assert {module.partition(".")[0] for module in imported(FOLDER / f"{name}.py")} & FORBIDDEN == set()


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_only_the_core(name):
    ours = {module for module in imported(FOLDER / f"{name}.py") if module.startswith("callbot.exchange.")}
    assert {module.removeprefix("callbot.exchange.") for module in ours} <= set(CORE)
