"""Deepgram's ``/v2/listen`` (Flux) as ears, against the double; and the dialect alone."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.stt.deepgram_flux import FluxDialect, FluxHearing
from callbot.vendors import Account
from tests.doubles.plan import Fault
from tests.providers.deepgram_audio import QUIET
from tests.providers.deepgram_ears import FLUX, FOUR, PAUSE, TWO, next_final, send

call = FLUX.call


async def events(ears: SpeechToText, *, until_over: float) -> list[Transcribed]:
    """Up to the first that is so sure."""
    found: list[Transcribed] = []
    async with asyncio.timeout(5):
        async for event in ears.events():
            found.append(event)
            if event.turn_over is not None and event.turn_over >= until_over:
                break
    return found


async def test_a_flush_is_answered_from_the_news_that_covers_it(pool: InferencePool):
    async with call(pool) as (ears, plan):
        ears.start(7)
        send(ears, FOUR + PAUSE)
        ears.flush()
        final = await next_final(ears)
    assert final.turn_over is not None
    assert 0 < final.turn_over < 0.5
    assert final == Transcribed(7, "Four", True, None, pytest.approx(0.9), final.turn_over)
    query = plan.of("flux")[0]
    assert (query["model"], query["encoding"], query["sample_rate"]) == ("flux-general-en", "mulaw", "8000")
    assert float(query["eager_eot_threshold"]) < float(query["eot_threshold"])


async def test_the_vendor_becomes_surer_after_the_final_and_says_so(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR + PAUSE)
        ears.flush()
        send(ears, QUIET * 8_000)
        found = await events(ears, until_over=0.7)
    finals = [event for event in found if event.final]
    assert [event.text for event in finals] == ["Four", "Four", "Four"]
    sure = [event.turn_over for event in finals]
    assert sure == sorted(sure)
    assert sure[0] < 0.5 <= sure[1] < 0.7 <= sure[2]  # covered; EagerEndOfTurn; EndOfTurn


async def test_a_caller_who_goes_on_is_heard_whole_though_the_vendor_ended_the_turn(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR + QUIET * 8_000)
        await events(ears, until_over=0.7)
        send(ears, TWO + PAUSE)
        ears.flush()
        assert (await next_final(ears)).text == "Four Two"


async def test_an_utterance_begins_empty_though_the_vendors_turn_was_open(pool: InferencePool):
    async with call(pool) as (ears, plan):
        ears.start(1)
        send(ears, FOUR + PAUSE)
        ears.flush()
        assert (await next_final(ears)).text == "Four"
        ears.start(2)
        send(ears, TWO + PAUSE)
        ears.flush()
        final = await next_final(ears)
    assert (final.utterance, final.text) == (2, "Two")
    assert plan.of("flux message") == [{"type": "ForceEndTurn"}, {"type": "CloseStream"}]


async def test_a_turn_that_goes_on_after_all_is_told_as_less_sure(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR + QUIET * 4_500)
        assert (await events(ears, until_over=0.5))[-1].text == "Four"
        send(ears, TWO + PAUSE)
        async with asyncio.timeout(5):
            async for event in ears.events():
                if event.text == "Six":
                    break
    assert event.turn_over is not None
    assert event.turn_over < 0.5


async def test_silence_alone_is_an_empty_final_and_judged_by_nobody(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, QUIET * 4_000)
        ears.flush()
        assert await next_final(ears) == Transcribed(1, "", True)


async def test_an_end_of_turn_that_comes_twice_is_told_once(pool: InferencePool):
    async with call(pool, Fault(duplicate=True)) as (ears, _):
        ears.start(1)
        send(ears, FOUR + PAUSE)
        ears.flush()
        send(ears, QUIET * 9_000)
        await events(ears, until_over=0.7)
        ears.start(2)
        send(ears, TWO + PAUSE)
        ears.flush()
        assert (await next_final(ears)).utterance == 2


async def test_the_vendors_several_languages(pool: InferencePool):
    async with call(pool, name="deepgram-flux:flux-general-multi") as (ears, plan):
        ears.start(1)
        send(ears, TWO + PAUSE)
        ears.flush()
        assert (await next_final(ears)).language == "en"
    assert plan.of("flux")[0]["language_hint"] == "en"


async def test_a_language_that_the_vendor_cannot_hint_at_costs_no_connection(pool: InferencePool):
    async with call(pool, name="deepgram-flux", languages=("en", "pl")) as (ears, plan):
        ears.start(1)
        send(ears, TWO + PAUSE)
        ears.flush()
        assert (await next_final(ears)).text == "Two"
    assert plan.of("flux")[0]["model"] == "flux-general-multi"


async def test_a_vendor_that_stalls_is_answered_for_with_what_it_said(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(FluxDialect, "patience", 0.1)
    async with call(pool, Fault(stall_after=1)) as (ears, _):
        ears.start(1)
        send(ears, FOUR)
        ears.flush()
        assert (await next_final(ears)).text == "Two"


@pytest.mark.parametrize(
    ("named", "languages", "model"),
    [
        ("", ["en"], "flux-general-en"),
        ("", ["en", "es"], "flux-general-multi"),
        ("flux-general-en", ["en", "es"], "flux-general-multi"),  # as settings name it that name no model
        ("flux-x", ["es"], "flux-x"),
    ],
)
async def test_the_model_is_the_one_named_or_the_one_that_hears_the_languages(
    named: str, languages: list[str], model: str
):
    ears = FluxHearing("x", Account("deepgram", "http://127.0.0.1:9", "k"), named).for_call(languages)
    query = parse_qs(urlsplit(ears._line.dialect.url).query)  # type: ignore[attr-defined]
    assert query["model"] == [model]
    assert query.get("language_hint") == (languages if model == "flux-general-multi" else None)
    await ears.aclose()


# --- the dialect alone -----------------------------------------------------------------------------


def a_dialect() -> FluxDialect:
    return FluxDialect(
        "deepgram-flux", Account("deepgram", "https://api.example.com", "k"), "flux-general-en", []
    )


def turn_info(event: str, index: int, end: float, text: str, over: float, **more: Any) -> str:
    said = {
        "type": "TurnInfo",
        "event": event,
        "turn_index": index,
        "audio_window_start": 0.0,
        "audio_window_end": end,
        "transcript": text,
        "words": [{"word": word, "confidence": 0.5} for word in text.split()],
        "end_of_turn_confidence": over,
    }
    return json.dumps(said | more)


def test_a_turn_that_timed_out_is_over_whatever_its_confidence():
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    (event,) = dialect.received(turn_info("EndOfTurn", 0, 1.0, "Well", 0.2, trigger="timeout"))
    assert (event.final, event.turn_over) == (False, 0.7)
    list(dialect.flush())
    dialect.start(2)
    assert list(dialect.received(turn_info("Update", 1, 1.25, "", 0.0))) == [
        Transcribed(1, "Well", True, None, 0.5, 0.7)
    ]


def test_the_end_that_we_forced_on_the_turn_before_is_no_news():
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    list(dialect.flush())
    (final,) = dialect.received(turn_info("Update", 0, 1.0, "Well", 0.2))
    assert final.final
    assert [json.loads(str(message)) for message in dialect.start(2)] == [{"type": "ForceEndTurn"}]
    assert list(dialect.received(turn_info("EndOfTurn", 0, 1.25, "Well", 0.3, trigger="manual"))) == []
    (corrected,) = dialect.received(turn_info("EndOfTurn", 0, 1.25, "Well.", 0.3, trigger="manual"))
    assert (corrected.utterance, corrected.text, corrected.final) == (1, "Well.", True)


def test_an_update_that_is_only_surer_is_no_news():
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    assert len(list(dialect.received(turn_info("StartOfTurn", 0, 0.5, "Well", 0.1)))) == 1
    assert list(dialect.received(turn_info("Update", 0, 0.75, "Well", 0.2))) == []


def test_what_it_does_not_know_is_ignored_and_what_it_cannot_read_is_an_error():
    dialect = a_dialect()
    assert list(dialect.flush()) == []
    assert list(dialect.received('{"type": "Connected", "request_id": "x", "sequence_id": 0}')) == []
    for message in ("{", "[]", "{}", b"\x00\xff", '{"type": "TurnInfo"}', '{"type": "Error"}'):
        with pytest.raises(ProviderError) as failed:
            dialect.received(message)
        assert failed.value.trouble is Trouble.BAD_FORMAT
    with pytest.raises(ProviderError) as failed:
        dialect.received('{"type": "Error", "code": "INTERNAL_SERVER_ERROR", "description": "..."}')
    assert failed.value.trouble is Trouble.UNAVAILABLE
