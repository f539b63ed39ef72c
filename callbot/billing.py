"""What a call cost, from what its providers said they were used for."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from callbot.conversation.transcript import Transcript
from callbot.providers.accounting import Unit
from callbot.providers.prices import Money, Prices
from callbot.store.records import ProviderUsed

CARRIERS: Final = ("twilio:inbound", "twilio:media-streams")
"""Who carries a call, and what it charges for each of its minutes."""
_CARRIER: Final = "carrier"

Row = tuple[str, str, str, float, float]


class Bill:
    """Of one call, or of one stream of it, that lasted ``seconds``. Without ``prices`` nothing has one."""

    def __init__(self, prices: Prices | None, transcript: Transcript, *, seconds: float) -> None:
        self._prices = prices
        self._seconds = seconds
        self._used: list[Row] = [
            (port.value, provider, unit.value, amount, transcript.wasted.of(port, provider, unit))
            for (port, provider, unit), amount in transcript.used.items()
        ]
        minutes = seconds / 60
        self._used += [(_CARRIER, name, Unit.MINUTES_CARRIED.value, minutes, 0.0) for name in CARRIERS]

    def rows(self, call_sid: str, stream: int) -> Iterator[ProviderUsed]:
        """For the database."""
        for port, provider, unit, amount, wasted in self._used:
            cost = self._cost(provider, unit, amount)
            yield ProviderUsed(
                *(call_sid, stream, port, provider, unit),
                amount=round(amount, 3),
                wasted=round(wasted, 3),
                cost=None if cost is None else str(cost.amount),
                currency=self._currency,
            )

    def as_json(self) -> dict[str, Any]:
        """``total`` is of what has a price; ``unpriced`` names what has none."""
        by_port: dict[str, Decimal] = {}
        wasted, unpriced, estimate = Decimal(0), [], False
        for port, provider, unit, amount, lost in self._used:
            cost = self._cost(provider, unit, amount)
            if cost is None:
                unpriced.append(f"{provider} {unit}")
                continue
            by_port[port] = by_port.get(port, Decimal(0)) + cost.amount
            estimate |= cost.estimate
            if lost and (gone := self._cost(provider, unit, lost)) is not None:
                wasted += gone.amount
        total = sum(by_port.values(), Decimal(0))
        return {
            "currency": self._currency,
            "total": _figure(total),
            "per_minute": _figure(total * 60 / Decimal(str(self._seconds))) if self._seconds else None,
            "by_port": {port: _figure(amount) for port, amount in by_port.items()},
            "wasted": _figure(wasted),
            "estimate": estimate,
            "unpriced": unpriced,
        }

    @property
    def _currency(self) -> str:
        return self._prices.currency if self._prices is not None else "USD"

    def _cost(self, provider: str, unit: str, amount: float) -> Money | None:
        return self._prices.cost(provider, Unit(unit), amount) if self._prices is not None else None


def _figure(amount: Decimal) -> float:
    """To a hundredth of a cent."""
    return float(round(amount, 4))
