"""What may be spent, and what happens when it is."""

from datetime import date
from decimal import Decimal

import pytest

from callbot.providers.accounting import Port, Unit, Used
from callbot.providers.breaker import Breakers
from callbot.providers.budget import CallPurse, Guarded, Limits, Purse
from callbot.providers.price_file import parse
from callbot.providers.prices import Prices

TODAY, TOMORROW = date(2026, 11, 26), date(2026, 11, 27)
PRICES = Prices(
    (
        parse(
            "free: [hibari*]\n"
            "prices:\n"
            "  - {vendor: acme, model: '*', per: one, page: invented, dated: 2026-11-26,\n"
            "     characters_spoken: 0.01}\n",
            "prices.yaml",
        ),
    )
)


def spoken(characters: int, provider: str = "acme:voice") -> Used:
    return Used(Port.TTS, provider, Unit.CHARACTERS_SPOKEN, characters)


def purse(**limits: object) -> CallPurse:
    return CallPurse(Purse(PRICES, Limits(**limits)))  # type: ignore[arg-type]


def test_without_limits_everything_may_be_spent() -> None:
    call = purse()
    call.spend(spoken(1_000_000), "sales", TODAY)
    assert call.spent == Decimal("10000.00")
    assert call.exhausted("sales", TODAY) is None


def test_a_call_may_spend_what_it_has_and_no_more() -> None:
    call = purse(call=Decimal("1.00"))
    call.spend(spoken(99), "sales", TODAY)
    assert call.exhausted("sales", TODAY) is None
    call.spend(spoken(1), "support", TODAY)
    assert call.exhausted("sales", TODAY) == "call"


def test_an_agent_has_a_limit_of_its_own() -> None:
    call = purse(agents={"sales": Decimal("0.50")})
    call.spend(spoken(50), "sales", TODAY)
    assert call.exhausted("sales", TODAY) == "agent"
    assert call.exhausted("support", TODAY) is None


def test_the_days_money_is_that_of_all_calls_and_is_there_again_the_next_day() -> None:
    shared = Purse(PRICES, Limits(day=Decimal("1.00")))
    CallPurse(shared).spend(spoken(100), "sales", TODAY)
    assert CallPurse(shared).exhausted("support", TODAY) == "day"
    assert CallPurse(shared).exhausted("support", TOMORROW) is None


def test_what_costs_nothing_is_free_and_what_has_no_known_price_is_not() -> None:
    call = purse()
    assert call.is_free(Port.TTS, "hibari-low")
    assert not call.is_free(Port.TTS, "acme:voice")
    assert not call.is_free(Port.TTS, "somebody:else")


@pytest.mark.parametrize(("provider", "allowed"), [("acme:voice", False), ("hibari", True)])
def test_an_empty_purse_shuts_what_costs_money_before_it_is_asked(provider: str, allowed: bool) -> None:
    call = purse(call=Decimal("0.01"))
    breakers = Breakers()
    guarded = Guarded(breakers, call, "sales", lambda: TODAY)
    assert guarded.of(Port.TTS, provider).allows(0.0)
    call.spend(spoken(1), "sales", TODAY)
    breaker = guarded.of(Port.TTS, provider)
    assert breaker.allows(0.0) is allowed
    assert breaker.barred(0.0) is not allowed
    assert breakers.of(Port.TTS, provider).allows(0.0), "other calls have their own money"
