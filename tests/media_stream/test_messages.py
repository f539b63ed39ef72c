import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import BadMessage
from callbot.media_stream import messages
from callbot.media_stream.messages import Connected, Dtmf, Mark, Media, Start, Stop, decode

STREAM = "MZ" + "0" * 32
CALL = "CA" + "1" * 32

START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": STREAM,
    "start": {
        "accountSid": "AC1",
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": "abc"},
    },
}


def media_frame(payload: str, **changes: object) -> str:
    body = {"track": "inbound", "chunk": "2", "timestamp": "5", "payload": payload} | changes
    return json.dumps({"event": "media", "sequenceNumber": "4", "streamSid": STREAM, "media": body})


def kind(frame: str | bytes | None) -> str:
    with pytest.raises(BadMessage) as caught:
        decode(frame)
    return caught.value.kind


def test_the_first_message_is_connected() -> None:
    assert decode('{"event":"connected","protocol":"Call","version":"1.0.0"}') == Connected()


def test_start_carries_the_parameters_of_the_stream() -> None:
    assert decode(json.dumps(START)) == Start(
        stream_sid=STREAM,
        call_sid=CALL,
        account_sid="AC1",
        encoding="audio/x-mulaw",
        sample_rate=8000,
        channels=1,
        parameters={"token": "abc"},
        sequence=1,
    )


def test_media_counters_are_strings_on_the_wire() -> None:
    frame = media_frame(base64.b64encode(b"\xff" * 160).decode())
    assert decode(frame) == Media(STREAM, 4, 2, 5, b"\xff" * 160)


def test_any_frame_size_is_accepted() -> None:
    for size in (0, 1, 160, 4000):
        got = decode(media_frame(base64.b64encode(bytes(size)).decode()))
        assert isinstance(got, Media)
        assert len(got.payload) == size


def test_unknown_fields_are_ignored() -> None:
    assert decode(
        json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": "1.1", "new": 1}, "also": []})
    ) == Mark(STREAM, "1.1", 0)


def test_a_key_and_the_end_are_messages() -> None:
    assert decode(
        json.dumps({"event": "dtmf", "streamSid": STREAM, "sequenceNumber": "5", "dtmf": {"digit": "#"}})
    ) == Dtmf(STREAM, "#", 5)
    assert decode(
        json.dumps({"event": "stop", "streamSid": STREAM, "sequenceNumber": "9", "stop": {"callSid": CALL}})
    ) == Stop(STREAM, CALL, 9)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"\x00\x01", "json"),
        (b'{"event":"\xff"}', "json"),
        (None, "binary"),
        ("", "json"),
        ("{", "json"),
        ("[" * 20_000, "shape"),
        ('{"event":"media","x":' + "[" * 20_000 + "]" * 20_000 + "}", "json"),
        ("[]", "shape"),
        ("{}", "shape"),
        ('{"event":"surprise"}', "shape"),
        ('{"event":"media"}', "shape"),
        (media_frame("@@@@"), "base64"),
        (media_frame("AAA"), "base64"),
        (media_frame("AAAA", timestamp="soon"), "shape"),
        (media_frame("AAAA", timestamp="9" * 5000), "shape"),
        (media_frame("AAAA", timestamp=float("nan")), "json"),
        (json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "12"}}), "shape"),
        ("x" * 70_000, "oversize"),
    ],
)
def test_what_is_not_a_message_says_what_it_is_instead(frame: str | bytes | None, expected: str) -> None:
    assert kind(frame) == expected


@given(st.one_of(st.text(), st.binary()))
def test_garbage_is_a_bad_message_and_nothing_else(frame: str | bytes) -> None:
    with pytest.raises(BadMessage):
        decode(frame)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {"event": st.sampled_from(["media", "start", "stop", "mark", "dtmf", "connected", "other"])},
        optional={
            "streamSid": json_values,
            "sequenceNumber": json_values,
            "media": json_values,
            "start": json_values,
            "mark": st.fixed_dictionaries({"name": json_values}),
            "dtmf": st.fixed_dictionaries({"digit": json_values}),
        },
    )
)
def test_a_strange_message_is_a_message_or_a_bad_message(value: dict[str, object]) -> None:
    with contextlib.suppress(BadMessage):
        decode(json.dumps(value))


@given(st.binary(max_size=2000))
def test_audio_survives_the_wire(audio: bytes) -> None:
    sent = json.loads(messages.media(STREAM, audio))
    assert sent == {
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": base64.b64encode(audio).decode()},
    }
    got = decode(media_frame(sent["media"]["payload"]))
    assert isinstance(got, Media)
    assert got.payload == audio


def test_marks_and_clear_are_written_as_the_carrier_expects() -> None:
    assert json.loads(messages.mark(STREAM, "4.2")) == {
        "event": "mark",
        "streamSid": STREAM,
        "mark": {"name": "4.2"},
    }
    assert json.loads(messages.clear(STREAM)) == {"event": "clear", "streamSid": STREAM}
