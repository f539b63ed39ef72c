"""The media socket under callers who are not Twilio, or whose network is broken: real sockets throughout."""

import asyncio
import base64
import gc
import json
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from callbot.agents.brain import Action, EndCall, Greet, Request, Say
from callbot.app import create_app
from callbot.call import Call, Disposition
from callbot.carriers.twilio import media as media_module
from callbot.carriers.twilio import socket as socket_module
from callbot.carriers.twilio.signatures import Signatures
from callbot.carriers.twilio.tokens import Claims
from callbot.config import load
from callbot.exchange.signing import Signer
from callbot.providers.stt.fake import FakeEars
from callbot.providers.tts.fake import FakeVoice
from callbot.reception import Reception
from callbot.server import running
from callbot.services import Services
from callbot.store.recorder import Recorder
from tests.staff import ScriptedBrain, equipment

pytestmark = pytest.mark.server_loop
"""asyncio's own loop does not tell that a peer stopped reading, in Python 3.12 before 3.12.9 and 3.13 before
3.13.2 (CVE-2024-12254)."""

TOKEN = "secret-of-the-account"
PUBLIC = "https://bot.example.com"
MEDIA = "wss://bot.example.com/twilio/media"
CALL = Call("CA" + "1" * 32, "+15550142", "+15550100")
STREAM = "MZ" + "0" * 32
SILENCE = base64.b64encode(b"\xff" * 160).decode()
VOICE = base64.b64encode(b"\x20\xa0\x10\x90" * 40).decode()


def greeting(request: Request) -> list[Action]:
    if isinstance(request, Greet):
        return [Say("Hello, how can I help you today?")]
    return [Say("Goodbye."), EndCall(Disposition.RESOLVED)]


@dataclass
class Bot:
    port: int
    services: Services
    brain: ScriptedBrain
    records: list[dict[str, Any]]
    over: asyncio.Event

    async def record(self) -> dict[str, Any]:
        """The record of the call, once it is over."""
        async with asyncio.timeout(3):
            await self.over.wait()
        return self.records[0]

    def token(self, call: Call = CALL, age: float = 0.0) -> str:
        token = self.services.admit(Claims(call), asyncio.get_running_loop().time() - age)
        assert token is not None
        return token

    def connect(self, signature: str | None = None, path: str = "/twilio/media") -> connect:
        signed = Signer(TOKEN).upgrade(MEDIA) if signature is None else {"x-twilio-signature": signature}
        return connect(
            f"ws://127.0.0.1:{self.port}{path}", additional_headers=signed, compression=None, max_size=None
        )


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    settings = load(
        None,
        data=tmp_path,
        public_url=PUBLIC,
        twilio_auth_token=TOKEN,
        database_url=f"sqlite:///{tmp_path}/calls.db",
    )
    brain = ScriptedBrain(greeting)
    records: list[dict[str, Any]] = []
    over = asyncio.Event()

    def finished(record: dict[str, Any]) -> None:
        records.append(record)
        over.set()

    @asynccontextmanager
    async def services(settings: object) -> AsyncIterator[Services]:
        recorder = Recorder(f"sqlite+aiosqlite:///{tmp_path}/calls.db", spool=tmp_path / "spool.jsonl")
        await recorder.start()
        reception = Reception(
            lambda call: equipment({"support": brain}, lambda: FakeEars(["Hello there."]), FakeVoice()),
            recorder,
            tmp_path / "recordings",
            finished=finished,
        )
        yield Services(
            settings=load_settings,
            recorder=recorder,
            reception=reception,
            missing=lambda: (),
            signatures=Signatures(PUBLIC, TOKEN),
        )
        await reception.aclose()
        await recorder.aclose()

    load_settings = settings
    app = create_app(settings, services=services)
    async with running(app) as port:
        yield Bot(port, app.state.services, brain, records, over)


def start(token: str, **changes: object) -> str:
    body: dict[str, Any] = {
        "accountSid": "AC1",
        "streamSid": STREAM,
        "callSid": CALL.sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"token": token},
    } | changes
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": STREAM, "start": body})


def frame(n: int, payload: str = SILENCE, stream: str = STREAM) -> str:
    body = {"track": "inbound", "chunk": str(n), "timestamp": str((n - 1) * 20), "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": str(n + 1), "streamSid": stream, "media": body})


STOP = json.dumps(
    {"event": "stop", "sequenceNumber": "9", "streamSid": STREAM, "stop": {"callSid": CALL.sid}}
)
CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'


async def close_code(socket: ClientConnection, within: float = 3.0) -> int:
    """The code with which the bot closes; what it sends before is read."""
    async with asyncio.timeout(within):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            assert socket.close_code is not None
            return socket.close_code


async def heard(socket: ClientConnection, event: str, within: float = 3.0) -> dict[str, Any]:
    async with asyncio.timeout(within):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["event"] == event:
                return message


async def test_a_call_with_signature_and_token_is_greeted(bot: Bot) -> None:
    async with bot.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(start(bot.token()))
        sent = await heard(socket, "media")
        assert sent["streamSid"] == STREAM
        assert len(base64.b64decode(sent["media"]["payload"])) > 160
        await socket.send(STOP)
        assert await close_code(socket) == 1000
    assert (await bot.record())["ended_by"] == "caller"
    assert bot.records[0]["call_sid"] == CALL.sid


# --- SECURITY 1: nothing is spent before signature and token are right ----------------------------


@pytest.mark.parametrize("signature", ["", "Zm9yZ2Vk", Signer("other").upgrade(MEDIA)["x-twilio-signature"]])
async def test_security_1_a_forged_signature_is_answered_with_403(bot: Bot, signature: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with bot.connect(signature):
            pass
    assert refused.value.response.status_code == 403
    assert bot.brain.asked == []


async def test_security_1_a_socket_without_signature_is_refused(bot: Bot) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{bot.port}/twilio/media"):
            pass
    assert refused.value.response.status_code == 403


def _unknown(bot: Bot) -> str:
    return "never-issued"


def _replayed(bot: Bot) -> str:
    token = bot.token()
    now = asyncio.get_running_loop().time()
    assert bot.services.tokens.redeem(token, CALL.sid, now) is not None
    return token


def _of_another_call(bot: Bot) -> str:
    return bot.token(Call("CA" + "2" * 32, "+15550163", "+15550100"))


def _expired(bot: Bot) -> str:
    return bot.token(age=31)


@pytest.mark.parametrize("make", [_unknown, _replayed, _of_another_call, _expired])
async def test_security_1_a_wrong_token_is_closed_with_1008_and_costs_nothing(
    bot: Bot, make: Callable[[Bot], str]
) -> None:
    async with bot.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(start(make(bot)))
        assert await close_code(socket) == 1008
    assert bot.brain.asked == []
    assert bot.records == []


async def test_security_34_a_socket_that_never_starts_is_closed(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_module, "START_WITHIN", 0.2)
    async with bot.connect() as socket:
        await socket.send(CONNECTED)
        assert await close_code(socket) == 1008


# --- FAULTS 38 to 47 -------------------------------------------------------------------------------

BAD = {
    "json": "{not json",
    "keys": '{"event":"media","streamSid":"' + STREAM + '"}',
    "types": frame(1, payload=SILENCE).replace('"chunk": "1"', '"chunk": []'),
    "base64": frame(1, payload="@@@@"),
    "nan": frame(1).replace('"sequenceNumber": "2"', '"sequenceNumber": NaN'),
    "huge": frame(1).replace('"timestamp": "0"', '"timestamp": ' + "9" * 5000),
    "deep": '{"event":"media","x":' + "[" * 5000 + "]" * 5000 + "}",
    "unknown": '{"event":"surprise"}',
    "binary": b"\x00\x01\x02",
}


@pytest.mark.parametrize("kind", BAD)
async def test_faults_38_39_a_bad_message_is_skipped_and_the_call_goes_on(bot: Bot, kind: str) -> None:
    async with bot.connect() as socket:
        await socket.send(CONNECTED)
        await socket.send(start(bot.token()))
        await heard(socket, "mark")
        await socket.send(BAD[kind])
        for n in range(1, 5):
            await socket.send(frame(n))
        await socket.send(json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "#"}}))
        await heard(socket, "clear")  # the key is acted upon: the call is alive
        await heard(socket, "media")
        await socket.send(STOP)
        assert await close_code(socket) == 1000


async def test_faults_38_after_50_bad_messages_the_socket_is_closed_with_1008(bot: Bot) -> None:
    async with bot.connect() as socket:
        await socket.send(start(bot.token()))
        await heard(socket, "media")
        for _ in range(50):
            await socket.send("{")
        await socket.send(frame(1))
        await heard(socket, "mark")
        assert socket.close_code is None
        await socket.send("{")
        assert await close_code(socket) == 1008
    assert (await bot.record())["ended_by"] == "system"


async def test_faults_40_an_oversize_frame_closes_that_stream_with_1009(bot: Bot) -> None:
    async with bot.connect() as socket:
        await socket.send(start(bot.token()))
        await heard(socket, "media")
        await socket.send(frame(1, payload="A" * 70_000))
        assert await close_code(socket) == 1009


async def test_faults_42_lost_repeated_and_reordered_frames_are_survived(bot: Bot) -> None:
    async with bot.connect() as socket:
        await socket.send(start(bot.token()))
        await heard(socket, "media")
        for n in (1, 2, 2, 5, 4, 9, 3, 10):
            await socket.send(frame(n))
        await socket.send(json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "#"}}))
        await heard(socket, "clear")
        session = bot.services.reception.live[CALL.sid]
        assert (session.pace.lost, session.pace.repeated) == (5, 3)


async def _media_first(bot: Bot, socket: ClientConnection) -> None:
    await socket.send(CONNECTED)
    await socket.send(frame(1))


async def _two_starts(bot: Bot, socket: ClientConnection) -> None:
    token = bot.token()
    await socket.send(start(token))
    await socket.send(start(token))


async def _another_stream(bot: Bot, socket: ClientConnection) -> None:
    await socket.send(start(bot.token()))
    await socket.send(frame(1, stream="MZ" + "f" * 32))


async def _another_format(bot: Bot, socket: ClientConnection) -> None:
    wide = {"encoding": "audio/l16", "sampleRate": 16000, "channels": 1}
    await socket.send(start(bot.token(), mediaFormat=wide))


@pytest.mark.parametrize("misbehave", [_media_first, _two_starts, _another_stream, _another_format])
async def test_faults_44_a_stream_out_of_order_is_closed_with_1008(
    bot: Bot, misbehave: Callable[[Bot, ClientConnection], Coroutine[Any, Any, None]]
) -> None:
    async with bot.connect() as socket:
        await misbehave(bot, socket)
        assert await close_code(socket) == 1008


async def test_faults_45_a_caller_who_vanishes_without_closing_is_noticed(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_module, "SILENT_FOR", 0.5)
    async with bot.connect() as socket:
        await socket.send(start(bot.token()))
        await close_code(socket)
    assert (await bot.record())["ended_by"] == "system"


async def test_faults_46_a_peer_that_stops_reading_is_given_up(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "SEND_WITHIN", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", bot.port, limit=1024)
    signature = Signer(TOKEN).upgrade(MEDIA)["x-twilio-signature"]
    writer.write(
        (
            "GET /twilio/media HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"X-Twilio-Signature: {signature}\r\n\r\n"
        ).encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.write(_client_frame(start(bot.token())))
    await writer.drain()
    async with asyncio.timeout(5):
        await reader.readuntil(b"media")  # it is served
        line = bot.services.reception.live[CALL.sid]._line
        for _ in range(400):  # far more than the sockets' buffers hold, and nobody reads it
            line.send(b"x" * 60_000)
        await bot.record()
    writer.close()
    assert not bot.services.reception.live


async def test_faults_47_hanging_up_in_mid_sentence_leaves_nothing_behind(bot: Bot) -> None:
    before = asyncio.all_tasks()
    async with bot.connect() as socket:
        await socket.send(start(bot.token()))
        await heard(socket, "media")
    await bot.record()
    left = asyncio.all_tasks() - before
    if left:
        _, pending = await asyncio.wait(left, timeout=3)
        assert not pending
    assert (await bot.record())["ended_by"] == "caller"


async def test_faults_67_a_call_that_is_over_is_freed_without_the_garbage_collector(bot: Bot) -> None:
    gc.collect()
    gc.disable()
    try:
        async with bot.connect() as socket:
            await socket.send(start(bot.token()))
            await heard(socket, "media")
            session = weakref.ref(bot.services.reception.live[CALL.sid])
            await socket.send(STOP)
            await close_code(socket)
        await bot.record()
        serving = [task for task in asyncio.all_tasks() if task.get_name() == "call"]
        if serving:
            await asyncio.wait(serving, timeout=3)
        serving.clear()
        assert session() is None
    finally:
        gc.enable()


async def test_faults_49_the_late_end_of_one_call_does_not_touch_the_next(bot: Bot) -> None:
    other = Call("CA" + "3" * 32, CALL.from_number, CALL.to_number)
    async with bot.connect() as old:
        await old.send(start(bot.token()))
        await heard(old, "media")
        async with bot.connect() as new:
            await new.send(start(bot.token(other), callSid=other.sid))
            await heard(new, "media")
            await old.send(STOP)
            assert await close_code(old) == 1000
            assert set(bot.services.reception.live) == {other.sid}
            await new.send(json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "#"}}))
            await heard(new, "media")


def _client_frame(text: str) -> bytes:
    """A masked text frame (mask of zeros), RFC 6455 section 5.2."""
    data = text.encode()
    return bytes([0x81, 0x80 | 126]) + len(data).to_bytes(2, "big") + bytes(4) + data


# --- frames a few at a time, when there is much to do --------------------------------------------


async def received(bot: Bot, frames: int, within: float = 2.0) -> None:
    session = bot.services.reception.live[CALL.sid]
    async with asyncio.timeout(within):
        while session.pace.frames < frames:  # noqa: ASYNC110 - a real socket's far end has no event
            await asyncio.sleep(0.005)


def tick(bot: Bot, *, busy: bool) -> None:
    """What the server does ten times a second."""
    for socket in bot.services.media_sockets:
        socket.tick(busy=busy)


async def quiet_call(bot: Bot, socket: ClientConnection) -> int:
    """A call in which nothing begins and nothing ends; the number of its last frame."""
    await socket.send(start(bot.token()))
    await heard(socket, "media")
    for number in range(1, 11):
        await socket.send(frame(number))
    await received(bot, 10)
    return 10


async def test_a_busy_process_is_woken_for_three_frames_and_one_with_time_for_each(bot: Bot) -> None:
    async with bot.connect() as socket:
        last = await quiet_call(bot, socket)
        tick(bot, busy=True)
        for number in range(last + 1, last + 3):
            await socket.send(frame(number))
        await asyncio.sleep(0.1)
        assert bot.services.reception.live[CALL.sid].pace.frames == last
        await socket.send(frame(last + 3))
        await received(bot, last + 3)
        tick(bot, busy=False)
        await socket.send(frame(last + 4))
        await received(bot, last + 4)


async def test_a_busy_process_is_woken_for_each_frame_in_which_something_may_begin_or_end(bot: Bot) -> None:
    async with bot.connect() as socket:
        last = await quiet_call(bot, socket)
        tick(bot, busy=True)
        for number in range(last + 1, last + 4):
            await socket.send(frame(number, payload=VOICE))
        await received(bot, last + 3)
        await socket.send(frame(last + 4))
        await received(bot, last + 4)


async def test_the_last_word_of_a_stream_is_not_kept_waiting_for_another(bot: Bot) -> None:
    async with bot.connect() as socket:
        await quiet_call(bot, socket)
        tick(bot, busy=True)
        await socket.send(STOP)  # too short to wake a busy process
        await asyncio.sleep(0.05)
        assert not bot.over.is_set()
        tick(bot, busy=True)
        assert (await bot.record())["ended_by"] == "caller"
    assert bot.services.media_sockets == set()


async def test_a_busy_process_is_woken_for_the_answer_to_its_goodbye(bot: Bot) -> None:
    async with bot.connect() as socket:
        await quiet_call(bot, socket)
        tick(bot, busy=True)
        (ours,) = bot.services.media_sockets
        ours.close(1000)  # type: ignore[attr-defined]
        assert await close_code(socket) == 1000
        async with asyncio.timeout(socket_module.SEND_WITHIN / 2):
            while bot.services.media_sockets:  # noqa: ASYNC110 - a real socket's far end has no event
                await asyncio.sleep(0.005)
