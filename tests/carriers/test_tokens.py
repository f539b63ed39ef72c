import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.call import Call, Direction
from callbot.carriers.twilio.lifecycle import Lifecycle
from callbot.carriers.twilio.tokens import LIFETIME, LONGEST_PARTY, Claims, Tokens
from callbot.seats import Seats

CALL = Call("CA1", "+15550142", "+15550100")
OTHER = Call("CA2", "+15550143", "+15550100")
SECRET = bytes(range(32))


class Issuer:
    """Two workers with the same seats and secret: one answers webhooks, the other takes the streams."""

    def __init__(self, seats: int = 4) -> None:
        self.seats = Seats.alone(seats)
        self.webhooks = Tokens(SECRET, self.seats)
        self.sockets = Tokens(SECRET, self.seats)

    def issue(self, claims: Claims, now: float) -> str:
        assert self.seats.reserve(claims.call.sid, claims.stream, now, LIFETIME)
        return self.webhooks.issue(claims, now)

    def redeem(self, token: str, call_sid: str, now: float) -> Claims | None:
        return self.sockets.redeem(token, call_sid, now)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    "call",
    [
        CALL,
        Call("CA1", "anonymous", "sip:désk@pbx.example.com", Direction.OUTBOUND),
        Call("CA" + "f" * 32, "client:" + "x" * 100, "*#12"),
    ],
)
def test_a_token_is_redeemed_by_another_worker_for_what_the_webhook_knew(call: Call, resumed: bool) -> None:
    tokens = Issuer()
    token = tokens.issue(Claims(call, resumed), 0.0)
    assert tokens.redeem(token, call.sid, 1.0) == Claims(call, resumed)


def test_a_token_is_good_once() -> None:
    tokens = Issuer()
    token = tokens.issue(Claims(CALL), 0.0)
    assert tokens.redeem(token, "CA1", 1.0) is not None
    assert tokens.redeem(token, "CA1", 1.0) is None


def test_of_two_tokens_for_the_same_stream_one_is_good() -> None:
    tokens = Issuer()
    one, two = tokens.issue(Claims(CALL), 0.0), tokens.issue(Claims(CALL), 1.0)
    assert tokens.redeem(two, "CA1", 2.0) is not None
    assert tokens.redeem(one, "CA1", 2.0) is None


def test_a_spent_token_stays_spent_when_its_stream_is_over() -> None:
    tokens = Issuer()
    token = tokens.issue(Claims(CALL), 0.0)
    assert tokens.redeem(token, "CA1", 1.0) is not None
    tokens.seats.leave("CA1", 1)
    assert tokens.redeem(token, "CA1", 2.0) is None
    tokens.issue(Claims(CALL), 3.0)
    assert tokens.redeem(token, "CA1", 4.0) is None


def test_a_token_is_good_for_thirty_seconds() -> None:
    tokens = Issuer()
    in_time, late = tokens.issue(Claims(CALL), 0.0), tokens.issue(Claims(OTHER), 0.0)
    assert tokens.redeem(in_time, "CA1", 29.9) is not None
    assert tokens.redeem(late, "CA2", 30.0) is None


def test_a_token_shown_for_another_call_opens_neither() -> None:
    tokens = Issuer()
    token = tokens.issue(Claims(CALL), 0.0)
    assert tokens.redeem(token, OTHER.sid, 1.0) is None
    assert tokens.redeem(token, CALL.sid, 1.0) is None


@given(st.data())
def test_a_token_with_any_byte_changed_opens_nothing(data: st.DataObject) -> None:
    tokens = Issuer()
    good = tokens.issue(Claims(CALL), 0.0)
    signed = bytearray(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] ^= data.draw(st.integers(1, 255))
    forged = base64.urlsafe_b64encode(signed).decode().rstrip("=")
    assert tokens.redeem(forged, CALL.sid, 1.0) is None
    assert tokens.redeem(good, CALL.sid, 1.0) is not None


@given(st.text(max_size=600))
def test_no_token_and_an_invented_one_open_nothing(invented: str) -> None:
    assert Issuer().redeem(invented, "CA1", 0.0) is None


def test_a_token_signed_with_another_secret_opens_nothing() -> None:
    tokens = Issuer()
    tokens.issue(Claims(CALL), 0.0)
    forged = Tokens(bytes(32), tokens.seats).issue(Claims(CALL), 0.0)
    assert tokens.redeem(forged, "CA1", 1.0) is None


def test_the_longest_token_fits_into_the_carriers_parameter() -> None:
    longest = "sips:" + "x" * (LONGEST_PARTY - 5)
    token = Issuer().issue(Claims(Call("CA" + "f" * 32, longest, longest)), 1e9)
    assert len("token") + len(token) < 500


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["issue", "redeem", "wrong call"]),
            st.sampled_from("abcdef"),
            st.floats(0, 20, allow_nan=False),
        )
    )
)
def test_whatever_the_order_a_token_opens_its_own_call_once_and_in_time(
    steps: list[tuple[str, str, float]],
) -> None:
    tokens, now = Issuer(), 0.0
    issued: dict[str, tuple[str, float]] = {}
    redeemed: set[str] = set()
    for step, name, later in steps:
        now += later
        if step == "issue" and name not in issued:
            if tokens.seats.reserve(name, 1, now, LIFETIME):
                issued[name] = tokens.webhooks.issue(Claims(Call(name, "", "")), now), now
        elif name in issued:
            token, at = issued[name]
            if step == "redeem":
                if tokens.redeem(token, name, now) is not None:
                    assert now - at < LIFETIME
                    assert name not in redeemed
                    redeemed.add(name)
                elif now - at < LIFETIME:
                    assert name in redeemed
            else:
                assert tokens.redeem(token, "another", now) is None
                redeemed.add(name)


def test_answers_are_kept_by_call_and_by_request() -> None:
    calls = Lifecycle()
    calls.answered("CA1", "voice", "<a/>")
    assert calls.answer("CA1", "voice") == "<a/>"
    assert calls.answer("CA1", "resume") is None
    assert calls.answer("CA2", "voice") is None


def test_the_oldest_calls_are_forgotten_and_one_call_cannot_fill_the_memory() -> None:
    calls = Lifecycle(capacity=2)
    for sid in ("CA1", "CA2", "CA3"):
        calls.answered(sid, "voice", "<a/>")
    assert calls.answer("CA1", "voice") is None
    for number in range(100):
        calls.answered("CA3", str(number), "<b/>")
    assert calls.answer("CA3", "99") is None
    assert calls.answer("CA3", "voice") == "<a/>"
