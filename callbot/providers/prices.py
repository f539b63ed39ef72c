"""What was used, in money. The prices are in ``prices.yaml``, and in a file of the user's own on top of it.

Money is ``Decimal`` from the file's own digits to the sum; nothing of it is ever a float.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, Decimal
from fnmatch import fnmatchcase

from callbot.errors import InvalidState
from callbot.providers.accounting import Unit, Used


@dataclass(frozen=True, slots=True)
class Money:
    """``estimate``: at least one of the prices in it is one."""

    amount: Decimal
    currency: str
    estimate: bool = False

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise InvalidState(f"{self.currency} and {other.currency} do not add up")
        return Money(self.amount + other.amount, self.currency, self.estimate or other.estimate)


@dataclass(frozen=True, slots=True)
class Price:
    """``price`` for every ``per`` of ``unit``: 0.75 for 1,000,000 tokens, 0.017 for 60 seconds."""

    vendor: str
    model: str
    """A pattern, as in the shell."""
    unit: Unit
    price: Decimal
    per: Decimal
    dated: date
    page: str
    """Where it was taken from."""
    estimate: bool = False
    whole: bool = False
    """Every use is rounded up to whole ``per``."""

    def fits(self, provider: str, unit: Unit) -> bool:
        """Adapters of one vendor are called after it: ``openai`` and ``openai-responses``."""
        adapter, _, model = provider.partition(":")
        return (
            unit is self.unit
            and (adapter == self.vendor or adapter.startswith(f"{self.vendor}-"))
            and fnmatchcase(model, self.model)
        )

    def cost(self, amount: Decimal) -> Decimal:
        """Of ``amount`` of the unit."""
        if self.whole:
            return self.price * (amount / self.per).to_integral_value(ROUND_CEILING)
        return self.price * amount / self.per


@dataclass(frozen=True, slots=True)
class Table:
    """What one file says. ``free`` are patterns of providers' names."""

    currency: str
    prices: tuple[Price, ...] = ()
    free: tuple[str, ...] = ()

    def find(self, provider: str, unit: Unit) -> Price | None:
        """The longest that fits, and of those that are as long the last."""
        fitting = [price for price in self.prices if price.fits(provider, unit)]
        return max(reversed(fitting), key=lambda price: len(price.model), default=None)

    def is_free(self, provider: str) -> bool:
        return any(fnmatchcase(provider, pattern) for pattern in self.free)


@dataclass(frozen=True, slots=True)
class Bill:
    """``total`` is of all that has a price; ``unknown`` is what has none."""

    total: Money
    unknown: tuple[Used, ...] = ()


@dataclass(frozen=True, slots=True)
class Prices:
    """All prices. Of ``tables``, which are in one currency, the first that knows something about a provider
    and a unit decides."""

    tables: tuple[Table, ...]

    @property
    def currency(self) -> str:
        return self.tables[0].currency

    def find(self, provider: str, unit: Unit) -> Price | None:
        """The price that ``cost`` is worked out with. None when it is free, and when it is unknown."""
        for table in self.tables:
            price = table.find(provider, unit)
            if price is not None:
                return price
            if table.is_free(provider):
                return None
        return None

    def cost(self, provider: str, unit: Unit, amount: Decimal | float) -> Money | None:
        """Of ``amount`` of ``unit`` from ``provider`` (its name as in settings); None when nobody knows.

        A float is taken for the number that it is written as.
        """
        exact = Decimal(str(amount))
        if not exact.is_finite() or exact < 0:
            raise InvalidState(f"{provider}: {amount} {unit} cannot be used up")
        for table in self.tables:
            price = table.find(provider, unit)
            if price is not None:
                return Money(price.cost(exact), self.currency, price.estimate)
            if table.is_free(provider):
                return Money(Decimal(0), self.currency)
        return None

    def bill(self, used: Iterable[Used]) -> Bill:
        """Everything together."""
        total = Money(Decimal(0), self.currency)
        unknown = []
        for use in used:
            cost = self.cost(use.provider, use.unit, use.amount)
            if cost is None:
                unknown.append(use)
            else:
                total += cost
        return Bill(total, tuple(unknown))
