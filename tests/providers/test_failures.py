"""What a transport tells of a failure, in our words."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close

from callbot.errors import Trouble
from callbot.providers.failures import from_socket, from_status, from_words, word_of

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LATER = format_datetime(NOON + timedelta(seconds=90), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"Retry-After": LATER, "Date": format_datetime(NOON, usegmt=True)}, 90.0),
        ({"Retry-After": format_datetime(NOON, usegmt=True), "Date": LATER}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1e9"}, None),
        ({}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "X-RateLimit-Reset-Tokens": "1s12ms"}, 1.012),
        ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": "6m0s"}, None),
        (
            {
                "retry-after": "2",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "20s",
            },
            2.0,
        ),
    ],
)
def test_when_to_come_back_is_told_in_seconds_by_a_date_or_by_a_limit(
    headers: dict[str, str], seconds: float | None
):
    told = from_status("x", 429, "rate_limit_exceeded", headers=headers).retry_after
    assert told == (seconds if seconds is None else pytest.approx(seconds))


def test_a_date_without_one_to_compare_with_is_told_by_our_own_clock():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    told = from_status("x", 503, headers={"Retry-After": soon}).retry_after
    assert told is not None
    assert 50 < told <= 60


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"detail": {"status": "system_busy", "message": "Later."}}', "system_busy"),
        (
            b'{"detail": {"type": "rate_limit_error", "code": "system_busy", "message": "."}}',
            "system_busy",
        ),
        (b'{"detail": [{"loc": ["query"], "msg": "no", "type": "enum"}]}', ""),
        (b'{"detail": "Not Found"}', ""),
        (
            b'{"error": {"message": "No.", "type": "invalid_request_error", "code": null}}',
            "invalid_request_error",
        ),
        (b'{"error_code": null, "title": "Forbidden", "message": "No."}', ""),
        (b"<html>Bad gateway</html>", ""),
        (b"", ""),
    ],
)
def test_the_vendor_s_word_is_read_where_there_is_one(body: bytes, word: str):
    assert word_of(body) == word


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "dg-request-id", "X-Request-ID"])
def test_the_request_is_named_so_that_the_vendor_can_be_asked(name: str):
    error = from_status("x", 500, "server_error", headers={name: "req_0123456789abcdef"})
    assert str(error) == "x: 500 server_error (request req_0123456789abcdef)"


def test_what_is_no_name_of_a_request_stays_behind():
    assert str(from_status("x", 500, headers={"x-request-id": "the caller said hello"})) == "x: 500"


@pytest.mark.parametrize(
    ("reason", "trouble", "retryable"),
    [
        ("invalid_request_error.invalid_api_key", Trouble.AUTH, False),
        ("invalid_request_error.model_not_found", Trouble.REJECTED, False),
        ("invalid_request_error.something_new", Trouble.REJECTED, False),
        ("invalid_request_error.insufficient_quota", Trouble.QUOTA, False),
        ("server_error", Trouble.UNAVAILABLE, True),
        ("as planned", Trouble.CUT, True),
        ("", Trouble.CUT, True),
    ],
)
def test_a_connection_that_is_ended_with_a_word_of_the_vendors_was_not_cut(
    reason: str, trouble: Trouble, retryable: bool
):
    error = from_socket("x", ConnectionClosedError(Close(4000, reason), None), connected=True)
    assert (error.trouble, error.retryable) == (trouble, retryable)


@pytest.mark.parametrize("close", [Close(1001, "server_error"), Close(1011, "NET-0001"), Close(1000, "")])
def test_a_code_of_the_protocol_itself_is_a_cut(close: Close):
    assert from_socket("x", ConnectionClosedOK(close, None), connected=True).trouble is Trouble.CUT


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (("model_not_found", "invalid_request_error"), Trouble.REJECTED),
        (("", "invalid_request_error"), Trouble.REJECTED),
        (("something_new", "rate_limit_error"), Trouble.RATE_LIMITED),
        (("context_length_exceeded", "invalid_request_error"), Trouble.TOO_LONG),
        (("", ""), Trouble.UNAVAILABLE),
    ],
)
def test_of_several_words_the_most_exact_one_that_is_known_counts(words: tuple[str, str], trouble: Trouble):
    assert from_words("x", *words).trouble is trouble
