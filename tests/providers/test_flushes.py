from callbot.providers.stt.flushes import Flushes


def test_a_flush_is_answered_when_the_audio_before_it_is_covered():
    flushes: Flushes[str] = Flushes()
    flushes.add("one", 1.0, begins=0.0)
    flushes.add("two", 2.0, begins=1.0)
    assert flushes.covered(0.9) == []
    assert flushes.covered(1.0) == ["one"]
    assert flushes.covered(5.0) == ["two"]
    assert flushes.covered(5.0) == []


def test_the_nth_to_be_overdue_is_the_nth_that_was_added():
    flushes: Flushes[str] = Flushes()
    flushes.add("one", 1.0, begins=0.0)
    flushes.add("two", 2.0, begins=1.0)
    assert flushes.covered(1.0) == ["one"]
    assert flushes.overdue() == []
    assert flushes.overdue() == ["two"]


def test_an_utterance_is_told_once_however_often_it_was_flushed():
    flushes: Flushes[str] = Flushes()
    for at in (1.0, 2.0):
        flushes.add("one", at, begins=0.0)
    assert flushes.covered(3.0) == ["one"]


def test_slack_is_for_an_utterance_of_which_something_was_heard():
    flushes: Flushes[str] = Flushes()
    flushes.add("one", 1.25, begins=1.0)
    assert flushes.covered(1.0, slack=0.3) == []
    assert flushes.covered(1.01, slack=0.3) == ["one"]
