"""What may be spent: per call, per agent in a call, and per day. A provider that costs money is not asked
any more once a limit is reached; those that cost nothing go on.

Pure: the date is an argument. The wrappers around the adapters ask before each request whether they may
(``Guarded`` stands where they look for a provider's breaker), and tell what was used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from callbot.errors import ProviderError
from callbot.providers.accounting import Port, Unit, Used
from callbot.providers.breaker import Breaker, Breakers
from callbot.providers.prices import Prices

_CHARGED: Final = {
    Port.STT: Unit.SECONDS_HEARD,
    Port.LLM: Unit.TOKENS_WRITTEN,
    Port.TTS: Unit.CHARACTERS_SPOKEN,
}
"""By what it is told whether a provider costs anything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """In the prices' currency; None: no limit. ``day`` is for all processes together, ``agents`` for one
    agent in one call."""

    call: Decimal | None = None
    day: Decimal | None = None
    agents: Mapping[str, Decimal] = field(default_factory=dict)


class Purse:
    """Of one process, which shares the day's money with others: ``sharers`` is how many they are with it.

    Each has an equal share of what was left when it last learnt what the others have spent, which whoever
    keeps the day's book tells it every few seconds. As long as nobody does, its share is that of the whole.
    Days are the dates that ``today`` is given as.
    """

    def __init__(self, prices: Prices, limits: Limits, *, sharers: int = 1) -> None:
        self.prices = prices
        self.limits = limits
        self._sharers = sharers
        self._day: date | None = None
        self._spent = self._others = self._share = Decimal(0)

    def spent_on(self, today: date) -> Decimal:
        """By this process."""
        return self._spent if self._day == today else Decimal(0)

    def known_on(self, today: date) -> Decimal:
        """By all, as far as this process knows."""
        return self._spent + self._others if self._day == today else Decimal(0)

    def spend(self, amount: Decimal, today: date) -> None:
        self._begin(today)
        self._spent += amount

    def learn(self, others: Decimal, today: date) -> None:
        """The others have spent so much. What was known does not become less within a day, whatever has
        happened to the database."""
        self._begin(today)
        self._others = max(self._others, others)
        self._share_out()

    def left(self, today: date) -> Decimal | None:
        """What this process may still spend of the day's money; None: there is no limit."""
        if self.limits.day is None:
            return None
        self._begin(today)
        return self._share - self._spent

    def _begin(self, today: date) -> None:
        if self._day != today:
            self._day = today
            self._spent = self._others = Decimal(0)
            self._share_out()

    def _share_out(self) -> None:
        left = (self.limits.day or Decimal(0)) - self._others - self._spent
        self._share = self._spent + max(Decimal(0), left) / self._sharers


class CallPurse:
    """Of one call."""

    def __init__(self, purse: Purse) -> None:
        self.spent = Decimal(0)
        self._purse = purse
        self._by_agent: dict[str, Decimal] = {}

    def spend(self, used: Used, agent: str, today: date) -> None:
        """``agent`` is empty for what is nobody's alone, as hearing is."""
        cost = self._purse.prices.cost(used.provider, used.unit, used.amount)
        if cost is None or not cost.amount:
            return
        self.spent += cost.amount
        self._by_agent[agent] = self._by_agent.get(agent, Decimal(0)) + cost.amount
        self._purse.spend(cost.amount, today)

    def exhausted(self, agent: str, today: date) -> str | None:
        """Which limit is reached: ``call``, ``day`` or ``agent``; None while money may be spent."""
        limits = self._purse.limits
        if limits.call is not None and self.spent >= limits.call:
            return "call"
        left = self._purse.left(today)
        if left is not None and left <= 0:
            return "day"
        limit = limits.agents.get(agent)
        if limit is not None and self._by_agent.get(agent, Decimal(0)) >= limit:
            return "agent"
        return None

    def is_free(self, port: Port, provider: str) -> bool:
        """What has no known price is not: nobody knows what it would cost."""
        cost = self._purse.prices.cost(provider, _CHARGED[port], 1)
        return cost is not None and not cost.amount


class _Shut(Breaker):
    """An empty purse stands in the place of a breaker, which still learns how requests ended."""

    def __init__(self, breaker: Breaker) -> None:
        super().__init__()
        self._breaker = breaker

    def allows(self, now: float) -> bool:
        return False

    def barred(self, now: float) -> bool:
        return True

    def failed(self, error: ProviderError, now: float) -> None:
        self._breaker.failed(error, now)

    def succeeded(self, asked_at: float) -> None:
        self._breaker.succeeded(asked_at)


class Guarded(Breakers):
    """The process's ``breakers`` as one agent of one call meets them."""

    def __init__(self, breakers: Breakers, purse: CallPurse, agent: str, today: Callable[[], date]) -> None:
        super().__init__()
        self._breakers_of_all = breakers
        self._purse = purse
        self._agent = agent
        self._today = today

    def of(self, port: Port, provider: str) -> Breaker:
        breaker = self._breakers_of_all.of(port, provider)
        if self._purse.exhausted(self._agent, self._today()) and not self._purse.is_free(port, provider):
            return _Shut(breaker)
        return breaker
