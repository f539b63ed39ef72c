"""A caller of the benchmark, played without a clock: what it says when, and what it holds against a bot."""

import json
import math
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.clips import Clip
from bench.subscriber import FRAME_SECONDS, Fault, Playback, Subscriber, Tally

SID = "MZ" + "0" * 32
SPEECH, QUIET = b"speech", b"quiet"
ONSET, END, FRAMES = 3, 53, 58
CLIP = Clip("hello", "Hello.", (QUIET,) * ONSET + (SPEECH,) * (END - ONSET) + (QUIET,) * 5, ONSET, END, 1000)


def message(event: str, **body: Any) -> bytes:
    return json.dumps({"event": event, "streamSid": SID} | ({event: body} if body else {})).encode()


def media(seconds: float) -> bytes:
    return message("media", payload=b64encode(bytes(round(seconds * 8000))).decode())


class Line:
    """A caller on the line, in time that passes when a test says so. Chance is always half way."""

    def __init__(self, *, barge_ins_per_minute: float = 0.0, measured_from: float = 0.0) -> None:
        self.now = 0.0
        self.tally = Tally(measured_from=measured_from)
        self.sent: list[bytes] = []
        self.echoes: list[tuple[float, str]] = []
        self.subscriber = Subscriber(
            call=7,
            call_sid="CA7",
            stream_sid=SID,
            clips=[CLIP],
            line=(QUIET,) * 50,
            uniform=lambda low, high: (low + high) / 2,
            tally=self.tally,
            began=0.0,
            barge_ins_per_minute=barge_ins_per_minute,
        )

    def wait(self, seconds: float) -> None:
        """To exactly then; frames that are due on the way are sent."""
        until = self.now + seconds
        while (due := len(self.sent) * FRAME_SECONDS) <= until + 1e-9:
            self.now = due
            self.sent.append(self.subscriber.tick(due))
            self._collect()
        self.now = until

    def bot(self, text: bytes) -> None:
        self.subscriber.receive(text, self.now)
        self._collect()

    def bot_speaks(self, seconds: float) -> None:
        self.bot(media(seconds))

    def next_frame(self) -> None:
        self.wait(len(self.sent) * FRAME_SECONDS - self.now)

    def until_speech(self, *, within: float = 10.0) -> None:
        """Until the first sound of the caller's next utterance is due."""
        until = self.now + within
        while not self.sent or self.sent[-1] != SPEECH:
            self.next_frame()
            assert self.now < until, "the caller says nothing"

    def until_end(self) -> None:
        """Until the end of the utterance: its last frame has had its 20 ms."""
        while self.sent[-1] == SPEECH:
            self.next_frame()

    def greet(self) -> None:
        self.wait(0.1)
        self.bot_speaks(1.0)

    def through_first_utterance(self) -> None:
        self.greet()
        self.until_speech()
        self.until_end()

    @property
    def faults(self) -> dict[str, int]:
        return {str(fault): count for fault, count in self.tally.faults.items()}

    def _collect(self) -> None:
        self.echoes += [(round(self.now, 6), name) for name in self.subscriber.echoes]
        self.subscriber.echoes = ()


# --- what it says --------------------------------------------------------------------------------


def test_the_caller_speaks_a_pause_after_the_greeting_has_played():
    line = Line()
    line.greet()  # until 1.1 s, and a pause of a second
    line.until_speech()
    assert line.now == pytest.approx(2.1 + ONSET * FRAME_SECONDS)


def test_the_caller_hears_a_greeting_in_pieces_to_its_end():
    line = Line()
    line.greet()
    line.wait(0.9)
    line.bot_speaks(2.0)
    line.until_speech()
    assert line.now == pytest.approx(4.1 + ONSET * FRAME_SECONDS)
    assert line.faults == {}


def test_a_bot_that_does_not_greet_is_spoken_to_after_five_seconds():
    line = Line()
    line.until_speech()
    assert line.now == pytest.approx(6.0 + ONSET * FRAME_SECONDS)
    assert line.faults == {}


def test_an_utterance_is_sent_whole_and_between_utterances_the_line_is_quiet():
    line = Line()
    line.through_first_utterance()
    line.wait(4.0)
    first = line.sent.index(SPEECH)
    assert line.sent[first : first + END - ONSET] == [SPEECH] * (END - ONSET)
    assert set(line.sent[:first] + line.sent[first + END - ONSET :]) == {QUIET}


def test_after_the_reply_has_played_the_caller_pauses_and_speaks_again():
    line = Line()
    line.through_first_utterance()
    line.wait(0.3)
    line.bot_speaks(2.0)
    ends = line.now + 2.0
    line.until_speech()
    assert line.now == pytest.approx(ends + 1.0 + ONSET * FRAME_SECONDS, abs=FRAME_SECONDS)
    assert line.tally.replies == 2
    assert line.faults == {}


# --- response ------------------------------------------------------------------------------------


def test_a_response_is_timed_from_the_end_of_the_last_frame_that_held_speech():
    line = Line()
    line.through_first_utterance()
    line.wait(0.4567)
    line.bot_speaks(0.2)
    line.bot_speaks(0.2)
    line.wait(0.1)
    line.bot_speaks(0.2)
    assert line.tally.responses_ms == [pytest.approx(456.7)]


def test_a_reply_just_before_the_end_is_a_response_of_less_than_nothing():
    line = Line()
    line.greet()
    line.until_speech()
    line.wait(0.94)
    line.bot_speaks(3.0)
    line.until_end()
    line.wait(2.5)
    assert line.tally.responses_ms == [pytest.approx(-60.0)]
    assert line.faults == {}


def test_what_is_not_measured_yet_or_any_more_does_not_count():
    line = Line(measured_from=100.0)
    line.through_first_utterance()
    line.wait(0.5)
    line.bot_speaks(1.0)
    line.wait(1.2)
    line.bot_speaks(1.0)
    assert line.tally.responses_ms == []
    assert line.faults == {}
    assert line.tally.replies == 0


def test_no_reply_for_five_seconds_is_counted_once_and_the_caller_goes_on():
    line = Line()
    line.through_first_utterance()
    line.wait(4.95)
    assert line.faults == {}
    line.wait(0.1)
    assert line.faults == {"unanswered": 1}
    line.until_speech(within=1.5)
    (example,) = line.tally.examples[Fault.UNANSWERED]
    assert (example.call, example.call_sid, example.what) == (7, "CA7", "no reply within 5 s")


def test_a_reply_that_comes_too_late_is_heard_out_but_is_no_second_reply():
    line = Line()
    line.through_first_utterance()
    line.wait(5.1)
    line.bot_speaks(3.0)
    line.wait(2.9)
    assert line.sent[-1] == QUIET
    assert line.faults == {"unanswered": 1}
    assert line.tally.responses_ms == []


# --- false turns ---------------------------------------------------------------------------------


def test_a_bot_that_speaks_while_the_caller_does_has_ended_the_turn_falsely():
    line = Line()
    line.greet()
    line.until_speech()
    line.wait(0.5)
    line.bot_speaks(0.2)
    line.bot_speaks(0.2)  # the same reply
    assert line.faults == {"false_turns": 1}
    assert line.tally.examples[Fault.FALSE_TURN][0].what == "spoke 0.50 s before the caller's end"


def test_the_answer_after_a_false_turn_is_awaited_and_is_not_timed():
    line = Line()
    line.greet()
    line.until_speech()
    line.wait(0.5)
    line.bot_speaks(2.0)
    line.until_end()
    line.wait(2.0)  # the false reply has played
    line.bot_speaks(1.0)
    line.wait(2.5)
    assert line.faults == {"false_turns": 1}
    assert line.tally.responses_ms == []


def test_a_second_reply_to_one_utterance_is_a_false_turn():
    line = Line()
    line.through_first_utterance()
    line.wait(0.3)
    line.bot_speaks(1.0)
    line.wait(1.6)
    line.bot_speaks(1.0)
    assert line.faults == {"false_turns": 1}
    assert line.tally.examples[Fault.FALSE_TURN][0].what == "reply 2 to one utterance"


# --- underruns -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "underruns"), [(0.004, 0), (0.006, 1), (0.1, 1), (0.49, 1)])
def test_a_buffer_that_runs_dry_in_the_middle_of_a_reply_is_an_underrun(gap: float, underruns: int):
    line = Line()
    line.through_first_utterance()
    line.wait(0.3)
    line.bot_speaks(0.4)
    line.wait(0.4 + gap)
    line.bot_speaks(3.0)
    line.wait(2.9)
    assert line.faults.get("underruns", 0) == underruns
    assert line.tally.underrun_ms == pytest.approx(gap * 1000 * underruns)
    assert line.sent[-50:] == [QUIET] * 50, "the caller listens on"


def test_audio_that_comes_in_time_is_no_underrun():
    line = Line()
    line.through_first_utterance()
    line.wait(0.3)
    for _ in range(50):
        line.bot_speaks(0.06)
        line.wait(0.05)
    assert line.faults == {}


# --- barge-in ------------------------------------------------------------------------------------


def in_a_reply(*, reply: float, barge_ins_per_minute: float = 12.0) -> Line:
    """A caller who has just interrupted a reply, if it could: the onset is due now."""
    line = Line(barge_ins_per_minute=barge_ins_per_minute)
    line.through_first_utterance()
    line.wait(0.3)
    line.bot_speaks(reply)
    line.until_speech()
    return line


def test_the_caller_interrupts_a_reply_about_a_second_after_it_began():
    line = in_a_reply(reply=6.0)
    began = line.tally.responses_ms[0] / 1000 + END * FRAME_SECONDS + 2.1
    assert line.now == pytest.approx(began + 1.15, abs=FRAME_SECONDS)


def test_a_barge_in_is_timed_from_the_true_onset_to_the_clear():
    line = in_a_reply(reply=6.0)
    line.wait(0.1234)
    line.bot(message("clear"))
    assert line.tally.barge_ins_ms == [pytest.approx(123.4)]
    assert line.faults == {}


def test_the_answer_to_an_interruption_is_timed_as_any_other():
    line = in_a_reply(reply=6.0)
    line.wait(0.15)
    line.bot(message("clear"))
    line.until_end()
    line.wait(0.25)
    line.bot_speaks(1.0)
    assert line.tally.responses_ms == [pytest.approx(300.0), pytest.approx(250.0)]
    assert line.faults == {}


def test_a_bot_that_talks_on_has_missed_the_barge_in():
    line = in_a_reply(reply=6.0)
    line.wait(1.9)
    assert line.faults == {}
    line.wait(0.2)
    assert line.faults == {"barge_in_missed": 1}
    assert line.tally.barge_ins_ms == []


def test_after_a_missed_barge_in_the_reply_is_heard_out_and_the_answer_awaited():
    line = in_a_reply(reply=4.0)
    line.wait(3.5)  # it has played out
    line.bot_speaks(1.0)
    line.wait(1.5)
    assert line.faults == {"barge_in_missed": 1}
    assert len(line.tally.responses_ms) == 1


def test_a_reply_that_was_over_anyway_was_not_interrupted():
    line = Line(barge_ins_per_minute=12.0)
    line.through_first_utterance()
    line.wait(0.3)
    for _ in range(17):  # sent as it plays, so the caller can't know that it will end
        line.bot_speaks(0.1)
        line.wait(0.09)
    line.until_speech(within=0.3)
    line.until_end()
    line.wait(0.5)
    line.bot_speaks(1.0)
    line.wait(1.0)
    assert line.tally.moot_barge_ins == 1
    assert line.faults == {}
    assert line.tally.responses_ms == [pytest.approx(300.0), pytest.approx(500.0)]


def test_a_reply_with_little_left_is_not_interrupted():
    line = in_a_reply(reply=2.0)
    line.bot(message("clear"))
    assert line.tally.barge_ins_ms == []
    assert line.tally.moot_barge_ins == 0


def test_who_never_interrupts_never_does():
    line = in_a_reply(reply=8.0, barge_ins_per_minute=0.0)
    assert line.now > 2.1 + 1.06 + 0.3 + 8.0


def test_the_caller_interrupts_as_often_as_it_should():
    line = Line(barge_ins_per_minute=4.0)
    line.greet()
    for _ in range(60):
        line.until_speech()
        if line.subscriber._playback.buffered(line.now):
            line.wait(0.1)
            line.bot(message("clear"))
        line.until_end()
        line.wait(0.2)
        line.bot_speaks(4.0)
    per_minute = len(line.tally.barge_ins_ms) / (line.now / 60)
    assert per_minute == pytest.approx(4.0, rel=0.15)
    assert line.faults == {}


def test_a_bot_that_speaks_again_before_the_interruption_has_ended_resumed_it():
    line = in_a_reply(reply=6.0)
    line.wait(0.15)
    line.bot(message("clear"))
    line.wait(0.3)
    line.bot_speaks(4.0)
    assert line.faults == {"resumed": 1}


def test_a_bot_that_clears_its_reply_while_the_caller_is_silent_has_cut_it_short():
    line = Line()
    line.through_first_utterance()
    line.wait(0.3)
    line.bot_speaks(3.0)
    line.wait(1.0)
    line.bot(message("clear"))
    assert line.faults == {"cut_short": 1}
    assert line.tally.examples[Fault.CUT_SHORT][0].what == "2.0 s of a reply cleared in silence"


def test_a_reply_that_came_with_the_callers_last_sound_and_was_taken_back_leaves_them_listening():
    line = Line()
    line.greet()
    line.until_speech()
    line.wait(0.95)
    line.bot_speaks(1.0)
    line.bot(message("clear"))
    line.until_end()
    line.wait(3.0)
    assert line.faults == {}


def test_a_clear_of_nothing_is_no_fault():
    line = Line()
    line.through_first_utterance()
    line.bot(message("clear"))
    line.wait(0.3)
    line.bot_speaks(1.0)
    line.wait(1.1)
    line.bot(message("clear"))
    assert line.faults == {}


# --- marks ---------------------------------------------------------------------------------------


def test_a_mark_comes_back_with_the_frame_at_which_its_audio_has_played():
    line = Line()
    line.bot_speaks(0.5)
    line.bot(message("mark", name="a"))
    line.bot_speaks(0.25)
    line.bot(message("mark", name="b"))
    line.bot(message("mark", name="c"))
    line.wait(1.0)
    assert line.echoes == [(0.5, "a"), (0.76, "b"), (0.76, "c")]


def test_a_mark_with_nothing_before_it_comes_back_at_once():
    line = Line()
    line.wait(0.013)
    line.bot(message("mark", name="a"))
    assert line.echoes == [(0.013, "a")]


def test_a_clear_returns_all_marks_at_once_and_in_order():
    line = Line()
    line.bot_speaks(5.0)
    line.bot(message("mark", name="a"))
    line.bot_speaks(5.0)
    line.bot(message("mark", name="b"))
    line.wait(0.11)
    line.bot(message("clear"))
    line.bot(message("mark", name="c"))
    assert line.echoes == [(0.11, "a"), (0.11, "b"), (0.11, "c")]


@given(st.lists(st.tuples(st.sampled_from(["media", "mark", "clear", "wait"]), st.floats(0.01, 2.0))))
def test_every_mark_comes_back_once_and_in_order(steps: list[tuple[str, float]]):
    playback, now, sent, back = Playback(), 0.0, 0, []
    for step, amount in steps:
        match step:
            case "media":
                playback.media(amount, now)
            case "mark":
                playback.mark(str(sent), now)
                sent += 1
            case "clear":
                back += playback.clear(now)[1]
            case "wait":
                now += amount
                back += playback.reached(now)
    back += playback.reached(math.inf)
    assert back == [str(number) for number in range(sent)]


# --- what is no message --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"hello", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[]", "object"),
        (b'{"streamSid":"x"}', "event"),
        (message("dance"), "dance"),
        (message("media", payload="%%%"), "base64"),
        (message("media", payload=5), "bytes"),
        (message("mark"), "mark"),
        (message("clear").replace(b"MZ0", b"MZ1"), "streamSid 'MZ1"),
        (b'{"event":"clear"}', "streamSid"),
        (b"[" * 5000, ""),
    ],
)
def test_what_is_no_message_is_counted_and_changes_nothing(text: bytes, what: str):
    line = Line(measured_from=math.inf)  # that is wrong whenever it is
    line.bot(text)
    assert line.faults == {"bad_messages": 1}
    assert what.lower() in line.tally.examples[Fault.BAD_MESSAGE][0].what.lower()
    line.until_speech()
    assert line.now == pytest.approx(6.06)


def test_a_field_too_many_is_told_once_and_the_message_performed():
    line = Line()
    for name in "ab":
        line.bot(message("mark", name=name, colour="red"))
    assert line.faults == {"bad_messages": 1}
    assert line.tally.examples[Fault.BAD_MESSAGE][0].what == "mark has no field mark.colour"
    assert [name for _, name in line.echoes] == ["a", "b"]


def test_more_than_ten_minutes_of_audio_are_not_buffered():
    line = Line()
    for _ in range(7):
        line.bot_speaks(100.0)
    assert line.faults == {"bad_messages": 1}
    assert line.subscriber._playback.buffered(0.0) == 600.0


# --- the end -------------------------------------------------------------------------------------


def test_a_call_that_ends_before_anything_was_heard_was_refused():
    line = Line()
    line.wait(0.1)
    line.subscriber.lost("closed with 1008", line.now)
    assert line.faults == {"refused": 1}


def test_a_call_that_ends_later_was_lost():
    line = Line(measured_from=math.inf)
    line.greet()
    line.subscriber.lost("closed with 1011", line.now)
    assert line.faults == {"lost": 1}
    assert line.tally.examples[Fault.LOST][0].second == 0.1


def test_there_are_ten_examples_and_no_more():
    line = Line()
    for _ in range(12):
        line.subscriber.bad_message("a binary frame", line.now)
    assert line.faults == {"bad_messages": 12}
    assert len(line.tally.examples[Fault.BAD_MESSAGE]) == 10


@given(st.integers(0, 2**32), st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 6)), max_size=40))
def test_whatever_a_bot_does_the_caller_sends_a_frame_every_twenty_milliseconds(
    seed: int, steps: list[tuple[float, int]]
):
    line = Line(barge_ins_per_minute=20.0)
    texts = [media(0.02), media(0.4), media(3.0), message("clear"), message("mark", name="m"), b"x", b"{}"]
    for pause, which in steps:
        line.wait(pause)
        line.bot(texts[which])
    line.wait(30.0)
    assert len(line.sent) == pytest.approx(line.now / FRAME_SECONDS, abs=1)
    assert set(line.sent[-1500:]) <= {SPEECH, QUIET}
    assert SPEECH in line.sent, "and speaks"
