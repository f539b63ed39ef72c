import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.exchange.line import LONGEST_BUFFER, Cleared, Echo, Line, Warn
from callbot.exchange.sounds import FRAME, SILENCE

SID = "MZ" + "1" * 32


def media(audio: bytes) -> str:
    payload = base64.b64encode(audio).decode()
    return json.dumps({"event": "media", "streamSid": SID, "media": {"payload": payload}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": name}})


CLEAR = json.dumps({"event": "clear", "streamSid": SID})


def test_payloads_of_any_size_play_in_order_twenty_ms_at_a_time():
    line = Line(SID)
    line.receive(media(b"a" * 100), 0.0)
    line.receive(media(b"b" * 100), 0.0)
    assert line.tick(0.0).audio == b"a" * 100 + b"b" * 60
    assert line.tick(0.02).audio == b"b" * 40 + SILENCE * 120
    assert line.tick(0.04).audio == SILENCE * 160


def test_a_mark_comes_back_when_the_audio_before_it_has_been_heard_and_no_earlier():
    line = Line(SID)
    line.receive(media(b"a" * FRAME * 2), 0.0)
    assert line.receive(mark("end"), 0.0) == []
    assert line.tick(0.0).effects == ()
    assert line.tick(0.02).effects == ()
    assert line.tick(0.04).effects == (Echo("end"),)


def test_a_mark_comes_back_at_once_when_nothing_is_buffered():
    assert Line(SID).receive(mark("now"), 5.0) == [Echo("now")]


def test_a_mark_that_arrives_while_the_last_frame_still_sounds_waits_for_it():
    line = Line(SID)
    line.receive(media(b"a" * FRAME), 0.0)
    line.tick(0.0)
    assert line.receive(mark("end"), 0.011) == []
    assert line.tick(0.02).effects == (Echo("end"),)
    assert line.receive(mark("later"), 0.021) == [Echo("later")]


def test_clear_empties_the_buffer_and_returns_every_waiting_mark_in_order():
    line = Line(SID)
    line.receive(media(b"a" * 800), 0.0)
    line.receive(mark("one"), 0.0)
    line.receive(media(b"b" * 800), 0.0)
    line.receive(mark("two"), 0.0)
    line.tick(0.0)
    assert line.receive(CLEAR, 0.01) == [Cleared(1440), Echo("one", cleared=True), Echo("two", cleared=True)]
    assert line.tick(0.02).audio == SILENCE * FRAME
    assert line.receive(CLEAR, 0.03) == [Cleared(0)]


def test_more_than_ten_minutes_are_discarded_with_one_warning():
    line = Line(SID)
    minute = media(b"a" * 480_000)
    for _ in range(10):
        assert line.receive(minute, 0.0) == []
    effects = line.receive(minute, 0.0)
    assert [effect.code for effect in effects if isinstance(effect, Warn)] == [31931]
    assert line.buffered == LONGEST_BUFFER
    assert line.receive(minute, 0.0) == []


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "an object"),
        (b"\x00\x01", "binary"),
        ('{"event": "say"}', "unknown event"),
        ('{"event": ["media"]}', "unknown event"),
        (mark("x").replace(SID, "MZ2"), "streamSid"),
        ('{"event": "mark", "mark": {"name": "x"}}', "streamSid"),
        (json.dumps({"event": "mark", "streamSid": SID}), "mark without mark.name"),
        (json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": 3}}), "mark without mark.name"),
        (json.dumps({"event": "media", "streamSid": SID, "media": {}}), "media without media.payload"),
        (json.dumps({"event": "media", "streamSid": SID, "media": {"payload": "?"}}), "base64"),
        (json.dumps({"event": "media", "streamSid": SID, "media": {"payload": "é"}}), "base64"),
    ],
)
def test_what_is_not_a_message_is_a_warning_once_and_the_stream_goes_on(message, why):
    line = Line(SID)
    (warning,) = line.receive(message, 0.0)
    assert isinstance(warning, Warn)
    assert warning.code == 31951
    assert why in warning.detail
    assert line.receive(message, 0.0) == []
    line.receive(media(b"a" * FRAME), 0.0)
    assert line.tick(0.0).audio == b"a" * FRAME


def test_a_field_too_many_is_a_warning_but_the_message_counts():
    line = Line(SID)
    message = json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": "x", "extra": 1}})
    assert line.receive(message, 0.0) == [Warn(31951, "unexpected field mark.extra"), Echo("x")]
    assert Line(SID).receive(CLEAR[:-1] + ', "why": 1}', 0.0)[0] == Warn(31951, "unexpected field why")


actions = st.lists(
    st.one_of(
        st.tuples(st.just("media"), st.integers(0, 500)),
        st.tuples(st.just("mark"), st.just(0)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("tick"), st.just(0)),
        st.tuples(st.just("junk"), st.just(0)),
    ),
    max_size=60,
)


@given(actions)
def test_whatever_is_sent_marks_return_in_order_and_the_ear_hears_a_subsequence(script):
    line = Line(SID)
    now = 0.0
    sent, ear = bytearray(), bytearray()
    marks: list[tuple[str, int]] = []
    echoed: list[str] = []
    buffered = bytearray()

    def note(effects):
        for effect in effects:
            match effect:
                case Echo(name, cleared):
                    echoed.append(name)
                    if not cleared:  # proof of hearing: all audio before it that was not cleared has played
                        assert name not in dict(marks) or dict(marks)[name] <= line.played
                case Cleared(dropped):
                    assert dropped == len(buffered)
                    buffered.clear()

    for number, (action, size) in enumerate(script):
        match action:
            case "media":
                audio = bytes((number * 7 + at) % 251 for at in range(size))
                sent += audio
                buffered += audio
                note(line.receive(media(audio), now))
            case "mark":
                marks.append((f"m{number}", line.played + len(buffered)))
                note(line.receive(mark(f"m{number}"), now))
            case "clear":
                note(line.receive(CLEAR, now))
                assert line.buffered == 0
                assert line.pending_marks == ()
                assert echoed == [name for name, _ in marks]
            case "tick":
                expected = bytes(buffered[:FRAME])
                played = line.tick(now)
                note(played.effects)
                assert played.audio == expected + SILENCE * (FRAME - len(expected))
                ear += expected
                del buffered[:FRAME]
                now += 0.02
            case _:
                note(line.receive("junk", now))
        assert echoed == [name for name, _ in marks][: len(echoed)]
        assert line.buffered == len(buffered)

    remaining = iter(sent)
    assert all(byte in remaining for byte in ear)
    while line.pending_marks:
        note(line.tick(now).effects)
        now += 0.02
    assert echoed == [name for name, _ in marks]
