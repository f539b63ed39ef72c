"""A stream is held to its deadlines, and closed when it misses one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.providers.deadlines import LLM, STT, TTS, Deadlines, in_time

pytestmark = pytest.mark.virtual_time
DEADLINES = Deadlines(connect=1, first=2, between=1, total=10)


class Stream:
    """Gives 0, 1, 2... after each of ``waits``."""

    def __init__(self, *waits: float, error: Exception | None = None) -> None:
        self.waits = waits
        self.error = error
        self.closed_at: float | None = None

    async def __call__(self) -> AsyncGenerator[int]:
        try:
            for number, wait in enumerate(self.waits):
                await asyncio.sleep(wait)
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.closed_at = asyncio.get_running_loop().time()


async def taken(stream: Stream, plays: float = 0.0, slow: float = 0.0) -> tuple[list[int], Trouble | None]:
    got: list[int] = []
    try:
        async for piece in in_time(stream(), DEADLINES, provider="one", plays=lambda piece: plays):
            got.append(piece)
            await asyncio.sleep(slow)
    except ProviderError as error:
        failed = error
    else:
        return got, None
    assert failed.provider == "one"
    assert len(asyncio.all_tasks()) == 1
    return got, failed.trouble


async def test_what_comes_in_time_comes():
    assert await taken(Stream(1.9, 0.9, 0.9)) == ([0, 1, 2], None)


async def test_a_first_piece_that_is_late_is_slow_and_the_stream_is_closed_then():
    stream = Stream(2.1)
    assert await taken(stream) == ([], Trouble.SLOW)
    assert stream.closed_at == 2


async def test_a_later_one_is_stalled():
    stream = Stream(0.5, 1.1)
    assert await taken(stream) == ([0], Trouble.STALLED)
    assert stream.closed_at == 1.5


async def test_while_what_came_still_plays_nobody_is_late():
    assert await taken(Stream(1, 2.4), plays=3) == ([0, 1], None)
    stream = Stream(1, 2.6)
    assert await taken(stream, plays=3) == ([0], Trouble.STALLED)
    assert stream.closed_at == pytest.approx(3.4 + 3.5)  # what came would have played for half a second more


async def test_all_waiting_together_has_a_limit_too():
    assert await taken(Stream(*[0.9] * 20)) == (list(range(11)), Trouble.STALLED)


async def test_who_listens_slowly_does_not_use_it_up():
    assert await taken(Stream(*[0.1] * 5), slow=30) == ([0, 1, 2, 3, 4], None)


async def test_a_failure_of_the_vendors_comes_through_as_it_is():
    assert await taken(
        Stream(error=ProviderError("no", retryable=False, trouble=Trouble.AUTH, provider="one"))
    ) == (
        [],
        Trouble.AUTH,
    )


async def test_a_bug_in_an_adapter_is_a_failure_like_others():
    assert await taken(Stream(0.1, error=KeyError("audio"))) == ([0], Trouble.FAILED)


async def test_closing_it_closes_the_stream():
    stream = Stream(0.1, 0.5)
    async with aclosing(in_time(stream(), DEADLINES, provider="one")) as pieces:
        await anext(pieces)
    assert stream.closed_at == pytest.approx(0.1)


async def test_cancelling_it_closes_the_stream_and_is_not_taken_for_a_deadline():
    stream = Stream(0.1, 0.5)
    task = asyncio.create_task(taken(stream))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert stream.closed_at == pytest.approx(0.3)


def test_the_deadlines_keep_to_what_callers_are_promised():
    assert LLM.first == 3
    assert TTS.first == 2
    assert STT.deaf == 4
    for deadlines in (LLM, TTS):
        assert deadlines.connect <= deadlines.first
        assert deadlines.between <= deadlines.first
    assert STT.final <= 1.5
