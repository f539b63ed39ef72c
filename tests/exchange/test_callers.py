"""Callers against a bot made of a script of sounds: no loop, no clock."""

from collections.abc import Iterator

import pytest

from callbot.exchange import dtmf, ear
from callbot.exchange.callers import (
    MANNERS,
    Caller,
    RecordedCaller,
    ScriptedCaller,
    SilentCaller,
    read_recording,
)
from callbot.exchange.errors import ScenarioError
from callbot.exchange.sounds import FRAME, FRAME_MS, QUIET_FRAME, encode_wav, level_db
from tests.exchange.voices import noisy, quiet, voice

PATIENCE = MANNERS.patience_ms


class Bot:
    """Greets for ``greeting_ms``; when the caller has been silent for 300 ms after speaking, replies for
    ``reply_ms``; stops 200 ms into the caller's speech when ``yields``."""

    def __init__(self, *, greeting_ms: int = 1000, reply_ms: int = 1000, yields: bool = True) -> None:
        self.reply_ms = reply_ms
        self.yields = yields
        self.saying = bytearray(voice(greeting_ms))
        self.caller_spoke_ms = 0
        self.silent_ms = 0

    def tick(self, said: bytes) -> bytes:
        if level_db(said) > -35:
            self.caller_spoke_ms += FRAME_MS
            self.silent_ms = 0
            if self.yields and self.caller_spoke_ms >= 200:
                self.saying.clear()
        elif self.caller_spoke_ms:
            self.silent_ms += FRAME_MS
            if self.silent_ms >= 300:
                self.caller_spoke_ms = 0
                self.saying = bytearray(voice(self.reply_ms))
        frame = bytes(self.saying[:FRAME])
        del self.saying[:FRAME]
        return frame.ljust(FRAME, b"\xff")


class Call:
    """What was said and heard, and the keys pressed, until the caller hung up."""

    def __init__(self, caller: Caller, bot: Bot, *, most_ms: int = 120_000) -> None:
        self.said, self.heard = bytearray(), bytearray()
        self.digits: list[tuple[int, str]] = []
        self.notes: list[str] = []
        script = caller.script()
        spoken = next(script)
        for at in range(0, most_ms, FRAME_MS):
            assert len(spoken.audio) == FRAME
            self.said += spoken.audio
            if spoken.digit:
                self.digits.append((at, spoken.digit))
            if spoken.note:
                self.notes.append(spoken.note)
            heard = bot.tick(spoken.audio)
            self.heard += heard
            try:
                spoken = script.send(heard)
            except StopIteration:
                self.ended_ms = at + FRAME_MS
                break
        else:
            raise AssertionError("the caller never hung up")
        self.hearing = ear.measure(bytes(self.said), bytes(self.heard))
        self.utterances = ear.utterances(self.hearing.caller, pause_ms=1000)


@pytest.fixture
def record(tmp_path):
    """Write a recording: numbers are ms of silence, bytes are audio."""

    def record(*pieces: int | bytes, cues: str = "", name: str = "caller", noise_db: float | None = None):
        audio = b"".join(quiet(piece) if isinstance(piece, int) else piece for piece in pieces)
        path = tmp_path / f"{name}.wav"
        path.write_bytes(encode_wav(audio if noise_db is None else noisy(audio, noise_db)))
        if cues:
            path.with_suffix(".yaml").write_text(cues)
        return path

    return record


def gaps_before_caller(call: Call) -> Iterator[int]:
    """How long the bot had been silent when each utterance began."""
    for utterance in call.utterances:
        ends = [segment.end_ms for segment in call.hearing.bot if segment.end_ms <= utterance.start_ms]
        yield utterance.start_ms - (ends[-1] if ends else 0)


def test_a_recording_is_split_where_the_caller_is_silent_for_1200_ms(record):
    path = record(300, voice(500), 1000, voice(500), 1300, voice(700), 5000, voice(300), 400)
    found = read_recording(path)
    assert [len(speech.audio) // 8 for speech in found.utterances] == [2300, 1000, 600]
    assert [speech.silent_before_ms for speech in found.utterances] == [0, 0, 5000]
    assert [speech.words_start_ms for speech in found.utterances] == [100, 100, 100]


def test_each_utterance_waits_until_the_bot_has_spoken_and_stopped(record):
    path = record(200, voice(800), 1500, voice(600), 1500, voice(900), 200)
    call = Call(RecordedCaller(path), Bot())
    assert [end.end_ms - end.start_ms for end in call.utterances] == [800, 600, 900]
    assert all(PATIENCE <= gap <= PATIENCE + 150 for gap in gaps_before_caller(call))
    assert call.hearing.overlap_ms == 0
    assert [response.after_ms for response in call.hearing.responses] == [
        pytest.approx(300, abs=40) for _ in range(3)
    ]


def test_after_the_last_utterance_the_caller_hears_the_bot_out_and_leaves_it_time_to_hang_up(record):
    call = Call(RecordedCaller(record(voice(800), 200)), Bot())
    last = call.hearing.bot[-1].end_ms
    assert call.ended_ms - last == pytest.approx(PATIENCE + MANNERS.farewell_ms, abs=60)


def test_a_bot_that_says_nothing_is_waited_for_12_s_and_no_longer(record):
    call = Call(RecordedCaller(record(voice(800), 1500, voice(800))), Bot(greeting_ms=0, reply_ms=0))
    assert call.utterances[0].start_ms == pytest.approx(12_000, abs=150)
    assert call.utterances[1].start_ms - call.utterances[0].end_ms == pytest.approx(12_000, abs=150)


def test_a_bot_that_never_stops_is_not_waited_for_for_ever(record):
    call = Call(RecordedCaller(record(voice(500))), Bot(greeting_ms=400_000, yields=False), most_ms=200_000)
    assert call.utterances[0].start_ms == pytest.approx(MANNERS.longest_wait_ms, abs=150)


def test_a_long_silence_in_the_recording_is_a_silence_in_the_call(record):
    call = Call(RecordedCaller(record(voice(800), 6000, voice(800))), Bot())
    first_reply = call.hearing.bot[1]
    assert call.utterances[1].start_ms - first_reply.end_ms == pytest.approx(6000 + PATIENCE, abs=150)


def test_straight_plays_the_file_as_it_is_from_the_first_bot_audio_on(record):
    path = record(200, voice(800), 1500, voice(600), 200)
    call = Call(RecordedCaller(path, straight=True), Bot(greeting_ms=5000))
    begun = call.hearing.bot[0].start_ms
    assert [segment.start_ms - begun for segment in call.utterances] == [
        pytest.approx(220, abs=30),
        pytest.approx(2520, abs=30),
    ]
    assert call.hearing.barge_ins


def test_a_cue_interrupts_the_next_reply_when_it_has_been_heard_for_so_long(record):
    path = record(
        voice(800),
        1500,
        voice(600),
        1500,
        voice(700),
        cues='utterances:\n- text: "a"\n- {text: "b", when: {interrupt_after_ms: 600}}\n- text: "c"\n',
    )
    call = Call(RecordedCaller(path), Bot(reply_ms=3000))
    (barge_in,) = call.hearing.barge_ins
    reply = call.hearing.bot[1]
    assert barge_in.onset_ms - reply.start_ms == pytest.approx(600, abs=40)
    assert barge_in.after_ms == pytest.approx(200, abs=40)
    assert call.notes == ["a", "b", "c"]
    assert call.utterances[-1].start_ms - call.hearing.bot[2].end_ms == pytest.approx(PATIENCE + 40, abs=120)


def test_a_cue_can_speak_regardless_of_the_bot(record):
    path = record(
        voice(800),
        1500,
        voice(600),
        cues='utterances:\n- text: "a"\n- {text: "b", when: {straight_after_ms: 400}}\n',
    )
    first, second = ear.utterances(Call(RecordedCaller(path), Bot()).hearing.caller, pause_ms=300)
    assert second.start_ms - first.end_ms == pytest.approx(400, abs=40)


def test_a_caller_may_hang_up_in_the_middle_of_the_answer(record):
    path = record(voice(800), cues="then: hang_up\n")
    call = Call(RecordedCaller(path), Bot(reply_ms=5000))
    assert call.ended_ms - call.hearing.bot[-1].start_ms == pytest.approx(MANNERS.change_of_mind_ms, abs=40)


def test_the_rooms_noise_goes_on_while_the_caller_listens(record):
    path = record(1000, voice(800), 1500, voice(600), 800, noise_db=-45)
    call = Call(RecordedCaller(path), Bot())
    assert QUIET_FRAME not in [bytes(call.said[at : at + FRAME]) for at in range(0, len(call.said), FRAME)]
    assert len(call.utterances) == 2


def test_a_recording_without_a_word_stays_on_the_line_as_long_as_it_lasts(record):
    call = Call(RecordedCaller(record(40_000)), Bot())
    assert call.ended_ms == 40_000
    assert call.hearing.caller == ()


def test_touch_tones_in_a_recording_become_keys_and_silence(record):
    keys = b"".join(dtmf.tone(key) + quiet(80) for key in "555")
    path = record(voice(500), 1500, keys, 1500, voice(500))
    call = Call(RecordedCaller(path), Bot(reply_ms=0))
    assert "".join(digit for _, digit in call.digits) == "555"
    assert dtmf.find(bytes(call.said)) == ()
    assert len(call.utterances) == 2


def test_cues_that_do_not_match_the_recording_are_refused(record):
    path = record(voice(500), 1500, voice(500), cues='from: "+15550142"\nutterances:\n- text: "a"\n')
    with pytest.raises(
        ScenarioError, match=r"caller\.yaml:2: 1 utterances are listed, but caller\.wav has 2"
    ):
        RecordedCaller(path)


def test_a_silent_caller_says_nothing_for_so_long():
    call = Call(SilentCaller(3.0), Bot())
    assert call.ended_ms == 3000
    assert set(call.said) == {0xFF}


def test_a_scripted_caller_does_each_step(record, tmp_path):
    record(200, voice(800), 1500, voice(600), 300, name="clip")
    path = tmp_path / "scenario.yaml"
    path.write_text("""
name: everything
to: +15550100
from: +15550142
steps:
  - wait: bot_stopped
  - play: {file: clip.wav, utterance: 2}
  - wait: bot_speaking
  - press: "12"
  - wait: bot_stopped
  - play: {file: clip.wav, utterance: 1}
  - interrupt: {play: {file: clip.wav, utterance: 2}, after_ms: 500}
  - silence: 4
  - hang_up
""")
    call = Call(ScriptedCaller(path), Bot(reply_ms=2000))
    greeting, reply, second, *_ = call.hearing.bot
    asked, again, barged = ear.utterances(call.hearing.caller, pause_ms=300)
    assert asked.start_ms - greeting.end_ms == pytest.approx(PATIENCE + 100, abs=60)
    assert [digit for _, digit in call.digits] == ["1", "2"]
    assert reply.start_ms < call.digits[0][0] < call.digits[1][0] < reply.end_ms
    assert again.start_ms - reply.end_ms == pytest.approx(PATIENCE + 100, abs=60)
    assert barged.start_ms - second.start_ms == pytest.approx(500, abs=40)
    assert call.ended_ms - barged.end_ms == pytest.approx(4200, abs=60)


def test_a_script_without_hang_up_leaves_as_a_recorded_caller_does(record, tmp_path):
    record(voice(800), name="clip")
    path = tmp_path / "scenario.yaml"
    path.write_text("name: a\nto: +15550100\nfrom: +15550142\nsteps:\n  - play: clip.wav\n")
    call = Call(ScriptedCaller(path), Bot(greeting_ms=0))
    last = call.hearing.bot[-1].end_ms
    assert call.ended_ms - last == pytest.approx(PATIENCE + MANNERS.farewell_ms, abs=60)


def test_an_utterance_that_the_clip_does_not_have_is_refused(record, tmp_path):
    record(voice(800), name="clip")
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "name: a\nto: +15550100\nfrom: +15550142\nsteps:\n  - play: {file: clip.wav, utterance: 2}\n"
    )
    with pytest.raises(ScenarioError, match=r"utterance 2 of clip\.wav is asked for, but it has 1"):
        ScriptedCaller(path)
