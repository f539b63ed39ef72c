"""Voices that fail, and the voice that holds them: nothing is lost, nothing is said twice."""

import asyncio
from contextlib import aclosing
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Port
from callbot.providers.breaker import Breakers, State
from callbot.providers.deadlines import TTS
from callbot.providers.ports import Speech
from callbot.providers.tts.fallback import FallbackVoice
from tests.providers.misbehaving import CUT, FOR_EVER, ScriptedVoice, Told, spoken, tone, trouble
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time
TEXT = "Thanks, Tom. Your order is on its way, and it should arrive on Thursday."
WORDS = TEXT.split()


class Spoken:
    """What the voice said, when each piece came, and how it ended."""

    def __init__(self) -> None:
        self.pieces: list[Speech] = []
        self.at: list[float] = []
        self.error: ProviderError | None = None

    @property
    def text(self) -> str:
        return " ".join(" ".join(piece.text for piece in self.pieces).split())

    @property
    def longest_silence(self) -> float:
        """At the ear of somebody who hears each piece as soon as it is there."""
        silence, busy = self.at[0] if self.at else 0.0, 0.0
        for (start, piece), later in pairwise([*zip(self.at, self.pieces, strict=True), (self.at[-1], None)]):
            assert piece is not None
            busy = max(busy, start) + piece.seconds
            if later[1] is not None:
                silence = max(silence, later[0] - busy)
        return silence


async def say(
    *voices: ScriptedVoice, text: str = TEXT, breakers: Breakers | None = None
) -> tuple[Spoken, Told]:
    told, result = Told(), Spoken()
    clock = asyncio.get_running_loop().time
    begun = clock()
    voice = FallbackVoice(voices, breakers=breakers or Breakers(), report=told)
    try:
        async for piece in voice.speak(text):
            result.pieces.append(piece)
            result.at.append(clock() - begun)
    except ProviderError as error:
        result.error = error
    assert len(asyncio.all_tasks()) == 1
    assert all(voice.closed == len(voice.asked) for voice in voices)
    return result, told


def pair(*scripts: object, timed: bool = True) -> tuple[ScriptedVoice, ScriptedVoice]:
    return ScriptedVoice("one", scripts, timed=timed), ScriptedVoice("two")  # type: ignore[arg-type]


async def test_a_voice_that_does_well_is_the_only_one_asked():
    one, two = pair([3, 0.5, 4])
    result, told = await say(one, two)
    assert (result.text, result.error, two.asked) == (TEXT, None, [])
    assert told.failed == []
    assert told.used == {("one", "characters_spoken"): len(TEXT)}
    assert told.ports() == {Port.TTS}


async def test_it_has_the_name_and_the_language_of_the_first():
    voice = FallbackVoice([ScriptedVoice("one", language="es")], breakers=Breakers(), report=Told())
    assert (voice.name, voice.language) == ("one", "es")


@pytest.mark.parametrize(
    "why",
    [Trouble.AUTH, Trouble.QUOTA, Trouble.RATE_LIMITED, Trouble.UNAVAILABLE, Trouble.CONNECT, Trouble.CUT],
)
async def test_a_failure_before_the_first_sound_gives_all_of_the_text_to_the_next(why: Trouble):
    one, two = pair([trouble(why)])
    result, told = await say(one, two)
    assert (result.text, result.error, two.asked) == (TEXT, None, [TEXT])
    assert told.failed == [("one", "two", why)]
    assert told.used == {("two", "characters_spoken"): len(TEXT)}


async def test_without_a_sound_the_next_voice_speaks_after_two_seconds():
    one, two = pair([FOR_EVER])
    result, told = await say(one, two)
    assert (result.text, result.at) == (TEXT, [2.0])
    assert told.failed == [("one", "two", Trouble.SLOW)]


async def test_in_mid_sentence_the_next_voice_says_the_rest():
    one, two = pair([4, CUT])
    result, told = await say(one, two)
    assert result.text == TEXT
    assert two.asked == [" ".join(WORDS[4:])]
    assert told.failed == [("one", "two", Trouble.CUT)]
    assert told.mended == [("tts_resumed", "two", {"gap_ms": 0, "from_word": 5})]
    assert told.used == {
        ("one", "characters_spoken"): len(TEXT),
        ("two", "characters_spoken"): len(" ".join(WORDS[4:])),
    }


async def test_a_stall_in_mid_sentence_is_a_silence_of_little_more_than_a_second():
    one, two = pair([1, FOR_EVER])
    result, told = await say(one, two)
    assert result.text == TEXT
    assert told.failed == [("one", "two", Trouble.STALLED)]
    assert result.longest_silence <= TTS.between


async def test_a_stall_while_much_is_still_to_be_played_is_not_heard_at_all():
    one, two = pair([12, FOR_EVER])
    two.scripts = [[0.4]]
    result, _ = await say(one, two)
    assert result.text == TEXT
    assert result.longest_silence == 0


async def test_a_break_after_the_last_word_loses_nothing_and_nobody_is_asked_again():
    one, two = pair([len(WORDS), CUT])
    result, told = await say(one, two)
    assert (result.text, result.error, two.asked) == (TEXT, None, [])
    assert told.failed == [("one", "", Trouble.CUT)]


async def test_nothing_for_a_text_is_a_failure_and_nothing_for_no_text_is_not():
    one, two = pair([None])
    result, told = await say(one, two)
    assert (result.text, told.failed) == (TEXT, [("one", "two", Trouble.EMPTY)])
    result, told = await say(ScriptedVoice("one", [[None]]), text="—")
    assert (result.pieces, result.error, told.failed) == ([], None, [])


async def test_a_stream_that_ends_well_but_too_early_is_a_break():
    one, two = pair([4, None])
    result, told = await say(one, two)
    assert (result.text, two.asked) == (TEXT, [" ".join(WORDS[4:])])
    assert told.failed == [("one", "two", Trouble.CUT)]


PCM = (9000 * np.sin(np.arange(8000) * 0.3)).astype("<i2").tobytes()
WRONG = {
    "a file's header": Speech("Thanks,", b"RIFF$\x00\x00\x00WAVEfmt " + tone(1)),
    "silence": Speech("Thanks,", b"\xff" * 9_000),
    "16-bit samples": Speech("Thanks,", PCM),
    "24 kHz": spoken(TEXT, audio=tone(3 * 0.07 * len(TEXT))),
    "random bytes": Speech("Thanks,", bytes((i * 97 + i * i * 31) % 256 for i in range(4000))),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_audio_that_cannot_be_the_text_is_not_given_out(wrong: str):
    one, two = pair([WRONG[wrong], None])
    result, told = await say(one, two)
    assert told.failed == [("one", "two", Trouble.BAD_FORMAT)]
    assert (result.text, two.asked) == (TEXT, [TEXT])


async def test_audio_that_is_much_too_short_is_made_up_for():
    one, two = pair([spoken(TEXT, audio=tone(0.3)), None])
    result, told = await say(one, two)
    assert told.failed == [("one", "two", Trouble.BAD_FORMAT)]
    assert two.asked[0].endswith(" ".join(WORDS[2:]))
    assert result.error is None


async def test_what_turns_bad_in_mid_sentence_is_gone_on_with_by_the_next():
    one, two = pair([4, Speech(WORDS[4], PCM)])
    result, _ = await say(one, two)
    assert (result.text, two.asked) == (TEXT, [" ".join(WORDS[4:])])


async def test_silence_before_the_first_sound_is_given_out_with_it():
    one = ScriptedVoice("one", [[Speech("", b"\xff" * 800), 4]])
    result, told = await say(one)
    assert (result.text, told.failed) == (TEXT, [])
    assert result.pieces[0].audio == b"\xff" * 800


async def test_of_a_voice_without_word_times_what_was_said_is_reckoned():
    """Its whole text came with the first tenth of its audio."""
    one, two = pair([spoken(TEXT, audio=tone(0.07 * 10), timed=False), CUT], timed=False)
    result, _ = await say(one, two)
    assert two.asked == [" ".join(WORDS[1:])]  # "Thanks," is 7 letters, "Tom." 4
    assert result.error is None


async def test_alone_it_is_asked_once_again():
    one = ScriptedVoice("one", [[4, CUT], []])
    result, told = await say(one)
    assert (result.text, told.failed) == (TEXT, [("one", "one", Trouble.CUT)])
    assert one.asked == [TEXT, " ".join(WORDS[4:])]


async def test_and_not_twice_and_not_when_that_is_no_use():
    one = ScriptedVoice("one", [[CUT]])
    result, told = await say(one)
    assert result.error is CUT
    assert told.failed == [("one", "one", Trouble.CUT), ("one", "", Trouble.CUT)]
    refused = ScriptedVoice("one", [[trouble(Trouble.AUTH)]])
    result, told = await say(refused)
    assert (len(refused.asked), told.failed) == (1, [("one", "", Trouble.AUTH)])
    assert result.error is not None


async def test_two_that_are_mute_are_given_up_after_four_seconds():
    one, two = pair([FOR_EVER])
    two.scripts = [[FOR_EVER]]
    clock = asyncio.get_running_loop().time
    begun = clock()
    result, _ = await say(one, two)
    assert result.error is not None
    assert clock() - begun == 4


async def test_the_breaker_spares_the_next_sentence_the_wait():
    breakers = Breakers()
    one, two = pair([FOR_EVER])
    for _ in range(3):
        await say(one, two, breakers=breakers)
    result, told = await say(one, two, breakers=breakers)
    assert (result.at, told.failed, len(one.asked)) == ([0], [], 3)
    assert [s.state for s in breakers.standings(6)] == [State.OPEN, State.CLOSED]
    one.scripts = [[]]
    await asyncio.sleep(15)
    _, told = await say(one, two, breakers=breakers)
    assert told.used.keys() == {("one", "characters_spoken")}


async def test_a_wrong_key_is_tried_once_in_five_minutes_and_its_reason_is_told():
    breakers = Breakers()
    one = ScriptedVoice("one", [[trouble(Trouble.AUTH)]])
    await say(one, breakers=breakers)
    result, told = await say(one, breakers=breakers)
    assert (len(one.asked), told.news) == (1, [])
    assert result.error is not None
    assert (result.error.trouble, result.error.retryable) == (Trouble.AUTH, False)


async def test_a_bug_in_one_voice_is_survived_by_the_next():
    one, two = pair([KeyError("audio")])
    result, told = await say(one, two)
    assert (result.text, told.failed) == (TEXT, [("one", "two", Trouble.FAILED)])


async def test_closing_it_closes_the_voice_at_once():
    one, two = pair([4, FOR_EVER])
    voice = FallbackVoice([one, two], breakers=Breakers(), report=Told())
    async with aclosing(voice.speak(TEXT)) as pieces:
        await anext(pieces)
    assert (one.closed, two.asked, len(asyncio.all_tasks())) == (1, [], 1)


STEPS = st.lists(
    st.one_of(
        st.integers(1, 6),
        st.sampled_from([0.1, 1.0, 1.9, 2.5, FOR_EVER, None]),
        st.sampled_from([trouble(t) for t in Trouble]),
        st.just(Speech("", PCM)),
        st.just(Speech("", b"\xff" * 12_000)),
    ),
    max_size=6,
)


@given(STEPS, STEPS, STEPS, st.integers(0, len(WORDS)))
def test_no_word_is_lost_or_said_twice_whatever_fails_when(
    first: list[object], second: list[object], third: list[object], words: int
):
    text = " ".join(WORDS[:words])

    async def run() -> None:
        voices = [
            ScriptedVoice(name, [script])  # type: ignore[list-item]
            for name, script in (("one", first), ("two", second), ("three", third))
        ]
        result, _ = await say(*voices, text=text)
        if result.error is None:
            assert result.text == text
        else:
            assert text.startswith(result.text)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
