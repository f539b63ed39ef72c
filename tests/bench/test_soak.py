"""What the soak makes of footprints."""

from dataclasses import replace

from bench.soak import Footprint, judge

BASE = Footprint(calls=0, memory=200_000_000, files=20, threads=5, tasks=4)


def after(rounds: int, **per_round: int) -> list[Footprint]:
    """Footprints after each round of a hundred calls, each so much more than the one before."""
    return [
        replace(
            BASE,
            calls=100 * (n + 1),
            **{name: getattr(BASE, name) + n * more for name, more in per_round.items()},
        )
        for n in range(rounds)
    ]


def test_a_server_that_stays_as_it_is_has_passed() -> None:
    verdict = judge(after(50), lost=0)
    assert (verdict.calls, verdict.memory_growth, verdict.wrong) == (5000, 0.0, ())


def test_a_leak_of_memory_is_told_with_bytes_a_call() -> None:
    verdict = judge(after(100, memory=500_000), lost=0)
    assert verdict.wrong == ("memory grew by 19.9%",)
    assert 4000 < verdict.bytes_per_call < 6000


def test_memory_that_is_taken_while_it_warms_up_is_no_leak() -> None:
    prints = after(100)
    prints[:10] = [replace(one, memory=50_000_000) for one in prints[:10]]
    assert judge(prints, lost=0).wrong == ()


def test_files_threads_and_tasks_that_are_left_are_told() -> None:
    verdict = judge(after(3, files=1, threads=2, tasks=3), lost=0)
    assert [wrong.split(":")[0] for wrong in verdict.wrong] == ["files", "threads", "tasks"]


def test_calls_that_were_lost_are_wrong() -> None:
    assert judge(after(3), lost=2).wrong == ("2 calls were refused or broke off",)
