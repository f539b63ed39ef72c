"""Words that are said while we speak: who takes the floor with them?"""

from dataclasses import replace

import pytest

from callbot.agents.brain import Answer, EndCall, Expect, Expecting
from callbot.call import Disposition
from callbot.conversation.overlap import Overlap
from callbot.conversation.turns import AgentTurn, CallerTurn
from callbot.media_stream.playback import Playback
from tests.conversation.script import RULES, clip


def reply(**known: object) -> AgentTurn:
    """It began to be heard at 10 s, and all of it is made."""
    made = AgentTurn(3, "support", Answer("Hi"), asked_at=9.5, first_sent=10.0, done=True)
    made.sentences.append("Your order is on its way.")
    for name, value in known.items():
        setattr(made, name, value)
    return made


def overlap(
    reply: AgentTurn | None, *, started: float = 12.0, expecting: Expecting = Expecting.ANYTHING
) -> Overlap:
    caller = CallerTurn(2, started)
    return Overlap(RULES, Playback(), caller, reply, Expect(expecting), "en")


@pytest.mark.parametrize("text", ["mhm", "okay", "...", ""])
def test_a_sign_of_listening_takes_no_floor(text: str) -> None:
    assert overlap(reply()).ignorable(text)


def test_when_we_do_not_speak_every_word_counts_and_a_mark_does_not() -> None:
    assert not overlap(None).ignorable("okay")
    assert overlap(None).ignorable("...")


def test_a_yes_answers_a_question_whose_last_words_are_being_heard() -> None:
    moment = overlap(reply(), expecting=Expecting.YES_NO)
    assert not moment.ignorable("yes")
    unheard = reply()
    unheard.sentences.append("Shall I send it again?")
    assert replace(moment, reply=unheard).ignorable("yes")


def test_how_much_of_a_question_was_heard_is_what_has_played() -> None:
    asking = reply()
    asking.sentences.append("Shall I send it again?")
    playback = Playback()
    for sentence in asking.sentences:
        mark = playback.send(clip(3, sentence), 10.0).mark
        if sentence is asking.sentences[0]:
            playback.marked(mark, 11.6)
    moment = replace(overlap(asking, expecting=Expecting.YES_NO), playback=playback)
    assert not moment.ignorable("yes")


def test_a_goodbye_does_not_interrupt_ours() -> None:
    moment = overlap(reply(ending=EndCall(Disposition.RESOLVED)))
    assert moment.ignorable("thank you, bye")
    assert not overlap(reply()).ignorable("thank you, bye")


def test_words_are_meant_for_us_when_they_interrupt_or_there_are_enough_of_them() -> None:
    def deliberate(text: str) -> bool:
        moment = overlap(reply())
        assert moment.caller is not None
        moment.caller.text = text
        return moment.deliberate(moment.caller)

    assert deliberate("wait")
    assert deliberate("the other router please")
    assert not deliberate("the other")
    assert not deliberate("okay okay")


def test_who_spoke_on_before_they_could_have_heard_us_had_not_finished() -> None:
    within = RULES.going_on_within
    assert overlap(reply(), started=10.0 + within - 0.01).goes_on(reply())
    assert not overlap(reply(), started=10.0 + within).goes_on(reply())
    assert overlap(reply(), started=99.0).goes_on(reply(first_sent=None))


def test_the_end_of_the_yes_on_which_something_was_done_is_no_interruption() -> None:
    moment = overlap(reply(changed=True), started=10.1)
    assert moment.ignorable("that would be nice")
    assert not moment.ignorable("wait")
    assert not overlap(reply(changed=True), started=11.0).ignorable("that would be nice")


def test_what_began_long_after_we_had_spoken_is_no_echo() -> None:
    moment = overlap(None, started=50.0)
    assert moment.caller is not None
    words = "your order is on its way"
    assert moment.without_echo(words, moment.caller, [words], echoes=True) == words
