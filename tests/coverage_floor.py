"""Holds the floor under the coverage that ``make test`` has just measured: of lines, and of branches.

pytest-cov's own limit is on both added up, where lines, being many, hide branches.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from coverage import Coverage


def measured() -> dict[str, Any]:
    """The last run's figures, in the form of ``coverage json``."""
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        coverage.json_report(outfile=str(report))
        figures: dict[str, Any] = json.loads(report.read_text())
    return figures


def verdict(figures: dict[str, Any], floor: float) -> tuple[bool, list[str]]:
    """Whether the floor holds, and the lines that say so; if not, the ten files that miss most."""
    totals = figures["totals"]
    lines = totals["percent_statements_covered"]
    branches = totals["percent_branches_covered"]
    holds = min(lines, branches) >= floor
    report = [f"Covered: {lines:.1f} % of lines, {branches:.1f} % of branches; the floor is {floor:g} %."]
    if not holds:
        report += [
            f"  {missed:4} lines and branches missed in {path}"
            for missed, path in sorted(
                (
                    (file["summary"]["missing_lines"] + file["summary"]["missing_branches"], path)
                    for path, file in figures["files"].items()
                ),
                reverse=True,
            )[:10]
        ]
    return holds, report


if __name__ == "__main__":
    holds, report = verdict(measured(), float(sys.argv[1]))
    sys.stdout.write("\n".join(report) + "\n")
    sys.exit(not holds)
