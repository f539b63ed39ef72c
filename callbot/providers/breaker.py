"""Who is not worth asking just now: a provider that fails is left alone for a while.

Pure: whoever asks says what time it is. One ``Breakers`` serves all calls of a process, so that what one
call has found out costs the next one nothing.

    CLOSED --(failures)--> OPEN --(a pause)--> HALF_OPEN --(a success)--> CLOSED
                             ^--------(a failure)--'
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Port


class State(StrEnum):
    CLOSED = "closed"
    """It is asked."""
    OPEN = "open"
    """It is not asked."""
    HALF_OPEN = "half_open"
    """Now and then somebody tries whether it is well again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times are in seconds."""

    failures: int = 3
    within: float = 30.0
    """So many failures in so short a time, less the successes between them, are no coincidence."""
    pause: float = 15.0
    """What a vendor needs to get over a bad moment; a caller meets it at most once in so long."""
    barred: float = 300.0
    """After a wrong key or spent money, which a human must mend."""
    longest_rate_limit: float = 60.0
    """A vendor that asks for more patience than this is tried again all the same."""
    trial: float = 5.0
    """While it is half open, one request in so long may try."""


DEFAULT_LIMITS: Final = Limits()
_BARRING: Final = (Trouble.AUTH, Trouble.QUOTA)
_OF_THE_REQUEST: Final = (Trouble.TOO_LONG,)
"""What says nothing about the provider."""


class Breaker:
    """One provider, as its last requests made it look. ``why`` is the trouble that opened it last."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._failed_at: deque[float] = deque()
        self._opened_at: float | None = None
        self._until = 0.0
        self._told_to_stay_away = False
        self._next_trial = 0.0
        self.why: Trouble | None = None

    def state(self, now: float) -> State:
        """Changes nothing."""
        if self._opened_at is None:
            return State.CLOSED
        return State.OPEN if now < self._until else State.HALF_OPEN

    def until(self, now: float) -> float | None:
        """When it will be tried again; None unless it is open."""
        return self._until if self.state(now) is State.OPEN else None

    def left_alone(self, now: float) -> float:
        """For how many seconds from now it is not asked."""
        return max(0.0, self._until - now) if self.state(now) is State.OPEN else 0.0

    def barred(self, now: float) -> bool:
        """Open, and asking all the same is no use or against the vendor's word: a wrong key, spent money, a
        rate limit that said for how long. The other troubles may be over when there is nobody else."""
        return self._told_to_stay_away and self.state(now) is State.OPEN

    def allows(self, now: float) -> bool:
        """Whether to ask it. Half open, that is true once in a while, for who is told so tries it."""
        state = self.state(now)
        if state is State.HALF_OPEN and now >= self._next_trial:
            self._next_trial = now + self._limits.trial
            return True
        return state is State.CLOSED

    def failed(self, error: ProviderError, now: float) -> None:
        """A request ended so."""
        limits, trouble = self._limits, error.trouble
        if trouble in _OF_THE_REQUEST:
            return
        if trouble in _BARRING:
            self._open(trouble, now, now + limits.barred, told=True)
        elif trouble is Trouble.RATE_LIMITED and error.retry_after is not None:
            away = min(error.retry_after, limits.longest_rate_limit)
            self._open(trouble, now, now + away, told=True)
        elif self.state(now) is State.HALF_OPEN:
            self._open(trouble, now, now + limits.pause, told=False)
        else:
            self._failed_at.append(now)
            while self._failed_at[0] < now - limits.within:
                self._failed_at.popleft()
            if self._opened_at is None and len(self._failed_at) >= limits.failures:
                self._open(trouble, now, now + limits.pause, told=False)

    def succeeded(self, asked_at: float) -> None:
        """A request that was made at ``asked_at`` has been answered. One that was made before the breaker
        opened proves nothing."""
        if self._opened_at is None:
            if self._failed_at:
                self._failed_at.popleft()
        elif asked_at >= self._opened_at:
            self._opened_at = self.why = None
            self._told_to_stay_away = False
            self._failed_at.clear()

    def _open(self, why: Trouble, now: float, until: float, *, told: bool) -> None:
        """A longer prohibition is not shortened by a later failure of another kind."""
        if self.state(now) is State.OPEN and self._until > until:
            return
        self._opened_at, self._until = now, until
        self._told_to_stay_away = told
        self._next_trial = until
        self._failed_at.clear()
        self.why = why


@dataclass(frozen=True, slots=True)
class Standing:
    """How one provider stands. ``until`` is on the clock of ``now``; None unless it is ``OPEN``."""

    port: Port
    provider: str
    state: State
    why: Trouble | None
    until: float | None


class Breakers:
    """Of one process, by port and the provider's name as in settings: its voice may fail and its ears be
    well."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._breakers: dict[tuple[Port, str], Breaker] = {}

    def of(self, port: Port, provider: str) -> Breaker:
        key = (port, provider)
        if key not in self._breakers:
            self._breakers[key] = Breaker(self._limits)
        return self._breakers[key]

    def standings(self, now: float) -> list[Standing]:
        """Of everyone who was ever asked for, in that order."""
        return [
            Standing(port, provider, breaker.state(now), breaker.why, breaker.until(now))
            for (port, provider), breaker in self._breakers.items()
        ]
