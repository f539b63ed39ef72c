"""The same recorded caller gets through whichever adapters hear and speak, and the records look alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from callbot.exchange.callers import RecordedCaller
from tests.reliability.conftest import Making
from tests.reliability.judging import misheard
from tests.reliability.stage import FIXTURES, Engines, Told, stage

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

CALLER: Final = FIXTURES / "support_bill.wav"
SAID: Final = (FIXTURES / "support_bill.txt").read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True, slots=True)
class Pair:
    """Who hears and who speaks."""

    stt: str
    tts: str

    @property
    def making(self) -> Making:
        """A call to the demo company, whose agents think by their flows."""

        async def bill(engines: Engines, folder: Path) -> Told:
            async with stage(engines, folder, stt=self.stt, tts=self.tts, company=None) as it:
                return await it.ring_as(
                    RecordedCaller(CALLER), from_number="+15550150", to_number="+15550102"
                )

        return bill


PAIRS: Final = (
    Pair("moonshine", "hibari"),
    Pair("openai", "openai"),
    Pair("deepgram", "deepgram"),
    Pair("elevenlabs", "elevenlabs"),
    Pair("openai", "elevenlabs"),
    Pair("deepgram-flux", "openai"),
    Pair("openai-file", "elevenlabs-http"),
)
"""Each adapter once; what a key of each vendor alone chooses, and keys of two (docs/providers.md)."""
EARS: Final = ("moonshine", "openai", "openai-file", "deepgram", "deepgram-flux", "elevenlabs")
VOICES: Final = (
    *("hibari", "openai", "openai-realtime", "deepgram"),
    *("elevenlabs", "elevenlabs-http", "cartesia"),
)
COMBINATIONS: Final = tuple(Pair(stt, tts) for stt in EARS for tts in VOICES)
MAKINGS: Final = {pair: pair.making for pair in PAIRS}
OTHERS: Final = {pair: pair.making for pair in COMBINATIONS if pair not in PAIRS}


def gets_through(pair: Pair, told: Told) -> None:
    """The caller got what they rang for, and the record says who was paid for it."""
    record = told.record
    assert len(told.caller) == len(SAID)
    assert misheard(" ".join(told.caller), " ".join(SAID)) <= 0.1
    assert (record["disposition"], record["agents"]) == ("resolved", ["support"])
    assert record["slots"]["account_phone"]["value"] == "+15550177"
    assert {tool["tool"] for tool in record["tools"]} == {"find_account"}
    assert told.failures == []
    assert misheard(told.heard(), told.said) <= 0.15
    assert max(told.responses_ms) < 2_000
    providers = {(each["port"], each["provider"].partition(":")[0]) for each in record["usage"]}
    paid = {("stt", pair.stt), ("tts", pair.tts)} - {("stt", "moonshine"), ("tts", "hibari")}
    assert providers == paid


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, id=f"{pair.stt}, {pair.tts}", marks=pytest.mark.call(by=making))
        for pair, making in MAKINGS.items()
    ],
)
async def test_the_same_caller_gets_through_on_every_adapter(pair: Pair, told: Told) -> None:
    gets_through(pair, told)


@pytest.mark.combinations
@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, id=f"{pair.stt}, {pair.tts}", marks=pytest.mark.call(by=making))
        for pair, making in OTHERS.items()
    ],
)
async def test_the_same_caller_gets_through_on_every_combination(pair: Pair, told: Told) -> None:
    gets_through(pair, told)


@pytest.mark.combinations
async def test_the_records_of_all_combinations_have_the_same_shape(calls: Mapping[Making, Any]) -> None:
    records = [(await calls[making]).record for making in OTHERS.values() if making in calls]
    first, *others = map(shape, records)
    for other in others:
        assert other == first


async def test_the_records_of_all_adapters_have_the_same_shape(
    calls: Mapping[Making, Any], report: Any
) -> None:
    records = [(await calls[making]).record for making in MAKINGS.values() if making in calls]
    first, *others = map(shape, records)
    for other in others:
        assert other == first
    if len(records) == len(PAIRS):
        report(
            "adapters",
            "nothing: the same caller on each adapter",
            injected=f"`{CALLER.name}` on " + "; ".join(f"{pair.stt} and {pair.tts}" for pair in PAIRS),
            heard="the same answers",
            recorded="the same turns, slots, tools and disposition; records of one shape",
        )


def shape(record: Mapping[str, Any]) -> Any:
    """A record's names and kinds of values. What a provider is paid for differs, and so it may."""
    cost = {name: _kind(value) for name, value in record["cost"].items() if name != "by_port"}
    return {name: _kind(value) for name, value in record.items() if name != "usage"} | {"cost": cost}


def _kind(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _kind(inner) for name, inner in value.items()}
        case list() | tuple():
            return sorted({repr(_kind(inner)) for inner in value})
        case bool() | None:
            return type(value).__name__
        case int() | float():
            return "number"
    return "text"
