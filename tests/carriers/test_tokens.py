from hypothesis import given
from hypothesis import strategies as st

from callbot.call import Call
from callbot.carriers.twilio.lifecycle import Lifecycle
from callbot.carriers.twilio.tokens import Claims, Tokens

CALL = Call("CA1", "+15550142", "+15550100")
OTHER = Call("CA2", "+15550143", "+15550100")


def test_a_token_is_redeemed_for_what_the_webhook_knew() -> None:
    tokens = Tokens()
    tokens.issue("t", Claims(CALL, resumed=True), 0.0)
    assert tokens.redeem("t", "CA1", 1.0) == Claims(CALL, resumed=True)


def test_a_token_is_good_once() -> None:
    tokens = Tokens()
    tokens.issue("t", Claims(CALL), 0.0)
    assert tokens.redeem("t", "CA1", 1.0) is not None
    assert tokens.redeem("t", "CA1", 1.0) is None


def test_a_token_is_good_for_thirty_seconds() -> None:
    tokens = Tokens()
    tokens.issue("in time", Claims(CALL), 0.0)
    tokens.issue("late", Claims(CALL), 0.0)
    assert tokens.redeem("in time", "CA1", 29.9) is not None
    assert tokens.redeem("late", "CA1", 30.0) is None


def test_a_token_shown_for_another_call_opens_neither() -> None:
    tokens = Tokens()
    tokens.issue("t", Claims(CALL), 0.0)
    assert tokens.redeem("t", OTHER.sid, 1.0) is None
    assert tokens.redeem("t", CALL.sid, 1.0) is None


def test_no_token_and_an_invented_one_open_nothing() -> None:
    tokens = Tokens()
    tokens.issue("t", Claims(CALL), 0.0)
    assert tokens.redeem("", "CA1", 1.0) is None
    assert tokens.redeem("u", "CA1", 1.0) is None
    assert tokens.redeem("t", "CA1", 1.0) is not None


def test_beyond_its_capacity_the_oldest_token_is_forgotten() -> None:
    tokens = Tokens(capacity=2)
    for name in "abc":
        tokens.issue(name, Claims(CALL), 0.0)
    assert len(tokens) == 2
    assert tokens.redeem("a", "CA1", 0.0) is None
    assert tokens.redeem("c", "CA1", 0.0) is not None


def test_expired_tokens_take_no_room() -> None:
    tokens = Tokens()
    for number in range(1000):
        tokens.issue(str(number), Claims(CALL), number * 1.0)
    assert len(tokens) == 30


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
    tokens, now = Tokens(capacity=4), 0.0
    issued: dict[str, float] = {}
    for step, name, later in steps:
        now += later
        if step == "issue" and name not in issued:
            tokens.issue(name, Claims(CALL), now)
            issued[name] = now
        elif step == "redeem":
            if tokens.redeem(name, CALL.sid, now) is not None:
                assert now - issued.pop(name) < 30
        elif step == "wrong call":
            assert tokens.redeem(name, OTHER.sid, now) is None
            issued.pop(name, None)
        assert len(tokens) <= 4


def test_a_call_is_resumed_once() -> None:
    calls = Lifecycle()
    assert calls.resume("CA1")
    assert not calls.resume("CA1")
    assert calls.resume("CA2")


def test_a_call_that_ended_in_order_is_known_to_have() -> None:
    calls = Lifecycle()
    assert not calls.has_ended("CA1")
    calls.ended("CA1")
    assert calls.has_ended("CA1")
    assert not calls.has_ended("CA2")


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
