import asyncio
import random
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from callbot.store import recording as recording_module
from callbot.store.recording import StereoRecording

FRAME = 160
SILENCE = 0xFF


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def sides(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What a player would read: the header is believed, and must be true."""
    wav = path.read_bytes()
    riff, size, wave = struct.unpack_from("<4sI4s", wav)
    assert (riff, wave) == (b"RIFF", b"WAVE")
    assert size + 8 <= len(wav)
    at, found = 12, {}
    while at < size + 8:
        name, length = struct.unpack_from("<4sI", wav, at)
        found[name] = wav[at + 8 : at + 8 + length]
        at += 8 + length
    assert struct.unpack("<HHIIHHH", found[b"fmt "]) == (7, 2, 8000, 16000, 2, 8, 0)
    assert struct.unpack("<I", found[b"fact"]) == (len(found[b"data"]) // 2,)
    both = np.frombuffer(found[b"data"], np.uint8).reshape(-1, 2)
    return both[:, 0], both[:, 1]


async def closed(recording: StereoRecording) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    path = await recording.close()
    assert path is not None
    return sides(path)


async def test_the_caller_is_left_and_the_bot_is_right(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "deep" / "call.wav", executor=executor)
    recording.caller(0, b"\x01" * FRAME)
    recording.agent(0, b"\x02" * FRAME)
    left, right = await closed(recording)
    assert set(left) == {1}
    assert set(right) == {2}
    assert len(left) == FRAME
    assert (tmp_path / "deep" / "call.wav").stat().st_mode & 0o077 == 0, "nobody else may listen"


async def test_gaps_are_silence(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    recording.caller(0, b"\x01" * FRAME)
    recording.caller(5000, b"\x01" * FRAME)
    recording.agent(2000, b"\x02" * 8000)
    left, right = await closed(recording)
    assert len(left) == 5000 * 8 + FRAME
    assert set(left[FRAME : 5000 * 8]) == {SILENCE}
    assert set(right[: 2000 * 8]) == {SILENCE}
    assert set(right[2000 * 8 : 3000 * 8]) == {2}
    assert set(right[3000 * 8 :]) == {SILENCE}


async def test_audio_may_come_out_of_order_and_twice(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    frames = list(range(100))
    random.Random(1).shuffle(frames)
    for n in [*frames, *frames[:20]]:
        recording.caller(n * 20, bytes([n + 1]) * FRAME)
    left, _ = await closed(recording)
    assert left.tolist() == [n + 1 for n in range(100) for _ in range(FRAME)]


async def test_audio_that_comes_after_its_second_was_written_still_finds_its_place(
    tmp_path: Path, executor: Executor
) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    for n in range(500):  # ten seconds, of which eight are on the disk now
        recording.caller(n * 20, b"\x01" * FRAME)
    recording.caller(100, b"\x03" * FRAME)
    recording.agent(7900, b"\x02" * 8000)
    left, right = await closed(recording)
    assert len(left) == 80_000
    assert set(left[800 : 800 + FRAME]) == {3}
    assert set(left[:800]) == {1}
    assert np.flatnonzero(right == 2).tolist() == list(range(7900 * 8, 8900 * 8))


async def test_what_was_cleared_is_not_in_the_recording(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    recording.agent(0, b"\x02" * 80_000)  # ten seconds sent ahead
    for n in range(50):
        recording.caller(n * 20, b"\x01" * FRAME)
    recording.cut_agent(1000)
    recording.agent(1500, b"\x04" * FRAME)
    left, right = await closed(recording)
    assert len(left) == 1500 * 8 + FRAME
    assert set(right[:8000]) == {2}
    assert set(right[8000:12_000]) == {SILENCE}
    assert set(right[12_000:]) == {4}


async def test_a_cut_may_come_after_what_it_cuts_was_written(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    recording.agent(0, b"\x02" * 80_000)
    for n in range(400):
        recording.caller(n * 20, b"\x01" * FRAME)
    recording.cut_agent(1000)
    recording.cut_agent(9000)  # nothing is left to cut
    left, right = await closed(recording)
    assert len(left) == 64_000
    assert np.flatnonzero(right == 2).tolist() == list(range(8000))


async def test_audio_at_an_impossible_time_is_left_out(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    recording.caller(0, b"\x01" * FRAME)
    recording.caller(10**15, b"\x01" * FRAME)
    recording.agent(-20, b"\x01" * FRAME)
    left, _ = await closed(recording)
    assert len(left) == FRAME
    assert recording.misplaced == 2


async def test_a_recording_never_replaces_another(tmp_path: Path, executor: Executor) -> None:
    paths = []
    for sound in (b"\x01", b"\x02", b"\x03"):
        recording = StereoRecording(tmp_path / "call.wav", executor=executor)
        recording.caller(0, sound * FRAME)
        paths.append(await recording.close())
    assert paths == [tmp_path / name for name in ("call.wav", "call-2.wav", "call-3.wav")]
    assert [set(sides(path)[0]) for path in paths if path] == [{1}, {2}, {3}]


async def test_an_empty_call_is_an_empty_recording(tmp_path: Path, executor: Executor) -> None:
    left, right = await closed(StereoRecording(tmp_path / "call.wav", executor=executor))
    assert len(left) == len(right) == 0


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["caller", "agent", "cut"]),
            st.integers(0, 12_000),
            st.integers(0, 30_000),
            st.integers(0, 254),
        ),
        max_size=40,
    )
)
async def test_whatever_comes_the_recording_is_what_a_picture_of_it_would_be(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int, int]]
) -> None:
    picture = np.full((2, 400_000), SILENCE, np.uint8)
    ends = [0, 0]
    with ThreadPoolExecutor(1) as executor:
        recording = StereoRecording(tmp_path_factory.mktemp("wav") / "call.wav", executor=executor)
        for step, at_ms, length, sound in steps:
            start = at_ms * 8
            if step == "cut":
                recording.cut_agent(at_ms)
                picture[1, start:] = SILENCE
                ends[1] = min(ends[1], start)
                continue
            side = 0 if step == "caller" else 1
            (recording.agent if side else recording.caller)(at_ms, bytes([sound]) * length)
            picture[side, start : start + length] = sound
            ends[side] = max(ends[side], start + length)
        left, right = await closed(recording)
    assert len(left) == max(ends)
    assert np.array_equal(left, picture[0, : len(left)])
    assert np.array_equal(right, picture[1, : len(right)])


# --- FAULTS 74: the sides stay together ----------------------------------------------------------


async def test_faults_74_after_ten_minutes_of_stalls_and_bursts_both_sides_are_within_40_ms(
    tmp_path: Path, executor: Executor
) -> None:
    """Frames come by a network that stalls up to 3 s and then bursts, with some lost and some repeated.

    Each side makes a click at known times of the media clock; the recording must have it there.
    """
    chance = random.Random(74)
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    minutes, click, quiet = 10, b"\x00" * FRAME, b"\x7f" * FRAME
    caller_clicks = list(range(1_000, minutes * 60_000 - 5_000, 7_000))
    agent_clicks = list(range(2_500, minutes * 60_000 - 5_000, 11_000))
    delayed: list[int] = []
    stalled_until = 0
    for at in range(0, minutes * 60_000, 20):
        if at % 1_000 == 0:  # a simulated second takes a millisecond, and the disk must keep up
            await asyncio.wrap_future(executor.submit(lambda: None))
        if at >= stalled_until and chance.random() < 0.002:
            stalled_until = at + chance.randrange(200, 3_000)
        delayed.append(at)
        if at >= stalled_until:
            for sent in delayed:
                if chance.random() < 0.01 and sent not in caller_clicks:
                    continue
                for _ in range(1 + (chance.random() < 0.01)):
                    recording.caller(sent, click if sent in caller_clicks else quiet)
            delayed.clear()
        if at in agent_clicks:  # one clip of 400 ms, sent ahead of time, and a second that is cleared
            recording.agent(at, click + b"\x7f" * 3_040)
            recording.agent(at + 400, click * 50)
            recording.cut_agent(at + 400)
    for sent in delayed:
        recording.caller(sent, quiet)
    left, right = await closed(recording)
    assert len(left) == minutes * 60 * 8000
    for side, expected in ((left, caller_clicks), (right, agent_clicks)):
        starts = np.flatnonzero(np.diff(np.concatenate([[1], side != 0])) < 0) / 8
        assert len(starts) == len(expected)
        assert np.abs(starts - np.array(expected)).max() <= 40


async def test_memory_is_bounded_by_what_is_not_yet_past(tmp_path: Path, executor: Executor) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    most = 0
    for n in range(3000):
        recording.caller(n * 20, b"\x01" * FRAME)
        recording.agent(n * 20, b"\x02" * FRAME)
        most = max(most, len(recording._caller.audio) + len(recording._agent.audio))
        if n % 50 == 0:
            await asyncio.wrap_future(executor.submit(lambda: None))
    await recording.close()
    assert most <= 2 * (16_000 + 4_000 + FRAME)


# --- a process that dies, a disk that fails ------------------------------------------------------


def test_the_recording_of_a_process_that_was_killed_plays(tmp_path: Path) -> None:
    script = """if True:
        import os, sys
        from concurrent.futures import ThreadPoolExecutor
        from pathlib import Path
        from callbot.store.recording import StereoRecording
        with ThreadPoolExecutor(1) as executor:
            recording = StereoRecording(Path(sys.argv[1]), executor=executor)
            for n in range(500):
                recording.caller(n * 20, bytes([1]) * 160)
            executor.submit(lambda: os.kill(os.getpid(), 9)).result()
    """
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "call.wav")], check=False)
    assert killed.returncode == -9
    left, _ = sides(tmp_path / "call.wav")
    assert len(left) == 8 * 8000
    assert set(left) == {1}


@pytest.fixture
def largest_file() -> Iterator[int]:
    """No file of this process can grow beyond a megabyte: the next write fails, as on a small disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield 1_000_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_faults_72_a_disk_that_fills_in_mid_call_ends_the_recording_which_plays_and_not_the_call(
    tmp_path: Path, executor: Executor, largest_file: int, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    for n in range(5000):
        recording.caller(n * 20, b"\x01" * FRAME)
        if n % 500 == 0:
            await asyncio.wrap_future(executor.submit(lambda: None))
    recording.agent(0, b"\x01" * FRAME)
    recording.cut_agent(100)
    assert not recording.enabled
    assert await recording.close() is None
    assert "".join(capsys.readouterr()).count("the recording is disabled; the call goes on") == 1
    left, _ = sides(tmp_path / "call.wav")
    assert largest_file - 50_000 < 2 * len(left) < largest_file
    assert set(left) == {1}


async def test_faults_72_a_folder_that_cannot_be_made_disables_the_recording(
    tmp_path: Path, executor: Executor
) -> None:
    (tmp_path / "recordings").write_text("a file where the folder should be")
    recording = StereoRecording(tmp_path / "recordings" / "call.wav", executor=executor)
    recording.caller(0, b"\x01" * FRAME)
    assert await recording.close() is None


async def test_a_disk_that_hangs_disables_the_recording_instead_of_filling_the_memory(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "_CLOSING_LIMIT", 0.05)
    hanging = threading.Event()
    executor.submit(hanging.wait)
    recording = StereoRecording(tmp_path / "call.wav", executor=executor)
    for n in range(60 * 70):
        recording.caller(n * 20, b"\x01" * FRAME)
    assert not recording.enabled
    assert await recording.close() is None
    hanging.set()
    await asyncio.wrap_future(executor.submit(lambda: None))


def test_the_header_holds_for_an_hour() -> None:
    header = recording_module.wav_header(3600 * 8000)
    assert len(header) == 58
    assert struct.unpack_from("<I", header, 4) == (58 - 8 + 2 * 3600 * 8000,)
