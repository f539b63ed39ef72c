"""ElevenLabs Scribe as a call's ears, against a double that speaks its protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import groupby

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import hearing
from callbot.providers.stt import socket_ears
from callbot.providers.stt.elevenlabs import Scribe
from callbot.vendors import Account
from tests.doubles.elevenlabs import KEY, ElevenLabsDouble
from tests.doubles.plan import Fault, Plan
from tests.providers.vendor_voices import WITHIN, models_for, nothing_left, until

NAME = "elevenlabs:scribe_v2_realtime"
WORDS = ["one", "two", "three", "four"]
Hearing = Callable[..., AbstractAsyncContextManager["Ears"]]


def say(*words: str, size: int = 3_200) -> bytes:
    """Audio that ``hear`` understands, 0.4 s a word."""
    return b"".join(bytes([WORDS.index(word)]) * size for word in words)


def hear(audio: bytes) -> str:
    return " ".join(WORDS[byte] for byte, _ in groupby(audio) if byte < len(WORDS))


class Ears:
    """Those under test, and what they told."""

    def __init__(self, ears: SpeechToText) -> None:
        self.ears = ears
        self.told: list[Transcribed] = []
        self.error: ProviderError | None = None
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for event in self.ears.events():
                self.told.append(event)
        except ProviderError as error:
            self.error = error

    @property
    def finals(self) -> list[tuple[int, str]]:
        return [(event.utterance, event.text) for event in self.told if event.final]

    @property
    def partials(self) -> list[tuple[int, str]]:
        return [(event.utterance, event.text) for event in self.told if not event.final]

    def hears(self, utterance: int, *words: str) -> None:
        self.ears.start(utterance)
        self.goes_on(*words)

    def goes_on(self, *words: str) -> None:
        audio = say(*words)
        for at in range(0, len(audio), 480):
            self.ears.send(audio[at : at + 480])

    async def final(self, *words: str) -> tuple[int, str]:
        """Of the flush that is made now."""
        many = len(self.finals)
        self.ears.flush()
        await until(lambda: len(self.finals) > many)
        return self.finals[-1]

    async def failed(self) -> ProviderError:
        await until(lambda: self.error is not None)
        assert self.error is not None
        assert KEY not in str(self.error)
        assert self.error.provider == NAME
        return self.error

    async def aclose(self) -> None:
        await self.ears.aclose()
        async with asyncio.timeout(WITHIN):
            await self._listening


@pytest.fixture
def listening(plan: Plan, pool: InferencePool) -> Hearing:
    @asynccontextmanager
    async def listening(
        *, languages: Sequence[str] = ("en",), key: str = KEY, **double: object
    ) -> AsyncIterator[Ears]:
        async with nothing_left(plan), ElevenLabsDouble(plan, hear=hear, **double) as vendor:
            ears = Ears(hearing(NAME, models_for(vendor, pool, key=key)).for_call(languages))
            yield ears
            await ears.aclose()

    return listening


@pytest.fixture
async def ears(listening: Hearing) -> AsyncIterator[Ears]:
    async with listening() as ears:
        yield ears


def commits(plan: Plan) -> int:
    return sum(bool(asked.get("commit")) for asked in plan.of("stt"))


# --- what it asks for, and what it makes of the answer -------------------------------------------


async def test_an_utterance_is_heard_in_partials_and_a_final(ears: Ears):
    ears.ears.start(7)
    for many in (1, 2, 3):
        ears.goes_on(WORDS[many - 1])
        await until(lambda many=many: len(ears.partials) == many)  # type: ignore[misc]
    assert ears.partials == [(7, "one"), (7, "one two"), (7, "one two three")]
    assert await ears.final() == (7, "one two three")


async def test_it_asks_for_the_call_s_own_format_and_commits_itself(ears: Ears, plan: Plan):
    ears.hears(1, "one")
    await ears.final()
    handshake, *messages = plan.of("stt")
    assert handshake["handshake"] == {
        "model_id": "scribe_v2_realtime",
        "audio_format": "ulaw_8000",
        "commit_strategy": "manual",
        "language_code": "en",
        "secondary_languages": [],
    }
    assert all(
        message.keys() == {"message_type", "audio_base_64", "commit", "sample_rate"} for message in messages
    )
    assert messages[-1] == {
        "message_type": "input_audio_chunk",
        "audio_base_64": "",
        "commit": True,
        "sample_rate": 8000,
    }


async def test_the_next_flush_of_an_utterance_replaces_its_final_whole(ears: Ears):
    ears.hears(1, "one", "two")
    assert await ears.final() == (1, "one two")
    ears.goes_on("three")
    assert await ears.final() == (1, "one two three")
    ears.hears(2, "four")
    assert await ears.final() == (2, "four")


async def test_partials_after_a_flush_are_whole_too(ears: Ears):
    ears.hears(1, "one")
    await ears.final()
    ears.goes_on("two")
    await until(lambda: ears.partials[-1:] == [(1, "one two")])


async def test_a_flush_with_nothing_new_is_answered_from_what_is_known(ears: Ears, plan: Plan):
    ears.hears(1, "one")
    await ears.final()
    assert await ears.final() == (1, "one")
    ears.ears.start(2)
    assert await ears.final() == (2, "")
    assert commits(plan) == 1


async def test_two_flushes_at_once_are_two_finals_of_one_commit(ears: Ears, plan: Plan):
    ears.hears(1, "one")
    ears.ears.flush()
    ears.ears.flush()
    await until(lambda: ears.finals == [(1, "one"), (1, "one")])
    assert commits(plan) == 1


async def test_a_flush_that_does_not_wait_for_the_last_one_is_answered_in_turn(ears: Ears):
    ears.hears(1, "one")
    ears.ears.flush()
    ears.goes_on("two")
    ears.ears.flush()
    ears.hears(2, "three")
    ears.ears.flush()
    await until(lambda: ears.finals == [(1, "one"), (1, "one two"), (2, "three")])


async def test_a_word_too_short_to_commit_is_lengthened_by_silence(ears: Ears):
    ears.ears.start(1)
    ears.ears.send(say("one", size=100))
    assert await ears.final() == (1, "one")
    assert ears.error is None


async def test_an_utterance_that_nobody_asked_about_is_not_in_the_next(ears: Ears):
    ears.hears(1, "one")
    ears.hears(2, "two")
    assert await ears.final() == (2, "two")
    assert ears.finals == [(2, "two")]


async def test_silence_after_the_last_flush_costs_no_commit(ears: Ears, plan: Plan):
    ears.hears(1, "one")
    await ears.final()
    ears.ears.send(b"\xff" * 4_000)
    ears.hears(2, "two")
    assert await ears.final() == (2, "two")
    assert commits(plan) == 2


async def test_silence_keeps_the_connection_and_is_part_of_no_utterance(
    listening: Hearing, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Scribe, "keep_alive_after", 0.02)
    async with listening() as ears:
        ears.hears(1, "one")
        await ears.final()
        many = len(plan.of("stt"))
        await until(lambda: len(plan.of("stt")) > many + 3)
        assert not any(asked["commit"] for asked in plan.of("stt")[many:])
        assert await ears.final() == (1, "one")
        ears.hears(2, "two")
        assert await ears.final() == (2, "two")


def test_silence_is_due_after_ten_seconds():
    assert Scribe.keep_alive_after == 10.0


async def test_one_language_is_told_and_several_are_told_apart(listening: Hearing, plan: Plan):
    async with listening(languages=("en", "es"), language="spa") as ears:
        ears.hears(1, "one")
        await until(lambda: bool(ears.partials))
        ears.ears.flush()
        await until(lambda: len(ears.finals) == 2)
        assert ears.finals == [(1, "one"), (1, "one")]
        assert [event.language for event in ears.told if event.final] == [None, "es"]
    asked = plan.of("stt")[0]["handshake"]
    assert asked["language_code"] == "en"
    assert asked["secondary_languages"] == ["es"]
    assert asked["include_language_detection"] == "true"


async def test_a_language_that_comes_before_its_text_is_of_that_text(listening: Hearing):
    """In which order they come is not documented (pipecat#5196)."""
    async with listening(languages=("en", "es"), language="spa", language_first=True) as ears:
        for number, word in enumerate(("one", "two"), 1):
            ears.hears(number, word)
            assert await ears.final() == (number, word)
        assert [event.language for event in ears.told if event.final] == ["es", "es"]


async def test_words_that_the_vendor_commits_by_itself_are_not_lost(
    listening: Hearing, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    """It does that every 90 s, if nobody pauses so long."""
    monkeypatch.setattr("callbot.providers.stt.elevenlabs.COMMITTED_AFTER", 9_000)
    async with listening(commit_every=9_600) as ears:
        ears.hears(1, "one", "two", "three")
        await until(lambda: ears.partials[-1:] == [(1, "one two three")])
        assert commits(plan) == 0
        ears.goes_on("four")
        assert await ears.final() == (1, "one two three four")
        ears.hears(2, "one")
        assert await ears.final() == (2, "one")


async def test_a_language_that_nobody_speaks_here_is_not_told(listening: Hearing):
    async with listening(languages=("en", "es"), language="cy") as ears:
        ears.hears(1, "one")
        await ears.final()
        ears.hears(2, "two")
        await ears.final()
        assert [event.language for event in ears.told if event.final] == [None, None]


async def test_what_is_said_before_the_connection_is_open_is_heard(listening: Hearing, plan: Plan):
    plan.add("stt", Fault(delay=0.1))
    async with listening() as ears:
        ears.hears(1, "one", "two")
        assert await ears.final() == (1, "one two")


# --- what goes wrong -----------------------------------------------------------------------------

REFUSALS = {
    "refused": (Fault(refuse=True), Trouble.CONNECT, True),
    "blackhole": (Fault(blackhole=True), Trouble.CONNECT, True),
    "wrong key": (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
    "no money": (Fault(status=401, code="quota_exceeded"), Trouble.QUOTA, False),
    "too many": (Fault(status=429, code="too_many_concurrent_requests"), Trouble.RATE_LIMITED, True),
    "down": (Fault(status=503), Trouble.UNAVAILABLE, True),
    "cut": (Fault(cut_after=0), Trouble.CUT, True),
    "closed": (Fault(close_after=0, close_code=1000), Trouble.CUT, True),
    "garbage": (Fault(garbage=True), Trouble.BAD_FORMAT, True),
    **{
        kind: (Fault(code=kind), trouble, retryable)
        for kind, trouble, retryable in [
            ("error", Trouble.UNAVAILABLE, True),
            ("auth_error", Trouble.AUTH, False),
            ("unaccepted_terms", Trouble.AUTH, False),
            ("quota_exceeded", Trouble.QUOTA, False),
            ("rate_limited", Trouble.RATE_LIMITED, True),
            ("resource_exhausted", Trouble.RATE_LIMITED, True),
            ("queue_overflow", Trouble.RATE_LIMITED, True),
            ("commit_throttled", Trouble.RATE_LIMITED, True),
            ("input_error", Trouble.REJECTED, False),
            ("invalid_request", Trouble.REJECTED, False),
            ("chunk_size_exceeded", Trouble.REJECTED, False),
            ("transcriber_error", Trouble.UNAVAILABLE, True),
            ("session_time_limit_exceeded", Trouble.CUT, True),
            ("insufficient_audio_activity", Trouble.CUT, True),
        ]
    },
}


@pytest.mark.parametrize(("fault", "trouble", "retryable"), REFUSALS.values(), ids=REFUSALS)
async def test_a_failure_is_told_in_our_words(
    listening: Hearing,
    plan: Plan,
    fault: Fault,
    trouble: Trouble,
    retryable: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(socket_ears, "CONNECT_WITHIN", 0.2)
    plan.add("stt", fault)
    async with listening() as ears:
        ears.hears(1, "one")
        ears.ears.flush()
        error = await ears.failed()
        assert (error.trouble, error.retryable) == (trouble, retryable)
        ears.goes_on("two")
        ears.ears.flush()
        assert ears.finals == []


async def test_a_wrong_key_is_told(listening: Hearing):
    async with listening(key="wrong") as ears:
        assert (await ears.failed()).trouble is Trouble.AUTH


async def test_when_to_come_back_is_told(listening: Hearing, plan: Plan):
    plan.add("stt", Fault(status=429, code="system_busy", retry_after=3))
    async with listening() as ears:
        assert (await ears.failed()).retry_after == 3


async def test_what_was_heard_before_the_break_is_told(listening: Hearing, plan: Plan):
    plan.add("stt", Fault(cut_after=2))
    async with listening() as ears:
        ears.hears(1, "one")
        await until(lambda: bool(ears.partials))
        ears.goes_on("two")
        assert (await ears.failed()).trouble is Trouble.CUT
        assert ears.partials == [(1, "one"), (1, "one two")]


@pytest.mark.parametrize("fault", [Fault(silent=True), Fault(stall_after=0)], ids=["deaf", "stalls"])
async def test_a_vendor_that_says_nothing_leaves_nothing_behind(listening: Hearing, plan: Plan, fault: Fault):
    plan.add("stt", fault)
    async with listening() as ears:
        ears.hears(1, "one")
        ears.ears.flush()
        await asyncio.sleep(0.1)
        assert ears.told == []


async def test_a_final_without_words_is_told_as_one(listening: Hearing, plan: Plan):
    plan.add("stt", Fault(empty=True))
    async with listening() as ears:
        ears.hears(1, "one")
        assert await ears.final() == (1, "")


async def test_a_final_that_comes_twice_is_told_once(listening: Hearing, plan: Plan):
    plan.add("stt", Fault(duplicate=True))
    async with listening() as ears:
        for number, word in enumerate(WORDS):
            ears.hears(number, word)
            assert await ears.final() == (number, word)
            await asyncio.sleep(0.02)
        assert len(ears.finals) == len(WORDS)


@pytest.mark.parametrize("fault", [Fault(late=0.1), Fault(dribble=0.05)], ids=["late", "dribbles"])
async def test_a_slow_vendor_is_heard_whole(listening: Hearing, plan: Plan, fault: Fault):
    plan.add("stt", fault)
    async with listening() as ears:
        ears.hears(1, "one", "two")
        ears.ears.flush()
        ears.hears(2, "three")
        ears.ears.flush()
        await until(lambda: ears.finals == [(1, "one two"), (2, "three")])


# --- the dialect alone ---------------------------------------------------------------------------


@pytest.fixture
def scribe() -> Scribe:
    return Scribe(NAME, "scribe_v2_realtime", Account("elevenlabs", "https://api.example.com", KEY), ["en"])


def told(scribe: Scribe, kind: str, **more: object) -> list[Transcribed]:
    return list(scribe.received(json.dumps({"message_type": kind, **more})))


def test_what_it_does_not_know_it_ignores(scribe: Scribe):
    for kind in ("session_started", "warning", "speakers_merged", "redacted_transcript", "something new"):
        assert told(scribe, kind, text="one") == []


@pytest.mark.parametrize("message", ["", "[]", "3", '{"text": "one"}', "null", b"\xff\x00"])
def test_what_is_no_message_is_told(scribe: Scribe, message: str | bytes):
    with pytest.raises(ProviderError) as raised:
        scribe.received(message)
    assert raised.value.trouble is Trouble.BAD_FORMAT


def test_a_partial_that_a_commit_has_overtaken_is_not_told(scribe: Scribe):
    scribe.start(1)
    scribe.audio(say("one"))
    assert told(scribe, "partial_transcript", text="one") == [Transcribed(1, "one", False)]
    scribe.flush()
    assert told(scribe, "partial_transcript", text="one") == []
    assert told(scribe, "committed_transcript", text=" One. ") == [Transcribed(1, "One.", True)]
    assert told(scribe, "partial_transcript", text="one") == []


def test_a_base_url_that_is_secure_gives_a_secure_socket(scribe: Scribe):
    assert scribe.url.startswith("wss://api.example.com/v1/speech-to-text/realtime?model_id=")
