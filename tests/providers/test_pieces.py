import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.providers.tts.loud import levelled, sounding
from callbot.providers.tts.pieces import pieces

WORDS = st.lists(st.from_regex(r"\A[A-Za-z]{1,12}[.,;:!?—\"]{0,2}\Z"), max_size=120)


@given(WORDS)
def test_no_word_is_lost_or_moved(said: list[str]):
    found = pieces(" ".join(said))
    assert " ".join(piece.text for piece in found).split() == " ".join(said).split()
    assert all(piece.text for piece in found)


@given(WORDS)
def test_no_piece_is_longer_than_a_breath(said: list[str]):
    assert all(len(piece.text) <= 280 for piece in pieces(" ".join(said)))


@given(st.text(max_size=200))
def test_any_text_is_cut_without_loss(text: str):
    assert "".join(piece.text for piece in pieces(text)).split() == "".join(text.split()).split() or (
        " ".join(piece.text for piece in pieces(text)).split() == text.split()
    )


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Hello. How are you?", ["Hello.", "How are you?"]),
        ("Ask Dr. Smith about it. Now!", ["Ask Dr. Smith about it.", "Now!"]),
        ("It is J. K. Rowling.", ["It is J. K. Rowling."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("It costs 62.50 in all.", ["It costs 62.50 in all."]),
        ("Short, even with commas; and more.", ["Short, even with commas; and more."]),
    ],
)
def test_sentences_are_cut_where_they_end(text: str, cut: list[str]):
    assert [piece.text for piece in pieces(text)] == cut


def test_a_long_sentence_is_cut_at_its_commas_and_its_first_piece_is_short():
    clause = "this clause goes on for about forty letters"
    found = pieces(", ".join([clause] * 8) + ".")
    assert len(found[0].text) <= 80
    assert all(piece.text.endswith((",", ".")) for piece in found)
    assert max(len(piece.text) for piece in found) <= 140


def test_a_long_sentence_without_commas_is_cut_between_words():
    text = " ".join(["word"] * 100)
    found = pieces(text)
    assert len(found) > 1
    assert max(len(piece.text) for piece in found) <= 145
    assert " ".join(piece.text for piece in found) == text


def test_there_is_a_pause_between_pieces_and_none_after_the_last():
    long = "a clause that is long enough to be spoken on its own by any voice"
    pauses = [piece.pause for piece in pieces(f"One. {long}, {long}, {long}. Two.")]
    assert pauses[0] > pauses[1] > 0
    assert pauses[-1] == 0


RATE = 8000


def tone(seconds: float, level: float) -> np.ndarray:
    return (level * np.sin(np.arange(round(seconds * RATE)) * 0.7)).astype(np.float32)


def test_silence_around_a_piece_is_trimmed_but_for_a_little():
    samples = np.concatenate([tone(0.5, 0.0005), tone(1, 0.5), tone(0.5, 0.0005)])
    part = sounding(samples, RATE)
    assert part.start == pytest.approx(0.49 * RATE, abs=0.006 * RATE)
    assert part.stop == pytest.approx(1.54 * RATE, abs=0.006 * RATE)


@pytest.mark.parametrize("level", [0.003, 0.1, 0.9])
def test_every_piece_is_made_equally_loud(level: float):
    made = levelled(tone(1, level), RATE)
    assert np.sqrt(np.mean(made**2)) == pytest.approx(0.11, rel=0.05)


def test_a_piece_with_high_peaks_is_not_clipped():
    samples = tone(1, 0.01)
    samples[4000] = 0.9
    assert np.abs(levelled(samples, RATE)).max() <= 0.9001


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(500, np.float32)])
def test_silence_stays_silence(samples: np.ndarray):
    part = sounding(samples, RATE)
    assert part.start == part.stop
    assert not levelled(samples, RATE).any()
