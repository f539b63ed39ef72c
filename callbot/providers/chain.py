"""The providers of one port in the order of preference, and one request's way along them."""

from collections.abc import Collection, Mapping
from typing import Final, Generic, TypeVar

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Failed, Mended, Mending, Port, Report
from callbot.providers.breaker import Breakers

Provider = TypeVar("Provider")

TRY_AGAIN_WITHIN: Final = 3.0
"""Seconds that a caller may have waited when the only provider is asked once more."""


class Chain(Generic[Provider]):
    """``links`` is by name as in settings, the preferred one first; there is at least one."""

    def __init__(
        self, port: Port, links: Mapping[str, Provider], *, breakers: Breakers, report: Report
    ) -> None:
        if not links:
            raise ValueError(f"a chain of {port} with no link")
        self.port = port
        self.links = links
        self.breakers = breakers
        self.report = report

    def pick(self, now: float, *, without: Collection[str] = ()) -> str | None:
        """The first whose breaker allows it; else the first that is merely in trouble, for that may be over
        and there is nobody else; None when all that is left is barred."""
        left = [name for name in self.links if name not in without]
        for name in left:
            if self.breakers.of(self.port, name).allows(now):
                return name
        return next((name for name in left if not self.barred(name, now)), None)

    def better(self, than: str, now: float, *, without: Collection[str] = ()) -> str | None:
        """The first that is preferred to ``than`` and may be asked."""
        for name in self.links:
            if name == than:
                return None
            if name not in without and self.breakers.of(self.port, name).allows(now):
                return name
        return None

    def barred(self, name: str, now: float) -> bool:
        return self.breakers.of(self.port, name).barred(now)


class Attempts(Generic[Provider]):
    """One request: who is asked now (``name``, ``provider``), and who is next when that one fails.

    Each provider is asked once; the last that is left once more if its failure was retryable and the caller
    has not waited long. ``at`` is who is at work already, and stays unless somebody better may be asked, who
    is none of ``shunned``. Raises ``ProviderError`` when nobody may be asked at all.
    """

    def __init__(
        self,
        chain: Chain[Provider],
        now: float,
        *,
        at: str | None = None,
        shunned: Collection[str] = (),
    ) -> None:
        first = chain.pick(now) if at is None else chain.better(at, now, without=shunned) or at
        if first is None:
            raise _barred(chain)
        self._chain = chain
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
            instead = self.name if again and same_first else chain.pick(now, without=self._tried)
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
        return any(not self._chain.barred(name, now) for name in untried) or self._may_repeat(error, now)

    def _may_repeat(self, error: ProviderError, now: float) -> bool:
        return (
            error.retryable
            and self.name not in self._repeated
            and now - self._waiting_since < TRY_AGAIN_WITHIN
            and not self._chain.barred(self.name, now)
        )


def _barred(chain: Chain[Provider]) -> ProviderError:
    name = next(iter(chain.links))
    why = chain.breakers.of(chain.port, name).why or Trouble.FAILED
    return ProviderError(
        f"{name} is not asked for now, because of {why}", retryable=False, trouble=why, provider=name
    )
