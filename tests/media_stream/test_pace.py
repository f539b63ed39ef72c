from callbot.media_stream.pace import Pace, Verdict


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
