"""The table of ``docs/reliability.md``."""

from pathlib import Path

from tests.reliability import report


def of(number: int | str, heard: str) -> report.Row:
    return report.row(number, "a fault", injected="so", heard=heard, recorded="it | that")


def test_rows_that_did_not_run_are_kept_and_numbers_stand_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "reliability.md"
    report.update([of(10, "ten"), of(9, "nine"), of("9 (all)", "all"), of("killed", "a word")], path)
    report.update([of(10, "ten again"), of(11, "eleven")], path)
    rows = report.read(path.read_text(encoding="utf-8"))
    assert [(row.number, row.heard) for row in rows.values()] == [
        ("9", "nine"),
        ("9 (all)", "all"),
        ("10", "ten again"),
        ("11", "eleven"),
        ("killed", "a word"),
    ]
    assert rows["9"].recorded == "it / that"
    assert rows["9"].answers_ms == "-"
