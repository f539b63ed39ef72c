"""The providers of one port in the order of preference, and one request's way along them."""

from collections.abc import Collection, Mapping
from typing import Final, Generic, TypeVar

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Failed, Mended, Mending, Most, Port, Report
from callbot.providers.breaker import Breakers
from callbot.providers.budget import UNLIMITED, Allowance, Hold

Provider = TypeVar("Provider")

TRY_AGAIN_WITHIN: Final = 3.0
"""Seconds that a caller may have waited when the only provider is asked once more."""


class Chain(Generic[Provider]):
    """``links`` is by name as in settings, the preferred one first; there is at least one. ``most`` is what
    the request in question may use at most: who is too dear for the ``allowance`` is not asked."""

    def __init__(
        self,
        port: Port,
        links: Mapping[str, Provider],
        *,
        breakers: Breakers,
        report: Report,
        allowance: Allowance = UNLIMITED,
    ) -> None:
        if not links:
            raise ValueError(f"a chain of {port} with no link")
        self.port = port
        self.links = links
        self.breakers = breakers
        self.report = report
        self.allowance = allowance

    def pick(self, now: float, most: Most, *, without: Collection[str] = ()) -> str | None:
        """The first whose breaker allows it; else the first that is merely in trouble, for that may be over
        and there is nobody else; None when all that is left is barred, or too dear."""
        left = [name for name in self.links if name not in without and self.permits(name, most)]
        for name in left:
            if self.breakers.of(self.port, name).allows(now):
                return name
        return next((name for name in left if not self.breakers.of(self.port, name).barred(now)), None)

    def better(self, than: str, now: float, most: Most, *, without: Collection[str] = ()) -> str | None:
        """The first that is preferred to ``than`` and may be asked."""
        for name in self.links:
            if name == than:
                return None
            may_be = name not in without and self.permits(name, most)
            if may_be and self.breakers.of(self.port, name).allows(now):
                return name
        return None

    def barred(self, name: str, now: float, most: Most) -> bool:
        return not self.permits(name, most) or self.breakers.of(self.port, name).barred(now)

    def permits(self, name: str, most: Most) -> bool:
        return self.allowance.permits(self.port, name, most)


class Attempts(Generic[Provider]):
    """One request: who is asked now (``name``, ``provider``), and who is next when that one fails.

    Each provider is asked once; the last that is left once more if its failure was retryable and the caller
    has not waited long. ``at`` is who is at work already, and stays, as long as there is money for it, unless
    somebody better may be asked, who is none of ``shunned``. ``most`` is what the request may use at most,
    whoever answers it; it may be changed before ``failed``. Raises ``ProviderError`` when nobody may be asked
    at all.
    """

    def __init__(
        self,
        chain: Chain[Provider],
        now: float,
        most: Most,
        *,
        at: str | None = None,
        shunned: Collection[str] = (),
    ) -> None:
        first = None if at is None else chain.better(at, now, most, without=shunned)
        if first is None and at is not None and chain.permits(at, most):
            first = at
        first = first or chain.pick(now, most)
        if first is None:
            raise _barred(chain, most)
        self._chain = chain
        self.most = most
        self._tried: set[str] = set()
        self._repeated: set[str] = set()
        self._waiting_since = now
        self.number = 0
        self._ask(first, now)

    def _ask(self, name: str, now: float) -> None:
        self.name = name
        self.provider = self._chain.links[name]
        self.asked_at = now
        self.number += 1
        self._tried.add(name)

    def hold(self) -> Hold:
        """Set money aside for who is asked now; before anything is awaited."""
        return self._chain.allowance.hold(self.name, self.most)

    def goes_on(self, now: float) -> None:
        """It gave something, or the caller speaks: nobody has waited since."""
        self._waiting_since = now

    def answered(self) -> None:
        """It has done all that it was asked for: its breaker may hear of it."""
        self._chain.breakers.of(self._chain.port, self.name).succeeded(self.asked_at)

    def blame(self, name: str, error: ProviderError, now: float) -> None:
        """Tells a provider's breaker of its failure."""
        self._chain.breakers.of(self._chain.port, name).failed(error, now)

    def failed(
        self,
        error: ProviderError,
        now: float,
        *,
        over: bool = False,
        same_first: bool = False,
        blame: bool = True,
    ) -> bool:
        """Tells everyone, and goes on to the next; False when there is none, or the request is ``over``
        whatever happens. With ``same_first`` it is asked once again before another is."""
        chain = self._chain
        if blame:
            self.blame(self.name, error, now)
        instead = None
        if not over:
            again = self._may_repeat(error, now)
            instead = self.name if again and same_first else chain.pick(now, self.most, without=self._tried)
            if instead is None and again:
                instead = self.name
        self.tell(error, instead or "", now)
        if instead is None:
            return False
        if instead == self.name:
            self._repeated.add(instead)
        self._ask(instead, now)
        return True

    def tell(self, error: ProviderError, instead: str, now: float) -> None:
        """The call hears of a failure."""
        chain = self._chain
        left_alone = chain.breakers.of(chain.port, self.name).left_alone(now)
        chain.report(
            Failed(
                *(chain.port, self.name, instead, error.trouble, str(error)),
                attempt=self.number,
                left_alone=left_alone,
            )
        )

    def mended(self, what: Mending, gap: float | None = None, **details: int) -> None:
        """The call hears that who is asked now has put it right, ``gap`` seconds after it went wrong."""
        gap_ms = {} if gap is None else {"gap_ms": round(gap * 1000)}
        self._chain.report(Mended(self._chain.port, self.name, what, gap_ms | details))

    def can_go_on(self, error: ProviderError, now: float) -> bool:
        """Whether ``failed`` would find somebody; changes nothing."""
        untried = self._chain.links.keys() - self._tried
        return any(not self._chain.barred(name, now, self.most) for name in untried) or self._may_repeat(
            error, now
        )

    def _may_repeat(self, error: ProviderError, now: float) -> bool:
        return (
            error.retryable
            and self.name not in self._repeated
            and now - self._waiting_since < TRY_AGAIN_WITHIN
            and not self._chain.barred(self.name, now, self.most)
        )


def _barred(chain: Chain[Provider], most: Most) -> ProviderError:
    name = next(iter(chain.links))
    if not chain.permits(name, most):
        return over_budget(name)
    why = chain.breakers.of(chain.port, name).why or Trouble.FAILED
    return ProviderError(
        f"{name} is not asked for now, because of {why}", retryable=False, trouble=why, provider=name
    )


def over_budget(provider: str) -> ProviderError:
    """What ``provider`` would be asked for next may cost more than is left."""
    return ProviderError(
        f"{provider} costs more than is left of a budget",
        retryable=False,
        trouble=Trouble.BUDGET,
        provider=provider,
    )
