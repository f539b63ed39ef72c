"""What a run of ``make reliability`` showed, as the table in ``docs/reliability.md``.

Each test hands in a ``Row``. The rows of tests that did not run are kept as the file has them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.reliability.stage import Told

PATH: Final = Path(__file__).parents[2] / "docs" / "reliability.md"

HEAD: Final = """\
# What a caller hears when something fails

Made by `make reliability`, which rings the bot in real time and breaks things under the call; change nothing
here by hand. The providers are doubles on loopback that speak the vendors' protocols, hear with Moonshine and
speak with hibari. "Answers after" is from the end of each of the caller's utterances to the first sound at
the caller's ear, and "silence" the longest in which nobody spoke, the caller's own pauses (at least 0.9 s
before each next question) included; both in ms, as measured on the audio.
Numbers in the first column are those of the tests (`tests/reliability`, `test_faults_NN_...`).

| | What goes wrong | How it is caused | What the caller hears | Answers after | Silence | What is recorded |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``number`` is that of the fault, or a word for what is no single one."""

    number: str
    fault: str
    injected: str
    heard: str
    answers_ms: str
    silence_ms: str
    recorded: str


def row(number: int | str, fault: str, *tolds: "Told", injected: str, heard: str, recorded: str) -> Row:
    """With the figures of the calls that showed it."""
    answers = [str(after) for told in tolds for after in told.responses_ms]
    silence = max((told.longest_silence_ms for told in tolds), default=0)
    return Row(
        number=str(number),
        fault=fault,
        injected=injected,
        heard=heard,
        answers_ms=", ".join(answers) or "-",
        silence_ms=str(silence) if tolds else "-",
        recorded=recorded,
    )


def update(rows: Iterable[Row], path: Path = PATH) -> None:
    """Writes the table, with these rows in the place of those of the same numbers."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    path.write_text(render(read(text) | {row.number: row for row in rows}), encoding="utf-8")


def read(text: str) -> dict[str, Row]:
    """By number."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 7 and cells[0]:
            number, fault, injected, heard, answers, silence, recorded = cells
            found[number] = Row(
                number=number,
                fault=fault,
                injected=injected,
                heard=heard,
                answers_ms=answers,
                silence_ms=silence,
                recorded=recorded,
            )
    return found


def render(rows: Mapping[str, Row]) -> str:
    """Numbers first, in their order, each with its variants; then words."""
    in_order = sorted(rows.values(), key=_place)
    return HEAD + "".join(f"| {' | '.join(_cell(text) for text in astuple(row))} |\n" for row in in_order)


def _place(row: Row) -> tuple[bool, int, str]:
    number = row.number.split()[0]
    return (not number.isdigit(), int(number) if number.isdigit() else 0, row.number)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
