"""Cartesia's voice, against a double that speaks its protocol.

What its sockets do for any vendor is shown with ElevenLabs' (``test_elevenlabs_voice``).
"""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest

from callbot.errors import ConfigurationError, ProviderError, Trouble
from callbot.providers.accounting import Port
from callbot.providers.chains import whole
from callbot.providers.inference import InferencePool
from callbot.providers.registry import Models, voice
from callbot.providers.tts import context_socket
from callbot.providers.tts.cartesia import MODEL, VERSION, Contexts
from callbot.providers.tts.cartesia import VOICE as USUAL_VOICE
from callbot.providers.tts.context_dialect import Chunk, Received
from callbot.providers.tts.context_voice import ContextVoice
from callbot.vendors import Accounts, Unconfigured
from tests.doubles.cartesia import KEY, VOICE
from tests.doubles.elevenlabs import hum
from tests.doubles.plan import Fault, Plan
from tests.providers.vendor_voices import (
    CARTESIA,
    TEXT,
    Speaking,
    audio_of,
    failure,
    given_up,
    of_each_endpoint,
    refused_and_then_spoken,
    spoken,
    stamped,
    two_hundred_interruptions,
    until,
    words_of,
)

NAME = CARTESIA.voice


@pytest.fixture
def speaking(plan: Plan, pool: InferencePool) -> Speaking:
    return CARTESIA.speaking(plan, pool)


def connections(plan: Plan) -> int:
    return len(plan.of("tts handshake"))


# --- what it asks for, and what it makes of the answer -------------------------------------------


@pytest.mark.parametrize("timestamps", ["before", "after"])
async def test_a_text_is_spoken_with_the_times_of_its_words(speaking: Speaking, timestamps: str):
    async with speaking(timestamps=timestamps) as speaker:
        pieces = await spoken(speaker)
    assert audio_of(pieces) == hum(TEXT)
    assert words_of(pieces) == TEXT.split()
    assert len(pieces) > 3
    begin, position = 0.0, 0
    for piece in pieces:
        assert [word.word for word in piece.words] == piece.text.split()
        for word in piece.words:
            position = TEXT.index(word.word, position)
            # the piece before may hold the beginning of a word whose time came later; never the other way
            late = 0.25 if timestamps == "after" else 0.0
            assert -0.003 <= word.start + begin - position * 0.06 <= late + 0.003
            # a word may be handed on a moment before its last audio
            assert word.end + begin == pytest.approx((position + len(word.word)) * 0.06, abs=0.031)
            position += len(word.word)
        begin += piece.seconds


async def test_it_asks_for_the_call_s_own_format_in_one_whole_request(speaking: Speaking, plan: Plan):
    async with speaking(f"{NAME}/es") as speaker:
        assert speaker.language == "es"
        await spoken(speaker, "  Hola,\nAna. ")
    (asked,) = plan.of("tts")
    assert asked.pop("context_id").endswith("-1")
    assert asked == {
        "model_id": "sonic-3",
        "transcript": "Hola, Ana.",
        "voice": {"mode": "id", "id": VOICE},
        "language": "es",
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
        "add_timestamps": True,
        "max_buffer_delay_ms": 0,
        "continue": False,
    }
    (headers,) = [asked.headers for asked in plan.asked if asked.endpoint == "tts handshake"]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Cartesia-Version"] == VERSION


async def test_a_language_without_times_is_cut_between_words_all_the_same(speaking: Speaking):
    async with speaking(timestamps="never") as speaker:
        pieces = await spoken(speaker)
    assert not any(piece.words for piece in pieces)
    assert audio_of(pieces) == hum(TEXT)
    assert words_of(pieces) == TEXT.split()
    assert len(pieces) > 3


async def test_a_text_that_is_shorter_than_the_wait_for_times_is_whole(speaking: Speaking):
    async with speaking(timestamps="never") as speaker:
        (piece,) = await spoken(speaker, "Yes.")
    assert (piece.text, piece.audio) == ("Yes.", hum("Yes."))


def test_the_names_that_can_be(pool: InferencePool):
    models = Models(pool, cache=Path(), accounts=Accounts.of({"cartesia": "k"}, {}))
    assert voice("cartesia", models).language == "en"
    assert whole(Port.TTS, "cartesia") == f"cartesia:{MODEL}/{USUAL_VOICE}"
    with pytest.raises(ConfigurationError, match="write cartesia:model/voice/language"):
        voice("cartesia:a/b/c/d", models)
    with pytest.raises(Unconfigured, match="CARTESIA_API_KEY"):
        voice(NAME, Models(pool, cache=Path()))


# --- messages ------------------------------------------------------------------------------------


def got(message: object) -> Received:
    told = message if isinstance(message, bytes) else json.dumps(message)
    return Contexts("sonic-3", VOICE, "en").received(NAME, told)


def test_words_come_with_a_space_after_each_in_seconds_from_the_start_of_the_text():
    times = {"words": ["Oh,", "hi."], "start": [0.1, 0.5], "end": [0.4, 0.9]}
    assert got({"type": "timestamps", "context_id": "c1", "word_timestamps": times}).chunk == Chunk(
        b"", (("Oh,", 0.1, 0.4), (" ", 0.4, 0.4), ("hi.", 0.5, 0.9), (" ", 0.9, 0.9)), of_text=True
    )


def test_an_error_names_the_request_that_the_vendor_can_be_asked_about():
    told = {"type": "error", "context_id": "c1", "status_code": 429, "error_code": "concurrency_limited"}
    error = got(told | {"request_id": "550e8400-e29b-41d4-a716-446655440000"}).error
    assert str(error).endswith("429 concurrency_limited (request 550e8400-e29b-41d4-a716-446655440000)")


@pytest.mark.parametrize("kind", ["flush_done", "phoneme_timestamps", "something_new"])
def test_what_is_not_needed_is_passed_over(kind: str):
    assert got({"type": kind, "context_id": "c1", "done": False}) == Received("c1")


@pytest.mark.parametrize(
    "message",
    [
        b"{no",
        b"\x00\x01",
        [],
        {},
        {"type": "chunk", "context_id": "c1"},
        {"type": "chunk", "context_id": "c1", "data": "*"},
        {"type": "timestamps", "context_id": "c1", "word_timestamps": {"words": ["a"]}},
        {"type": "timestamps", "word_timestamps": {"words": ["a"], "start": [], "end": [1]}},
        {"type": "error", "context_id": "c1", "status_code": "many"},
    ],
)
def test_a_message_that_is_none_is_told_in_our_words(message: object):
    with pytest.raises(ProviderError) as raised:
        got(message)
    assert raised.value.trouble is Trouble.BAD_FORMAT


def test_an_error_of_no_context_ends_the_connection():
    with pytest.raises(ProviderError, match="503 down") as raised:
        got({"type": "error", "status_code": 503, "error_code": "down", "message": "Hello Ana."})
    assert "Ana" not in str(raised.value)


# --- sockets, and what goes wrong ----------------------------------------------------------------


async def test_calls_share_one_socket(speaking: Speaking, plan: Plan):
    async with speaking(between=0.01) as speaker:
        texts = [f"This is call number {number}." for number in range(12)]
        answers = await asyncio.gather(*(spoken(speaker, text) for text in texts))
        assert [audio_of(pieces) for pieces in answers] == [hum(text) for text in texts]
        assert connections(plan) == 1


async def test_one_text_too_many_for_the_plan_fails_alone(speaking: Speaking, plan: Plan):
    async with speaking(between=0.02, concurrent=2) as speaker:
        well = [asyncio.create_task(spoken(speaker)) for _ in range(2)]
        await until(lambda: len(plan.of("tts")) == 2)
        _, error = await failure(speaker)
        assert (error.trouble, error.retryable) == (Trouble.RATE_LIMITED, True)
        for task in well:
            assert audio_of(await task) == hum(TEXT)
        assert connections(plan) == 1


REFUSALS = {
    "refused": (Fault(refuse=True), Trouble.CONNECT, True),
    "blackhole": (Fault(blackhole=True), Trouble.CONNECT, True),
    "wrong key": (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
    "no money": (Fault(status=402, code="quota_exceeded"), Trouble.QUOTA, False),
    "too many": (Fault(status=429, code="concurrency_limited"), Trouble.RATE_LIMITED, True),
    "no voice": (Fault(status=404, code="voice_not_found"), Trouble.REJECTED, False),
    "down": (Fault(status=503, code="unavailable"), Trouble.UNAVAILABLE, True),
    "cut at once": (Fault(cut_after=0), Trouble.CUT, True),
    "closed at once": (Fault(close_after=0), Trouble.CUT, True),
    "empty": (Fault(empty=True), Trouble.EMPTY, True),
    "garbage": (Fault(garbage=True), Trouble.BAD_FORMAT, True),
}


@pytest.mark.parametrize(
    ("endpoint", "fault", "trouble", "retryable"),
    of_each_endpoint(CARTESIA, REFUSALS, of_one_text=lambda fault: not (fault.refuse or fault.blackhole)),
)
async def test_a_refusal_is_told_in_our_words_and_the_next_text_is_spoken(
    speaking: Speaking,
    plan: Plan,
    endpoint: str,
    fault: Fault,
    trouble: Trouble,
    retryable: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(context_socket, "CONNECT_WITHIN", 0.2)
    plan.add(endpoint, fault)
    async with speaking() as speaker:
        error = await refused_and_then_spoken(speaker, trouble, retryable=retryable)
        if fault.code:
            assert fault.code in str(error)
        survived = endpoint == "tts-context" and fault.status is not None
        assert connections(plan) == (1 if survived else 2)


async def test_a_wrong_key_is_told_without_it(speaking: Speaking):
    async with speaking(key="sk_car_of_another") as speaker:
        _, error = await failure(speaker)
    assert error.trouble is Trouble.AUTH
    assert "sk_car" not in str(error)


async def test_audio_of_another_rate_cannot_be_told(speaking: Speaking, plan: Plan):
    """Words' times come apart from the audio, which may be ahead of them: it is heard at half the pace."""
    plan.add("tts-context", Fault(wrong_rate=True))
    async with speaking() as speaker:
        pieces = await spoken(speaker)
    assert len(audio_of(pieces)) == 2 * len(hum(TEXT))
    assert words_of(pieces) == TEXT.split()


@pytest.mark.parametrize("endpoint", ["tts", "tts-context"])
@pytest.mark.parametrize("fault", [Fault(stall_after=2), Fault(silent=True)], ids=["stalls", "silent"])
async def test_who_waits_no_longer_goes_to_another_socket(
    speaking: Speaking, plan: Plan, endpoint: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(context_socket, "SUSPECT_AFTER", 0.05)
    plan.add(endpoint, fault)
    async with speaking() as speaker:
        await given_up(speaker, after=0.15)
        assert audio_of(await spoken(speaker)) == hum(TEXT)
        assert connections(plan) == 2


# --- interruptions -------------------------------------------------------------------------------


async def test_a_text_that_is_given_up_is_cancelled_and_its_place_is_free(speaking: Speaking, plan: Plan):
    async with speaking(between=0.01, concurrent=1) as speaker:
        async with aclosing(speaker.speak(TEXT)) as pieces:
            await anext(pieces)
        assert audio_of(await spoken(speaker, "Something else.")) == hum("Something else.")
        first, cancel, second = plan.of("tts")
        assert cancel == {"context_id": first["context_id"], "cancel": True}
        assert second["context_id"] != first["context_id"]
        assert connections(plan) == 1


async def test_a_text_that_was_heard_whole_is_not_cancelled(speaker: ContextVoice, plan: Plan):
    await spoken(speaker)
    assert not any("cancel" in asked for asked in plan.of("tts"))


async def test_two_hundred_interruptions(speaking: Speaking, plan: Plan):
    """With an account for three texts at once: what is given up is cancelled in time for the next."""
    letters = "abcdefghijklmnopqrst"
    said = [
        f"The parcel of {first}nna {second}ean is on its way, and it takes a while."
        for first in letters
        for second in letters[:10]
    ]
    async with speaking(speak=stamped, between=0.001) as speaker:
        await two_hundred_interruptions(speaker, said)
        assert not any(socket._contexts or socket._left for socket in speaker._sockets._sockets)
    assert connections(plan) == 1
    asked = plan.of("tts")
    cancelled = {one["context_id"] for one in asked if "cancel" in one}
    assert len(cancelled) > 100
    assert cancelled <= {one["context_id"] for one in asked if "transcript" in one}
