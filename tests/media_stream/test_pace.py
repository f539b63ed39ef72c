import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.media_stream.pace import PUNCTUAL_FOR, Pace, Tally, Verdict


def test_audio_at_its_own_pace_is_taken() -> None:
    pace = Pace()
    assert {pace.judge(n, 0.02, n * 0.02) for n in range(1, 3000)} == {Verdict.TAKE}
    assert (pace.lost, pace.repeated, pace.flooded) == (0, 0, 0)


def test_a_burst_after_a_stall_is_honest() -> None:
    pace = Pace()
    for n in range(1, 51):
        pace.judge(n, 0.02, n * 0.02)
    verdicts = [pace.judge(n, 0.02, 3.0) for n in range(51, 151)]  # 2 s of audio at once
    assert set(verdicts) == {Verdict.TAKE}


def test_repeated_and_reordered_frames_are_dropped_and_lost_ones_counted() -> None:
    pace = Pace()
    verdicts = [pace.judge(chunk, 0.02, 0.1) for chunk in (1, 2, 2, 5, 4, 6)]
    assert verdicts.count(Verdict.REPEATED) == 2
    assert (pace.lost, pace.repeated) == (2, 2)


def test_frames_without_a_count_are_taken() -> None:
    pace = Pace()
    assert [pace.judge(0, 0.02, 0.1) for _ in range(3)] == [Verdict.TAKE] * 3


def test_faults_41_a_flood_is_dropped_and_then_cut_off() -> None:
    pace = Pace()
    verdicts = []
    chunk = 0
    for tick in range(1100):  # ten times faster than time, for 11 s
        for _ in range(10):
            chunk += 1
            verdicts.append((tick, pace.judge(chunk, 0.02, tick * 0.01)))
    assert any(verdict is Verdict.FLOOD for _, verdict in verdicts)
    assert pace.flooded > 0
    first_cut = next(tick for tick, verdict in verdicts if verdict is Verdict.HANG_UP)
    assert 1000 <= first_cut <= 1010


# --- how late ----------------------------------------------------------------------------------------


def come(pace: Pace, *delays: float, skew: float = 0.0) -> None:
    """Frames in a row, each so late; the carrier's clock is ``skew`` behind ours."""
    for delay in delays:
        at = pace.frames * 0.02
        pace.judge(pace.frames + 1, 0.02, at + skew + delay, at)


def test_frames_at_their_time_are_not_late_however_far_apart_the_clocks_are() -> None:
    for skew in (-3.0, 0.0, 0.3, 50.0):
        pace = Pace()
        come(pace, 0.0, 0.0, 0.0, skew=skew)
        assert pace.late() == pytest.approx(0.0)


def test_the_latest_frame_since_it_was_last_asked_is_told() -> None:
    pace = Pace()
    come(pace, 0.0, 0.01, 0.13, 0.02)
    assert pace.late() == pytest.approx(0.13)
    come(pace, 0.04, 0.01)
    assert pace.late() == pytest.approx(0.04)


def test_a_first_frame_that_is_late_itself_is_found_out_by_a_punctual_one() -> None:
    pace = Pace()
    come(pace, 0.2)
    assert pace.late() == 0.0
    come(pace, 0.0, 0.05)
    assert pace.late() == pytest.approx(0.05)
    come(pace, 0.2)
    assert pace.late() == pytest.approx(0.2)


def test_without_a_frame_nothing_is_late() -> None:
    pace = Pace()
    assert pace.late() is None
    come(pace, 0.0)
    assert pace.late() == 0.0
    assert pace.late() is None


def test_frames_without_a_time_or_out_of_order_are_not_judged_late() -> None:
    pace = Pace()
    come(pace, 0.0, 0.0)
    pace.judge(3, 0.02, 9.0)
    pace.judge(1, 0.02, 9.0, 0.0)
    assert pace.late() == pytest.approx(0.0)


def test_a_clock_that_runs_slow_is_not_taken_for_lateness() -> None:
    pace, worst = Pace(), 0.0
    for second in range(3600):  # 50 millionths: 180 ms in an hour
        come(pace, *[second * 50e-6] * 50)
        worst = max(worst, pace.late() or 0.0)
    assert worst <= 2 * PUNCTUAL_FOR * 50e-6


@given(st.lists(st.lists(st.integers(0, 2_000), max_size=20), max_size=PUNCTUAL_FOR - 1), st.integers(-9, 9))
def test_late_is_the_distance_to_the_most_punctual_frame(seconds: list[list[int]], skew: int) -> None:
    pace, seen = Pace(), list[int]()
    for second in seconds:
        come(pace, *[delay / 1000 for delay in second], skew=skew)
        seen += second
        late = pace.late()
        if not second:
            assert late is None
        else:
            assert late == pytest.approx((max(second) - min(seen)) / 1000, abs=1e-9)


def test_a_tally_adds_up_calls() -> None:
    one, other, tally = Pace(), Pace(), Tally()
    come(one, 0.0, 0.0)
    for chunk in (1, 4, 4):
        other.judge(chunk, 0.02, 0.1)
    for _ in range(300):
        other.judge(0, 0.02, 0.1)
    tally.add(one)
    tally.add(other)
    assert (tally.frames, tally.lost, tally.repeated) == (305, 2, 1)
    assert tally.flooded == other.flooded > 0
