"""A written sentence through a voice and back: every written word has its time, whatever it sounds like."""

from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.conversation.spoken import spoken, text_for_voice
from callbot.errors import ProviderError
from callbot.media_stream.audio import seconds
from callbot.media_stream.playback import Clip
from callbot.providers.ports import Speech, WordTime
from callbot.providers.tts.fake import FakeVoice
from callbot.speaking import BREATH, speak

WORD = 0.5


class CuttingVoice:
    """Half a second for every word, in pieces of ``each`` words; without their times, if so asked."""

    name = "cutting"
    language = "en"

    def __init__(self, each: int, *, knows_words: bool = True) -> None:
        self.each = each
        self.knows_words = knows_words
        self.asked: list[str] = []
        self.closed = False

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        self.asked.append(text)
        words = text.split()
        try:
            for at in range(0, len(words), self.each):
                piece = words[at : at + self.each]
                times = tuple(WordTime(word, n * WORD, (n + 1) * WORD) for n, word in enumerate(piece))
                audio = b"\x7f" * round(len(piece) * WORD * 8000)
                yield Speech(" ".join(piece), audio, times if self.knows_words else ())
        finally:
            self.closed = True


class BrokenVoice:
    name = "broken"
    language = "en"

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        yield Speech("One", b"\x7f" * 4000, (WordTime("One", 0.0, 0.5),))
        raise ProviderError("out of breath", retryable=True)


async def said(voice: FakeVoice | CuttingVoice | BrokenVoice, sentence: str) -> list[Clip]:
    return [clip async for clip in speak(voice, 3, sentence)]


def text_of(clips: list[Clip]) -> str:
    return " ".join(clip.text for clip in clips if clip.text)


def times(clips: list[Clip]) -> list[tuple[str, float, float]]:
    """Each written word, with its times from the start of the sentence."""
    found, at = [], 0.0
    for clip in clips:
        found += [(word.word, at + word.start, at + word.end) for word in clip.words]
        at += seconds(clip.audio)
    return found


SENTENCES = [
    "Hello, how can I help you today?",
    "Your last bill was $62.50, due on the 28th.",
    "Order B7429 arrives on Thursday.",
    "The number is +1 (555) 010-0142, right?",
    "I'll ring 555 0142 at 10:30.",
    "**Great** news 🎉 — it's `done`!",
    "😀 Hello there 😀",
    "Write to ann.lee@example.com, or visit https://example.com/help today.",
    "- First: *unplug* it.",
    "It takes 10–15 min., i.e. not long...",
]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("voice", [FakeVoice(), CuttingVoice(3), CuttingVoice(2, knows_words=False)])
async def test_the_clips_have_the_written_words_and_all_of_the_audio(
    sentence: str, voice: FakeVoice | CuttingVoice
) -> None:
    clips = await said(voice, sentence)
    assert text_of(clips) == sentence
    assert {clip.turn for clip in clips} == {3}
    rendered = [piece.audio async for piece in voice.speak(text_for_voice(spoken(sentence)))]
    assert b"".join(clip.audio for clip in clips) == b"".join(rendered)


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("each", [1, 2, 5, 100])
async def test_the_words_follow_each_other_and_end_with_the_audio(sentence: str, each: int) -> None:
    clips = await said(CuttingVoice(each), sentence)
    found = times(clips)
    assert [word for word, _, _ in found] == sentence.split()
    assert all(0 <= start <= end for _, start, end in found)
    assert all(a[1] <= b[1] + 1e-9 for a, b in pairwise(found))
    assert found[-1][2] == pytest.approx(sum(seconds(clip.audio) for clip in clips))


async def test_a_written_word_lasts_as_long_as_all_that_is_said_for_it() -> None:
    assert [token.spoken for token in spoken("pay $62.50 now")] == [
        "pay",
        "sixty-two dollars and fifty cents",
        "now",
    ]
    clips = await said(CuttingVoice(100), "pay $62.50 now")
    assert times(clips) == [
        ("pay", 0.0, 0.5),
        ("$62.50", 0.5, 3.0),
        ("now", 3.0, 3.5),
    ]


async def test_a_word_cut_by_the_voice_counts_when_its_end_is_heard() -> None:
    voice = CuttingVoice(3)  # pay sixty-two dollars | and fifty cents | now
    clips = await said(voice, "pay $62.50 now")
    assert [clip.text for clip in clips] == ["pay", "$62.50", "now"]
    assert [seconds(clip.audio) for clip in clips] == [1.5, 1.5, 0.5]
    assert [clip.words[-1].end for clip in clips] == [0.5, 1.5, 0.5]


async def test_a_piece_in_which_no_written_word_ends_is_sent_without_words() -> None:
    clips = await said(CuttingVoice(2), "$62.50 please")  # sixty-two dollars | and fifty | cents please
    assert [clip.text for clip in clips[:2]] == ["", ""]
    assert [clip.words for clip in clips[:2]] == [(), ()]
    assert text_of(clips) == "$62.50 please"


async def test_words_that_are_not_read_aloud_take_no_time() -> None:
    clips = await said(CuttingVoice(100), "🎉 Well 🎉 done 🎉")
    assert times(clips) == [
        ("🎉", 0.0, 0.0),
        ("Well", 0.0, 0.5),
        ("🎉", 0.5, 0.5),
        ("done", 0.5, 1.0),
        ("🎉", 1.0, 1.0),
    ]


async def test_a_voice_that_knows_no_words_shares_its_time_by_their_length() -> None:
    clips = await said(CuttingVoice(100, knows_words=False), "I understand")
    assert [(word, round(start, 3), round(end, 3)) for word, start, end in times(clips)] == [
        ("I", 0.0, 0.154),  # two of thirteen characters of a second, spaces counted
        ("understand", 0.154, 1.0),
    ]


@pytest.mark.parametrize("sentence", ["", "  ", "😀", "---", "```print(1)```", '{"a": 1}'])
async def test_where_there_is_nothing_to_say_the_voice_is_not_asked(sentence: str) -> None:
    voice = CuttingVoice(3)
    assert await said(voice, sentence) == []
    assert voice.asked == []


async def test_a_breath_before_the_sentence_moves_its_words_and_only_once() -> None:
    plain = await said(CuttingVoice(2), "One two three four")
    breath = [clip async for clip in speak(CuttingVoice(2), 3, "One two three four", breath=True)]
    assert seconds(breath[0].audio) == pytest.approx(seconds(plain[0].audio) + BREATH)
    assert breath[0].audio.startswith(b"\xff" * round(BREATH * 8000))
    assert breath[0].words[0].start == pytest.approx(BREATH)
    assert breath[1:] == plain[1:]
    assert text_of(breath) == text_of(plain)


async def test_a_voice_that_fails_in_mid_sentence_leaves_what_was_said() -> None:
    clips = speak(BrokenVoice(), 3, "One two")
    assert (await anext(clips)).text == "One"
    with pytest.raises(ProviderError, match="out of breath"):
        await anext(clips)


async def test_leaving_in_mid_sentence_stops_the_voice() -> None:
    voice = CuttingVoice(1)
    clips = speak(voice, 3, "One two three")
    async for _ in clips:
        break
    await clips.aclose()  # type: ignore[attr-defined]
    assert voice.closed


class OtherVoice:
    """Tells two words where one was asked for, and ends with a piece of silence."""

    name = "other"
    language = "en"

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        words = [word for each in text.split() for word in each.split("-")]
        times = tuple(WordTime(word, n * WORD, (n + 1) * WORD) for n, word in enumerate(words))
        yield Speech(text, b"\x7f" * round(len(words) * WORD * 8000), times)
        yield Speech("", b"\xff" * 800)


async def test_a_voice_that_counts_words_its_own_way_loses_none_of_ours() -> None:
    clips = [clip async for clip in speak(OtherVoice(), 3, "Twenty-two, thirty-three.")]
    assert text_of(clips) == "Twenty-two, thirty-three."
    assert clips[-1] == Clip(3, "", b"\xff" * 800)


class SpanishVoice(CuttingVoice):
    language = "es"


async def test_the_words_are_read_in_the_voices_language() -> None:
    voice = SpanishVoice(100)
    assert text_of(await said(voice, "Son 12 euros.")) == "Son 12 euros."
    assert voice.asked == ["Son doce euros."]


@given(st.text(max_size=60), st.integers(1, 7), st.booleans())
async def test_whatever_is_written_no_word_is_lost_and_none_is_early(
    sentence: str, each: int, knows_words: bool
) -> None:
    clips = await said(CuttingVoice(each, knows_words=knows_words), sentence)
    if clips:
        found = times(clips)
        assert [word for word, _, _ in found] == sentence.split()
        assert all(-1e-9 <= a[1] <= b[1] + 1e-9 for a, b in pairwise(found))
    else:
        assert not text_for_voice(spoken(sentence)).strip()
