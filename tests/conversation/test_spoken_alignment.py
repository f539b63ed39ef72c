"""Times of spoken words, back on written ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.conversation.spoken import align, spoken, text_for_voice
from callbot.providers.ports import WordTime


def voiced(text: str) -> tuple[WordTime, ...]:
    """A voice that takes a second for each word and starts after half of one."""
    return tuple(WordTime(word, place + 0.5, place + 1.5) for place, word in enumerate(text.split()))


def test_a_written_word_lasts_from_its_first_to_its_last_spoken_word() -> None:
    tokens = spoken("It costs $62.50 **now** 🎉 ok")
    assert align(tokens, voiced(text_for_voice(tokens))) == (
        WordTime("It", 0.5, 1.5),
        WordTime("costs", 1.5, 2.5),
        WordTime("$62.50", 2.5, 7.5),
        WordTime("**now**", 7.5, 8.5),
        WordTime("🎉", 8.5, 8.5),
        WordTime("ok", 8.5, 9.5),
    )


def test_a_silent_first_word_takes_no_time() -> None:
    tokens = spoken("# Title")
    assert align(tokens, voiced("Title."))[0] == WordTime("#", 0.5, 0.5)


@pytest.mark.parametrize("words", [(), voiced("quite other words than those")])
def test_without_the_voices_times_the_duration_is_shared_out(words: tuple[WordTime, ...]) -> None:
    tokens = spoken("one 🎉 three")
    assert align(tokens, words, duration=10.0) == (
        WordTime("one", 0.0, 4.0),
        WordTime("🎉", 4.0, 4.0),
        WordTime("three", 4.0, 10.0),
    )


def test_without_a_duration_the_last_known_time_is_the_end() -> None:
    assert align(spoken("one two"), voiced("a b c"))[-1].end == 3.5
    assert align(spoken("🎉"), ()) == (WordTime("🎉", 0.0, 0.0),)


@given(text=st.text(max_size=60), known=st.booleans())
def test_written_words_follow_each_other_in_time(text: str, known: bool) -> None:
    tokens = spoken(text)
    words = voiced(text_for_voice(tokens)) if known else ()
    times = align(tokens, words, duration=3.0)
    assert [time.word for time in times] == text.split()
    assert all(time.start <= time.end for time in times)
    assert all(first.end <= second.start for first, second in pairwise(times))
