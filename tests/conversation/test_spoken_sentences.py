"""Sentences, also of text that is still being written."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.conversation.spoken import SentenceSplitter, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith paid $62.50. See example.com. It opens at 3 p.m. on Monday. Done!",
            ["Dr. Smith paid $62.50.", "See example.com.", "It opens at 3 p.m. on Monday.", "Done!"],
        ),
        ("He came at 3 p.m. Then he left.", ["He came at 3 p.m.", "Then he left."]),
        ("Bring tea, e.g. green. Really?! Yes.", ["Bring tea, e.g. green.", "Really?!", "Yes."]),
        ("No. I can't. No. 5 is it.", ["No.", "I can't.", "No. 5 is it."]),
        ("Take plan b. Then J. Smith calls.", ["Take plan b.", "Then J. Smith calls."]),
        ("It is I. Not you.", ["It is I.", "Not you."]),
        ("Well... maybe. Hm… fine", ["Well... maybe.", "Hm… fine"]),
        ('She said "yes." Good.', ['She said "yes."', "Good."]),
        ("1. Unplug it\n2. Wait", ["1. Unplug it", "2. Wait"]),
        ("See Nov. 24 or so. Ok", ["See Nov. 24 or so.", "Ok"]),
        ('Hi. {"a": "b. c! d"} Bye. Now', ["Hi.", '{"a": "b. c! d"} Bye.', "Now"]),
        ("Look:\n```\na. b\nc\n```\nDone. Ok", ["Look:", "```\na. b\nc\n```", "Done.", "Ok"]),
        ("Llame al Sr. López. ¿Sí?", ["Llame al Sr. López.", "¿Sí?"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_would_stop(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_sentence_comes_out_as_soon_as_it_is_over() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("Hello there") == []
    assert splitter.feed(". ") == ["Hello there."]
    assert splitter.feed("It opens at 3 p.m. ") == []
    assert splitter.feed("on Monday! I") == ["It opens at 3 p.m. on Monday!"]
    assert splitter.feed(" do") == []
    assert splitter.finish() == ["I do"]
    assert splitter.finish() == []


def test_code_that_never_ends_does_not_silence_the_rest_for_ever() -> None:
    splitter = SentenceSplitter()
    found = splitter.feed('Hi. {"a": ') + splitter.feed("more. And more. " * 200)
    assert found[0] == "Hi."
    assert len(found) > 1


@given(
    text=st.text(alphabet=st.sampled_from("aAbI .!?…\n\"'1{}`<$e.g."), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_no_word_is_lost_however_the_text_arrives(text: str, cuts: list[int]) -> None:
    splitter = SentenceSplitter()
    found: list[str] = []
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(edges):
        found += splitter.feed(text[start:end])
    found += splitter.finish()
    assert " ".join(found).split() == text.split()
    assert all(each == each.strip() != "" for each in found)
