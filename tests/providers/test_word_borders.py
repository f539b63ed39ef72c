"""Audio in chunks to pieces of speech between words, with characters' times and without."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.providers.ports import Speech, WordTime
from callbot.providers.tts.word_borders import Aligned, Character, Guessed

MS = 8


def spelled(text: str, *, each: float = 0.1) -> list[Character]:
    return [(character, i * each, (i + 1) * each) for i, character in enumerate(text)]


def chunk(text: str, *, more: float = 0.0) -> tuple[bytes, list[Character]]:
    """A tenth of a second for each character."""
    return b"a" * round((len(text) * 0.1 + more) * 8000), spelled(text)


def cut(text: str, *chunks: tuple[bytes, list[Character]]) -> list[Speech]:
    cutting = Aligned(text)
    found = [speech for audio, characters in chunks for speech in cutting.feed(audio, characters)]
    return found + cutting.finish()


def times(speech: Speech) -> list[tuple[str, float, float]]:
    return [(word.word, round(word.start, 3), round(word.end, 3)) for word in speech.words]


def test_the_words_of_a_chunk_come_with_their_times():
    [piece] = cut("Hi you", chunk("Hi you"))
    assert piece.text == "Hi you"
    assert times(piece) == [("Hi", 0.0, 0.2), ("you", 0.3, 0.6)]


def test_times_of_the_second_chunk_count_from_its_own_piece():
    first, second = cut("Hi you", chunk("Hi "), chunk("you"))
    assert times(first) == [("Hi", 0.0, 0.2)]
    assert first.seconds == pytest.approx(0.3)
    assert times(second) == [("you", 0.0, 0.3)]


def test_a_word_that_a_chunk_tears_apart_waits_whole_for_the_next():
    first, second = cut("Hi there you", chunk("Hi the"), chunk("re you"))
    assert (first.text, second.text) == ("Hi", "there you")
    assert first.seconds == pytest.approx(0.3)
    assert times(second) == [("there", 0.0, 0.5), ("you", 0.6, 0.9)]


def test_the_last_word_of_a_chunk_does_not_wait_if_it_is_whole():
    cutting = Aligned("Hi you")
    assert [piece.text for piece in cutting.feed(*chunk("Hi"))] == ["Hi"]


def test_words_whose_audio_has_not_come_wait_for_it():
    audio, characters = chunk("Hi you")
    first, second = cut("Hi you", (audio[: 300 * MS], characters), (audio[300 * MS :], []))
    assert (first.text, second.text) == ("Hi", "you")


def test_a_space_that_is_missing_between_two_chunks_is_no_matter():
    assert [piece.text for piece in cut("Hi you", chunk("Hi"), chunk("you"))] == ["Hi", "you"]


def test_a_space_too_many_at_the_beginning_is_no_matter():
    [piece] = cut("Hi you", chunk("  Hi you "))
    assert times(piece) == [("Hi", 0.2, 0.4), ("you", 0.5, 0.8)]


def test_words_that_the_voice_reads_otherwise_share_the_time_between_their_neighbours():
    [piece] = cut("In 24 hours", chunk("In twenty four hours "))
    assert times(piece) == [("In", 0.0, 0.2), ("24", 0.3, 1.5), ("hours", 1.5, 2.0)]


def test_a_word_in_other_letters_or_without_its_comma_is_the_same():
    [piece] = cut("Hello, you", chunk("hello you"))
    assert times(piece) == [("Hello,", 0.0, 0.5), ("you", 0.6, 0.9)]


def test_a_word_that_the_voice_leaves_out_takes_no_time_that_is_not_there():
    [piece] = cut("Hi — you", chunk("Hi you "))
    assert times(piece) == [("Hi", 0.0, 0.2), ("—", 0.2, 0.3), ("you", 0.3, 0.6)]


def test_words_of_which_nothing_was_told_share_the_rest():
    first, second = cut("Hi you all", chunk("Hi "), (b"a" * 600 * MS, []))
    assert first.text == "Hi"
    assert times(second) == [("you", 0.0, 0.25), ("all", 0.25, 0.6)]


def test_silence_at_the_end_is_kept():
    pieces = cut("Hi", chunk("Hi"), (b"\xff" * 400, []))
    assert [(piece.text, len(piece.audio)) for piece in pieces] == [("Hi", 1600), ("", 400)]


def check(text: str, pieces: Sequence[Speech], audio: bytes) -> None:
    assert " ".join(piece.text for piece in pieces).split() == text.split()
    assert b"".join(piece.audio for piece in pieces)[: len(audio)] == audio
    for piece in pieces:
        assert [word.word for word in piece.words] == piece.text.split()
        moments = [moment for word in piece.words for moment in (word.start, word.end)]
        assert moments == sorted(moments)
        assert all(0 <= moment <= piece.seconds for moment in moments)


LETTERS = st.text(alphabet="ab ,1é—", max_size=30)


@given(LETTERS, st.lists(st.tuples(LETTERS, st.floats(0, 0.2), st.integers(0, 4000)), max_size=5))
def test_whatever_a_voice_tells_the_pieces_have_all_the_words_and_all_the_audio(
    text: str, told: list[tuple[str, float, int]]
):
    chunks = [(bytes(length), spelled(letters, each=each)) for letters, each, length in told]
    check(text, cut(text, *chunks), b"".join(audio for audio, _ in chunks))


@given(LETTERS, st.data())
def test_however_a_text_is_cut_into_chunks_the_times_of_its_words_are_the_same(
    text: str, data: st.DataObject
):
    whole = " ".join(text.split())
    at = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    chunks = [
        chunk(whole[start:end]) for start, end in zip([0, *at], [*at, len(whole)], strict=True) if end > start
    ]
    begin, told = 0.0, []
    for piece in cut(whole, *chunks):
        told += [WordTime(word.word, word.start + begin, word.end + begin) for word in piece.words]
        begin += piece.seconds
    position = 0
    for word, expected in zip(told, whole.split(), strict=True):
        position = whole.index(expected, position)
        assert word.word == expected
        assert word.start == pytest.approx(position * 0.1, abs=0.002)
        assert word.end == pytest.approx((position + len(expected)) * 0.1, abs=0.002)
        position += len(expected)


# --- without times -------------------------------------------------------------------------------

TEXT = "Thanks, Tom. Your order is on its way, and it should arrive on Thursday."


def guessed(text: str, *chunks: bytes) -> list[Speech]:
    cutting = Guessed(text)
    return [speech for audio in chunks for speech in cutting.feed(audio, ())] + cutting.finish()


def test_without_times_the_first_words_come_early_and_the_rest_in_seconds():
    pieces = guessed(TEXT, bytes(round(len(TEXT) * 0.065 * 8000)))
    assert pieces[0].text == "Thanks,"
    assert all(0.9 < piece.seconds < 2 for piece in pieces[1:-1])
    assert not any(piece.words for piece in pieces)


@pytest.mark.parametrize("size", [1, 160, 4001, 100_000])
def test_where_the_chunks_end_makes_no_difference(size: int):
    audio = bytes(i % 251 for i in range(40_000))
    chunks = [audio[at : at + size] for at in range(0, len(audio), size)]
    assert guessed(TEXT, *chunks) == guessed(TEXT, audio)


@given(LETTERS, st.lists(st.binary(max_size=9000), min_size=1, max_size=4))
def test_without_times_the_pieces_have_all_the_words_and_the_audio_too(text: str, chunks: list[bytes]):
    pieces = guessed(text, *chunks)
    assert " ".join(piece.text for piece in pieces).split() == text.split()
    if text.split() and any(chunks):
        assert b"".join(piece.audio for piece in pieces) == b"".join(chunks)
