"""The capacity benchmark as a picture: ``python -m bench.chart RESULT.json CHART.svg``.

Two panels over the number of calls: what responses took longer than with one call alone, and what a call
costs. It follows the reader's light or dark scheme, and needs nothing from outside the file.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import msgspec

from bench.peers.climb import SLOWER_MS, Outcome
from bench.steps import Capacity, Step

# The unit is a pixel of a narrow telephone: the picture is shown at 480 wide or less, or up to 720.
WIDTH: Final = 480
_LEFT, _RIGHT = 52, 24
_PANEL_HEIGHT: Final = 150
_TOPS: Final = (140, 386)
_HEIGHT: Final = 632
_INTERVALS: Final = 4
_CLOSEST: Final = 34
"""Labels of steps that are nearer to each other are left out."""
_LINE_LETTERS: Final = 58

_STYLE: Final = """
svg { width: 100%; max-width: 720px; height: auto; background: var(--ground); --ground: #fff; --ink: #1c2430;
  --soft: #5b6675; --rule: #dfe4ea; --one: #2563eb; --two: #b45309; --three: #be185d; --bad: #c81e1e;
  font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #10151c; --ink: #e8edf3; --soft: #9aa7b6; --rule: #2b3541; --one: #6ea8ff; --two: #f0a93b;
    --three: #ff7eb6; --bad: #ff7b7b; } }
text { fill: var(--ink); } .soft { fill: var(--soft); } .title { font-size: 17px; font-weight: 600; }
.panel { font-weight: 600; } .bad { fill: var(--bad); }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.rule { stroke: var(--rule); } .limit { stroke: var(--soft); stroke-dasharray: 2 3; }
.broke { stroke: var(--bad); stroke-dasharray: 5 4; } path, polyline { fill: none; stroke-width: 2; }
.one { stroke: var(--one); } .two { stroke: var(--two); } .three { stroke: var(--three); }
.dot { fill: var(--ground); stroke-width: 2; }
.dash { stroke-dasharray: 6 3; } .dots { stroke-dasharray: 2 3; }
"""

_MARKS: Final = {
    "one": '<circle cx="{x}" cy="{y}" r="3.5" class="dot one"/>',
    "two": '<rect x="{left}" y="{top}" width="7" height="7" class="dot two"/>',
    "three": '<path d="M{x} {peak}l4.5 8h-9z" class="dot three"/>',
}
"""Lines are told apart by their marks and dashes too, not by colour alone."""
_DASHES: Final = {"one": "", "two": " dash", "three": " dots"}


@dataclass(frozen=True, slots=True)
class Line:
    """``style`` is one of ``_MARKS``; ``value`` finds the step's, in the panel's unit."""

    name: str
    style: str
    value: Callable[[Step], float | None]


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    lines: tuple[Line, ...]
    limit: float | None
    least_top: float


def _overhead(percent: str) -> Callable[[Step], float | None]:
    def value(one: Step) -> float | None:
        return None if one.overhead is None else float(getattr(one.overhead, percent))

    return value


def _server(one: Step) -> float | None:
    return None if one.measured.spent is None else one.measured.spent.cpu_ms_per_call_second


def _generator(one: Step) -> float | None:
    return one.measured.generator_cpu_ms_per_call_second


_PANELS: Final = (
    Panel(
        "Response, ms more than one call alone",
        tuple(
            Line(name, style, _overhead(name))
            for name, style in zip(("p50", "p95", "p99"), _MARKS, strict=True)
        ),
        limit=SLOWER_MS,
        least_top=SLOWER_MS * 1.2,
    ),
    Panel(
        "CPU, ms per call and second",
        (Line("server", "one", _server), Line("generator", "two", _generator)),
        limit=None,
        least_top=1.0,
    ),
)


# --- scales --------------------------------------------------------------------------------------


def nice(value: float) -> float:
    """The least of 1, 2, 2.5, 4, 5, 8 or 10 times a power of ten that is not below ``value``."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(
        step * magnitude for step in (1, 2, 2.5, 4, 5, 8, 10) if step * magnitude >= value * (1 - 1e-9)
    )


def top_of(panel: Panel, steps: Sequence[Step]) -> float:
    """The panel's upper end. What broke may go beyond it: it must not press flat what held."""
    counted = [one for one in steps if one.verdict.outcome is Outcome.HELD] or steps
    values = [value for one in counted for line in panel.lines if (value := line.value(one)) is not None]
    return nice(max((*values, panel.least_top)))


def labelled(calls: Sequence[int], x: Callable[[float], float]) -> tuple[int, ...]:
    """Those steps whose labels have room; the last one always does."""
    chosen: list[int] = []
    for count in reversed(calls):
        if not chosen or x(chosen[-1]) - x(count) >= _CLOSEST:
            chosen.append(count)
    return tuple(reversed(chosen))


def wrapped(text: str, letters: int) -> Iterator[str]:
    """Lines of whole words, none longer than ``letters`` if its words aren't."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > letters:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


# --- drawing -------------------------------------------------------------------------------------


def draw(found: Capacity) -> str:
    """The SVG. Raises ``ValueError`` when nothing but the call alone was measured."""
    steps = [one for one in found.steps if one.calls > 1]
    if not steps:
        raise ValueError("there is nothing to draw: no step above one call was measured")
    most = steps[-1].calls
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_HEIGHT}" role="img"'
        f' width="{WIDTH}" height="{_HEIGHT}">',
        f"<title>callbot: {escape(found.conclusion)}</title>",
        f"<style>{_STYLE}</style>",
        _text(12, 24, "Calls at once on one machine", "title"),
    ]
    lines += [
        _text(12, 46 + 17 * n, line, "soft")
        for n, line in enumerate(wrapped(found.conclusion, _LINE_LETTERS))
    ]

    def x(calls: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * calls / most

    for panel, top in zip(_PANELS, _TOPS, strict=True):
        lines += _panel(panel, steps, top, x)
    about = (
        f"{found.machine.processor}, {found.machine.cores} cores, Python {found.machine.python}, "
        f"commit {found.machine.commit or 'unknown'}{f', {found.date}' if found.date else ''}"
    )
    lines += _paragraph(_HEIGHT - 40, about)
    return "\n".join((*lines, "</svg>\n"))


def _panel(panel: Panel, steps: Sequence[Step], top: int, x: Callable[[float], float]) -> Iterator[str]:
    highest, floor = top_of(panel, steps), top + _PANEL_HEIGHT

    def y(value: float) -> float:
        return floor - _PANEL_HEIGHT * min(max(value, 0.0), highest) / highest

    yield _text(12, top - 30, panel.title, "panel")
    yield from _legend(panel, top - 12)
    for n in range(_INTERVALS + 1):
        tick = highest * n / _INTERVALS
        yield _rule(_LEFT, y(tick), WIDTH - _RIGHT, y(tick), "rule")
        yield _text(_LEFT - 6, y(tick) + 4, f"{tick:g}", "soft end")
    for count in labelled([one.calls for one in steps], x):
        yield _text(x(count), floor + 18, str(count), "soft middle")
    yield _text((_LEFT + WIDTH - _RIGHT) / 2, floor + 36, "calls at once", "soft middle")
    if panel.limit is not None:
        yield _rule(_LEFT, y(panel.limit), WIDTH - _RIGHT, y(panel.limit), "limit")
        yield _text(_LEFT + 4, y(panel.limit) - 4, "limit of p99", "soft")
    for one in steps:
        if one.verdict.outcome is not Outcome.HELD:
            yield from _broken(one, top, floor, x)
    for line in panel.lines:
        yield from _curve(line, steps, x, y)
    beyond = [
        (one, f"{line.name} \u2191 {value:.0f}")
        for one in steps
        for line in panel.lines
        if (value := line.value(one) or 0.0) > highest
    ]
    for n, (broken, said) in enumerate(beyond):
        yield _text(x(broken.calls) - 34, top + 16 * (n + 1), said, "bad end")


def _legend(panel: Panel, at: int) -> Iterator[str]:
    left = float(_LEFT)
    for line in panel.lines:
        yield f'<path d="M{left:g} {at - 4}h24" class="{line.style}{_DASHES[line.style]}"/>'
        yield _mark(line.style, left + 12, at - 4)
        yield _text(left + 30, at, line.name, "soft")
        left += 50 + 7.5 * len(line.name)


def _broken(one: Step, top: int, floor: int, x: Callable[[float], float]) -> Iterator[str]:
    said = f"{'unsure' if one.verdict.outcome is Outcome.UNSURE else 'broke'} at {one.calls}"
    yield (
        f"<g><title>{escape('; '.join(one.verdict.reasons))}</title>"
        f"{_rule(x(one.calls), top, x(one.calls), floor, 'broke')}"
        f"{_text(x(one.calls) + 8, top - 12, said, 'bad end')}</g>"
    )


def _curve(
    line: Line,
    steps: Sequence[Step],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Iterator[str]:
    known = [(one.calls, value) for one in steps if (value := line.value(one)) is not None]
    points = " ".join(f"{x(calls):.1f},{y(value):.1f}" for calls, value in known)
    yield f'<polyline points="{points}" class="{line.style}{_DASHES[line.style]}"/>'
    for calls, value in known:
        where = f"{calls} calls, {line.name}: {value:g}"
        yield f"<g><title>{where}</title>{_mark(line.style, x(calls), y(value))}</g>"


def _mark(style: str, x: float, y: float) -> str:
    places = {"x": x, "y": y, "left": x - 3.5, "top": y - 3.5, "peak": y - 5}
    return _MARKS[style].format(**{name: f"{place:.1f}" for name, place in places.items()})


def _paragraph(y: float, text: str) -> Iterator[str]:
    for n, line in enumerate(wrapped(text, _LINE_LETTERS)):
        yield _text(12, y + 17 * n, line, "soft")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def main(argv: Sequence[str]) -> int:
    if len(argv) != 2:
        print("usage: python -m bench.chart RESULT.json CHART.svg", file=sys.stderr)
        return 2
    result, chart = map(Path, argv)
    try:
        chart.write_text(draw(msgspec.json.decode(result.read_bytes(), type=Capacity)), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"{result}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
