"""What may be spent, and what happens before more is."""

from datetime import date
from decimal import Decimal

import pytest

from callbot.providers.accounting import Port, Unit, Used
from callbot.providers.budget import AgentsAllowance, CallPurse, Limits, Purse
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


def allows(call: CallPurse, characters: int, agent: str = "sales", today: date = TODAY) -> bool:
    """Whether so many characters may be spoken by the voice that costs a cent for each."""
    allowance = AgentsAllowance(call, agent, lambda: today)
    return allowance.permits(Port.TTS, "acme:voice", {Unit.CHARACTERS_SPOKEN: characters})


def test_without_limits_everything_may_be_spent() -> None:
    call = purse()
    call.spend(spoken(1_000_000), "sales", TODAY)
    assert call.spent == Decimal("10000.00")
    assert allows(call, 1_000_000)


def test_a_request_is_made_if_it_costs_no_more_than_is_left() -> None:
    call = purse(call=Decimal("1.00"))
    call.spend(spoken(90), "sales", TODAY)
    assert allows(call, 10)
    assert not allows(call, 11)


def test_the_first_request_that_does_not_fit_ends_the_money() -> None:
    """A voice that came back for each short sentence would be two voices."""
    reached: list[str] = []
    call = CallPurse(Purse(PRICES, Limits(call=Decimal("1.00"))), reached=reached.append)
    assert not allows(call, 101)
    assert not allows(call, 1)
    assert call.exhausted("sales", TODAY) == "call"
    assert reached == ["call"], "it is told once"


def test_an_agent_has_a_limit_of_its_own() -> None:
    call = purse(agents={"sales": Decimal("0.50")})
    call.spend(spoken(49), "sales", TODAY)
    assert not allows(call, 2)
    assert call.exhausted("sales", TODAY) == "agent"
    assert allows(call, 1000, "support")


def test_the_days_money_is_that_of_all_calls_and_is_there_again_the_next_day() -> None:
    shared = Purse(PRICES, Limits(day=Decimal("1.00")))
    CallPurse(shared).spend(spoken(99), "sales", TODAY)
    call = CallPurse(shared)
    assert not allows(call, 2)
    assert call.exhausted("support", TODAY) == "day"
    assert allows(CallPurse(shared), 1), "another call may have what is left"
    assert allows(call, 100, today=TOMORROW)


@pytest.mark.parametrize("limit", ["call", "day", "agents"])
def test_what_is_held_for_requests_under_way_is_as_good_as_spent(limit: str) -> None:
    money = Decimal("1.00")
    call = purse(**{limit: {"sales": money} if limit == "agents" else money})
    allowance = AgentsAllowance(call, "sales", lambda: TODAY)
    with allowance.hold("acme:voice", {Unit.CHARACTERS_SPOKEN: 60}) as hold:
        assert allows(call, 40)
        hold.release()
        call.spend(spoken(50), "sales", TODAY)
        assert allows(call, 50)
    assert allows(call, 50), "what is released twice is not given back twice"
    with allowance.hold("acme:voice", {Unit.CHARACTERS_SPOKEN: 20}):
        assert allows(call, 30)
        assert not allows(call, 31)


def test_what_has_no_price_is_asked_until_a_limit_is_reached() -> None:
    call = purse(call=Decimal("1.00"))
    allowance = AgentsAllowance(call, "sales", lambda: TODAY)
    most = {Unit.CHARACTERS_SPOKEN: 1000.0}
    assert allowance.permits(Port.TTS, "somebody:else", most)
    call.spend(spoken(100), "sales", TODAY)
    assert not allowance.permits(Port.TTS, "somebody:else", most)


def test_what_is_rendered_for_all_calls_costs_this_one_nothing_and_ends_with_its_money() -> None:
    call = purse(call=Decimal("1.00"))
    for_all = AgentsAllowance(call, "sales", lambda: TODAY, charged=False)
    most = {Unit.CHARACTERS_SPOKEN: 1000.0}
    assert for_all.permits(Port.TTS, "acme:voice", most)
    with for_all.hold("acme:voice", most):
        assert allows(call, 100)
    assert not allows(call, 101)
    assert not for_all.permits(Port.TTS, "acme:voice", most)


# --- one day's money, several processes --------------------------------------------------------------


def of_the_day(amount: str, *, sharers: int) -> Purse:
    return Purse(PRICES, Limits(day=Decimal(amount)), sharers=sharers)


def test_a_process_begins_with_what_is_left_of_the_day() -> None:
    started_again = of_the_day("1.00", sharers=1)
    started_again.learn(Decimal("0.70"), TODAY)
    assert started_again.left(TODAY) == Decimal("0.30")
    assert not allows(CallPurse(started_again), 31)
    CallPurse(started_again).spend(spoken(30), "sales", TODAY)
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
