"""Audio and words that come apart are speech whose words have times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.providers.ports import Speech
from callbot.providers.speech_to_speech.uttering import PIECE, USUAL_PACE, Pace, Uttering

TEXT = "Your order has been shipped, and it will arrive on Thursday."
SECOND = b"\x80" * 8000


def uttered(*events: str | bytes, pace: Pace | None = None) -> list[Speech]:
    uttering = Uttering(pace or Pace())
    pieces = []
    for event in events:
        if isinstance(event, str):
            uttering.words(event)
        elif piece := uttering.sound(event):
            pieces.append(piece)
    if last := uttering.finish():
        pieces.append(last)
    return pieces


def test_the_first_sound_goes_out_at_once_and_the_rest_in_pieces_that_can_be_marked():
    pieces = uttered(TEXT, *[SECOND[:800]] * 12)
    assert [round(piece.seconds, 2) for piece in pieces] == [0.1, PIECE, PIECE, 0.3]


def test_a_word_is_told_with_the_piece_in_which_it_ends():
    first, second, *_ = uttered(TEXT, SECOND, SECOND, SECOND, SECOND)
    assert first.text == "Your order has"  # fifteen characters with their spaces, at fifteen a second
    assert second.text == "been shipped,"
    assert [word.end for word in second.words] == pytest.approx([5 / USUAL_PACE, 14 / USUAL_PACE])


def test_the_last_piece_has_all_words_that_are_left():
    pieces = uttered(TEXT, SECOND, SECOND)
    assert " ".join(piece.text for piece in pieces) == TEXT
    ends = [word.end for word in pieces[-1].words]
    assert ends[-1] == pytest.approx(pieces[-1].seconds)


def test_words_that_come_late_are_told_late():
    pieces = uttered(SECOND, SECOND, "Good mor", SECOND, "ning.", SECOND)
    assert [piece.text for piece in pieces] == ["", "", "Good", "", "morning."]


def test_how_fast_a_voice_speaks_is_learnt():
    pace = Pace()
    uttered(TEXT, *[SECOND] * 2, pace=pace)
    assert pace.characters == pytest.approx((USUAL_PACE + (len(TEXT) + 1) / 2) / 2)
    uttered("Yes.", SECOND, pace=pace)
    assert pace.characters == pytest.approx((USUAL_PACE + (len(TEXT) + 1) / 2) / 2)


def test_nothing_is_nothing():
    assert uttered() == []
    assert uttered("  ") == []
    (piece,) = uttered("Hello.")
    assert (piece.text, piece.audio) == ("Hello.", b"")


@given(
    st.lists(st.one_of(st.text("ab. ", max_size=12), st.binary(max_size=9000)), max_size=20),
)
def test_however_it_comes_all_of_it_is_told_once_and_in_time(events: list[str | bytes]):
    pieces = uttered(*events)
    words = "".join(event for event in events if isinstance(event, str)).split()
    assert " ".join(piece.text for piece in pieces if piece.text).split() == words
    assert b"".join(piece.audio for piece in pieces) == b"".join(e for e in events if isinstance(e, bytes))
    for piece in pieces:
        assert [word.word for word in piece.words] == piece.text.split()
        times = [time for word in piece.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(-1e-9 <= time <= piece.seconds + 1e-6 for time in times)
