"""What may be spent: per call, per agent in a call, and per day. The first request that might cost more than
is left of a limit is not made, and from then on no provider that costs money is asked; those that cost
nothing go on.

    permits(most it may use) -> hold(the same) -> the request -> its Used is told, and the hold released

The wrappers around the adapters do so with every request, through their ``Allowance``. What is held for
requests under way is as good as spent, so that those made at once do not spend the same money.

Pure: the date is an argument.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Final, Protocol, Self

from callbot.providers.accounting import Most, Port, Unit, Used
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
        self.held = Decimal(0)
        """For requests under way."""

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
        return self._share - self._spent - self.held

    def _begin(self, today: date) -> None:
        if self._day != today:
            self._day = today
            self._spent = self._others = Decimal(0)
            self._share_out()

    def _share_out(self) -> None:
        left = (self.limits.day or Decimal(0)) - self._others - self._spent
        self._share = self._spent + max(Decimal(0), left) / self._sharers


class Hold:
    """Money that is set aside for one request; ``release`` it when what the request used is told."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Allowance(Protocol):
    """Asked before each request to a provider, by its name as in settings. ``most`` is what the request may
    use at most."""

    def permits(self, port: Port, provider: str, most: Most) -> bool:
        """Whether there is money for it; always, if it costs nothing."""

    def hold(self, provider: str, most: Most) -> Hold:
        """Set its money aside, until it is over."""


class Unlimited:
    """An ``Allowance`` for whoever has no budget."""

    def permits(self, port: Port, provider: str, most: Most) -> bool:
        return True

    def hold(self, provider: str, most: Most) -> Hold:
        return Hold(lambda: None)


UNLIMITED: Final = Unlimited()


class CallPurse:
    """Of one call. ``reached`` is told each limit that the call reaches: ``call``, ``day`` or ``agent``."""

    def __init__(self, purse: Purse, *, reached: Callable[[str], None] = lambda limit: None) -> None:
        self.spent = Decimal(0)
        self._purse = purse
        self._told = reached
        self._held = Decimal(0)
        self._by_agent: dict[str, Decimal] = {}
        """Spent and held."""
        self._over = False
        self._over_on: date | None = None
        self._agents_over: set[str] = set()

    def cost(self, provider: str, most: Most) -> Decimal:
        """What has no price adds nothing."""
        costs = (self._purse.prices.cost(provider, unit, amount) for unit, amount in most.items())
        return sum((cost.amount for cost in costs if cost is not None), Decimal(0))

    def spend(self, used: Used, agent: str, today: date) -> None:
        """``agent`` is empty for what is nobody's alone, as hearing is."""
        amount = self.cost(used.provider, {used.unit: used.amount})
        if not amount:
            return
        self.spent += amount
        self._of(agent, amount)
        self._purse.spend(amount, today)

    def hold(self, amount: Decimal, agent: str) -> Hold:
        self._hold(amount, agent)
        return Hold(lambda: self._hold(-amount, agent))

    def affords(self, amount: Decimal, agent: str, today: date) -> bool:
        """Whether all limits leave so much. The one that does not is reached, and stays so: the day's until
        the day is over."""
        if self.exhausted(agent, today) is not None:
            return False
        reached = self._exceeded(amount, agent, today)
        if reached is None:
            return True
        self._over |= reached == "call"
        if reached == "day":
            self._over_on = today
        elif reached == "agent":
            self._agents_over.add(agent)
        self._told(reached)
        return False

    def exhausted(self, agent: str, today: date) -> str | None:
        """Which limit was reached: ``call``, ``day`` or ``agent``; None while money may be spent."""
        if self._over:
            return "call"
        if self._over_on == today:
            return "day"
        return "agent" if agent in self._agents_over else None

    def is_free(self, port: Port, provider: str) -> bool:
        """What has no known price is not: nobody knows what it would cost."""
        cost = self._purse.prices.cost(provider, _CHARGED[port], 1)
        return cost is not None and not cost.amount

    def _exceeded(self, amount: Decimal, agent: str, today: date) -> str | None:
        limits = self._purse.limits
        if limits.call is not None and not _fits(amount, limits.call - self.spent - self._held):
            return "call"
        left = self._purse.left(today)
        if left is not None and not _fits(amount, left):
            return "day"
        limit = limits.agents.get(agent)
        if limit is not None and not _fits(amount, limit - self._by_agent.get(agent, Decimal(0))):
            return "agent"
        return None

    def _hold(self, amount: Decimal, agent: str) -> None:
        self._held += amount
        self._purse.held += amount
        self._of(agent, amount)

    def _of(self, agent: str, amount: Decimal) -> None:
        self._by_agent[agent] = self._by_agent.get(agent, Decimal(0)) + amount


def _fits(amount: Decimal, left: Decimal) -> bool:
    """When nothing is left, what has no price does not fit either."""
    return amount <= left and left > 0


class AgentsAllowance:
    """The ``Allowance`` of one agent in one call. Where it is not ``charged``, as for what is rendered once
    for all calls, requests count as nothing; but once a limit is reached they are not made either, so that
    the call goes on in one voice."""

    def __init__(
        self, purse: CallPurse, agent: str, today: Callable[[], date], *, charged: bool = True
    ) -> None:
        self._purse = purse
        self._agent = agent
        self._today = today
        self._charged = charged

    def permits(self, port: Port, provider: str, most: Most) -> bool:
        if self._purse.is_free(port, provider):
            return True
        today = self._today()
        if not self._charged:
            return self._purse.exhausted(self._agent, today) is None
        return self._purse.affords(self._purse.cost(provider, most), self._agent, today)

    def hold(self, provider: str, most: Most) -> Hold:
        amount = self._purse.cost(provider, most) if self._charged else Decimal(0)
        return self._purse.hold(amount, self._agent)
