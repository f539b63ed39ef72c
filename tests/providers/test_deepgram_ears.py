"""What both of Deepgram's recognisers do, against the double."""

import asyncio
from pathlib import Path

import pytest

from callbot.errors import Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Transcribed
from callbot.providers.registry import Models, hearing
from callbot.vendors import Unconfigured
from tests.doubles.plan import Fault
from tests.providers.deepgram_ears import FLUX, FOUR, LISTEN, TWO, Recogniser, next_final, send


@pytest.fixture(params=[LISTEN, FLUX], ids=lambda recogniser: recogniser.endpoint)
def recogniser(request: pytest.FixtureRequest) -> Recogniser:
    return request.param


@pytest.mark.parametrize(
    ("fault", "trouble", "retryable"),
    [
        (Fault(refuse=True), Trouble.CONNECT, True),
        (Fault(status=401, code="INVALID_AUTH"), Trouble.AUTH, False),
        (Fault(status=402, code="ASR_PAYMENT_REQUIRED"), Trouble.QUOTA, False),
        (Fault(status=429, code="TOO_MANY_REQUESTS"), Trouble.RATE_LIMITED, True),
        (Fault(status=400, code="No such model"), Trouble.REJECTED, False),
        (Fault(status=500, code="oops"), Trouble.UNAVAILABLE, True),
        (Fault(status=503, code="unavailable"), Trouble.UNAVAILABLE, True),
        (Fault(cut_after=0), Trouble.CUT, True),
        (Fault(cut_after=1), Trouble.CUT, True),
        (Fault(close_after=1, close_code=1011), Trouble.CUT, True),
        (Fault(close_after=1, close_code=1000), Trouble.CUT, True),
        (Fault(empty=True), Trouble.CUT, True),
        (Fault(garbage=True), Trouble.BAD_FORMAT, True),
    ],
)
async def test_a_failure_of_the_vendor_is_told_in_our_words(
    recogniser: Recogniser, fault: Fault, trouble: Trouble, retryable: bool, pool: InferencePool
):
    async with recogniser.call(pool, fault) as (ears, _):
        ears.start(1)
        send(ears, FOUR + FOUR + FOUR)
        error = await recogniser.failure(ears)
        ears.send(FOUR)  # nobody minds
        ears.flush()
    assert (error.trouble, error.retryable) == (trouble, retryable)


async def test_a_vendor_that_does_not_answer_the_handshake_is_given_up(
    recogniser: Recogniser, pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("callbot.providers.stt.socket_ears.CONNECT_WITHIN", 0.1)
    async with recogniser.call(pool, Fault(blackhole=True)) as (ears, _):
        error = await recogniser.failure(ears)
    assert (error.trouble, error.retryable) == (Trouble.CONNECT, True)


@pytest.mark.parametrize("fault", [Fault(silent=True), Fault(stall_after=0)])
async def test_a_deaf_vendor_is_answered_for_with_nothing(
    recogniser: Recogniser, fault: Fault, pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recogniser.dialect, "patience", 0.1)
    async with recogniser.call(pool, fault) as (ears, _):
        ears.start(1)
        send(ears, FOUR + TWO)
        ears.flush()
        assert await next_final(ears) == Transcribed(1, "", True)


@pytest.mark.parametrize("fault", [Fault(delay=0.2), Fault(dribble=0.02), Fault(late=0.1)])
async def test_a_slow_vendor_is_waited_for(recogniser: Recogniser, fault: Fault, pool: InferencePool):
    async with recogniser.call(pool, fault) as (ears, _):
        ears.start(1)
        send(ears, FOUR + TWO)
        ears.flush()
        assert (await next_final(ears)).text == "Six"


async def test_closing_at_any_moment_leaves_no_task_and_no_connection(
    recogniser: Recogniser, pool: InferencePool
):
    before = asyncio.all_tasks()
    for pause in (0, 0, 0.001, 0.002, 0.005, 0.01, 0.03):
        async with recogniser.call(pool, Fault(dribble=0.005)) as (ears, _):
            ears.start(1)
            send(ears, FOUR)
            ears.flush()
            await asyncio.sleep(pause)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def test_without_a_key_it_says_what_to_set(recogniser: Recogniser, pool: InferencePool):
    with pytest.raises(Unconfigured, match="DEEPGRAM_API_KEY"):
        hearing(recogniser.name.partition(":")[0], Models(pool, cache=Path()))
