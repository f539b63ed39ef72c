"""The driver on virtual time: frames in, messages out, and nothing left behind."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from callbot.agents.brain import (
    Action,
    Answer,
    Changing,
    EndCall,
    Expect,
    Expecting,
    Greet,
    HandOff,
    History,
    Request,
    Say,
    TakeOver,
)
from callbot.call import Call, Disposition, EndedBy
from callbot.conversation.conversation import Conversation
from callbot.conversation.effects import Effect, ReleaseReply, StartReply
from callbot.conversation.events import Event, Spoke
from callbot.conversation.lateness import Lateness
from callbot.errors import ProviderError
from callbot.media_stream.messages import Dtmf, Mark, Media
from callbot.media_stream.vad import SpeechPaused, SpeechStopped
from callbot.providers.accounting import Port, Report, Unit, Used
from callbot.providers.ports import Speech, WordTime
from callbot.providers.stt.fake import FakeEars
from callbot.providers.tts.fake import FakeVoice
from callbot.session import Session, Voices
from tests.conversation.script import RULES
from tests.staff import ScriptedBrain, equipment

pytestmark = pytest.mark.virtual_time

STREAM = "MZ1"
CALL = Call("CA1", "+15550142", "+15550100")
SILENCE = b"\xff" * 160
rng = np.random.default_rng(1)
VOICE = bytes(rng.choice(np.frombuffer(b"\x20\xa0\x10\x90", np.uint8), 160))


class Carrier:
    """The far side of a session: plays what it is sent, and returns marks when they are reached."""

    def __init__(self) -> None:
        self.stream_sid = STREAM
        self.sent: list[dict[str, object]] = []
        self.closed = False
        self.session: Session | None = None
        self.closely: list[bool] = []
        self._plays_until = 0.0
        self._marks: list[tuple[float, str]] = []
        self._chunk = 0

    def send(self, message: str) -> None:
        data = json.loads(message)
        self.sent.append(data)
        now = asyncio.get_running_loop().time()
        match data["event"]:
            case "media":
                audio = base64.b64decode(data["media"]["payload"])
                self._plays_until = max(self._plays_until, now) + len(audio) / 8000
            case "mark":
                self._marks.append((max(self._plays_until, now), data["mark"]["name"]))
            case "clear":
                self._plays_until = now
                self._marks = [(now, name) for _, name in self._marks]

    def attend(self, closely: bool) -> None:
        self.closely.append(closely)

    def hang_up(self) -> None:
        self.closed = True

    async def says(self, frames: Sequence[bytes]) -> None:
        """20 ms a frame, with marks coming back meanwhile."""
        session = self.session
        assert session is not None
        for audio in frames:
            await asyncio.sleep(0.02)
            now = asyncio.get_running_loop().time()
            while self._marks and self._marks[0][0] <= now:
                session.received(Mark(STREAM, self._marks.pop(0)[1], 0))
            self._chunk += 1
            session.received(Media(STREAM, 0, self._chunk, (self._chunk - 1) * 20, audio))

    async def silence(self, seconds: float) -> None:
        await self.says([SILENCE] * round(seconds * 50))

    async def speech(self, seconds: float) -> None:
        await self.says([VOICE] * round(seconds * 50))

    def events(self) -> list[object]:
        return [message["event"] for message in self.sent]


def support(request: Request) -> Sequence[Action]:
    match request:
        case Greet():
            return [Say("Hello, how can I help you today?"), Expect(Expecting.ANYTHING)]
        case Answer(text) if "sales" in text:
            return [Say("One moment."), HandOff("sales", "wants sales", pending=text)]
        case Answer(text) if "bye" in text:
            return [Say("Goodbye."), EndCall(Disposition.RESOLVED)]
        case Answer(text) if "break" in text:
            raise ProviderError("no voice today", retryable=False)
        case Answer(text) if "bug" in text:
            return [1 / 0]  # type: ignore[list-item]
        case Answer(digits=digits) if digits:
            return [Say(f"You pressed {digits}.")]
    return [Say("We open at eight in the morning and close at eight in the evening, every day but Sunday.")]


def sales(request: Request) -> Sequence[Action]:
    return [Say("Hi, this is sales.")] if isinstance(request, TakeOver) else [Say("Sure.")]


async def run(
    carrier: Carrier, *heard: str, script: object = None, brain: ScriptedBrain | None = None
) -> Session:
    brains = {"support": brain or ScriptedBrain(support), "sales": ScriptedBrain(sales)}
    session = Session(
        Call("CA1", "+15550142", "+15550100"),
        carrier,
        equipment(brains, lambda: FakeEars(list(heard)), FakeVoice()),
    )
    carrier.session = session
    async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(session.run())
        await script(carrier)  # type: ignore[operator]
        if not running.done():
            session.hung_up(EndedBy.CALLER)
    return session


async def test_the_greeting_is_sent_at_once_and_marked() -> None:
    carrier = Carrier()

    async def script(carrier: Carrier) -> None:
        await carrier.silence(6)

    session = await run(carrier, script=script)
    assert carrier.events()[:2] == ["media", "mark"]
    assert session.conversation.transcript.turns[0].heard == "Hello, how can I help you today?"
    assert carrier.closed


async def test_speech_is_recognised_and_answered() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(10)

    session = await run(Carrier(), "What are your hours?", script=script)
    turns = session.conversation.transcript.turns
    assert [turn.who for turn in turns] == ["agent", "caller", "agent"]
    assert turns[1].text == "What are your hours?"
    assert turns[2].heard == turns[2].text
    assert turns[2].response_ms is not None
    assert turns[2].response_ms < 400


async def test_barge_in_clears_the_carrier_and_the_rest_is_not_heard() -> None:
    carrier = Carrier()

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(2)
        await carrier.speech(1.2)
        await carrier.silence(8)

    session = await run(carrier, "What are your hours?", "Wait, what about Saturday?", script=script)
    interrupted = [turn for turn in session.conversation.transcript.turns if turn.interrupted]
    assert len(interrupted) == 1
    assert interrupted[0].heard
    assert interrupted[0].text.startswith(interrupted[0].heard)
    assert interrupted[0].heard != interrupted[0].text
    assert "clear" in carrier.events()


async def test_a_handoff_lets_the_next_agent_speak() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(8)

    session = await run(Carrier(), "I want to talk to sales.", script=script)
    transcript = session.conversation.transcript
    assert transcript.agents == ["support", "sales"]
    assert [turn.agent for turn in transcript.turns if turn.who == "agent"] == ["support", "support", "sales"]


async def test_the_agent_hangs_up_after_the_goodbye_was_heard() -> None:
    carrier = Carrier()

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(0.8)
        await carrier.silence(5)

    session = await run(carrier, "Goodbye bye.", script=script)
    assert carrier.closed
    assert session.conversation.transcript.disposition is Disposition.RESOLVED
    assert session.conversation.transcript.turns[-1].heard == "Goodbye."


async def test_keys_reach_the_agent() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        for digit in "42#":
            assert carrier.session is not None
            carrier.session.received(Dtmf(STREAM, digit, 0))
            await carrier.silence(0.2)
        await carrier.silence(4)

    session = await run(Carrier(), script=script)
    assert session.conversation.transcript.turns[-1].text == "You pressed 42#."


@pytest.mark.parametrize("said", ["Please break.", "Please bug."])
async def test_faults_68_a_reply_that_breaks_is_apologised_for_and_the_call_goes_on(said: str) -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(0.8)
        await carrier.silence(6)
        await carrier.speech(0.8)
        await carrier.silence(10)

    session = await run(Carrier(), said, "What are your hours?", script=script)
    heard = [turn.heard for turn in session.conversation.transcript.turns if turn.who == "agent"]
    assert heard[1] == "Sorry, again please?"
    assert heard[2] is not None
    assert heard[2].startswith("We open at eight")


async def test_faults_43_a_stall_and_its_burst_end_no_turn_and_are_answered_once() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(0.6)
        await asyncio.sleep(2.0)  # the network stalls in mid-sentence...
        session = carrier.session
        assert session is not None
        for _ in range(100):  # ...and delivers what it owes
            carrier._chunk += 1
            session.received(Media(STREAM, 0, carrier._chunk, (carrier._chunk - 1) * 20, VOICE))
        await carrier.silence(10)

    session = await run(Carrier(), "What are your hours?", script=script)
    assert [turn.who for turn in session.conversation.transcript.turns] == ["agent", "caller", "agent"]


async def test_faults_41_a_flood_ends_the_call() -> None:
    async def script(carrier: Carrier) -> None:
        session = carrier.session
        assert session is not None
        for _ in range(600):
            await asyncio.sleep(0.02)
            for _ in range(10):
                carrier._chunk += 1
                session.received(Media(STREAM, 0, carrier._chunk, 0, SILENCE))

    session = await run(Carrier(), script=script)
    assert session.pace.flooded > 0
    assert session.conversation.transcript.ended_by is EndedBy.SYSTEM


async def test_a_silent_caller_is_prompted_and_let_go() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(60)

    session = await run(Carrier(), script=script)
    assert len(session.conversation.transcript.turns) >= 3


async def test_a_recorded_inbox_replays_to_the_same_decisions() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(2)
        await carrier.speech(1.2)
        await carrier.silence(8)

    news: list[tuple[float, Event | Effect]] = []
    brains = {"support": ScriptedBrain(support), "sales": ScriptedBrain(sales)}
    carrier = Carrier()
    call = Call("CA1", "+15550142", "+15550100")
    ears = FakeEars(["What are your hours?", "Wait, put me through to sales."])
    session = Session(
        call,
        carrier,
        equipment(brains, lambda: ears, FakeVoice()),
        observers=(lambda sid, now, what: news.append((now, what)),),
    )
    carrier.session = session
    async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        await script(carrier)
        session.hung_up(EndedBy.CALLER)

    events = [(now, what) for now, what in news if isinstance(what, get_args(Event))]
    effects = [what for _, what in news if not isinstance(what, get_args(Event))]
    again = Conversation(RULES, call)
    replayed = [effect for now, event in events for effect in again.handle(event, now)]
    assert len(effects) > 10
    assert replayed == effects
    assert again.transcript.as_json("CA1") == session.conversation.transcript.as_json("CA1")


# --- thinking ahead, and waiting ------------------------------------------------------------------


async def test_nothing_is_changed_before_the_turn_is_over() -> None:
    changed: list[float] = []
    order = "a router and a cable"

    def ordering(request: Request) -> Sequence[Action]:
        return support(request) if isinstance(request, Greet) else [Changing("place_order"), Say("Done.")]

    class Ordering(ScriptedBrain):
        async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
            async for action in super().reply(request, history):
                yield action
                if isinstance(action, Changing):
                    changed.append(asyncio.get_running_loop().time())

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(0.3)  # a pause, in which the answer is thought
        await carrier.speech(1.0)
        await carrier.silence(4)

    brain = Ordering(ordering)
    began = asyncio.get_running_loop().time()
    session = await run(Carrier(), order, script=script, brain=brain)
    answers = [request for request in brain.asked if isinstance(request, Answer)]
    assert len(answers) >= 2, "it was thought ahead"
    assert len(changed) == 1
    assert changed[0] - began > 4 + 1.0 + 0.3 + 1.0
    assert [turn.who for turn in session.conversation.transcript.turns] == ["agent", "caller", "agent"]


async def test_a_slow_brain_is_bridged_by_a_phrase_in_the_agents_voice() -> None:
    carrier = Carrier()

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(20)

    session = await run(
        carrier, "What are your hours?", script=script, brain=ScriptedBrain(support, seconds=5.0)
    )
    last = session.conversation.transcript.turns[2]
    assert last.text.startswith("One moment. Sorry, it takes longer. We open at eight")
    assert last.heard == last.text


async def test_what_a_model_has_spoken_itself_is_sent_as_it_is() -> None:
    spoken = bytes([0x80]) * 12_000
    words = (WordTime("Hello", 0.0, 0.5), WordTime("there.", 0.5, 1.2))

    def speaks(request: Request) -> Sequence[Action]:
        return [
            Say("Hello there.", speech=Speech("Hello there.", spoken, words)),
            Say("", speech=Speech("", spoken)),
        ]

    async def script(carrier: Carrier) -> None:
        await carrier.silence(6)

    carrier = Carrier()
    session = await run(carrier, script=script, brain=ScriptedBrain(speaks))
    sent = [message["media"] for message in carrier.sent if message["event"] == "media"]
    audio = b"".join(base64.b64decode(media["payload"]) for media in sent)  # type: ignore[index]
    assert audio == spoken * 2
    assert session.conversation.transcript.turns[0].heard == "Hello there."


class CountingEars(FakeEars):
    """Remembers how much it had been sent when it was flushed; ``cuts`` is as a vendor's."""

    def __init__(self, cuts: bool) -> None:
        super().__init__(["What are your hours?"])
        self.cuts = cuts
        self.seconds = 0.0
        self.flushed: list[float] = []

    def send(self, audio: bytes) -> None:
        self.seconds += len(audio) / 8000
        super().send(audio)

    def flush(self) -> None:
        self.flushed.append(self.seconds)
        super().flush()


@pytest.mark.parametrize("cuts", [False, True])
async def test_ears_that_would_hear_a_word_in_two_parts_are_asked_when_the_caller_is_silent(
    cuts: bool,
) -> None:
    """Others are asked at a dip in the sound as well, for it may be the end; nobody is asked twice."""
    ears = CountingEars(cuts)
    carrier = Carrier()
    session = Session(
        CALL, carrier, equipment({"support": ScriptedBrain(support)}, lambda: ears, FakeVoice())
    )
    carrier.session = session
    async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        await carrier.silence(4)
        await carrier.speech(0.8)
        await carrier.silence(0.08)
        await carrier.speech(0.8)
        await carrier.silence(3)
        session.hung_up(EndedBy.CALLER)
    (*dips, last) = ears.flushed
    assert last > 1.6
    assert len(dips) == (0 if cuts else 1)
    assert all(0.7 < dip < 1.2 for dip in dips)
    assert [turn.text for turn in session.conversation.transcript.turns if turn.who == "caller"] == [
        "What are your hours?"
    ]


async def test_a_reply_is_thought_and_rendered_before_it_is_certain_that_the_caller_is_silent() -> None:
    news: list[tuple[float, object]] = []

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.5)
        await carrier.silence(3)

    given = equipment(
        {"support": ScriptedBrain(support)}, lambda: FakeEars(["What are your hours?"]), FakeVoice()
    )
    carrier = Carrier()
    session = Session(CALL, carrier, given, observers=(lambda sid, now, what: news.append((now, what)),))
    carrier.session = session
    async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        await script(carrier)
        session.hung_up(EndedBy.CALLER)

    def when(kind: type) -> float:
        """The first of its kind that is about the answer."""
        return next(at for at, what in news if isinstance(what, kind) and getattr(what, "turn", 3) == 3)

    assert when(SpeechPaused) <= when(StartReply) <= when(Spoke) <= when(SpeechStopped) < when(ReleaseReply)


async def test_the_first_late_answer_of_a_call_is_acknowledged_if_others_were_late_before() -> None:
    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        for _ in range(3):
            await carrier.speech(1.0)
            await carrier.silence(12)

    async def call(lateness: Lateness) -> list[str]:
        """What the agent says after its greeting."""
        given = equipment(
            {"support": ScriptedBrain(support, seconds=1.0)},
            lambda: FakeEars(["What are your hours?"] * 3),
            FakeVoice(),
        )
        carrier = Carrier()
        session = Session(CALL, carrier, replace(given, lateness=lateness))
        carrier.session = session
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            tasks.create_task(session.run())
            await script(carrier)
            session.hung_up(EndedBy.CALLER)
        return [turn.text for turn in session.conversation.transcript.turns if turn.who == "agent"][1:]

    answer = "We open at eight in the morning and close at eight in the evening, every day but Sunday."
    process = Lateness()
    assert await call(process) == [answer] * 3, "nobody knows yet"
    assert await call(process) == [f"Let me see. {answer}", f"Okay. {answer}", f"Let me see. {answer}"]


async def test_what_a_reply_used_that_nobody_heard_is_told_to_be_wasted() -> None:
    class Costly(FakeVoice):
        def __init__(self, report: Report) -> None:
            super().__init__()
            self._report = report

        async def speak(self, text: str) -> AsyncGenerator[Speech]:
            self._report(Used(Port.TTS, self.name, Unit.CHARACTERS_SPOKEN, len(text)))
            async for speech in super().speak(text):
                yield speech

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(0.3)
        await carrier.speech(1.0)
        await carrier.silence(10)

    brains = {"support": ScriptedBrain(support)}
    given = equipment(brains, lambda: FakeEars(["a router and a cable"]), FakeVoice())

    def voices(report: Report) -> Voices:
        return Voices({"support": Costly(report)}, {"support": Costly(report)})

    carrier = Carrier()
    session = Session(CALL, carrier, replace(given, voices=voices))
    carrier.session = session
    async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        await script(carrier)
        session.hung_up(EndedBy.CALLER)
    (spoken,) = session.conversation.transcript.as_json("CA1")["usage"]
    sentence = "We open at eight in the morning and close at eight in the evening, every day but Sunday."
    assert spoken["wasted"] == len(sentence), "said in the pause, and thrown away"
    assert spoken["amount"] > spoken["wasted"]


class Kept:
    """A recording that remembers in which pieces it was given the caller."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int]] = []

    def caller(self, at_ms: int, audio: bytes) -> None:
        self.pieces.append((at_ms, len(audio)))

    def agent(self, at_ms: int, audio: bytes) -> None:
        pass

    def cut_agent(self, at_ms: int) -> None:
        pass


async def test_frames_that_were_read_together_are_passed_on_together_whatever_comes_with_them() -> None:
    kept = Kept()
    brains = {"support": ScriptedBrain(support)}
    call = Call("CA1", "+15550142", "+15550100")
    session = Session(call, Carrier(), equipment(brains, lambda: FakeEars([]), FakeVoice()), recording=kept)

    def frames(*numbers: int, more: bool = True) -> None:
        for n in numbers:
            session.received(Media(STREAM, 0, n, (n - 1) * 20, SILENCE), more=more)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        await asyncio.sleep(0.2)
        frames(1, 2, 3)
        assert kept.pieces == []
        session.received(Mark(STREAM, "unknown", 0))
        assert kept.pieces == [(0, 480)]
        frames(4, 5)
        frames(5, more=False)  # a repeated one
        assert kept.pieces == [(0, 480), (60, 320)]
        frames(6, more=False)
        assert kept.pieces[2:] == []  # the detector's next chunk is not whole
        frames(7, more=False)
        assert kept.pieces[2:] == [(100, 320)]
        session.hung_up(EndedBy.CALLER)


async def test_the_line_is_told_when_the_callers_next_frame_matters_at_once() -> None:
    carrier = Carrier()

    async def script(carrier: Carrier) -> None:
        await carrier.silence(4)
        await carrier.speech(1.0)
        await carrier.silence(1)

    await run(carrier, "Hello.", script=script)
    assert carrier.closely == [False, True, False, True, False]
