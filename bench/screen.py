"""How the capacity benchmark is going, for whoever waits for it."""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.holding import Progress
from bench.peers.climb import Outcome
from bench.steps import COLUMNS, Step, notes, outcome, row

_STYLES = {Outcome.HELD: "green", Outcome.BROKE: "red", Outcome.UNSURE: "yellow"}
_LINE_EVERY = 10.0
"""Seconds between two plain lines."""


def line(progress: Progress) -> str:
    """What is being done, and for how long."""
    calls = "1 call alone" if progress.calls == 1 else f"{progress.calls} calls"
    left = f", {math.ceil(progress.seconds_left)} s left" if progress.seconds_left else ""
    said = f" ({progress.said})" if progress.said else ""
    return f"{calls}: {progress.doing}{left}{said}"


class Screen:
    """One line that changes where there is a terminal; plain ones, now and then, where there is none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(Text(""), console=console, refresh_per_second=4, transient=True)
        self._told: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def watch(self, progress: Progress) -> None:
        if self._console.is_terminal:
            self._live.update(Text(line(progress), "cyan"))
        elif self._is_news(progress):
            self._told = progress
            self._console.print(line(progress), highlight=False, markup=False, soft_wrap=True)

    def _is_news(self, progress: Progress) -> bool:
        told = self._told
        if told is None or (told.calls, told.doing) != (progress.calls, progress.doing):
            return True
        return told.seconds_left - progress.seconds_left >= _LINE_EVERY

    def tell(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)

    def step(self, one: Step) -> None:
        """It is over."""
        self.tell(f"{one.calls}: {outcome(one)}", _STYLES[one.verdict.outcome])


def show(console: Console, steps: Sequence[Step]) -> None:
    """The table, and below it what its rows have no room for."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True)
    *figures, last = COLUMNS
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(last, overflow="fold", min_width=14)
    for one in steps:
        *cells, said = row(one)
        table.add_row(*cells, Text(said, _STYLES[one.verdict.outcome]))
    console.print(table)
    for text in notes(steps):
        console.print(Text(text, "dim"), soft_wrap=True)
