"""Calls measured from what happens in them: real conversations, told by hand, and read back from the page."""

import pytest
from hypothesis import settings

from callbot.agents.brain import Did, HandOff
from callbot.call import EndedBy
from callbot.conversation.effects import Effect, StartReply
from callbot.conversation.events import (
    Acted,
    CallStarted,
    Event,
    Filled,
    HungUp,
    Meant,
    Pressed,
    ReplyFailed,
    ReplyFinished,
    Spoke,
)
from callbot.media_stream.vad import SpeechHeld, SpeechStarted, SpeechStopped
from callbot.metrics.calls import CallMeter
from callbot.metrics.instruments import Metrics
from tests.conversation.script import Script, clip
from tests.conversation.test_invariants import Call as AnyCall
from tests.metrics.page import Page

SID = "CA" + "1" * 32


class Measured(Script):
    """A conversation whose news reach a meter in the session's order: the event, then each effect."""

    def __init__(self, meter: CallMeter, sid: str = SID) -> None:
        self.meter = meter
        self.sid = sid
        super().__init__()

    def tell(self, event: Event) -> list[Effect]:
        self.meter.observe(self.sid, self.now, event)
        effects = super().tell(event)
        for effect in effects:
            self.meter.observe(self.sid, self.now, effect)
        return effects

    def until_asked(self) -> float:
        """Let time pass until the next reply is wanted: its time."""
        asked = len(self.asked())
        while len(self.asked()) == asked:
            due = [at for at in (self.conversation.deadline, *(at for at, _ in self.marks)) if at is not None]
            self.until(min(due))
        return self.now


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def call(metrics: Metrics) -> Measured:
    return Measured(CallMeter(metrics))


def test_a_call_counts_when_it_begins_and_by_how_it_ends(metrics: Metrics, call: Measured):
    assert Page.of(metrics)("callbot_calls_started_total") == 1
    assert Page.of(metrics).total("callbot_calls_ended_total") == 0
    call.greeted()
    call.tell(HungUp(EndedBy.CALLER))
    page = Page.of(metrics)
    assert page("callbot_calls_ended_total", disposition="abandoned") == 1
    assert page.total("callbot_calls_ended_total") == 1


def test_every_way_a_call_can_end_is_on_the_page_from_the_start(metrics: Metrics):
    assert Page.of(metrics)("callbot_calls_ended_total", disposition="voicemail") == 0


def test_a_response_is_measured_from_the_last_sound_to_the_first_audio(metrics: Metrics, call: Measured):
    call.greeted()
    onset = call.now
    call.says("what time do you open", 1.0)
    call.until_asked()
    call.wait(0.030)
    call.tell(Meant(call.turn, "We open at eight."))
    call.wait(0.012)
    call.tell(Spoke(call.turn, clip(call.turn, "We open at eight.")))
    sent = call.now
    call.tell(ReplyFinished(call.turn))
    call.wait(3)
    page = Page.of(metrics)
    count, response = page.times("callbot_response_seconds")
    assert (count, response) == (1, pytest.approx(sent - (onset + 1.0), abs=0.001))
    parts = [
        page("callbot_response_part_seconds_sum", part=part) for part in ("endpointing", "brain", "voice")
    ]  # the greeting was there at once, and adds nothing to them
    assert sum(parts) == pytest.approx(response, abs=0.001)
    assert parts[1:] == pytest.approx([0.030, 0.012])


def test_our_own_part_runs_from_the_decision_to_the_first_audio(metrics: Metrics, call: Measured):
    before = Page.of(metrics).times("callbot_reply_seconds")
    assert before == (0, 0.0)  # the greeting is asked for, and not spoken yet
    call.wait(0.025)
    call.replies("Hello, how can I help?")
    page = Page.of(metrics)
    assert page.times("callbot_reply_seconds") == (1, 0.025)
    assert page.times("callbot_reply_overhead_seconds") == (0, 0.0)  # a brain was asked


def test_what_was_put_right_is_counted_by_what_it_was(metrics: Metrics, call: Measured):
    call.greeted()
    call.starts()
    call.wait(2.0)
    call.tell(SpeechStopped(call.now))
    call.wait(3.1)
    assert Page.of(metrics)("callbot_noticed_total", what="stt_deaf") == 1


def test_only_the_first_audio_of_a_reply_is_its_beginning(metrics: Metrics, call: Measured):
    call.replies("Hello.", "How can I help?")
    assert Page.of(metrics).times("callbot_reply_seconds")[0] == 1


def test_what_the_call_says_itself_is_overhead_alone(metrics: Metrics, call: Measured):
    call.tell(ReplyFailed(call.turn, "the model is away"))  # the repair is asked for in the same step
    call.wait(0.004)
    call.replies("Sorry, again please?")
    page = Page.of(metrics)
    assert page("callbot_reply_failures_total") == 1
    assert page("callbot_phrases_total", phrase="repair") == 1
    assert page.times("callbot_reply_overhead_seconds") == (1, 0.004)
    assert page.times("callbot_response_part_seconds", part="brain") == (0, 0.0)


def test_a_reply_that_waits_for_the_caller_to_finish_is_not_ours_to_answer_for(
    metrics: Metrics, call: Measured
):
    call.tell(SpeechStarted(call.now))
    call.wait(0.1)
    call.replies("Hello, how can I help?")  # held: the caller speaks
    call.tell(SpeechStopped(call.now))
    sent = call.wait(3)
    assert "SendAudio" in {type(effect).__name__ for effect in sent}
    page = Page.of(metrics)
    assert page.times("callbot_reply_seconds") == (0, 0.0)
    assert page.times("callbot_underrun_seconds") == (0, 0.0)


# --- the caller speaks over us -----------------------------------------------------------------------


def test_a_barge_in_runs_from_the_onset_to_the_clearing(metrics: Metrics, call: Measured):
    call.replies("We are open from eight in the morning until six in the evening.")
    call.wait(0.5)
    call.starts()
    page = Page.of(metrics)
    assert page.times("callbot_barge_in_seconds") == (1, 0.16)
    assert page("callbot_interruptions_total") == 0  # not before words decide
    call.says("stop, I want to buy a router")
    call.until_asked()
    assert Page.of(metrics)("callbot_interruptions_total") == 1
    assert Page.of(metrics).times("callbot_barge_in_seconds")[0] == 1


def test_a_hum_that_ends_nothing_is_no_interruption(metrics: Metrics, call: Measured):
    call.replies("We are open from eight in the morning until six in the evening.")
    call.wait(0.5)
    call.says("mhm", 0.3)  # it sounds like a word, so we pause; then it is none, and we go on
    call.wait(10)
    page = Page.of(metrics)
    assert page.times("callbot_barge_in_seconds")[0] == 1
    assert page("callbot_interruptions_total") == 0
    assert page.times("callbot_underrun_seconds") == (0, 0.0)


def test_a_key_that_stops_us_is_no_barge_in(metrics: Metrics, call: Measured):
    call.replies("We are open from eight in the morning until six in the evening.")
    call.wait(0.5)
    call.tell(SpeechStarted(call.now))
    call.tell(Pressed("1"))
    assert "ClearAudio" in call.kinds()
    page = Page.of(metrics)
    assert page.times("callbot_barge_in_seconds") == (0, 0.0)
    assert page("callbot_interruptions_total") == 1


def test_who_hangs_up_while_we_speak_has_not_interrupted(metrics: Metrics, call: Measured):
    call.replies("We are open from eight in the morning until six in the evening.")
    call.wait(0.5)
    call.tell(HungUp(EndedBy.CALLER))
    page = Page.of(metrics)
    assert page("callbot_turns_total", who="agent") == 1
    assert page("callbot_interruptions_total") == 0
    assert page.times("callbot_barge_in_seconds") == (0, 0.0)


def test_a_reply_that_came_before_the_caller_had_finished_is_taken_back(metrics: Metrics, call: Measured):
    call.greeted()
    call.says("my order is")
    call.until_asked()
    call.says("late again")
    call.until_asked()
    page = Page.of(metrics)
    assert page("callbot_replies_withdrawn_total") == 1
    assert page("callbot_turns_total", who="caller") == 1  # told twice, and one turn


def test_a_reply_thought_ahead_in_vain_is_discarded_and_no_turn_was_ended_too_early(
    metrics: Metrics, call: Measured
):
    call.greeted()
    call.says("I'd like to order a router.", 1.0, after=0.03)
    call.says("I'd like to order a router. And a cable.", 1.0, after=0.03)
    call.until_asked()
    page = Page.of(metrics)
    assert page("callbot_replies_discarded_total") == 1
    assert page("callbot_replies_withdrawn_total") == 0


# --- what was sent runs out --------------------------------------------------------------------------


def test_a_piece_that_comes_in_time_is_no_underrun(metrics: Metrics, call: Measured):
    call.tell(Meant(call.turn, "We open at eight"))
    call.tell(Spoke(call.turn, clip(call.turn, "We open")))  # half a second
    call.until(0.4999)
    call.tell(Spoke(call.turn, clip(call.turn, "at eight")))
    assert Page.of(metrics).times("callbot_underrun_seconds") == (0, 0.0)


def test_a_piece_that_comes_after_the_last_has_run_out_is_an_underrun(metrics: Metrics, call: Measured):
    call.tell(Meant(call.turn, "We open at eight"))
    call.tell(Spoke(call.turn, clip(call.turn, "We open")))
    call.until(0.75)
    call.tell(Spoke(call.turn, clip(call.turn, "at")))
    call.until(0.9)
    call.tell(Spoke(call.turn, clip(call.turn, "eight")))
    assert Page.of(metrics).times("callbot_underrun_seconds") == (1, 0.25)


def test_the_pause_between_two_replies_is_no_underrun(metrics: Metrics, call: Measured):
    call.greeted()
    for _ in range(3):
        call.says("what time do you open", 1.0)
        call.until_asked()
        call.replies("We open at eight.")
        call.wait(2)
    page = Page.of(metrics)
    assert page.times("callbot_underrun_seconds") == (0, 0.0)
    assert page("callbot_turns_total", who="agent") == 4


# --- and the rest ------------------------------------------------------------------------------------


def test_a_handoff_counts(metrics: Metrics, call: Measured):
    call.greeted()
    call.says("I want to buy a router")
    call.until_asked()
    call.tell(Acted(call.turn, Did("find_order", {}, {})))
    call.replies("I'll put you through.", actions=(HandOff("sales", "wants sales", "a router"),))
    call.wait(2)
    assert Page.of(metrics)("callbot_handoffs_total") == 1


def test_a_call_that_broke_has_failed_and_is_forgotten(metrics: Metrics, call: Measured):
    other = Measured(call.meter, "CA" + "2" * 32)
    call.meter.forget_all_but({other.sid})
    call.tell(HungUp(EndedBy.CALLER))  # too late: it has been counted
    page = Page.of(metrics)
    assert page("callbot_calls_ended_total", disposition="failed") == 1
    assert page.total("callbot_calls_ended_total") == 1
    other.tell(HungUp(EndedBy.CALLER))
    assert Page.of(metrics).total("callbot_calls_ended_total") == 2


def test_a_call_that_is_back_before_its_first_stream_is_known_to_be_dead_ends_twice(
    metrics: Metrics, call: Measured
):
    back = Measured(call.meter)
    call.tell(HungUp(EndedBy.SYSTEM))
    back.wait(0.01)
    back.replies("Sorry, where were we?")
    back.tell(HungUp(EndedBy.CALLER))
    page = Page.of(metrics)
    assert page("callbot_calls_started_total") == 2
    assert page.total("callbot_calls_ended_total") == 2
    assert page.times("callbot_reply_seconds") == (1, 0.01)


def test_news_of_a_call_that_never_began_is_ignored(metrics: Metrics):
    meter = CallMeter(metrics)
    meter.observe(SID, 1.0, SpeechHeld(1.0, 0.16, False))
    meter.observe(SID, 1.0, HungUp(EndedBy.CALLER))
    assert Page.of(metrics).total("callbot_calls_ended_total") == 0


def test_two_sets_of_metrics_know_nothing_of_each_other(metrics: Metrics):
    CallMeter(metrics).observe(SID, 0.0, CallStarted("support"))
    assert Page.of(Metrics())("callbot_calls_started_total") == 0


class AnyMeasuredCall(AnyCall):
    """The turn machine's generated calls, measured: whatever happens, the numbers fit together."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics = Metrics()
        self.script = Measured(CallMeter(self.metrics))

    def teardown(self) -> None:
        super().teardown()
        page, effects = Page.of(self.metrics), self.script.effects
        kinds = self.script.kinds()
        replies, reply = page.times("callbot_reply_seconds")
        overheads, overhead = page.times("callbot_reply_overhead_seconds")
        voices, voice = page.times("callbot_response_part_seconds", part="voice")
        _, brain = page.times("callbot_response_part_seconds", part="brain")
        assert replies <= sum(isinstance(effect, StartReply) for effect in effects)
        assert replies == overheads + voices
        assert reply == pytest.approx(overhead + brain + voice, abs=1e-4)
        assert page.times("callbot_barge_in_seconds")[0] <= kinds.count("ClearAudio")
        assert page.total("callbot_calls_ended_total") == page("callbot_calls_started_total") == 1
        assert page("callbot_handoffs_total") == kinds.count("HandedOff")
        assert all(value >= 0 for value in page.samples.values())


AnyMeasuredCall.TestCase.settings = settings(max_examples=20, stateful_step_count=30)
TestAnyMeasuredCall = AnyMeasuredCall.TestCase


def test_a_reply_thought_ahead_takes_no_time_from_the_end_of_the_turn_on(metrics: Metrics, call: Measured):
    call.greeted()
    call.says("What are your opening hours?", 1.0, after=0.03)
    before = Page.of(metrics).times("callbot_reply_seconds")
    call.replies("From nine to five.")
    call.until_asked()
    call.wait(3)
    page = Page.of(metrics)
    count, seconds = page.times("callbot_reply_seconds")
    assert (count - before[0], seconds - before[1]) == (1, 0.0)
    assert page("callbot_response_part_seconds_sum", part="voice") == 0.0


def test_what_is_said_meanwhile_is_not_the_reply_and_what_follows_it_did_not_run_out(
    metrics: Metrics, call: Measured
):
    call.greeted()
    call.says("What are your opening hours?", 1.0)
    call.until_asked()
    call.wait(0.1)
    call.tell(Filled(call.turn, "Okay.", (clip(call.turn, "Okay."),)))
    call.wait(0.9)
    before = Page.of(metrics)
    call.replies("From nine to five.")
    page = Page.of(metrics)
    (count, seconds), (count_before, seconds_before) = (
        one.times("callbot_reply_seconds") for one in (page, before)
    )
    assert (count - count_before, seconds - seconds_before) == (1, pytest.approx(1.0))
    assert page.times("callbot_underrun_seconds") == (0, 0.0)


def test_what_a_waiting_caller_is_told_counts(metrics: Metrics, call: Measured):
    call.greeted()
    call.says("What are your opening hours?", 1.0)
    call.wait(5)
    page = Page.of(metrics)
    assert page("callbot_phrases_total", phrase="one_moment") == 1
    assert page("callbot_phrases_total", phrase="still_working") == 1
