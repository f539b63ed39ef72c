"""The floor under lines and branches."""

from typing import Any

from tests.coverage_floor import verdict


def figures(lines: float, branches: float) -> dict[str, Any]:
    return {
        "totals": {"percent_statements_covered": lines, "percent_branches_covered": branches},
        "files": {
            "covered.py": {"summary": {"missing_lines": 0, "missing_branches": 1}},
            "forgotten.py": {"summary": {"missing_lines": 30, "missing_branches": 12}},
        },
    }


def test_the_floor_holds_when_lines_and_branches_both_reach_it():
    assert verdict(figures(90.0, 90.0), 90) == (
        True,
        ["Covered: 90.0 % of lines, 90.0 % of branches; the floor is 90 %."],
    )


def test_many_lines_do_not_make_up_for_branches():
    holds, report = verdict(figures(99.0, 89.9), 90)
    assert not holds
    assert "89.9 % of branches" in report[0]


def test_what_misses_most_is_named_first():
    _, report = verdict(figures(80.0, 80.0), 90)
    assert [line.split()[-1] for line in report[1:]] == ["forgotten.py", "covered.py"]
