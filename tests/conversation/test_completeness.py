"""Is what the caller said so far a finished turn?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.agents.brain import Expecting
from callbot.agents.slots import Kind, expecting
from callbot.conversation.completeness import (
    Said,
    is_backchannel,
    is_courtesy,
    is_interruption,
    is_question,
    said,
    same_words,
)


@pytest.mark.parametrize(
    "text",
    [
        "My internet is down.",
        "I'd like to buy a router.",
        "How much is it?",
        "What is this for?",
        "Thank you.",
        "I think so.",
        "It keeps turning off.",
        "I don't know.",
        "Yes, it is.",
        "No, that's all, thank you.",
        "Can you tell me when it arrives?",
        "That's what it is.",
        "I'd like to know where my order is.",
    ],
)
def test_a_finished_sentence_is_one(text: str) -> None:
    assert said(text) is Said.SENTENCE


@pytest.mark.parametrize(
    "text",
    [
        "My number is.",
        "and",
        "I want to know about.",
        "because",
        "um",
        "I'd like to, uh.",
        "I need help with my",
        "The router is",
        "I called yesterday and.",
        "Well I was wondering if",
        "Do you",
        "My internet is down,",
        "It was working but...",
        "I'm looking for a.",
        "so",
    ],
)
def test_a_sentence_cut_in_half_is_unfinished_whatever_its_full_stop(text: str) -> None:
    assert said(text) is Said.UNFINISHED


@pytest.mark.parametrize("text", ["Router.", "a big house", "the second floor"])
def test_a_few_words_are_a_fragment(text: str) -> None:
    assert said(text) is Said.FRAGMENT


@pytest.mark.parametrize("text", ["", "  ", "...", "?"])
def test_no_words_are_nothing(text: str) -> None:
    assert said(text, Expecting.YES_NO) is Said.NOTHING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my order number is", Said.UNFINISHED),
        ("B seven four", Said.PARTIAL),
        ("B seven four um", Said.PARTIAL),
        ("it's B 7 4 2 9 please", Said.ANSWER),
        ("B7429.", Said.ANSWER),
        ("B7429,", Said.ANSWER),
        ("B7429, no wait", Said.UNFINISHED),
        ("B7429 and", Said.UNFINISHED),
        ("I don't have it.", Said.SENTENCE),
        ("7429", Said.PARTIAL),
    ],
)
def test_an_order_id_is_awaited_to_its_last_digit(text: str, expected: Said) -> None:
    assert said(text, *expecting(Kind.ORDER_ID)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("five five five", Said.PARTIAL),
        ("555-0142.", Said.ANSWER),
        ("212 555 0142", Said.ANSWER),
        ("55501423", Said.PARTIAL),
        ("I lost it two days ago.", Said.SENTENCE),
    ],
)
def test_a_phone_number_is_awaited_to_its_last_digit(text: str, expected: Said) -> None:
    assert said(text, *expecting(Kind.PHONE)) is expected


@pytest.mark.parametrize(
    ("what", "text", "expected"),
    [
        (Expecting.YES_NO, "Yes.", Said.ANSWER),
        (Expecting.YES_NO, "uh-huh", Said.ANSWER),
        (Expecting.YES_NO, "yes but", Said.UNFINISHED),
        (Expecting.YES_NO, "I", Said.UNFINISHED),
        (Expecting.EMAIL, "jo dot smith at", Said.PARTIAL),
        (Expecting.EMAIL, "jo dot smith at example dot com", Said.ANSWER),
        (Expecting.EMAIL, "no thanks", Said.SENTENCE),
        (Expecting.DATE, "Tuesday.", Said.ANSWER),
        (Expecting.DATE, "Tuesday at", Said.UNFINISHED),
        (Expecting.DATE, "next", Said.UNFINISHED),
        (Expecting.AMOUNT, "two", Said.ANSWER),
        (Expecting.AMOUNT, "$62.50", Said.ANSWER),
        (Expecting.AMOUNT, "a", Said.UNFINISHED),
        (Expecting.CHOICE, "the mini", Said.FRAGMENT),
    ],
)
def test_the_answer_to_the_question_ends_the_turn(what: Expecting, text: str, expected: Said) -> None:
    assert said(text, what) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mi número es", Said.UNFINISHED),
        ("Quiero cambiar mi plan.", Said.SENTENCE),
        ("porque", Said.UNFINISHED),
        ("no funciona el internet", Said.SENTENCE),
        ("Gracias.", Said.SENTENCE),
        ("Llamo para", Said.UNFINISHED),
    ],
)
def test_spanish_turns(text: str, expected: Said) -> None:
    assert said(text, language="es") is expected


@pytest.mark.parametrize(
    "text", ["mhm", "Mm-hmm.", "Uh-huh.", "Yeah.", "Okay, okay.", "I see.", "right", "Oh, okay.", "mm", "hmm"]
)
def test_a_listening_sound_is_a_backchannel_and_interrupts_nothing(text: str) -> None:
    assert is_backchannel(text)
    assert not is_interruption(text)


@pytest.mark.parametrize(
    "text",
    [
        "Wait.",
        "stop",
        "Hold on.",
        "no",
        "Excuse me?",
        "Sorry?",
        "Yeah but wait",
        "Okay, so what about it?",
        "How much?",
        "My bill, is it paid?",
    ],
)
def test_words_that_take_the_floor_interrupt(text: str) -> None:
    assert is_interruption(text)
    assert not is_backchannel(text)


@pytest.mark.parametrize("text", ["", "router", "Okay, my number is five"])
def test_other_words_are_no_backchannel(text: str) -> None:
    assert not is_backchannel(text)


def test_spanish_backchannels_and_interruptions() -> None:
    assert is_backchannel("Ajá.", "es")
    assert is_backchannel("sí, sí", "es")
    assert is_interruption("Espere un momento", "es")
    assert not is_interruption("vale", "es")


@given(
    text=st.text(max_size=50),
    what=st.sampled_from(list(Expecting)),
    language=st.sampled_from(["en", "es", "de"]),
)
def test_any_text_is_judged(text: str, what: Expecting, language: str) -> None:
    verdict = said(text, what, r"[a-z]\d{4}", language)
    assert (verdict is Said.NOTHING) is not any(character.isalnum() for character in text)
    assert not (is_backchannel(text, language) and is_interruption(text, language))


@pytest.mark.parametrize("text", ["Hello.", "Hi there!", "No.", "Sorry,", "Good morning."])
def test_a_word_with_which_sentences_begin_may_be_all_or_not(text: str) -> None:
    assert said(text) in (Said.OPENER, Said.UNFINISHED)


def test_no_is_an_answer_where_yes_or_no_was_asked() -> None:
    assert said("No.", Expecting.YES_NO) is Said.ANSWER


@pytest.mark.parametrize(
    "text",
    ["Where is it?", "where is my order", "Hello, can you help me", "um what does it cost", "¿Dónde está?"],
)
def test_a_question_is_one_by_its_mark_or_its_first_words(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize(
    "text", ["", "My order is late.", "I'd like to know where my order is.", "hello", "um"]
)
def test_what_only_tells_is_no_question(text: str) -> None:
    assert not is_question(text)


@pytest.mark.parametrize(
    "text",
    ["Thank you very much.", "No, that's all. Thank you, goodbye.", "Yes, please.", "Hello there", "okay"],
)
def test_thanks_greetings_and_goodbyes_are_courtesies(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize("text", ["", "Yes, please place the order.", "Thank you for the router.", "router"])
def test_what_says_anything_else_is_no_courtesy(text: str) -> None:
    assert not is_courtesy(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("what are your hours", "What are your hours?", True),
        ("Yes - please.", "yes please", True),
        ("don’t", "Don't", True),
        ("B 7429", "b 7429.", True),
        ("", "...", True),
        ("B 7429", "B7429", False),
        ("$5", "5", False),
        ("3.5", "35", False),
        ("what are your hours", "what are your hours on Sundays", False),
    ],
)
def test_words_are_the_same_but_for_capitals_and_the_marks_around_them(
    one: str, other: str, same: bool
) -> None:
    assert same_words(one, other) is same
