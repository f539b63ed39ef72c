"""A call and what is left of it: rows in a real database, a recording, and nobody's words in the logs."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from callbot.agents.brain import (
    Action,
    Answer,
    Did,
    EndCall,
    Greet,
    HandOff,
    Remember,
    Request,
    Say,
    TakeOver,
)
from callbot.call import Call, Disposition, EndedBy
from callbot.conversation.events import Pressed
from callbot.errors import ProviderError
from callbot.media_stream.messages import Dtmf, Mark, Media
from callbot.providers.stt.fake import FakeEars
from callbot.providers.tts.fake import FakeVoice
from callbot.reception import Reception
from callbot.routing.handoff import SlotValue
from callbot.session import Session
from callbot.store.calls import StoredCall, get_call, list_events
from callbot.store.engine import open_engine
from callbot.store.recorder import Recorder
from callbot.store.tables import Event
from tests.staff import ScriptedBrain, attended, equipment
from tests.test_session import SILENCE, VOICE

CALL = Call("CA" + "1" * 32, "+15550142", "+15550100")
STREAM = "MZ1"
WORDS = "my secret word is marmalade"


class QuickLine:
    """A carrier on which no time passes: what is sent has been heard at once."""

    def __init__(self) -> None:
        self.stream_sid = STREAM
        self.session: Session | None = None
        self.hung_up = False
        self.marked = asyncio.Event()

    def send(self, message: str) -> None:
        data = json.loads(message)
        if data["event"] == "mark":
            asyncio.get_running_loop().call_soon(self._heard, Mark(STREAM, data["mark"]["name"], 0))

    def attend(self, closely: bool) -> None:
        pass

    def hang_up(self) -> None:
        self.hung_up = True

    def _heard(self, mark: Mark) -> None:
        assert self.session is not None
        self.session.received(mark)
        self.marked.set()

    def press(self, digits: str) -> None:
        assert self.session is not None
        for digit in digits:
            self.session.received(Dtmf(STREAM, digit, 0))

    async def say(self, seconds: float) -> None:
        """So long of speech, and then silence until somebody is heard."""
        assert self.session is not None
        self.marked.clear()
        for chunk in range(1, 500):
            await asyncio.sleep(0.02)
            audio = VOICE if chunk <= seconds * 50 else SILENCE
            self.session.received(Media(STREAM, 0, chunk, chunk * 20, audio))
            if self.marked.is_set():
                return
        raise AssertionError("nobody answered")


def support(request: Request) -> Sequence[Action]:
    match request:
        case Greet():
            return [Say("Hello.")]
        case Answer(digits="1#"):
            raise ProviderError("the model is away", retryable=True)
        case Answer(digits="42#"):
            return [
                Remember(SlotValue("key", "42", "caller")),
                Did("find", {}, {"found": True}),
                Say("One moment."),
                HandOff("sales", "you'd like to buy", pending="a router"),
            ]
    return [Say("Sure.")]


def sales(request: Request) -> Sequence[Action]:
    if isinstance(request, TakeOver):
        return [Say("Hi, this is sales.")]
    return [Say("Goodbye."), EndCall(Disposition.RESOLVED)]


class Office:
    """A reception with real records, and a way to read them."""

    def __init__(self, folder: Path, *, recordings: bool = True) -> None:
        self.url = f"sqlite+aiosqlite:///{folder / 'calls.db'}"
        self.recorder = Recorder(self.url, spool=folder / "spool.jsonl")
        self.finished: list[dict[str, Any]] = []
        self.seen: list[object] = []
        self.ears = FakeEars([WORDS], language="es")
        brains = {"support": ScriptedBrain(support), "sales": ScriptedBrain(sales)}
        self.reception = Reception(
            lambda call: equipment(brains, lambda: self.ears, FakeVoice(), speakers={"es": "sales"}),
            self.recorder,
            folder / "recordings" if recordings else None,
            observers=(lambda call_sid, now, news: self.seen.append(news),),
            finished=self.finished.append,
        )

    async def take(self, *keys: str, speech: float = 0.0, call: Call = CALL, stream: int = 1) -> None:
        """One call: the keys are pressed and answered one after the other; the caller then hangs up."""
        line = QuickLine()
        async with attended(self.reception, call, line, stream=stream) as session:
            line.session = session
            assert self.reception.live == {call.sid: session}
            running = asyncio.create_task(session.run())
            async with asyncio.timeout(10):
                await line.marked.wait()
                if speech:
                    await line.say(speech)
                for digits in keys:
                    line.marked.clear()
                    line.press(digits)
                    await line.marked.wait()
                    await asyncio.sleep(0.05)
                session.hung_up(EndedBy.CALLER)
                await running

    async def stored(self) -> tuple[StoredCall, Sequence[Event]]:
        await self.recorder.flush()
        engine = open_engine(self.url)
        try:
            async with AsyncSession(engine) as session:
                call = await get_call(CALL.sid, session=session)
                assert call is not None
                return call, await list_events(CALL.sid, session=session)
        finally:
            await engine.dispose()


def recordings(folder: Path) -> dict[str, bytes]:
    """Every recording there is, and how it begins."""
    return {str(path): path.read_bytes()[:4] for path in folder.rglob("*.wav")}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(tmp_path)
    await office.recorder.start()
    yield office
    await office.reception.aclose()
    await office.recorder.aclose()


async def test_a_call_is_in_the_database_when_it_is_over(office: Office) -> None:
    await office.take("42#", "7#")
    stored, _ = await office.stored()
    call = stored.call
    assert (call.from_number, call.to_number, call.direction) == ("+15550142", "+15550100", "inbound")
    assert (call.first_agent, call.agents) == ("support", ["support", "sales"])
    assert (call.disposition, call.ended_by) == ("resolved", "agent")
    assert call.slots is not None
    assert call.slots["key"]["value"] == "42"
    assert call.began_at is not None
    assert call.duration_ms is not None
    assert 0 < call.duration_ms < 10_000
    assert [(turn.turn, turn.who, turn.agent, turn.text, turn.heard) for turn in stored.turns] == [
        (1, "agent", "support", "Hello.", "Hello."),
        (2, "caller", None, "42#", None),
        (3, "agent", "support", "One moment.", "One moment."),
        (4, "agent", "sales", "Hi, this is sales.", "Hi, this is sales."),
        (5, "caller", None, "7#", None),
        (6, "agent", "sales", "Goodbye.", "Goodbye."),
    ]
    (handoff,) = stored.handoffs
    assert (handoff.from_agent, handoff.to_agent, handoff.reason) == ("support", "sales", "you'd like to buy")
    assert handoff.context["pending"] == "a router"
    assert office.reception.live == {}


async def test_the_record_handed_on_is_the_one_that_is_stored(office: Office) -> None:
    await office.take("42#")
    stored, _ = await office.stored()
    (record,) = office.finished
    assert record["call_sid"] == CALL.sid
    assert [turn["text"] for turn in record["turns"]] == [turn.text for turn in stored.turns]
    assert record["recording"] == stored.call.recording
    assert record["events"] > 5
    assert Pressed("4") in office.seen


async def test_the_recording_is_where_the_record_says(office: Office, tmp_path: Path) -> None:
    await office.take("42#")
    (record,) = office.finished
    assert record["recording"] == str(tmp_path / "recordings" / f"{CALL.sid}.wav")
    ((path, header),) = recordings(tmp_path).items()
    assert path == record["recording"]
    assert header == b"RIFF"


async def test_a_call_that_is_resumed_has_a_recording_of_its_own(office: Office, tmp_path: Path) -> None:
    await office.take("42#")
    await office.take("42#")
    first, second = (record["recording"] for record in office.finished)
    assert first != second
    assert set(recordings(tmp_path)) == {first, second}


async def test_the_turns_and_the_log_of_a_resumed_call_are_numbered_on(office: Office) -> None:
    await office.take("7#")
    await office.take("7#")
    stored, events = await office.stored()
    assert [turn.turn for turn in stored.turns] == [1, 2, 3, 4, 5, 6]
    assert [turn.text for turn in stored.turns] == ["Hello.", "7#", "Sure."] * 2
    assert [event.n for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.kind for event in events if event.kind != "Pressed"] == ["Ended"] * 2


async def test_faults_64_a_call_that_comes_back_to_another_process_overwrites_nothing(office: Office) -> None:
    await office.take("7#")
    office.reception._earlier.clear()  # the process that had it is dead; this one never heard of it
    await office.take("7#", stream=2)
    stored, events = await office.stored()
    assert [turn.text for turn in stored.turns] == ["Hello.", "7#", "Sure."] * 2
    assert [turn.turn for turn in stored.turns][:3] == [1, 2, 3]
    assert len(events) == 6


async def test_only_the_latest_calls_are_remembered_for_that(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callbot.reception.MOST_REMEMBERED", 1)
    await office.take("7#")
    await office.take(call=Call("CA2", CALL.from_number, CALL.to_number))
    await office.take("7#")
    stored, _ = await office.stored()
    assert [turn.turn for turn in stored.turns] == [1, 2, 3]


async def test_without_recordings_there_is_a_record_and_no_file(tmp_path: Path) -> None:
    office = Office(tmp_path, recordings=False)
    await office.recorder.start()
    await office.take("42#")
    stored, _ = await office.stored()
    assert stored.call.recording is None
    assert len(stored.turns) >= 3
    assert office.finished[0]["recording"] is None
    assert recordings(tmp_path) == {}
    await office.reception.aclose()
    await office.recorder.aclose()


async def test_the_log_of_a_call_tells_what_happened_and_nothing_that_was_said(office: Office) -> None:
    with structlog.testing.capture_logs() as lines:
        await office.take("1#", speech=1.2)
    stored, events = await office.stored()
    assert WORDS in [turn.text for turn in stored.turns]
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    assert {event.kind for event in events} == {"LanguageHeard", "Noticed", "Pressed", "Ended"}
    told = [(event.kind, event.data) for event in events]
    assert ("LanguageHeard", {"language": "es", "agent": "sales"}) in told
    assert ("Pressed", {}) in told
    logged = json.dumps([told, lines], default=str)
    assert "marmalade" not in logged
    assert "1#" not in logged
    assert CALL.from_number not in logged


async def test_a_reply_that_failed_is_in_the_log_with_its_turn(office: Office) -> None:
    await office.take("1#")
    _, events = await office.stored()
    (failed,) = (event for event in events if event.kind == "ReplyFailed")
    assert failed.data == {"turn": 3, "reason": "the model is away"}
    assert failed.at_ms >= 0


async def test_a_call_that_breaks_leaves_a_record_that_says_so(office: Office) -> None:
    async def broken() -> None:
        async with attended(office.reception, CALL, QuickLine()):
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await broken()
    stored, (ended,) = await office.stored()
    assert (stored.call.disposition, stored.call.ended_by) == ("failed", "system")
    assert (ended.kind, ended.data["reason"]) == ("Ended", "system-call-broke")
    assert stored.turns == []
    assert office.reception.live == {}
    assert office.finished[0]["turns"] == []
