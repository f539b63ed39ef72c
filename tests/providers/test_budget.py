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


# --- one day's money, several processes --------------------------------------------------------------


def of_the_day(amount: str, *, sharers: int) -> Purse:
    return Purse(PRICES, Limits(day=Decimal(amount)), sharers=sharers)


def test_a_process_begins_with_what_is_left_of_the_day() -> None:
    started_again = of_the_day("1.00", sharers=1)
    started_again.learn(Decimal("0.70"), TODAY)
    assert started_again.left(TODAY) == Decimal("0.30")
    CallPurse(started_again).spend(spoken(30), "sales", TODAY)
    assert CallPurse(started_again).exhausted("sales", TODAY) == "day"
    assert started_again.known_on(TODAY) == Decimal("1.00")


def test_until_it_learns_anything_a_process_has_its_share_of_the_whole() -> None:
    assert of_the_day("1.00", sharers=4).left(TODAY) == Decimal("0.25")


def test_what_is_left_is_shared_anew_whenever_a_process_learns_what_the_others_have_spent() -> None:
    busy = of_the_day("1.00", sharers=2)
    busy.spend(Decimal("0.40"), TODAY)
    busy.learn(Decimal(0), TODAY)
    assert busy.left(TODAY) == Decimal("0.30")
    busy.learn(Decimal("0.60"), TODAY)
    assert busy.left(TODAY) == 0
    busy.learn(Decimal("0.90"), TODAY)
    assert busy.left(TODAY) == 0, "others have spent too much: that is nobody's to spend"


def test_workers_that_die_again_and_again_spend_the_days_money_and_no_more() -> None:
    written = Decimal(0)
    for _ in range(1000):
        born = of_the_day("1.00", sharers=2)
        born.learn(written, TODAY)
        written += born.left(TODAY) or 0
    assert Decimal("0.99") < written <= 1


def test_a_database_that_has_lost_the_day_does_not_give_the_money_back() -> None:
    alone = of_the_day("1.00", sharers=1)
    alone.learn(Decimal("0.90"), TODAY)
    alone.learn(Decimal(0), TODAY)
    assert alone.left(TODAY) == Decimal("0.10")


def test_what_others_spent_yesterday_is_forgotten_today() -> None:
    alone = of_the_day("1.00", sharers=1)
    alone.learn(Decimal("0.90"), TODAY)
    assert alone.left(TOMORROW) == Decimal("1.00")
    assert alone.known_on(TODAY) == 0


def test_without_a_limit_for_the_day_any_amount_is_left() -> None:
    assert Purse(PRICES, Limits()).left(TODAY) is None


# --- what is free ------------------------------------------------------------------------------------


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
