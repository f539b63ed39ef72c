"""Deepgram's ``/v1/listen`` as ears, against the double; and the dialect alone, message by message."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Transcribed
from callbot.providers.registry import Models
from callbot.providers.stt import deepgram
from callbot.providers.stt.deepgram import LEAD_IN, DeepgramDialect
from callbot.vendors import Account, Accounts
from tests.doubles.plan import FOR_EVER, Fault
from tests.providers.deepgram_audio import QUIET
from tests.providers.deepgram_ears import FOUR, LISTEN, PAUSE, TWO, next_final, send

call, failure = LISTEN.call, LISTEN.failure


async def test_what_was_said_is_the_final_with_its_confidence(pool: InferencePool):
    async with call(pool) as (ears, plan):
        ears.start(7)
        send(ears, FOUR + PAUSE)
        ears.flush()
        final = await next_final(ears)
    assert final == Transcribed(7, "Four", True, None, pytest.approx(0.9))
    query = plan.of("listen")[0]
    assert (query["model"], query["encoding"], query["sample_rate"]) == ("nova-3", "mulaw", "8000")
    assert (query["interim_results"], query["smart_format"], query["language"]) == ("true", "true", "en")


async def test_partials_come_while_the_caller_speaks(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR + TWO)
        async with asyncio.timeout(5):
            first = await anext(aiter(ears.events()))
    assert (first.utterance, first.text, first.final) == (1, "Three", False)


async def test_words_that_became_final_on_the_way_are_joined(pool: InferencePool):
    async with call(pool, final_every=0.35) as (ears, _):
        ears.start(1)
        send(ears, FOUR + TWO)
        ears.flush()
        assert (await next_final(ears)).text == "Two Three One"


async def test_the_vendors_own_pause_inside_an_utterance_loses_nothing(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR + QUIET * 3_200 + TWO + PAUSE)
        ears.flush()
        assert (await next_final(ears)).text == "Four Two"


async def test_the_caller_goes_on_after_a_flush_and_the_next_final_has_all(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR + PAUSE)
        ears.flush()
        assert (await next_final(ears)).text == "Four"
        send(ears, TWO + PAUSE)
        ears.flush()
        assert (await next_final(ears)).text == "Four Two"


async def test_an_utterance_that_was_not_flushed_does_not_run_into_the_next(pool: InferencePool):
    async with call(pool) as (ears, _):
        ears.start(1)
        send(ears, FOUR)
        ears.start(2)
        send(ears, TWO)
        ears.flush()
        assert await next_final(ears) == Transcribed(2, "Two", True, None, pytest.approx(0.9))


async def test_a_flush_that_the_vendor_does_not_answer_is_answered_from_what_is_known(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DeepgramDialect, "patience", 0.15)
    async with call(pool, enough=FOR_EVER) as (ears, _):
        ears.start(1)
        send(ears, FOUR + TWO)
        ears.flush()
        assert (await next_final(ears)).text == "Three"  # the newest interim
        ears.start(2)
        ears.flush()
        assert await next_final(ears) == Transcribed(2, "", True)


async def test_the_vendors_own_end_of_speech_answers_a_flush_before_patience_ends(pool: InferencePool):
    async with call(pool, enough=FOR_EVER) as (ears, _):
        ears.start(1)
        send(ears, FOUR + QUIET * 2_000)
        ears.flush()
        send(ears, QUIET * 500)
        started = asyncio.get_running_loop().time()
        assert (await next_final(ears)).text == "Four"
        assert asyncio.get_running_loop().time() - started < DeepgramDialect.patience / 2


async def test_a_final_that_comes_after_patience_has_ended_is_told_as_another(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DeepgramDialect, "patience", 0.05)
    async with call(pool, Fault(late=0.2)) as (ears, _):
        ears.start(1)
        send(ears, TWO)
        ears.flush()
        assert (await next_final(ears)).text == ""
        assert (await next_final(ears)).text == "Two"


async def test_a_final_that_comes_twice_counts_once(pool: InferencePool):
    async with call(pool, Fault(duplicate=True)) as (ears, _):
        texts = []
        for number in (1, 2):
            ears.start(number)
            send(ears, TWO + PAUSE)
            ears.flush()
            texts.append(await next_final(ears))
        await asyncio.sleep(0.05)
    assert [(final.utterance, final.text) for final in texts] == [(1, "Two"), (2, "Two")]


async def test_several_languages_are_told_apart(pool: InferencePool, monkeypatch: pytest.MonkeyPatch):
    async with call(pool, languages=("en", "es")) as (ears, plan):
        ears.start(1)
        send(ears, TWO)
        ears.flush()
        assert (await next_final(ears)).language == "en"
    assert plan.of("listen")[0]["language"] == "multi"


async def test_a_language_that_the_vendor_cannot_hint_at_costs_no_connection(pool: InferencePool):
    async with call(pool, languages=("en", "cy")) as (ears, _):
        ears.start(1)
        send(ears, TWO)
        ears.flush()
        assert (await next_final(ears)).text == "Two"


@pytest.mark.parametrize(
    ("model", "languages", "query"),
    [
        ("nova-3", ["es"], {"language": ["es"]}),
        ("nova-3", ["en", "es"], {"language": ["multi"], "language_hint": ["en", "es"]}),
        ("nova-3", ["en-GB", "cy", "pl"], {"language": ["multi"], "language_hint": ["en-GB", "pl"]}),
        ("nova-3-medical", ["en", "es"], {"language": ["multi"]}),
        ("nova-2", ["es", "en"], {"language": ["multi"]}),
        ("nova-2", ["fr", "en"], {"language": ["fr"]}),
        ("enhanced", ["en", "es"], {"language": ["en"]}),
        ("nova-3", [], {}),
    ],
)
def test_the_model_is_asked_for_the_languages_that_it_can_hear(model: str, languages: list[str], query: Any):
    dialect = DeepgramDialect("x", Account("deepgram", "https://api.example.com", "k"), model, languages)
    asked = parse_qs(urlsplit(dialect.url).query)
    assert {name: value for name, value in asked.items() if name.startswith("language")} == query
    assert dialect.url.startswith("wss://api.example.com/v1/listen?")


async def test_the_connection_lives_through_a_long_silence(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DeepgramDialect, "keep_alive_after", 0.05)
    async with call(pool, idle=0.2) as (ears, plan):
        await asyncio.sleep(0.5)
        ears.start(1)
        send(ears, TWO)
        ears.flush()
        assert (await next_final(ears)).text == "Two"
    kinds = [message["type"] for message in plan.of("listen message")]
    assert kinds.count("KeepAlive") >= 5
    assert kinds[-2:] == ["Finalize", "CloseStream"]


async def test_without_keep_alives_the_vendor_hangs_up_and_that_is_told(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DeepgramDialect, "keep_alive_after", None)
    async with call(pool, idle=0.05) as (ears, _):
        error = await failure(ears)
    assert (error.trouble, error.retryable) == (Trouble.CUT, True)
    assert "1011" in str(error)


async def test_no_empty_frame_is_ever_sent(pool: InferencePool):
    async with call(pool) as (ears, plan):
        ears.start(1)
        ears.send(b"")
        send(ears, TWO)
        ears.send(b"")
        ears.flush()
        assert (await next_final(ears)).text == "Two"
    assert all(plan.of("listen audio"))


async def test_too_many_requests_say_when_to_come_back(pool: InferencePool):
    async with call(pool, Fault(status=429, code="TOO_MANY_REQUESTS", retry_after=3)) as (ears, _):
        error = await failure(ears)
    assert (error.trouble, error.retryable, error.retry_after) == (Trouble.RATE_LIMITED, True, 3)


async def test_a_wrong_key_is_told_without_it(pool: InferencePool):
    async with call(pool, key="dg-key-of-another") as (ears, _):
        error = await failure(ears)
    assert (error.trouble, error.retryable) == (Trouble.AUTH, False)


async def test_patience_begins_when_the_flush_has_gone_out(
    pool: InferencePool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DeepgramDialect, "patience", 0.1)
    async with call(pool, Fault(dribble=0.01)) as (ears, _):
        ears.start(1)
        send(ears, TWO)
        ears.flush()
        assert (await next_final(ears)).text == "Two"


def test_the_default_model_is_nova_3(pool: InferencePool):
    models = Models(pool, cache=Path(), accounts=Accounts.of({"deepgram": "k"}, {}))
    assert deepgram.hearing("deepgram", models).model == "nova-3"
    assert deepgram.hearing("deepgram:nova-2", models).model == "nova-2"


# --- the dialect alone -----------------------------------------------------------------------------


def a_dialect() -> DeepgramDialect:
    return DeepgramDialect(
        "deepgram", Account("deepgram", "https://api.example.com", "k"), "nova-3", ["en", "es"]
    )


def results(start: float, end: float, text: str, **more: Any) -> str:
    best = {"transcript": text, "confidence": more.pop("confidence", 0.5), "words": []}
    if "languages" in more:
        best["languages"] = more.pop("languages")
    said = {
        "type": "Results",
        "start": start,
        "duration": end - start,
        "is_final": True,
        "channel": {"alternatives": [best]},
    }
    return json.dumps(said | more)


AT = len(LEAD_IN) / 8000


def test_the_confidence_and_the_language_are_those_of_most_words():
    dialect = a_dialect()
    assert list(dialect.start(1)) == []
    list(dialect.audio(b"\xff" * 8000))
    list(dialect.flush())
    list(dialect.received(results(0, AT + 0.5, "Hola.", confidence=0.2, languages=["es-419"])))
    (final,) = dialect.received(
        results(AT + 0.5, AT + 1, "I am here.", confidence=1.0, languages=["en"], from_finalize=True)
    )
    assert final == Transcribed(1, "Hola. I am here.", True, "en", pytest.approx(0.8))


def test_an_end_of_utterance_that_covers_the_flush_answers_it():
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    list(dialect.received(results(AT, AT + 0.4, "Well", is_final=False)))
    list(dialect.flush())
    end = {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": AT - 0.2}
    assert list(dialect.received(json.dumps(end))) == []
    (final,) = dialect.received(json.dumps(end | {"last_word_end": AT}))
    assert (final.text, final.final) == ("Well", True)
    assert list(dialect.overdue()) == []


def test_an_old_end_of_speech_does_not_answer_a_flush_that_lies_far_behind_it():
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 16_000))
    list(dialect.flush())
    (event,) = dialect.received(results(AT, AT + 1, "My number is", speech_final=True))
    assert (event.text, event.final) == ("My number is", False)
    (event,) = dialect.received(results(AT + 1, AT + 2, "five", from_finalize=True))
    assert (event.text, event.final) == ("My number is five", True)


def test_results_without_an_alternative_have_no_words_and_are_an_answer_all_the_same():
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    list(dialect.flush())
    none = {"channel": {"alternatives": []}}
    assert list(dialect.received(results(AT, AT + 0.5, "", is_final=False, **none))) == []
    (event,) = dialect.received(results(AT, AT + 1, "", from_finalize=True, **none))
    assert (event.text, event.final) == ("", True)


def test_results_that_do_not_say_that_they_are_final_are_not():
    """The vendor's schema has that field as one that may be absent."""
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    said = json.loads(results(AT, AT + 0.5, "Well"))
    del said["is_final"]
    (event,) = dialect.received(json.dumps(said))
    assert (event.text, event.final) == ("Well", False)


def test_an_end_of_speech_that_never_was_answers_nothing():
    """``last_word_end`` is -1 where the vendor knows of no word."""
    dialect = a_dialect()
    dialect.start(1)
    list(dialect.audio(b"\xff" * 8000))
    list(dialect.flush())
    assert list(dialect.received('{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": -1}')) == []


def test_what_it_does_not_know_is_ignored_and_what_it_cannot_read_is_an_error():
    dialect = a_dialect()
    assert list(dialect.received('{"type": "SpeechStarted", "channel": [0], "timestamp": 1.0}')) == []
    assert list(dialect.received('{"type": "Something new"}')) == []
    for message in ("{", "[]", "{}", b"\x00\xff", '{"type": "Results"}', '{"type": "UtteranceEnd"}'):
        with pytest.raises(ProviderError) as failed:
            dialect.received(message)
        assert failed.value.trouble is Trouble.BAD_FORMAT
    with pytest.raises(ProviderError) as failed:
        dialect.received('{"type": "Error", "variant": "SchemaError", "description": "..."}')
    assert failed.value.trouble is Trouble.REJECTED


def test_a_flush_before_the_first_utterance_is_nothing():
    assert list(a_dialect().flush()) == []
