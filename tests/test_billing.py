"""What a call cost, in its record and in the database."""

from decimal import Decimal

from callbot.billing import Bill
from callbot.conversation.transcript import Transcript
from callbot.providers.accounting import Port, Unit, Used
from callbot.providers.price_file import parse
from callbot.providers.prices import Prices

PRICES = Prices(
    (
        parse(
            "free: [moonshine*]\n"
            "prices:\n"
            "  - {vendor: acme, model: '*', per: thousand, page: invented, dated: 2026-11-26,\n"
            "     characters_spoken: 0.30, estimate: true}\n"
            "  - {vendor: twilio, model: inbound, per: minute, page: invented, dated: 2026-11-26,\n"
            "     minutes_carried: 0.01}\n",
            "prices.yaml",
        ),
    )
)
SPOKEN = Used(Port.TTS, "acme:voice", Unit.CHARACTERS_SPOKEN, 1000)


def transcript(*used: Used, wasted: tuple[Used, ...] = ()) -> Transcript:
    found = Transcript()
    for one in used:
        found.used.add(one)
    for one in wasted:
        found.wasted.add(one)
    return found


def test_a_call_costs_what_was_used_of_everything_and_its_minutes() -> None:
    half = Used(Port.TTS, "acme:voice", Unit.CHARACTERS_SPOKEN, 500)
    bill = Bill(PRICES, transcript(SPOKEN, wasted=(half,)), seconds=120)
    assert bill.as_json() == {
        "currency": "USD",
        "total": 0.32,
        "per_minute": 0.16,
        "by_port": {"tts": 0.30, "carrier": 0.02},
        "wasted": 0.15,
        "estimate": True,
        "unpriced": ["twilio:media-streams minutes_carried"],
    }


def test_what_has_no_price_is_named_and_is_not_taken_to_be_free() -> None:
    heard = Used(Port.STT, "somebody:new", Unit.SECONDS_HEARD, 30)
    assert "somebody:new seconds_heard" in Bill(PRICES, transcript(heard), seconds=60).as_json()["unpriced"]


def test_a_call_that_never_was_costs_nothing() -> None:
    assert Bill(None, Transcript(), seconds=0.0).as_json()["total"] == 0.0


def test_every_use_has_its_row_with_the_exact_cost() -> None:
    rows = list(Bill(PRICES, transcript(SPOKEN), seconds=90).rows("CA1", 2))
    spoken, carried, streamed = rows
    assert (spoken.stream, spoken.port, spoken.provider, spoken.unit) == (
        2,
        "tts",
        "acme:voice",
        "characters_spoken",
    )
    assert Decimal(spoken.cost or "") == Decimal("0.30")
    assert Decimal(carried.cost or "") == Decimal("0.015")
    assert streamed.cost is None
