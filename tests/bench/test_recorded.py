"""A recogniser that knows the recordings hears what was said up to there, and some time late."""

import asyncio
from pathlib import Path

import pytest

from bench.recorded import RecordedEars, Recordings, ends
from bench.standins import HEARD
from callbot.exchange.callers import RecordedCaller
from callbot.providers.ports import Transcribed

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"
PIECE = 480

pytestmark = pytest.mark.virtual_time


@pytest.fixture(scope="module")
def caller() -> RecordedCaller:
    return RecordedCaller(AUDIO / "support_bill.wav")


async def say(ears: RecordedEars, audio: bytes) -> None:
    """At the pace of speech."""
    for at in range(0, len(audio), PIECE):
        ears.send(audio[at : at + PIECE])
        await asyncio.sleep(PIECE / 8000)


async def heard(ears: RecordedEars, *, within: float) -> list[Transcribed]:
    """All that it tells in so many seconds."""
    found: list[Transcribed] = []

    async def listen() -> None:
        async for event in ears.events():
            found.append(event)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        await asyncio.sleep(within)
        await ears.aclose()
    return found


def test_words_are_as_long_as_they_have_letters() -> None:
    assert ends(["a", "bcd"], [(100, 500)]) == [200 * 8, 500 * 8]


def test_no_word_ends_in_a_pause() -> None:
    assert ends(["ab", "cd"], [(0, 200), (1000, 1200)]) == [200 * 8, 1200 * 8]
    assert ends(["a", "bcd"], [(0, 200), (1000, 1200)]) == [100 * 8, 1200 * 8]


async def test_partials_grow_by_a_word_and_the_final_is_as_it_was_written(caller: RecordedCaller) -> None:
    ears = RecordedEars(Recordings([caller]), 0.0)
    ears.start(1)
    await say(ears, caller.recording.utterances[0].audio)
    ears.flush()
    *partials, final = await heard(ears, within=0.01)
    assert [one.text for one in partials][:3] == ["hello", "hello i", "hello i have"]
    assert partials[-1].text == "hello i have a question about my bill"
    assert final == Transcribed(1, "Hello, I have a question about my bill.", True)
    assert not any(one.final for one in partials)


async def test_it_tells_so_many_seconds_late(caller: RecordedCaller) -> None:
    ears = RecordedEars(Recordings([caller]), 0.2)
    ears.start(1)
    ears.send(caller.recording.utterances[0].audio)
    ears.flush()
    assert await heard(ears, within=0.19) == []
    ears = RecordedEars(Recordings([caller]), 0.2)
    ears.start(1)
    ears.send(caller.recording.utterances[0].audio)
    assert [one.final for one in await heard(ears, within=0.21)] == [False]


async def test_an_utterance_of_which_only_some_is_heard_has_those_words(caller: RecordedCaller) -> None:
    ears = RecordedEars(Recordings([caller]), 0.0)
    speech = caller.recording.utterances[1]
    half = speech.words_end_ms * 8 // 2
    for utterance, audio in ((1, speech.audio[:half]), (2, speech.audio[half:])):
        ears.start(utterance)
        await say(ears, audio)
        ears.flush()
    finals = [one.text for one in await heard(ears, within=0.01) if one.final]
    assert " ".join(finals) == "The phone number is five five five, zero one seven seven."
    assert all(finals)


async def test_silence_and_sounds_of_nobody_have_no_words(caller: RecordedCaller) -> None:
    ears = RecordedEars(Recordings([caller]), 0.0)
    ears.start(1)
    ears.send(b"\xff" * 2400)
    ears.send(bytes(range(256)) * 4)
    ears.flush()
    assert await heard(ears, within=0.01) == [Transcribed(1, "", True)]


async def test_a_caller_whose_words_nobody_wrote_down_asks_the_stand_ins_question(tmp_path: Path) -> None:
    path = tmp_path / "mine.wav"
    path.write_bytes((AUDIO / "support_bill.wav").read_bytes())
    mine = RecordedCaller(path)
    ears = RecordedEars(Recordings([mine]), 0.0)
    ears.start(1)
    await say(ears, mine.recording.utterances[0].audio)
    ears.flush()
    assert (await heard(ears, within=0.01))[-1].text == HEARD
