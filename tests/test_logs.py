import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from callbot.config import LogFormat
from callbot.logs import Redactor, call_context, configure
from tests.serving import TOKEN, settings_in


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def lines(tmp_path: Path) -> io.StringIO:
    stream = io.StringIO()
    configure(settings_in(tmp_path, log_format=LogFormat.JSON, log_level="DEBUG"), stream=stream)
    return stream


def logged(stream: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return line


def test_a_line_is_a_sentence_and_fields(lines: io.StringIO) -> None:
    structlog.get_logger("callbot.x").info("a call came in", direction="inbound", ms=12)
    line = logged(lines)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "a call came in",
        "direction": "inbound",
        "ms": 12,
        "level": "info",
        "logger": "callbot.x",
    }


def test_lines_of_a_call_carry_its_sid_and_others_do_not(lines: io.StringIO) -> None:
    with call_context("CA1"):
        structlog.get_logger().info("inside")
        assert logged(lines)["call_sid"] == "CA1"
        logging.getLogger("a.library").warning("inside %s", "too")
        assert (logged(lines)["call_sid"], logged(lines)["event"]) == ("CA1", "inside too")
    structlog.get_logger().info("outside")
    assert "call_sid" not in logged(lines)


def test_levels_below_the_one_set_are_not_written(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure(settings_in(tmp_path, log_level="WARNING"), stream=stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("a.library").info("quiet")
    assert stream.getvalue() == ""


def test_for_people_a_line_is_text_and_a_traceback_keeps_its_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure(settings_in(tmp_path), stream=stream)
    try:
        raise ValueError("call +15550142")
    except ValueError:
        structlog.get_logger().exception("it failed")
    text = stream.getvalue()
    assert "it failed" in text
    assert "\n  File " in text
    assert "ValueError: call [number]" in text


# --- SECURITY 22: nobody's secrets, in any sink --------------------------------------------------


def test_security_22_secrets_and_numbers_reach_no_line_of_ours_or_of_a_librarys(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"inside a traceback: {TOKEN} +15550142")
    except ValueError:
        structlog.get_logger().exception(
            "ours", url=f"https://me:{TOKEN}@example.com", text="+1 (555) 555-0142"
        )
        logging.getLogger("a.library").exception("theirs %s for %s", TOKEN, "15550142")
        logging.getLogger("a.library").error("theirs", extra={"token": TOKEN})
    structlog.get_logger().info(
        f"in the sentence {TOKEN}", nested={"a": [{"b": TOKEN, "password": "hunter2"}]}
    )
    with call_context("+15550142"):
        structlog.get_logger().info("in the context", **{f"key {TOKEN}": 1})
    text = lines.getvalue()
    assert len(text.splitlines()) == 5
    assert "inside a traceback" in text
    for canary in (TOKEN, "hunter2", "5550142", "555-0142"):
        assert canary not in text


@pytest.mark.parametrize(
    "number",
    [
        "+15550142",
        "15550142",
        "555-01421",
        "(555) 555-0142",
        "+1 555 555 0142",
        "+1.555.555.0142",
        "0044 20 7946 0958",
        "sip:+15550142@pbx.example.com",
        "client +15550142, again",
    ],
)
def test_telephone_numbers_are_taken_out(number: str) -> None:
    redacted = Redactor()(None, "", {"event": number})["event"]
    assert "[number]" in redacted
    assert "0142" not in redacted


@pytest.mark.parametrize(
    "text",
    [
        "CA" + "0123456789" * 3 + "01",
        "MZ" + "1" * 32,
        "2026-11-05T10:00:00Z",
        "2026-11-05 was a Thursday",
        "http://192.168.100.200:8000/readyz",
        "took 123.456 ms",
        "order B7429, turn 12 of 150",
        "1a2b3c4d5e6f7890",
    ],
)
def test_ids_dates_addresses_and_measures_are_left_alone(text: str) -> None:
    assert Redactor()(None, "", {"event": text})["event"] == text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("auth_token", "abc", "[secret]"),
        ("X-Twilio-Signature", "abc", "[secret]"),
        ("api_key", b"abc", "[secret]"),
        ("header", "Bearer abcdefgh12345", "Bearer [secret]"),
        ("url", "redis://me:hunter2@host/0", "redis://me:[secret]@host/0"),
        ("tokens", 12, 12),
        ("audio", b"\xff" * 160, "[160 bytes]"),
        ("ratio", 0.5, 0.5),
        ("ok", True, True),
        ("nothing", None, None),
        ("path", Path("calls/a"), "calls/a"),
        ("many", ("+15550142", 1), ["[number]", 1]),
    ],
)
def test_a_field_is_shown_as(name: str, value: object, shown: object) -> None:
    assert Redactor()(None, "", {name: value}) == {name: shown}


def test_security_22_a_handler_that_others_attach_sees_no_secret_either(
    lines: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.get_logger().info("ours", text=f"{TOKEN} +15550142")
    assert "ours" in caplog.text
    assert TOKEN not in caplog.text
    assert "5550142" not in caplog.text


def test_deep_and_self_containing_values_end_somewhere() -> None:
    endless: dict[str, Any] = {}
    endless["itself"] = endless
    assert "[deeper]" in str(Redactor()(None, "", {"value": endless}))


def test_security_32_a_name_with_line_breaks_stays_on_its_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    configure(settings_in(tmp_path), stream=stream)
    structlog.get_logger().info("a caller", name="me\r\n2026 [info] forged\x1b[31m\u2028")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_a_secret_too_short_to_be_one_does_not_blank_the_logs() -> None:
    assert Redactor(["a", "hunter2"])(None, "", {"event": "a hunter2"})["event"] == "a [secret]"
