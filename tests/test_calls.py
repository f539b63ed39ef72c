"""Every recorded caller rings the bot over the real wire, and gets what it should.

The calls go on side by side, once for this module; each test then looks at one of them. What is judged
is the bot's record, and the audio that reached the caller's ear.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soxr

from bench.words import errors, words
from callbot.cli.local import Rung, local, local_settings
from callbot.cli.simulate import Ringing, read, ring, unmet
from callbot.exchange import ear
from callbot.media_stream.audio import samples
from callbot.providers.stt.moonshine import MoonshineModel

pytestmark = [pytest.mark.realtime, pytest.mark.models, pytest.mark.timeout(400)]

FIXTURES = Path(__file__).parent.parent / "fixtures" / "audio"
CALLERS = {path.stem: path for path in sorted(FIXTURES.glob("*.wav"))}
LONGEST_FIRST = sorted(CALLERS, key=lambda name: CALLERS[name].stat().st_size, reverse=True)
"""So that no long call goes on alone at the end."""
AT_ONCE = 3


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rung]:
    """All the calls, by caller."""
    return asyncio.run(_all(tmp_path_factory.mktemp("calls")))


async def _all(data: Path) -> dict[str, Rung]:
    room = asyncio.Semaphore(AT_ONCE)
    rung: dict[str, Rung] = {}

    async def one(name: str, ringing: Ringing) -> None:
        async with room:
            rung[name] = await ring(bot, ringing)

    async with local(local_settings(data)) as bot, asyncio.TaskGroup() as tasks:
        for name in LONGEST_FIRST:
            tasks.create_task(one(name, read(CALLERS[name])))
    return rung


@pytest.mark.parametrize("name", CALLERS)
def test_the_call_ends_with_the_right_agents_slots_and_disposition(
    calls: Mapping[str, Rung], name: str
) -> None:
    assert unmet(read(CALLERS[name]).expect, calls[name]) == []


@pytest.mark.parametrize("name", CALLERS)
def test_the_carrier_had_nothing_to_complain_about(calls: Mapping[str, Rung], name: str) -> None:
    assert [warned for warned in calls[name].result.warnings if warned.code != 31921] == []


@pytest.mark.parametrize("name", CALLERS)
def test_every_turn_of_the_caller_has_one_answer(calls: Mapping[str, Rung], name: str) -> None:
    turns = calls[name].record["turns"]
    assert [turn["turn"] for turn in turns] == sorted({turn["turn"] for turn in turns})
    for turn in turns:
        if turn["who"] == "agent":
            assert turn["text"].startswith(turn["heard"]) or turn["interrupted"]


def test_what_reached_the_ear_is_what_the_record_says_was_heard(calls: Mapping[str, Rung]) -> None:
    """Transcribed again, over all English calls, fewer than 5 words in 100 differ."""
    model = MoonshineModel.load()
    wrong = total = 0
    for name in sorted(set(CALLERS) - {"spanish"}):
        result, record = calls[name].result, calls[name].record
        for turn in record["turns"]:
            if turn["who"] != "agent" or not turn["heard"]:
                continue
            audio = result.heard[turn["start_ms"] * 8 : (turn["end_ms"] + 60) * 8]
            expected = words(turn["heard"])
            heard = words(model.transcribe(soxr.resample(samples(audio), 8000, 16000)))
            wrong, total = wrong + errors(expected, heard), total + len(expected)
    assert total > 500
    print(f"heard, transcribed again: {wrong} of {total} words differ, {wrong / total:.1%}")  # noqa: T201  # with -s
    assert wrong / total < 0.05, f"{wrong} of {total} words"


def test_the_recording_has_the_caller_left_and_what_was_heard_right(calls: Mapping[str, Rung]) -> None:
    """Both channels lie within 40 ms of what the exchange saw and heard itself."""
    rung = calls["tour"]
    data = Path(rung.record["recording"]).read_bytes()
    body = np.frombuffer(data[data.index(b"data") + 8 :], np.uint8)
    left, right = body[0::2].tobytes(), body[1::2].tobytes()
    for ours, theirs in ((left, rung.result.said), (right, rung.result.heard)):
        for mine, true in zip(onsets(ours), onsets(theirs), strict=True):
            assert abs(mine - true) <= 40


def onsets(track: bytes) -> list[int]:
    """Where speech begins, in ms."""
    return [segment.start_ms for segment in ear.speech(track)]


def test_backchannels_do_not_stop_us(calls: Mapping[str, Rung]) -> None:
    turns = calls["backchannel"].record["turns"]
    assert not any(turn["interrupted"] for turn in turns if turn["who"] == "agent")


def test_a_barge_in_is_answered_and_what_was_not_heard_is_known(calls: Mapping[str, Rung]) -> None:
    turns = calls["barge_in"].record["turns"]
    cut = [turn for turn in turns if turn["who"] == "agent" and turn["interrupted"]]
    assert len(cut) == 1
    assert cut[0]["text"].startswith(cut[0]["heard"])
    assert cut[0]["text"] != cut[0]["heard"]
