"""A model's stream is cut into what can be spoken at once: time is written into the test."""

from hypothesis import given
from hypothesis import strategies as st

from callbot.agents.phrasing import LONGEST_WAIT, Phrasing


def streamed(*pieces: str, every: float = 0.0) -> list[str]:
    phrasing = Phrasing()
    found: list[str] = []
    for number, piece in enumerate(pieces):
        found += phrasing.feed(piece, number * every)
    return [*found, *phrasing.finish()]


def test_a_sentence_goes_out_as_soon_as_the_next_one_begins() -> None:
    phrasing = Phrasing()
    assert phrasing.feed("Your order ", 0.0) == []
    assert phrasing.feed("is on its way.", 0.1) == []
    assert phrasing.feed(" It arrives", 0.2) == ["Your order is on its way."]
    assert phrasing.finish() == ["It arrives"]


def test_the_first_clause_of_a_long_sentence_goes_ahead() -> None:
    phrasing = Phrasing()
    text = "I have looked that up for you, and it seems that your order was delayed at the customs office"
    assert phrasing.feed(text, 0.0) == ["I have looked that up for you,"]
    assert phrasing.feed(", but it is on its way now, as far as I can see", 0.1) == []


def test_a_long_first_clause_does_not_wait_for_the_sentence_to_become_long() -> None:
    phrasing = Phrasing()
    assert phrasing.feed("Your order left the warehouse this morning", 0.0) == []
    assert phrasing.feed(", and", 0.1) == ["Your order left the warehouse this morning,"]
    assert phrasing.feed(" it will be with you on Thursday, I hope.", 0.2) == []
    assert phrasing.finish() == ["and it will be with you on Thursday, I hope."]


def test_a_short_sentence_is_not_cut_at_its_comma() -> None:
    assert streamed("Yes, of course, ", "I can do that.") == ["Yes, of course, I can do that."]


def test_an_opening_that_is_too_short_to_speak_waits_for_the_next_comma() -> None:
    text = "Well, let me have a look at your account, which is the one that ends in zero one four two"
    assert Phrasing().feed(text, 0.0) == ["Well, let me have a look at your account,"]


def test_a_stream_that_dribbles_is_spoken_in_whole_words_after_a_while() -> None:
    phrasing = Phrasing()
    assert phrasing.feed("Your or", 0.0) == []
    assert phrasing.due == LONGEST_WAIT
    assert phrasing.flush(1.0) == []
    assert phrasing.flush(LONGEST_WAIT) == ["Your"]
    assert phrasing.due is None
    assert phrasing.feed("der is", 3.0) == []
    assert phrasing.flush(3.0 + LONGEST_WAIT) == ["order"]
    assert phrasing.finish() == ["is"]


def test_one_token_a_second_does_not_wait_for_the_end_of_its_sentence() -> None:
    told = "Your order arrives on Monday next week ."
    spoken = streamed(*(f"{word} " for word in told.split()), every=0.6)
    assert " ".join(spoken) == told
    assert len(spoken) > 2


def test_a_half_word_is_never_flushed() -> None:
    phrasing = Phrasing()
    phrasing.feed("Deliv", 0.0)
    assert phrasing.due is None
    assert phrasing.flush(9.0) == []


def test_code_that_is_still_open_is_not_flushed() -> None:
    phrasing = Phrasing()
    phrasing.feed('Sure. {"name": "find_order", "arguments": {"order_id" ', 0.0)
    assert phrasing.flush(9.0) == []
    phrasing.feed("functions.find_order(order_id = 'B7429', ", 0.0)
    assert phrasing.flush(9.0) == []


WORDS = st.lists(
    st.sampled_from(
        [
            "well",
            "your",
            "order,",
            "and",
            "B7429.",
            "Is",
            "that",
            "right?",
            "No!",
            "e.g.",
            "3.50",
            "(or",
            "so);",
            "{x}",
            "```code```",
            "Dr.",
            "…",
        ]
    ),
    max_size=40,
)


@given(WORDS, st.integers(0, 10**9), st.floats(0.0, 1.5))
def test_no_word_is_lost_doubled_or_moved_however_the_text_arrives(
    told: list[str], seed: int, every: float
) -> None:
    text = " ".join(told)
    pieces: list[str] = []
    rest = text
    while rest:
        size = 1 + seed % 7
        seed = seed // 7 + 13
        pieces.append(rest[:size])
        rest = rest[size:]
    assert " ".join(streamed(*pieces, every=every)).split() == text.split()


@given(st.text(max_size=200), st.integers(1, 9))
def test_any_text_comes_out_with_its_words(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert "".join(" ".join(streamed(*pieces, every=0.3)).split()) == "".join(text.split())


@given(st.lists(st.sampled_from(["a ", "bc. ", "d, ", "é"]), max_size=60), st.floats(0.01, 2.0))
def test_no_whole_word_waits_longer_than_it_may(pieces: list[str], every: float) -> None:
    phrasing = Phrasing()
    for number, piece in enumerate(pieces):
        now = number * every
        phrasing.flush(now)
        phrasing.feed(piece, now)
        assert phrasing.due is None or phrasing.due > now
