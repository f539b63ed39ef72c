"""When a provider is left alone, and when it is asked again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Port
from callbot.providers.breaker import Breaker, Breakers, Limits, Standing, State
from tests.providers.misbehaving import trouble

LIMITS = Limits(failures=3, within=30, pause=15, barred=300, longest_rate_limit=60, trial=5)
SLOW = trouble(Trouble.SLOW)


def broken(*, at: float = 0.0) -> Breaker:
    breaker = Breaker(LIMITS)
    for _ in range(3):
        breaker.failed(SLOW, at)
    return breaker


def test_a_few_failures_in_a_short_time_open_it():
    breaker = Breaker(LIMITS)
    breaker.failed(SLOW, 0)
    breaker.failed(SLOW, 10)
    assert breaker.allows(10)
    breaker.failed(SLOW, 20)
    assert not breaker.allows(20)
    assert (breaker.state(20), breaker.why, breaker.until(20)) == (State.OPEN, Trouble.SLOW, 35)


def test_failures_far_apart_do_not():
    breaker = Breaker(LIMITS)
    for now in (0, 20, 40, 60, 80):
        breaker.failed(SLOW, now)
    assert breaker.state(80) is State.CLOSED


def test_a_success_makes_up_for_a_failure():
    breaker = Breaker(LIMITS)
    for now in range(0, 20, 2):
        breaker.failed(SLOW, now)
        breaker.succeeded(now)
    assert breaker.state(20) is State.CLOSED


def test_after_the_pause_one_request_in_a_while_may_try():
    breaker = broken()
    assert not breaker.allows(14.9)
    assert breaker.state(15) is State.HALF_OPEN
    assert [breaker.allows(now) for now in (15, 15.1, 19.9, 20, 20.1)] == [True, False, False, True, False]
    assert breaker.until(15) is None


def test_a_success_closes_it():
    breaker = broken()
    assert breaker.allows(15)
    breaker.succeeded(asked_at=15)
    assert (breaker.state(16), breaker.why) == (State.CLOSED, None)
    assert breaker.allows(16)
    assert breaker.allows(16)


def test_a_success_that_was_asked_for_before_it_opened_proves_nothing():
    breaker = broken(at=10)
    breaker.succeeded(asked_at=9)
    assert breaker.state(11) is State.OPEN


def test_a_failed_trial_opens_it_again():
    breaker = broken()
    assert breaker.allows(15)
    breaker.failed(trouble(Trouble.CUT), 16)
    assert (breaker.state(30), breaker.why, breaker.until(30)) == (State.OPEN, Trouble.CUT, 31)


@pytest.mark.parametrize("why", [Trouble.AUTH, Trouble.QUOTA])
def test_a_wrong_key_and_spent_money_bar_it_at_once_and_for_minutes(why: Trouble):
    breaker = Breaker(LIMITS)
    breaker.failed(trouble(why), 0)
    assert (breaker.allows(0), breaker.barred(299), breaker.until(1), breaker.why) == (False, True, 300, why)
    for _ in range(3):
        breaker.failed(SLOW, 2)
    assert (breaker.until(3), breaker.why) == (300, why)
    assert not breaker.barred(300)
    assert breaker.allows(300)


@pytest.mark.parametrize(("told", "until"), [(7.0, 7.0), (3600.0, 60.0)])
def test_a_rate_limit_is_kept_to_within_reason(told: float, until: float):
    breaker = Breaker(LIMITS)
    breaker.failed(trouble(Trouble.RATE_LIMITED, retry_after=told), 0)
    assert (breaker.barred(0), breaker.until(0)) == (True, until)
    assert breaker.allows(until)


def test_a_rate_limit_without_a_time_is_a_failure_like_others():
    breaker = Breaker(LIMITS)
    breaker.failed(trouble(Trouble.RATE_LIMITED), 0)
    assert breaker.allows(0)
    assert not broken().barred(1)


def test_a_prompt_that_is_too_long_is_not_its_fault():
    breaker = Breaker(LIMITS)
    for _ in range(9):
        breaker.failed(trouble(Trouble.TOO_LONG), 0)
    assert breaker.state(0) is State.CLOSED


def test_each_port_of_a_vendor_has_a_breaker_of_its_own_and_all_can_be_read():
    breakers = Breakers(LIMITS)
    breakers.of(Port.TTS, "openai").failed(trouble(Trouble.AUTH), 4)
    assert breakers.of(Port.STT, "openai").allows(4)
    assert breakers.standings(5) == [
        Standing(Port.TTS, "openai", State.OPEN, Trouble.AUTH, 304),
        Standing(Port.STT, "openai", State.CLOSED, None, None),
    ]


HAPPENINGS = st.lists(
    st.tuples(st.floats(0, 50), st.sampled_from(["ask", "success", *Trouble]), st.floats(0, 100)), max_size=40
)


@given(HAPPENINGS)
def test_whatever_happens_it_is_tried_again_in_the_end(happenings: list[tuple[float, str, float]]):
    breaker, now = Breaker(LIMITS), 0.0
    for wait, what, told in happenings:
        now += wait
        if what == "ask":
            breaker.allows(now)
        elif what == "success":
            breaker.succeeded(asked_at=now)
        else:
            breaker.failed(trouble(Trouble(what), retry_after=told), now)
        assert breaker.state(now) is not State.OPEN or (breaker.until(now) or 0) <= now + LIMITS.barred
    assert breaker.allows(now + LIMITS.barred + LIMITS.trial)


def test_for_how_long_a_provider_is_left_alone_is_known():
    breaker = Breaker()
    assert breaker.left_alone(0.0) == 0.0
    limited = ProviderError("429", retryable=True, trouble=Trouble.RATE_LIMITED, retry_after=30.0)
    breaker.failed(limited, 0.0)
    assert [breaker.left_alone(now) for now in (0.0, 10.0, 31.0)] == [30.0, 20.0, 0.0]
