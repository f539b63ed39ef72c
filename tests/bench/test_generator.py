"""The callers on real sockets: the wire is the carrier's, and what a bot does wrong is found."""

import asyncio
import base64
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.carrier import Pacer
from bench.clips import Clip, cut
from bench.generator import Result, Run, Spec, SpecError, main, read_spec
from bench.subscriber import FRAME_SECONDS
from callbot.exchange.sounds import SILENCE, level_db, to_mulaw
from tests.exchange.echo_bot import Conversation, EchoBot, Request, Response, echo_bot

TONE = to_mulaw((8000 * np.sin(np.arange(8 * 600) * 0.7)).astype(np.int16))
HELLO = cut(SILENCE * 800 + TONE + SILENCE * 800, start_ms=100, end_ms=700, name="hello")
REPLY_SECONDS = 3.2
PATIENCE = 0.2
"""A bot that has heard so much silence answers."""
DETECTED = 0.1
"""A bot that has heard so much speech is interrupted."""


@dataclass
class Bot:
    """One call's bot. It waits for silence, answers, and is interrupted, unless its manners are bad."""

    socket: ServerConnection
    manners: str
    received: list[dict[str, Any]] = field(default_factory=list)
    sid: str = ""
    spoken: float = 0.0
    silent: float = 0.0
    owed: bool = False
    """The caller has spoken, and was not answered."""
    plays_until: float = 0.0
    greeted: bool = False

    async def talk(self) -> None:
        async for text in self.socket:
            message = json.loads(text)
            self.received.append(message)
            match message["event"]:
                case "start":
                    self.sid = message["streamSid"]
                    if self.manners == "leaves at once":
                        await self.socket.close(1008, "who are you")
                    await self.speak(0.2)
                case "media":
                    await self.hear(base64.b64decode(message["media"]["payload"]))

    async def hear(self, frame: bytes) -> None:
        if level_db(frame) > -40:
            self.spoken, self.silent = self.spoken + 0.02, 0.0
            if self.spoken >= DETECTED and not self.owed:
                self.owed = True
                await self.interrupted()
        else:
            self.spoken, self.silent = 0.0, self.silent + 0.02
            if self.owed and self.silent >= PATIENCE:
                self.owed = False
                await self.answer()

    async def interrupted(self) -> None:
        if self.plays_until > time.monotonic() and self.manners != "deaf":
            await self.send("clear")
            self.plays_until = 0.0
        if self.manners == "hasty":
            await self.speak(0.1)

    async def answer(self) -> None:
        match self.manners:
            case "mute":
                return
            case "leaves":
                await self.socket.close(4001, "broken")
            case "stutters":
                await self.speak(0.1)
                await asyncio.sleep(0.15)
            case "babbles":
                await self.socket.send("hello")
                await self.socket.send(b"\x00")
        await self.speak(REPLY_SECONDS)

    async def speak(self, seconds: float) -> None:
        audio = base64.b64encode(TONE[:160] * round(seconds * 50)).decode()
        await self.send("media", payload=audio)
        await self.send("mark", name=f"{len(self.received)}")
        self.plays_until = max(time.monotonic(), self.plays_until) + seconds

    async def send(self, event: str, **body: Any) -> None:
        message = {"event": event, "streamSid": self.sid} | ({event: body} if body else {})
        text = json.dumps(message)
        await self.socket.send([text[:30], text[30:]] if self.manners == "good" else text)  # in two frames


MANNERS = ("good", "deaf", "stutters", "leaves", "leaves at once", "hasty", "mute", "babbles")


@asynccontextmanager
async def bots(*manners: str) -> AsyncIterator[tuple[str, list[Bot]]]:
    """A server whose bots, in the order of the calls, have these manners; and its address."""
    served: list[Bot] = []

    async def serve_one(socket: ServerConnection) -> None:
        bot = Bot(socket, manners[len(served)])
        served.append(bot)
        with contextlib.suppress(ConnectionClosed):
            await bot.talk()

    async with serve(serve_one, "127.0.0.1", 0, compression=None) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        yield f"ws://{host}:{port}/ws", served


@dataclass(frozen=True)
class Made:
    """A run against bots of all manners, one call each."""

    result: Result
    bots: dict[str, Bot]

    def found(self, fault: str) -> set[str]:
        """Whose calls had it, by the examples."""
        return {MANNERS[example.call] for example in self.result.examples.get(fault, ())}


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    async def make() -> Made:
        async with bots(*MANNERS) as (url, served):
            spec = Spec(
                stream=url, calls=len(MANNERS), ramp_seconds=0.8, hold_seconds=11.0, barge_ins_per_minute=30
            )
            result = await Run(spec, [HELLO]).run()
            return Made(result, {bot.manners: bot for bot in served})

    return asyncio.run(make())


pytestmark = pytest.mark.realtime


# --- the wire ------------------------------------------------------------------------------------


def test_a_call_is_connected_started_spoken_to_and_stopped(made: Made):
    events = [message["event"] for message in made.bots["good"].received]
    assert events[:3] == ["connected", "start", "media"]
    assert events[-1] == "stop"
    assert set(events[2:-1]) == {"media", "mark"}


def test_every_message_is_numbered_and_every_frame_has_its_place(made: Made):
    received = made.bots["good"].received[1:]
    assert [message["sequenceNumber"] for message in received] == [
        str(number) for number in range(1, len(received) + 1)
    ]
    frames = [message["media"] for message in received if message["event"] == "media"]
    for index, frame in enumerate(frames):
        assert frame["track"] == "inbound"
        assert frame["chunk"] == str(index + 1)
        assert frame["timestamp"] == str(index * 20)
        assert len(base64.b64decode(frame["payload"])) == 160


def test_no_frame_is_lost(made: Made):
    arrived = {
        manners: sum(message["event"] == "media" for message in bot.received)
        for manners, bot in made.bots.items()
    }
    for manners in ("good", "deaf", "mute"):  # the ramp may take a second, and the hanging up
        assert arrived[manners] * 0.02 == pytest.approx(made.result.hold_seconds + 1.0, abs=1.5)
    unread = made.result.frames_sent - sum(arrived.values())
    assert 0 <= unread <= 10, "but what was on its way to the two who left"


def test_every_mark_is_returned_once_and_in_order(made: Made):
    names = [message["mark"]["name"] for message in made.bots["good"].received if message["event"] == "mark"]
    assert len(names) >= 3
    assert names == sorted(set(names), key=int)


@dataclass
class Ticked:
    """Stands for a call: when it joined the pacer, and when it was told to send."""

    number: int
    due: float = 0.0
    ticks: list[float] = field(default_factory=list)

    def tick(self, now: float) -> None:
        self.ticks.append(now)


async def test_a_callers_frames_are_sent_from_when_the_first_was_said_to_be_due():
    pacer = Pacer()
    pacing = asyncio.create_task(pacer.run())
    calls = [Ticked(number * 7) for number in range(40)]
    for call in calls:
        call.due = pacer.join(call)
        await asyncio.sleep(0.0037)
    await asyncio.sleep(0.1)
    pacing.cancel()
    for call in calls:
        assert len(call.ticks) >= 4
        for index, ticked in enumerate(call.ticks):
            assert ticked >= call.due + index * FRAME_SECONDS - 0.001
        # each is late by what the machine was late, and never by a frame more
        assert min(ticked - call.due - i * FRAME_SECONDS for i, ticked in enumerate(call.ticks)) < 0.02
    assert pacer.frames == sum(len(call.ticks) for call in calls)


async def test_the_callers_are_spread_over_the_twenty_milliseconds():
    pacer = Pacer()
    dues = [pacer.join(Ticked(number)) for number in range(10)]
    assert sorted((due - min(dues)) * 1000 for due in dues) == pytest.approx(range(0, 20, 2))


# --- what is found -------------------------------------------------------------------------------


def test_responses_and_barge_ins_are_timed(made: Made):
    assert made.result.response_ms.count >= 5
    assert made.result.response_ms.p50 == pytest.approx(PATIENCE * 1000, abs=60)
    assert made.result.barge_in_ms.count >= 1
    assert made.result.barge_in_ms.p50 == pytest.approx(DETECTED * 1000, abs=60)
    assert len(made.result.responses_ms) == made.result.response_ms.count


def test_a_good_bot_has_no_faults(made: Made):
    assert [fault for fault in made.result.examples if "good" in made.found(fault)] == []


@pytest.mark.parametrize(
    ("fault", "manners"),
    [
        ("barge_in_missed", {"deaf"}),
        ("underruns", {"stutters"}),
        ("lost", {"leaves"}),
        ("refused", {"leaves at once"}),
        ("false_turns", {"hasty"}),
        ("unanswered", {"mute"}),
        ("bad_messages", {"babbles"}),
    ],
)
def test_a_fault_is_found_where_it_is_and_nowhere_else(made: Made, fault: str, manners: set[str]):
    assert made.found(fault) == manners
    assert made.result.faults[fault] >= 1


def test_an_underrun_is_as_long_as_the_line_was_silent(made: Made):
    each = made.result.underrun_total_ms / made.result.faults["underruns"]
    assert each == pytest.approx(50.0, abs=25)


def test_examples_say_how_the_socket_was_closed(made: Made):
    assert made.result.examples["lost"][0].what == "closed with 4001 broken"
    assert made.result.examples["refused"][0].what == "closed with 1008 who are you"


def test_calls_that_ended_are_not_held(made: Made):
    assert made.result.calls_started == len(MANNERS)
    assert made.result.calls_held == len(MANNERS) - 2


def test_the_generator_tells_what_it_cost_and_how_late_it_was(made: Made):
    assert made.result.generator_cpu_seconds > 0
    assert made.result.generator_cpu_ms_per_call_second is not None
    assert made.result.generator_late_ms.count > made.result.hold_seconds * 50 * 5
    assert made.result.generator_late_ms.p99 is not None
    assert made.result.generator_late == (made.result.generator_late_ms.p99 > 10)
    assert made.result.clips == ["hello"]


def test_a_result_is_one_json_object(made: Made):
    told = json.loads(msgspec.json.encode(made.result))
    assert told["faults"]["lost"] == 1
    assert told["response_ms"]["p50"] == made.result.response_ms.p50


# --- the webhook ---------------------------------------------------------------------------------

TOKEN = "12345"


def public(webhook: str, **fields: Any) -> Spec:
    return Spec(
        webhook=webhook,
        public_url="https://bench.example.com",
        auth_token=TOKEN,
        ramp_seconds=0.1,
        **{"hold_seconds": 0.5} | fields,
    )


async def greets(conversation: Conversation) -> None:
    await conversation.next("start")
    await conversation.play(TONE)
    while True:
        await conversation.next()


async def test_the_webhook_and_the_upgrade_are_signed_and_parameters_arrive():
    def respond(bot: EchoBot, request: Request) -> Response:
        stream = '<Stream url="wss://bench.example.com/media"><Parameter name="token" value="t"/></Stream>'
        return Response(f"<Response><Connect>{stream}</Connect></Response>")

    async with echo_bot(respond, greets) as bot:
        result = await Run(public(bot.voice_url, calls=2), [HELLO]).run()
    assert result.calls_held == 2
    assert not any(result.faults.values())
    validator = RequestValidator(TOKEN)
    for request in bot.requests:
        signature = request.headers["x-twilio-signature"]
        assert request.headers["host"] == "bench.example.com"
        assert validator.validate("https://bench.example.com/voice", dict(request.form), signature)
    for upgrade in bot.upgrades:
        signature = upgrade.headers["x-twilio-signature"]
        assert upgrade.headers["host"] == "bench.example.com"
        assert validator.validate("wss://bench.example.com/media", {}, signature)
    starts = [conversation.received for conversation in bot.conversations]
    assert all(
        message["start"]["customParameters"] == {"token": "t"}
        for received in starts
        for message in received
        if message["event"] == "start"
    )
    assert len({request.form["CallSid"] for request in bot.requests}) == 2


@pytest.mark.parametrize(
    ("response", "what"),
    [
        (Response("<Response><Say>We are busy.</Say></Response>"), "We are busy."),
        (Response("<Response><Hangup/></Response>"), "<Hangup>"),
        (Response("<Response><Reject reason='busy'/></Response>"), "busy"),
        (Response("no", status=403), "answered 403"),
        (Response("<Response"), "document parse failure"),
    ],
)
async def test_a_call_that_gets_no_stream_is_refused(response: Response, what: str):
    async with echo_bot(lambda bot, request: response, greets) as bot:
        result = await Run(public(bot.voice_url), [HELLO]).run()
    assert result.faults["refused"] == 1
    assert what in result.examples["refused"][0].what
    assert (result.calls_started, result.calls_held, result.frames_sent) == (0, 0, 0)


async def test_a_stream_that_is_not_let_in_is_refused():
    def respond(bot: EchoBot, request: Request) -> Response:
        return Response(bot.connect())

    async with echo_bot(respond, greets, admit=lambda request: 403) as bot:
        result = await Run(public(bot.voice_url), [HELLO]).run()
    assert result.faults["refused"] == 1
    assert "403" in result.examples["refused"][0].what


async def test_where_nobody_listens_every_call_is_refused():
    result = await Run(public("http://127.0.0.1:9/voice", calls=2), [HELLO]).run()
    assert result.faults["refused"] == 2


# --- the command ---------------------------------------------------------------------------------


def test_a_spec_is_read_with_its_defaults():
    spec = read_spec(b'{"stream": "ws://127.0.0.1:1/ws", "calls": 3, "hold_seconds": 5}')
    assert (spec.calls, spec.hold_seconds, spec.barge_ins_per_minute) == (3, 5.0, 1.0)


@pytest.mark.parametrize(
    ("text", "field_name"),
    [
        (b"{}", "webhook, stream"),
        (b'{"stream": "ws://a/", "webhook": "http://a/"}', "webhook, stream"),
        (b'{"stream": "http://a/"}', "stream"),
        (b'{"webhook": "https://a/", "auth_token": "x"}', "webhook"),
        (b'{"webhook": "http://a/"}', "auth_token"),
        (b'{"stream": "ws://a/", "calls": 0}', "calls"),
        (b'{"stream": "ws://a/", "calls": "many"}', "calls"),
        (b'{"stream": "ws://a/", "hold_seconds": 0}', "hold_seconds"),
        (b'{"stream": "ws://a/", "ramp_seconds": -1}', "ramp_seconds"),
        (b'{"stream": "ws://a/", "barge_ins_per_minute": -1}', "barge_ins_per_minute"),
        (b'{"stream": "ws://a/", "line_noise_dbfs": 3}', "line_noise_dbfs"),
        (b'{"stream": "ws://a/", "cals": 3}', "cals"),
        (b"[]", "object"),
        (b"calls: 3", "JSON"),
    ],
)
def test_a_spec_that_cannot_be_run_names_the_field(text: bytes, field_name: str):
    with pytest.raises(SpecError, match=field_name):
        read_spec(text)


def test_the_command_refuses_a_bad_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "spec.json"
    assert main(["--spec", str(path)]) == 2
    path.write_text('{"stream": "ws://127.0.0.1:1/", "calls": 1000000000}')
    assert main(["--spec", str(path)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "cannot be read" in told[0]
    assert "calls: 1000000000 need" in told[1]


async def test_the_command_prints_one_json_object_and_progress_elsewhere(tmp_path: Path):
    async with bots("good") as (url, _):
        path = tmp_path / "spec.json"
        path.write_text(json.dumps({"stream": url, "ramp_seconds": 0, "hold_seconds": 5}))
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.generator", "--spec", str(path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await command.communicate()
    assert command.returncode == 0, err
    told = json.loads(out)
    assert told["calls_held"] == 1
    assert "5 s: 1 calls" in err.decode()
    assert 3 <= len(told["clips"]) <= 6


def test_the_clip_of_these_tests_is_one_utterance():
    assert isinstance(HELLO, Clip)
    assert HELLO.speech_ms == 600
