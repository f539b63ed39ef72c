"""Our own voice on the line: what of a transcript is the caller's, and what a call makes of it."""

import pytest

from callbot.agents.brain import Answer, Greet
from callbot.conversation.echo import IT_STOPPED_WITH_US, KNOWN, without_echo
from tests.conversation.script import Script

GREETING = "Larkfield, this is Maya. How can I help?"
LONG = "You can send anything back within thirty days and the label for it is free of charge."


@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("Larkfield, this is Maya. How can I help?", ""),
        ("Lark field this is my a, how can I help", ""),
        ("Larkfield.", ""),
        ("How can I help? Hello, I have a question.", "Hello, I have a question."),
        ("this is Maya wait what about Saturday", "wait what about Saturday"),
        ("Hello, is this Larkfield?", "Hello, is this Larkfield?"),
        ("Can you help me with my bill?", "Can you help me with my bill?"),
        ("Maya?", "Maya?"),
        ("Wait, stop.", "Wait, stop."),
        ("Yes.", "Yes."),
        ("", ""),
    ],
)
def test_what_we_said_is_taken_off_the_beginning_and_nothing_else(text: str, theirs: str) -> None:
    assert without_echo(text, GREETING) == theirs


def test_on_a_line_that_is_known_to_echo_a_word_is_enough() -> None:
    assert without_echo("Maya.", GREETING, KNOWN) == ""
    assert without_echo("Yes.", GREETING, KNOWN) == "Yes."
    assert without_echo("Stop.", "Bring it to the post office.", KNOWN) == "Stop."


def test_figures_are_compared_as_they_are_spoken_and_the_noise_behind_them_is_no_word() -> None:
    said = "We are open from eight to six."
    assert without_echo("We are open from 8 to 6. You", said) == ""
    assert without_echo("We are open from 8 to 6. Yes.", said) == "Yes."


@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("Larksky. You", ""),
        ("Maya.", ""),
        ("Wait.", "Wait."),
        ("What about my bill?", "What about my bill?"),
        ("How?", "How?"),
        ("", ""),
    ],
)
def test_what_stopped_when_we_did_is_an_echo_when_half_of_it_is_ours(text: str, theirs: str) -> None:
    assert without_echo(text, GREETING, IT_STOPPED_WITH_US) == theirs


def test_a_line_without_words_of_ours_is_nobodys_echo() -> None:
    assert without_echo("I want to know where my order is.", "") == "I want to know where my order is."


def heard_over(ours: str, text: str, *, at: float, seconds: float) -> Script:
    """``at`` so many seconds into what we say, ``text`` comes back for so many."""
    script = Script()
    script.replies(ours)
    script.wait(at)
    script.says(text, seconds=seconds)
    return script


def test_faults_37_our_own_voice_is_not_answered_and_stops_us_once() -> None:
    script = heard_over(LONG, "You can send anything back.", at=0.25, seconds=0.9)
    assert script.asked() == [Greet()]
    assert script.kinds().count("ClearAudio") == 1
    script.wait(0.1)
    script.says("back within thirty days and the label", seconds=1.5)
    script.says("for it is free of charge", seconds=1.0)
    script.wait(5)
    assert script.asked() == [Greet()]
    assert script.kinds().count("ClearAudio") == 1
    (turn,) = script.conversation.transcript.turns
    assert turn.heard == LONG
    assert not turn.interrupted
    noticed = [noticing.what for noticing in script.conversation.transcript.noticed]
    assert noticed == ["echo_suppressed", "resumed", "echo_suppressed", "echo_suppressed"]


def test_the_last_of_our_words_come_back_when_we_have_finished() -> None:
    script = heard_over(GREETING, "How can I help?", at=1.5, seconds=0.8)
    script.wait(3)
    assert script.asked() == [Greet()]


def test_a_caller_on_a_line_that_echoes_interrupts_with_words() -> None:
    script = heard_over(LONG, "You can send anything back.", at=0.25, seconds=0.9)
    script.says("within thirty days wait what about Saturday", seconds=1.2)
    script.wait(1)
    assert script.asked()[1:] == [Answer("wait what about Saturday")]
    assert script.conversation.transcript.turns[0].interrupted


def test_a_caller_who_says_our_words_after_us_means_them() -> None:
    script = Script().greeted(GREETING)
    script.says("Larkfield, this is Maya?", seconds=1.0)
    script.wait(1)
    assert script.asked()[1:] == [Answer("Larkfield, this is Maya?")]


def test_what_the_caller_says_right_after_our_echo_is_theirs() -> None:
    theirs = "Hello, I have a question about my bill."
    script = heard_over(GREETING, f"can I help? {theirs}", at=1.9, seconds=3.0)
    script.wait(1)
    assert script.asked()[1:] == [Answer(theirs)]


def test_a_first_word_of_ours_that_is_misheard_does_not_cost_the_caller_the_greeting() -> None:
    script = heard_over(GREETING, "Larksky. You", at=0.25, seconds=0.35)
    script.wait(4)
    assert script.asked() == [Greet()]
    assert script.conversation.transcript.turns[0].heard == GREETING


def test_a_word_of_the_callers_as_short_is_theirs() -> None:
    script = heard_over(LONG, "Wait.", at=2.0, seconds=0.35)
    script.wait(2)
    assert script.asked()[1:] == [Answer("Wait.")]


def test_a_caller_who_interrupts_through_our_echo_has_not_gone_on_with_the_question_before() -> None:
    script = Script().greeted(GREETING)
    script.says("What is your return policy?", seconds=1.5)
    script.wait(0.3)
    script.replies(LONG)
    script.wait(0.24)
    script.says("You can send anything back wait what about Saturday", seconds=2.0)
    script.wait(1)
    assert script.asked()[2:] == [Answer("wait what about Saturday")]
