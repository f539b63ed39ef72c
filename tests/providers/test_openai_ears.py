"""What OpenAI's ears do of their own, against a double; what all ears do is in test_speech_to_text.py."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.providers.failures import from_socket
from callbot.providers.ports import Transcribed
from callbot.providers.stt import socket_ears
from callbot.providers.stt.openai import OpenAiHearing, TranscriptionSession, hearing
from callbot.providers.stt.openai_commits import Commits
from callbot.providers.stt.socket_ears import SocketEars
from callbot.vendors import Account
from tests.doubles.openai_speech import KEY, OpenAiSpeechDouble
from tests.doubles.plan import Fault, Plan
from tests.doubles.spelling import LETTER, hear, speak

NAME = "openai:gpt-live-transcribe"
ITEM_EVENTS = ("delta", "completed", "failed")


@pytest.fixture
async def double(plan: Plan) -> AsyncIterator[OpenAiSpeechDouble]:
    async with OpenAiSpeechDouble(plan, hear=hear) as double:
        yield double


class Call:
    """Ears, and what they told."""

    def __init__(self, ears: SocketEars) -> None:
        self.ears = ears
        self.told: list[Transcribed] = []
        self.failure: ProviderError | None = None
        self._news = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for event in self.ears.events():
                self.told.append(event)
                self._news.set()
        except ProviderError as error:
            self.failure = error
        self._news.set()

    def say(self, text: str) -> None:
        audio = speak(text)
        for at in range(0, len(audio), 480):
            self.ears.send(audio[at : at + 480])

    @property
    def finals(self) -> list[Transcribed]:
        return [event for event in self.told if event.final]

    async def final(self, count: int = 1) -> str:
        """The text of the last of so many finals."""
        await self.until(lambda: len(self.finals) >= count)
        return self.finals[-1].text

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                if self.failure is not None:
                    raise self.failure
                self._news.clear()
                await self._news.wait()

    async def failed(self) -> ProviderError:
        async with asyncio.timeout(5):
            await self._listening
        assert self.failure is not None
        return self.failure

    async def aclose(self) -> None:
        await self.ears.aclose()
        await self._listening


Opened = Callable[..., Call]


@pytest.fixture
async def opened(double: OpenAiSpeechDouble) -> AsyncIterator[Opened]:
    """Opens ears; they are closed after the test, and have left nothing."""
    calls: list[Call] = []

    def open(model: str = "gpt-live-transcribe", *, languages: Sequence[str] = ("en",), **given: Any) -> Call:
        account = Account("openai", double.url, given.pop("key", KEY))
        session = TranscriptionSession(NAME, account, model=model, languages=languages, **given)
        calls.append(Call(SocketEars(session)))
        return calls[-1]

    yield open
    for call in calls:
        await call.aclose()
    await double.deserted()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("ears")]


def asked(plan: Plan, kind: str) -> list[Any]:
    return [event for event in plan.of("realtime") if event["type"] == kind]


# --- the session -------------------------------------------------------------------------------------


async def test_the_session_is_what_the_vendor_wants_it_to_be(opened: Opened, plan: Plan):
    call = opened(languages=["en", "es"])
    call.ears.start(1)
    call.say("Hello there.")
    call.ears.flush()
    assert await call.final() == "Hello there."
    (update,) = asked(plan, "session.update")
    assert update["session"] == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": None,
                "transcription": {"model": "gpt-live-transcribe", "languages": ["en", "es"]},
                "turn_detection": None,
            }
        },
    }
    assert plan.of("realtime connect") == [{"intent": "transcription"}]


def test_a_session_is_handed_over_before_the_vendor_ends_it(session: TranscriptionSession):
    assert session.renew_after == 55 * 60


@pytest.mark.parametrize(("languages", "told"), [(["es"], {"language": "es"}), (["en", "es"], {})])
async def test_a_model_that_takes_one_language_is_told_one_or_none(
    languages: list[str], told: Any, opened: Opened, plan: Plan
):
    call = opened("gpt-realtime-whisper", languages=languages)
    call.ears.start(1)
    call.say("Buenas tardes.")
    call.ears.flush()
    assert await call.final() == "Buenas tardes."
    (update,) = asked(plan, "session.update")
    model = {"model": "gpt-realtime-whisper"}
    assert update["session"]["audio"]["input"]["transcription"] == model | told


def test_the_model_stands_after_the_colon(openai_models: Any):
    for name, model in [
        ("openai", "gpt-live-transcribe"),
        ("openai:gpt-realtime-whisper", "gpt-realtime-whisper"),
    ]:
        found = hearing(name, openai_models)
        assert isinstance(found, OpenAiHearing)
        assert (found.name, found.model) == (name, model)


# --- partials and finals -----------------------------------------------------------------------------


async def test_deltas_are_partials_that_grow(opened: Opened):
    call = opened()
    call.ears.start(4)
    call.say("I would like to know where my order is, please.")
    await call.until(lambda: len(call.told) > 4)
    call.ears.flush()
    await call.final()
    *partials, final = call.told
    assert not any(partial.final for partial in partials)
    assert {event.utterance for event in call.told} == {4}
    for partial, longer in zip(partials, call.told[1:], strict=True):
        assert longer.text.startswith(partial.text)
    assert final.text == "I would like to know where my order is, please."


async def test_later_finals_of_an_utterance_replace_the_earlier_whole(opened: Opened):
    call = opened()
    call.ears.start(1)
    texts = ["My number is", "five five five,", "zero one,", "four two."]
    for count, text in enumerate(texts, 1):
        call.say(text)
        call.ears.flush()
        assert await call.final(count) == " ".join(texts[:count])
    call.ears.start(2)
    call.say("That is all.")
    call.ears.flush()
    assert await call.final(5) == "That is all."
    assert [final.utterance for final in call.finals] == [1, 1, 1, 1, 2]
    partials = [event.text for event in call.told if not event.final and event.utterance == 1]
    assert any(text.startswith("My number is five five five, zero") for text in partials)


async def test_what_is_transcribed_later_is_told_in_the_order_of_the_flushes(
    opened: Opened, double: OpenAiSpeechDouble
):
    double.takes = lambda nth: 0.3 - 0.1 * nth
    call = opened()
    for number, text in enumerate(["The first.", "The second.", "The third."], 1):
        call.ears.start(number)
        call.say(text)
        call.ears.flush()
    await call.final(3)
    assert [(final.utterance, final.text) for final in call.finals] == [
        (1, "The first."),
        (2, "The second."),
        (3, "The third."),
    ]


async def test_parts_of_one_utterance_that_come_out_of_order_are_joined_in_order(
    opened: Opened, double: OpenAiSpeechDouble
):
    double.takes = lambda nth: 0.2 if nth == 1 else 0.0
    call = opened()
    call.ears.start(1)
    for text in ("In the beginning", "and in the end."):
        call.say(text)
        call.ears.flush()
    await call.final(2)
    assert [final.text for final in call.finals] == ["In the beginning", "In the beginning and in the end."]


async def test_a_flush_with_nothing_new_is_answered_from_what_is_known(opened: Opened, plan: Plan):
    call = opened()
    call.ears.start(1)
    call.ears.flush()
    assert await call.final() == ""
    call.say("Yes, please.")
    call.ears.flush()
    call.ears.flush()
    assert await call.final(3) == "Yes, please."
    call.ears.flush()
    assert await call.final(4) == "Yes, please."
    assert [final.text for final in call.finals] == ["", *["Yes, please."] * 3]
    assert len(asked(plan, "input_audio_buffer.commit")) == 1


async def test_less_than_the_vendor_takes_is_filled_up_with_silence(opened: Opened, plan: Plan):
    call = opened()
    call.ears.start(1)
    call.say("No")
    call.ears.flush()
    assert await call.final() == "No"
    assert not [event for event in plan.of("realtime") if event["type"] == "error"]


async def test_what_was_not_flushed_is_not_heard_in_the_next_utterance(opened: Opened, plan: Plan):
    call = opened()
    call.ears.start(1)
    call.say("A cough, and a long one.")
    call.ears.start(2)
    call.say("Good morning to you.")
    call.ears.flush()
    assert await call.final() == "Good morning to you."
    assert {event.utterance for event in call.told if "ood" in event.text} == {2}
    assert not [event for event in call.told if event.utterance == 2 and "ough" in event.text]
    assert len(asked(plan, "input_audio_buffer.clear")) == 1


def test_audio_belongs_to_an_utterance():
    session = TranscriptionSession(NAME, Account("openai", "", KEY), model="", languages=["en"])
    with pytest.raises(InvalidState):
        session.audio(b"\xff")
    with pytest.raises(InvalidState):
        session.flush()


# --- the protocol, without a socket ------------------------------------------------------------------


@pytest.fixture
def session() -> TranscriptionSession:
    return TranscriptionSession(NAME, Account("openai", "", KEY), model="", languages=["en", "es"])


def received(session: TranscriptionSession, kind: str, **given: Any) -> list[Any]:
    prefix = "conversation.item.input_audio_transcription." if kind in ITEM_EVENTS else "input_audio_buffer."
    return list(session.received(json.dumps({"type": prefix + kind, "event_id": "event_1"} | given)))


def test_deltas_of_what_was_cleared_are_not_the_next_utterances(session: TranscriptionSession):
    session.start(1)
    session.audio(b"\0" * 1600)
    session.start(2)
    session.audio(b"\0" * 1600)
    assert received(session, "delta", item_id="a", delta="cough") == []  # from before the clear
    assert received(session, "cleared") == []
    assert received(session, "delta", item_id="a", delta="cough") == []
    (partial,) = received(session, "delta", item_id="b", delta="Good")
    assert partial == Transcribed(2, "Good", final=False)


def test_deltas_that_come_before_the_commit_belong_to_it(session: TranscriptionSession):
    session.start(1)
    session.audio(b"\0" * 1600)
    received(session, "delta", item_id="a", delta="Good")
    session.flush()
    session.audio(b"\0" * 1600)
    assert received(session, "delta", item_id="a", delta=" day")[0].text == "Good day"
    received(session, "committed", item_id="a")
    assert received(session, "delta", item_id="b", delta="to")[0].text == "Good day to"
    assert received(session, "completed", item_id="a", transcript="Good day,")[0].text == "Good day,"
    assert received(session, "delta", item_id="b", delta=" you")[0].text == "Good day, to you"
    assert received(session, "delta", item_id="a", delta=" late") == []
    assert received(session, "completed", item_id="a", transcript="Twice") == []


def test_a_language_that_was_asked_for_is_told(session: TranscriptionSession):
    for number, (codes, language) in enumerate([(["fr", "es"], "es"), (["fr"], None), ([], None)], 1):
        session.start(number)
        session.audio(b"\0" * 1600)
        session.flush()
        item = f"item_{number}"
        received(session, "committed", item_id=item)
        languages = [{"code": code} for code in codes]
        (final,) = received(session, "completed", item_id=item, transcript="Sí.", languages=languages)
        assert final == Transcribed(number, "Sí.", final=True, language=language)


def test_a_commit_that_is_refused_as_empty_is_an_empty_text(session: TranscriptionSession):
    session.start(1)
    session.audio(b"\0" * 1600)
    session.flush()
    error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "message": ""}
    told = session.received(json.dumps({"type": "error", "error": error}))
    assert list(told) == [Transcribed(1, "", final=True)]


@pytest.mark.parametrize(
    ("kind", "code", "trouble", "retryable"),
    [
        ("invalid_request_error", "invalid_value", Trouble.REJECTED, False),
        ("invalid_request_error", "session_expired", Trouble.CUT, True),
        ("authentication_error", "invalid_api_key", Trouble.AUTH, False),
        ("insufficient_quota", "insufficient_quota", Trouble.QUOTA, False),
        ("rate_limit_error", "rate_limit_exceeded", Trouble.RATE_LIMITED, True),
        ("server_error", None, Trouble.UNAVAILABLE, True),
        (None, None, Trouble.UNAVAILABLE, True),
    ],
)
@pytest.mark.parametrize("event", ["error", "conversation.item.input_audio_transcription.failed"])
def test_the_vendors_errors_are_ours(
    event: str, kind: str, code: str, trouble: Trouble, retryable: bool, session: TranscriptionSession
):
    error = {"type": kind, "code": code, "message": f"for {KEY}: Jane Roe said hello"}
    with pytest.raises(ProviderError) as raised:
        list(session.received(json.dumps({"type": event, "item_id": "a", "error": error})))
    assert (raised.value.trouble, raised.value.retryable) == (trouble, retryable)
    assert raised.value.provider == NAME
    assert KEY not in str(raised.value)
    assert "Jane" not in str(raised.value)


@pytest.mark.parametrize("message", ["", "{", "[]", "{}", '{"type": 1}', b"\xff\xfe", '{"type": "error"'])
def test_what_is_no_event_is_bad_format(message: str | bytes, session: TranscriptionSession):
    with pytest.raises(ProviderError) as raised:
        session.received(message)
    assert raised.value.trouble is Trouble.BAD_FORMAT


def test_what_it_does_not_know_it_ignores(session: TranscriptionSession):
    assert received(session, "completed", item_id="nobody's", transcript="Boo") == []
    assert received(session, "delta", item_id="nobody's", delta="Boo") == []
    assert received(session, "committed", item_id="nobody's") == []
    assert received(session, "cleared") == []
    assert list(session.received('{"type": "rate_limits.updated"}')) == []


# --- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "trouble", "retryable"),
    [
        (Fault(refuse=True), Trouble.CONNECT, True),
        (Fault(blackhole=True), Trouble.CONNECT, True),
        (Fault(status=401, code="invalid_api_key"), Trouble.AUTH, False),
        (Fault(status=429, code="rate_limit_exceeded", retry_after=2), Trouble.RATE_LIMITED, True),
        (Fault(status=429, code="insufficient_quota"), Trouble.QUOTA, False),
        (Fault(status=503), Trouble.UNAVAILABLE, True),
        (Fault(code="invalid_api_key"), Trouble.AUTH, False),
        (Fault(code="invalid_api_key", silent=True), Trouble.AUTH, False),
        (Fault(code="model_not_found", silent=True), Trouble.REJECTED, False),
        (Fault(code="insufficient_quota"), Trouble.QUOTA, False),
        (Fault(code="rate_limit_exceeded"), Trouble.RATE_LIMITED, True),
        (Fault(cut_after=0), Trouble.CUT, True),
        (Fault(cut_after=3), Trouble.CUT, True),
        (Fault(close_after=1), Trouble.CUT, True),
        (Fault(close_after=3, close_code=1000), Trouble.CUT, True),
        (Fault(garbage=True), Trouble.BAD_FORMAT, True),
    ],
)
async def test_a_fault_is_told_once_in_our_words(
    fault: Fault,
    trouble: Trouble,
    retryable: bool,
    opened: Opened,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(socket_ears, "CONNECT_WITHIN", 0.3)
    plan.add("realtime", fault)
    call = opened()
    call.ears.start(1)
    call.say("Is anybody there?")
    call.ears.flush()
    error = await call.failed()
    assert (error.trouble, error.retryable, error.provider) == (trouble, retryable, NAME)
    assert error.retry_after == fault.retry_after
    assert KEY not in str(error)
    call.say("Hello?")  # goes nowhere, and hurts nobody
    call.ears.flush()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"message": "Incorrect key: sk-1", "code": "invalid_api_key"}}', "invalid_api_key"),
        (b'{"error": {"message": "Missing key", "type": "authentication_error"}}', "authentication_error"),
        (b'{"detail": {"status": "quota_exceeded", "message": "sk-1"}}', "quota_exceeded"),
        (b'{"err_code": "INVALID_AUTH", "err_msg": "sk-1"}', "INVALID_AUTH"),
        (b"<html>sk-1</html>", ""),
        (b'{"error": "sk-1"}', ""),
        (b'"sk-1"', ""),
        (b"", ""),
    ],
)
def test_of_a_refused_handshake_only_the_code_is_told(body: bytes, code: str):
    response = Response(401, "Unauthorized", Headers(), body)
    error = from_socket("x", InvalidStatus(response), connected=False)
    assert str(error) == f"x: 401 {code}".rstrip()


async def test_a_wrong_key_is_not_in_the_error(opened: Opened):
    error = await opened(key="sk-wrong-and-secret").failed()
    assert error.trouble is Trouble.AUTH
    assert str(error) == f"{NAME}: 401 invalid_api_key"


@pytest.mark.parametrize(
    "fault", [Fault(delay=0.2), Fault(dribble=0.01), Fault(late=0.2), Fault(duplicate=True)]
)
async def test_what_is_slow_or_told_twice_is_heard_once(fault: Fault, opened: Opened, plan: Plan):
    plan.add("realtime", fault)
    call = opened()
    for number, text in enumerate(["Good morning.", "My name is Jane Roe."], 1):
        call.ears.start(number)
        call.say(text)
        call.ears.flush()
    assert await call.final(2) == "My name is Jane Roe."
    assert [final.text for final in call.finals] == ["Good morning.", "My name is Jane Roe."]


@pytest.mark.parametrize("fault", [Fault(stall_after=0), Fault(stall_after=2), Fault(silent=True)])
async def test_a_deaf_vendor_is_silent_and_is_left_as_quickly(fault: Fault, opened: Opened, plan: Plan):
    """Whoever holds several ears has the deadline."""
    plan.add("realtime", fault)
    call = opened()
    call.ears.start(1)
    call.say("Hello?")
    call.ears.flush()
    await asyncio.sleep(0.2)
    assert call.told == []
    async with asyncio.timeout(0.5):
        await call.aclose()


async def test_a_vendor_that_takes_no_audio_is_stalled(
    opened: Opened, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(socket_ears, "MOST_WAITING", 20)
    plan.add("realtime", Fault(blackhole=True))
    call = opened()
    call.ears.start(1)
    call.say("A long story, and nobody takes it. It goes on and on, and it does not end.")
    error = await call.failed()
    assert (error.trouble, error.retryable) == (Trouble.STALLED, True)


async def test_a_bug_in_a_dialect_does_not_leave_the_call_deaf(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken(commits: Commits, event: object) -> None:
        raise KeyError("Jane Roe said hello")

    monkeypatch.setattr(Commits, "take", broken)
    call = opened()
    call.ears.start(1)
    call.say("Hello there.")
    call.ears.flush()
    error = await call.failed()
    assert (error.trouble, str(error)) == (Trouble.FAILED, f"{NAME}: KeyError")
    assert "a recogniser's dialect broke" in capsys.readouterr().out


async def test_an_empty_transcript_is_an_empty_final(opened: Opened, plan: Plan):
    plan.add("realtime", Fault(empty=True))
    call = opened()
    call.ears.start(1)
    call.say("Mumble.")
    call.ears.flush()
    assert await call.final() == ""


async def test_a_session_that_expires_is_cut(opened: Opened, double: OpenAiSpeechDouble):
    call = opened()
    call.ears.start(1)
    call.say("Hello there, are you still open?")
    await call.until(lambda: bool(call.told))
    await double.expire()
    error = await call.failed()
    assert (error.trouble, error.retryable) == (Trouble.CUT, True)
    assert "session_expired" in str(error)


# --- from one session to the next --------------------------------------------------------------------

SENTENCES = [f"This is sentence number {number} of many." for number in range(40)]


async def test_no_word_is_lost_when_sessions_are_handed_over(opened: Opened, plan: Plan):
    call = opened(renew_after=0.05)
    for number, sentence in enumerate(SENTENCES):
        call.ears.start(number)
        audio = speak(sentence)
        for at in range(0, len(audio), 800):
            call.ears.send(audio[at : at + 800])
            await asyncio.sleep(0.001)
        call.ears.flush()
        if number % 3 == 0:
            await call.final(number + 1)
        assert plan.open <= 3
    await call.final(len(SENTENCES))
    assert [(final.utterance, final.text) for final in call.finals] == list(enumerate(SENTENCES))
    assert len(plan.of("realtime connect")) > 4


async def test_a_new_session_takes_over_in_mid_utterance_if_nothing_is_under_way(opened: Opened, plan: Plan):
    call = opened(renew_after=0.2)
    call.ears.start(1)
    call.say("My name is Jane")
    call.ears.flush()
    await call.final()
    await sessions(plan, 2)
    call.say("Roe.")
    call.ears.flush()
    assert await call.final(2) == "My name is Jane Roe."
    assert {final.utterance for final in call.finals} == {1}


async def test_a_long_utterance_is_not_torn(opened: Opened, plan: Plan):
    call = opened(renew_after=0.05)
    call.ears.start(1)
    call.say("A long")
    await sessions(plan, 2)
    call.say(" story.")
    call.ears.flush()
    assert await call.final() == "A long story."


async def test_the_old_session_ends_only_when_it_has_said_what_it_owes(
    opened: Opened, double: OpenAiSpeechDouble, plan: Plan
):
    double.takes = lambda nth: 0.4
    call = opened(renew_after=0.05)
    call.ears.start(1)
    call.say("Slowly heard.")
    call.ears.flush()
    await sessions(plan, 2)
    double.takes = lambda nth: 0.0
    call.ears.start(2)
    call.say("Quickly heard.")
    call.ears.flush()
    await call.final(2)
    assert {final.text for final in call.finals} == {"Slowly heard.", "Quickly heard."}


async def test_an_expired_session_that_was_handed_over_is_not_missed(
    opened: Opened, double: OpenAiSpeechDouble, plan: Plan
):
    call = opened(renew_after=0.05)
    call.ears.start(1)
    call.say("A cough.")  # and no flush: the first session stays until the next utterance
    await sessions(plan, 2)
    call.ears.start(2)
    call.say("Hello.")
    call.ears.flush()
    assert await call.final() == "Hello."


async def test_a_second_session_that_cannot_be_had_is_tried_for_again(
    opened: Opened, plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(socket_ears, "RENEW_AGAIN_AFTER", 0.05)
    plan.add("realtime", Fault(), Fault(status=503), Fault(refuse=True))
    call = opened(renew_after=0.05)
    call.ears.start(1)
    call.say("Still")
    await sessions(plan, 4)
    call.say(" here.")
    call.ears.flush()
    assert await call.final() == "Still here."
    call.ears.start(2)
    call.say("And now too.")
    call.ears.flush()
    assert await call.final(2) == "And now too."


async def sessions(plan: Plan, count: int) -> None:
    """Until so many have been asked for, and the last has opened."""
    async with asyncio.timeout(5):
        while len(plan.of("realtime connect")) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


# --- interruptions -----------------------------------------------------------------------------------


async def test_two_hundred_calls_that_end_at_any_moment_leave_no_task_and_no_socket(
    opened: Opened, double: OpenAiSpeechDouble, plan: Plan
):
    chance = random.Random(4)
    before = asyncio.all_tasks()
    for _ in range(200):
        session = TranscriptionSession(
            NAME,
            Account("openai", double.url, KEY),
            model="gpt-live-transcribe",
            languages=["en"],
            renew_after=chance.choice([0.005, 60.0]),
        )
        call = Call(SocketEars(session))
        for step in range(chance.randrange(12)):
            match step % 4:
                case 0:
                    call.ears.start(step)
                case 3:
                    call.ears.flush()
                case _:
                    call.ears.send(speak("Good day.")[: chance.randrange(9 * LETTER)])
            await asyncio.sleep(chance.random() * 0.004)
        await call.aclose()
        assert call.failure is None
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("ears")]
    await double.deserted()
    assert asyncio.all_tasks() == before
    assert len(plan.of("realtime connect")) > 100
