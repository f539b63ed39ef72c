"""The two halves of ``make test``."""

import sys
from pathlib import Path

import pytest

from tests.side_by_side import run

COVERED = "import os, pathlib; pathlib.Path(os.environ['COVERAGE_FILE']).touch()"


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_both_run_at_once_and_what_the_first_says_comes_last(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = tmp_path / "told"
    first = f"""if True:
        import os, sys
        print("first", flush=True)
        os.mkfifo({str(told)!r})
        open({str(told)!r}).read()
        print("was told", file=sys.stderr)
    """
    beside = f"""if True:
        import os, pathlib, time
        while not pathlib.Path({str(told)!r}).exists():
            time.sleep(0.01)
        print("beside", os.nice(0), flush=True)
        open({str(told)!r}, "w").close()
    """
    assert run(program(first), program(beside), folder=tmp_path / "build") == 0
    beside_said, _, first_said, was_told = filter(None, capfd.readouterr().out.splitlines())
    assert beside_said.startswith("beside ")
    assert int(beside_said.split()[1]) >= 10
    assert (first_said, was_told) == ("first", "was told")


@pytest.mark.parametrize(("first", "beside", "code"), [(0, 3, 3), (1, 0, 1), (1, 2, 2), (0, 0, 0)])
def test_it_fails_when_one_of_them_does(tmp_path: Path, first: int, beside: int, code: int) -> None:
    codes = [program(f"{COVERED}; raise SystemExit({each})") for each in (first, beside)]
    assert run(*codes, folder=tmp_path) == code
    assert {file.name for file in tmp_path.glob("coverage.*")} == {"coverage.first", "coverage.beside"}
