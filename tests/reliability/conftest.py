"""Calls in real time in which things fail: three at once (``--at-once``), each on a stage of its own.

A test names the function that makes its call (``@pytest.mark.call(by=...)``), and asks for ``told``, what
came of it. The calls of all tests that were selected begin with the first of them, so that none waits for
another's.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from callbot.providers.embedding import E5Embedder
from callbot.providers.stt.moonshine import MoonshineModel
from callbot.providers.stt.whisper import WhisperModel
from callbot.providers.tts.hibari_model import HibariModel
from callbot.providers.vad.silero import SileroDetector
from tests.reliability import report as reporting
from tests.reliability.judging import recorded
from tests.reliability.stage import Engines, Told, keep_lines

AT_ONCE = 3

Making = Callable[[Engines, Path], Awaitable[Any]]
"""Makes one call or some on a stage of its own, and returns what there is to judge."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--at-once", type=int, default=AT_ONCE, help="calls in real time at once")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "call(by): the function that makes the call a test judges")
    config.stash[_ROWS] = {}


_ROWS = pytest.StashKey[dict[str, reporting.Row]]()


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """The local models behind the doubles. The bots have the same ones: all calls are in one process, and to
    load models again for each bot, or to render its phrases again, would hold up the others' calls."""
    with pytest.MonkeyPatch.context() as patch:
        for model in (MoonshineModel, WhisperModel, HibariModel, E5Embedder, SileroDetector):
            patch.setattr(model, "load", functools.cache(model.load))
        patch.setattr(HibariModel, "render", functools.cache(HibariModel.render))
        loaded = Engines()
        yield loaded
        loaded.close()


@pytest.fixture(scope="session", autouse=True)
def _lines() -> Iterator[None]:
    """Each stage keeps the lines of its log. Tracebacks are plain, as ours are: to show all that a bot holds
    takes a second, in which its callers hear nothing."""
    first, *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[first, keep_lines, *others, plain])
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def calls(
    request: pytest.FixtureRequest, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[Making, asyncio.Task[Any]]]:
    """By the function that makes it, each call, under way."""
    lines = asyncio.Semaphore(request.config.getoption("--at-once", AT_ONCE))

    async def make(making: Making) -> Any:
        async with lines:
            found = await making(engines, tmp_path_factory.mktemp("stage"))
            for told in found if isinstance(found, tuple) else (found,):
                if isinstance(told, Told):  # now, in a thread: while a test listens, other calls go on
                    await asyncio.to_thread(told.heard)
            return found

    wanted: dict[Making, None] = {}
    for item in request.session.items:
        if marker := item.get_closest_marker("call"):
            wanted[marker.kwargs["by"]] = None
    tasks = {making: asyncio.create_task(make(making)) for making in wanted}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="session")
async def told(request: pytest.FixtureRequest, calls: dict[Making, asyncio.Task[Any]]) -> Any:
    """What came of the call that this test is about, if it is recorded as it must be."""
    marker = request.node.get_closest_marker("call")
    found = await calls[marker.kwargs["by"]]
    for told in found if isinstance(found, tuple) else (getattr(found, "told", found),):
        if isinstance(told, Told):
            recorded(told)
    return found


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Hands in a row for ``docs/reliability.md``, as ``report.row`` takes it. Last in a test: what was judged
    is what is told."""

    def hand_in(number: int | str, fault: str, *tolds: Any, **columns: str) -> None:
        row = reporting.row(number, fault, *tolds, **columns)
        request.config.stash[_ROWS][row.number] = row

    return hand_in


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Only a run in which all is well is written down."""
    rows = session.config.stash[_ROWS]
    if rows and exitstatus == pytest.ExitCode.OK:
        reporting.update(rows.values())
