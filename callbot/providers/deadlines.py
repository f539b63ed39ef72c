"""How long each port may keep a caller waiting, and the guard that holds a stream to it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

from callbot.errors import CallbotError, ProviderError, Trouble

log = structlog.get_logger(__name__)

Piece = TypeVar("Piece")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Of one request to a provider that answers piece by piece; seconds."""

    connect: float
    """For the connection, as part of ``first``. Each adapter holds to it itself, and says ``CONNECT``."""
    first: float
    """From the request to the first piece: after that, ``SLOW``."""
    between: float
    """From one piece to the next: after that, ``STALLED``."""
    total: float
    """Of waiting in one request, all waits together: after that, ``STALLED``. Who listens slowly does not
    use it up."""


LLM: Final = Deadlines(
    connect=2.0,
    first=3.0,  # a good first token takes 0.3 to 1 s; the caller has had a filler since 1.5 s
    # A stream of one token a second is slow and not dead. A tool call is one piece, and its arguments
    # take a second or two to write.
    between=2.0,
    total=30.0,  # of 400 tokens at the pace of a slow local model
)

TTS: Final = Deadlines(
    connect=2.0,  # so that a vendor who cannot be reached is told as such
    first=2.0,  # a good first sound takes 0.1 to 0.4 s; with the next voice's the silence is under 2.5 s
    between=1.2,  # of silence: while what was given out still plays, nobody is late
    total=60.0,  # of the longest text at the pace of speech
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarDeadlines:
    """Of a recogniser, which answers while it is asked; seconds."""

    connect: float = 2.0
    """As in ``Deadlines``. What is said meanwhile waits."""
    deaf: float = 4.0
    """Of speech (not of time) without a word of text since the last: people do not speak so long without a
    word that can be known, and a caller who gets no reaction says "hello?" after about as long."""
    wordless: float = 0.8
    """Of speech to which a final without a word is an answer that another recogniser is asked about."""
    final: float = 1.5
    """From a flush to its final: vendors take 0.1 to 0.6 s. The conversation itself goes on with a partial
    after 1.2 s, so this comes just after it would have."""
    catching_up: float = 0.1
    """More for the final, for each second of audio that a recogniser is given all at once."""


STT: Final = EarDeadlines()

EARLIER: Final = 0.5
"""Before what was given out has all been played, so that the next voice can be ready in time."""


def _nothing(piece: Any) -> float:
    return 0.0


async def in_time(
    pieces: AsyncGenerator[Piece],
    deadlines: Deadlines,
    *,
    provider: str,
    plays: Callable[[Piece], float] = _nothing,
) -> AsyncGenerator[Piece]:
    """``pieces``, as long as they come in time. Raises ``ProviderError`` when one does not: by then
    ``pieces`` is closed, which is up to it to do at once.

    ``plays`` says for how many seconds a piece keeps the caller busy: the next one is late only when that
    is about to be over. What ``pieces`` raises that is no failure of a vendor's is a bug in an adapter: it is
    logged with its trace, and told as a ``ProviderError`` too, for somebody else can be asked all the same.
    """
    clock = asyncio.get_running_loop().time
    first, left, busy_until = True, deadlines.total, 0.0
    async with aclosing(pieces):
        while True:
            asked = clock()
            patience = deadlines.first if first else deadlines.between
            late = min(max(asked + patience, busy_until - EARLIER), asked + left)
            try:
                async with asyncio.timeout_at(late):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise _late(provider, clock() - asked, first=first) from error
            except CallbotError:
                raise
            except Exception as error:  # a bug in an adapter: see above
                log.exception("an adapter broke", provider=provider)
                raise ProviderError(
                    f"{provider}: {type(error).__name__}", retryable=False, provider=provider
                ) from error
            left -= clock() - asked
            busy_until = max(clock(), busy_until) + plays(piece)
            first = False
            yield piece


def _late(provider: str, waited: float, *, first: bool) -> ProviderError:
    return ProviderError(
        f"{provider}: {'nothing' if first else 'nothing more'} for {waited:.1f} s",
        retryable=True,
        trouble=Trouble.SLOW if first else Trouble.STALLED,
        provider=provider,
    )
