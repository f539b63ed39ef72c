from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import ConfigurationError, InvalidState
from callbot.providers import registry
from callbot.providers.accounting import Port, Unit, Used
from callbot.providers.price_file import load, parse
from callbot.providers.prices import Money, Prices
from callbot.vendors import VENDORS

SHIPPED = load()
ENTRY = "vendor: openai, per: million, page: A page, dated: 2026-11-26"


def prices(*entries: str, free: str = "[]") -> Prices:
    lines = "\n".join(f"  - {{{entry}}}" for entry in entries)
    return Prices((parse(f"free: {free}\nprices:\n{lines or '  []'}\n", "own.yaml"),))


def amount(money: Money | None) -> Decimal | None:
    return None if money is None else money.amount


# --- what the shipped table says ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "unit", "used", "cost"),
    [
        ("openai:gpt-5.4-mini", Unit.TOKENS_READ, 1_000_000, "0.75"),
        ("openai:gpt-5.4-mini", Unit.TOKENS_CACHED, 1_000, "0.000075"),
        ("openai-responses:gpt-5.4-mini-2026-03-17", Unit.TOKENS_WRITTEN, 200, "0.0009"),
        ("openai:gpt-live-transcribe", Unit.SECONDS_HEARD, 90, "0.0255"),
        ("openai:gpt-4o-mini-tts/marin", Unit.CHARACTERS_SPOKEN, 1_000, "0.0155"),
        ("openai:tts-1/alloy", Unit.CHARACTERS_SPOKEN, 1_000, "0.015"),
        ("openai:tts-1-hd/alloy", Unit.CHARACTERS_SPOKEN, 1_000, "0.03"),
        ("deepgram:nova-3", Unit.SECONDS_HEARD, 30, "0.0024"),
        ("elevenlabs:scribe_v2_realtime", Unit.SECONDS_HEARD, 3600, "0.39"),
        ("elevenlabs:scribe_v2", Unit.SECONDS_HEARD, 3600, "0.22"),
        ("elevenlabs:eleven_flash_v2_5/voice", Unit.CHARACTERS_SPOKEN, 100, "0.005"),
        ("deepgram:aura-2-thalia-en", Unit.CHARACTERS_SPOKEN, 1_000, "0.030"),
        ("deepgram:aura-asteria-en", Unit.CHARACTERS_SPOKEN, 1_000, "0.015"),
        ("cartesia:sonic-3/voice", Unit.CHARACTERS_SPOKEN, 1_000, "0.035"),
        ("twilio:inbound", Unit.MINUTES_CARRIED, 1.01, "0.0170"),
        ("twilio:media-streams", Unit.MINUTES_CARRIED, 3, "0.0120"),
    ],
)
def test_a_cost_can_be_worked_out_by_hand(provider: str, unit: Unit, used: float, cost: str):
    assert amount(SHIPPED.cost(provider, unit, used)) == Decimal(cost)


LOCAL = [
    name
    for name in (*registry.STT, *registry.LLM, *registry.TTS, "espeak:es", "fake:Hello.")
    if not name.startswith(tuple(VENDORS))
]


@pytest.mark.parametrize("name", LOCAL)
def test_what_runs_on_ones_own_machine_costs_nothing(name: str):
    for unit in Unit:
        assert SHIPPED.cost(name, unit, 1000) == Money(Decimal(0), "USD")


@pytest.mark.parametrize(
    ("provider", "unit"),
    [
        ("openai:llama3.1:8b", Unit.TOKENS_READ),  # a server of one's own, or somebody else's
        ("openai:gpt-5.4-pro", Unit.TOKENS_READ),  # is not a gpt-5.4
        ("openai:gpt-5.4-mini", Unit.SECONDS_HEARD),
        ("openaix:gpt-5.4-mini", Unit.TOKENS_READ),
        ("parrot", Unit.CHARACTERS_SPOKEN),
    ],
)
def test_what_nobody_knows_has_no_price(provider: str, unit: Unit):
    assert SHIPPED.cost(provider, unit, 1000) is None
    assert SHIPPED.find(provider, unit) is None


def test_every_price_says_where_it_stood_and_when():
    (table,) = SHIPPED.tables
    assert len(table.prices) > 50
    for price in table.prices:
        assert price.page
        assert date(2025, 1, 1) <= price.dated <= date.today() + timedelta(days=366)
        if price.unit is Unit.TOKENS_CACHED:
            whole = SHIPPED.find(f"{price.vendor}:{price.model}", Unit.TOKENS_READ)
            assert whole is not None
            assert price.price < whole.price


def test_the_model_that_is_the_default_has_a_price():
    for adapter in ("openai", "openai-responses"):
        for unit in (Unit.TOKENS_READ, Unit.TOKENS_CACHED, Unit.TOKENS_WRITTEN):
            assert SHIPPED.cost(f"{adapter}:gpt-5.4-mini", unit, 1) is not None


# --- which price counts ------------------------------------------------------------------------------


def test_the_longest_pattern_counts_wherever_it_stands():
    entries = [
        f"{ENTRY}, model: gpt-5*, tokens_read: 2",
        f"{ENTRY}, model: gpt-5-mini*, tokens_read: 3",
        f'{ENTRY}, model: "*", tokens_read: 1',
    ]
    for order in (entries, entries[::-1]):
        known = prices(*order)
        costs = [
            amount(known.cost(f"openai:{model}", Unit.TOKENS_READ, 1_000_000))
            for model in ("tiny", "gpt-5", "gpt-5-mini-2026")
        ]
        assert costs == [1, 2, 3]


def test_what_the_user_says_comes_first_and_the_rest_stays(tmp_path: Path):
    own = tmp_path / "own.yaml"
    own.write_text(
        f'free: ["openai:llama*"]\nprices:\n  - {{{ENTRY}, model: "gpt-5.4*", tokens_read: 0.60}}\n',
        encoding="utf-8",
    )
    known = load(own)
    assert amount(known.cost("openai:gpt-5.4-mini", Unit.TOKENS_READ, 1_000_000)) == Decimal("0.60")
    assert amount(known.cost("openai:gpt-5.4-mini", Unit.TOKENS_WRITTEN, 1_000_000)) == Decimal("4.50")
    assert amount(known.cost("openai:llama3.1:8b", Unit.TOKENS_READ, 5)) == 0
    assert amount(known.cost("hibari", Unit.CHARACTERS_SPOKEN, 5)) == 0


def test_a_user_may_charge_for_work_on_their_own_machine():
    known = prices(
        f"{ENTRY}, vendor: hibari, model: '*', characters_spoken: 1".replace("vendor: openai, ", "")
    )
    known = Prices((*known.tables, *SHIPPED.tables))
    assert amount(known.cost("hibari", Unit.CHARACTERS_SPOKEN, 1_000_000)) == 1


# --- sums --------------------------------------------------------------------------------------------


def test_a_bill_adds_up_and_lists_what_has_no_price():
    unknown = Used(Port.LLM, "openai:gpt-9", Unit.TOKENS_READ, 10)
    bill = SHIPPED.bill(
        [
            Used(Port.LLM, "openai:gpt-5.4-mini", Unit.TOKENS_READ, 1_000),
            unknown,
            Used(Port.LLM, "openai:gpt-5.4-mini", Unit.TOKENS_WRITTEN, 100),
            Used(Port.TTS, "hibari", Unit.CHARACTERS_SPOKEN, 300),
        ]
    )
    assert bill.total == Money(Decimal("0.0012"), "USD")
    assert bill.unknown == (unknown,)


def test_a_bill_with_an_estimate_in_it_is_one():
    exact = Used(Port.STT, "openai:gpt-live-transcribe", Unit.SECONDS_HEARD, 60)
    estimated = Used(Port.STT, "deepgram:nova-3", Unit.SECONDS_HEARD, 60)
    assert not SHIPPED.bill([exact]).total.estimate
    assert SHIPPED.bill([exact, estimated, exact]).total.estimate


def test_nothing_costs_nothing():
    assert SHIPPED.bill([]).total == Money(Decimal(0), "USD")


@given(st.lists(st.integers(0, 10**7), max_size=50))
def test_a_thousand_small_uses_cost_what_one_big_one_does(tokens: list[int]):
    known = prices(f"{ENTRY}, model: m, tokens_read: 0.075")
    bill = known.bill(Used(Port.LLM, "openai:m", Unit.TOKENS_READ, each) for each in tokens)
    assert bill.total.amount == Decimal("0.075") * sum(tokens) / 1_000_000


def test_a_float_is_the_number_that_it_is_written_as():
    known = prices("vendor: v, model: m, per: second, page: p, dated: 2026-11-26, seconds_heard: 0.1")
    assert amount(known.cost("v:m", Unit.SECONDS_HEARD, 0.1)) == Decimal("0.01")
    assert amount(known.cost("v:m", Unit.SECONDS_HEARD, Decimal("0.3"))) == Decimal("0.03")


@pytest.mark.parametrize("used", [-1, float("nan"), float("inf")])
def test_an_amount_that_cannot_be_is_a_bug(used: float):
    with pytest.raises(InvalidState):
        SHIPPED.cost("openai:gpt-5.4-mini", Unit.TOKENS_READ, used)


def test_two_currencies_do_not_add_up(tmp_path: Path):
    with pytest.raises(InvalidState):
        Money(Decimal(1), "USD") + Money(Decimal(1), "EUR")
    own = tmp_path / "own.yaml"
    own.write_text("currency: EUR\nprices: []\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="EUR, and the other prices are in USD"):
        load(own)


# --- what is wrong with a file -----------------------------------------------------------------------

GOOD = "vendor: openai, model: m, per: million, page: p, dated: 2026-11-26, tokens_read: 1"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (GOOD.replace("model: m, ", ""), r"entry 2 \(openai\): model is missing"),
        (GOOD.replace("vendor: openai, ", ""), r"entry 2 \(m\): vendor is missing"),
        (GOOD.replace("model: m", "model: 5.4"), r"entry 2 \(openai 5.4\): model is missing, or a number"),
        (GOOD.replace("page: p, ", ""), r"entry 2 \(openai m\): page is missing"),
        (GOOD.replace("2026-11-26", "soon"), r"dated is missing, or no date"),
        (GOOD.replace("tokens_read: 1", ""), r"no unit has a price; write at least one of: seconds_heard"),
        (GOOD.replace("tokens_read", "tokens_red"), r"there is no key 'tokens_red'"),
        (GOOD.replace("read: 1", "read: cheap"), r"tokens_read: 'cheap' is no price"),
        (GOOD.replace("read: 1", "read: -1"), r"tokens_read: -1 is no price"),
        (GOOD.replace("read: 1", "read: -0.5"), r"is no price"),
        (GOOD.replace("read: 1", "read: .nan"), r"is no price"),
        (GOOD.replace("read: 1", "read: .inf"), r"is no price"),
        (GOOD.replace("read: 1", "read: true"), r"is no price"),
        (GOOD.replace("per: million", "per: minute"), r"no price per 'minute'; .* one, thousand, million"),
        (GOOD.replace("per: million, ", ""), r"no price per None"),
        (GOOD + ", estimate: maybe", r"estimate: 'maybe'; write true or false"),
        (GOOD.replace("m,", "n,", 1), r"tokens_read of n has a price already"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said_with_its_name(entry: str, words: str):
    with pytest.raises(
        ConfigurationError, match=rf"(?s)^own\.yaml: entry 2.*{words.removeprefix('entry 2 ')}"
    ):
        prices(GOOD.replace("model: m", "model: n"), entry)


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigurationError) as raised:
        prices(GOOD, GOOD.replace("page: p, ", ""), GOOD.replace("read: 1", "read: x"), free="hibari")
    assert str(raised.value).count("\n") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "write 'prices:'"),
        ("", "write 'prices:'"),
        ("prices: 5\n", "prices: write a list of entries"),
        ("prices: [5]\n", "entry 1: write vendor, model"),
        ("price: []\n", "there is no key 'price'"),
        ("prices: [}\n", "this is not YAML"),
        ("prices: [2026-13-45]\n", "this is not YAML"),
    ],
)
def test_a_file_that_is_no_table_is_refused(text: str, words: str):
    with pytest.raises(ConfigurationError, match=words):
        parse(text, "own.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"own\.yaml: there is no such file"):
        load(tmp_path / "own.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path)
