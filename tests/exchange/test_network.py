"""The exchange against a small bot on real sockets, in real time; each call lasts a fraction of a second."""

import asyncio
import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from twilio.request_validator import RequestValidator

from callbot.exchange import dtmf, media
from callbot.exchange.callers import Manners, RecordedCaller, Script, SilentCaller, Spoken
from callbot.exchange.network import Exchange
from callbot.exchange.result import CallResult
from callbot.exchange.signing import Signer
from callbot.exchange.sounds import FRAME, QUIET_FRAME, encode_wav
from callbot.exchange.twiml import DocumentFetched, EndedBy
from callbot.exchange.webhooks import Route, Webhooks
from tests.exchange.echo_bot import Conversation, EchoBot, Request, Response, echo_bot
from tests.exchange.voices import quiet, voice

pytestmark = pytest.mark.realtime

ACCOUNT = "AC" + "0" * 32
TOKEN = "12345"


def exchange(**options) -> Exchange:
    return Exchange(auth_token=TOKEN, account_sid=ACCOUNT, **{"say": lambda text: voice(200)} | options)


async def ring(bot: EchoBot, caller=None, *, network: Exchange | None = None, **options) -> CallResult:
    return await (network or exchange()).call(
        **{"voice_url": bot.voice_url, "from_number": "+15550142", "to_number": "+15550100"} | options,
        caller=caller or SilentCaller(0.3),
    )


def document(body: str) -> Response:
    return Response(f"<Response>{body}</Response>")


def connect(after: str = "", parameters: str = ""):
    return lambda bot, request: Response(bot.connect(after, parameters))


async def listen(conversation: Conversation) -> None:
    while True:
        await conversation.next()


@dataclass
class Says:
    """A caller who says these frames and hangs up."""

    frames: list[Spoken]
    heard: list[bytes] = field(default_factory=list)

    def script(self) -> Script:
        for frame in self.frames:
            self.heard.append((yield frame))


@pytest.fixture(autouse=True)
async def nothing_is_left_behind():
    yield
    ours = ("callbot/exchange", "websockets/asyncio/client")
    tasks = [task for task in asyncio.all_tasks() if any(place in repr(task.get_coro()) for place in ours)]
    assert tasks == []


# --- the webhook ---------------------------------------------------------------------------------


async def test_the_webhook_is_signed_and_tells_who_calls_whom():
    async with echo_bot(lambda bot, request: document("<Hangup/>"), listen) as bot:
        result = await ring(bot)
    (request,) = bot.requests
    assert RequestValidator(TOKEN).validate(
        bot.voice_url, request.form, request.headers["x-twilio-signature"]
    )
    assert request.form.items() >= {
        ("CallSid", result.call_sid),
        ("AccountSid", ACCOUNT),
        ("From", "+15550142"),
        ("To", "+15550100"),
        ("Caller", "+15550142"),
        ("Called", "+15550100"),
        ("CallStatus", "ringing"),
        ("ApiVersion", "2010-04-01"),
        ("Direction", "inbound"),
        ("FromCity", ""),
    }
    assert request.headers["i-twilio-idempotency-token"]
    assert result.status == "completed"
    assert result.ended_by is EndedBy.BOT


class RefusesFirst(httpx.AsyncBaseTransport):
    """The first connection fails; the others are real."""

    def __init__(self, failures: int) -> None:
        self.real = httpx.AsyncHTTPTransport()
        self.failures = failures
        self.tokens: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.tokens.append(request.headers["i-twilio-idempotency-token"])
        if len(self.tokens) <= self.failures:
            raise httpx.ConnectError("refused", request=request)
        return await self.real.handle_async_request(request)


@pytest.mark.parametrize(("failures", "fetched"), [(1, True), (2, False)])
async def test_a_connection_that_fails_is_tried_once_more_with_the_same_token(failures, fetched):
    transport = RefusesFirst(failures)
    async with (
        echo_bot(lambda bot, request: document("<Hangup/>"), listen) as bot,
        httpx.AsyncClient(transport=transport) as client,
    ):
        webhooks = Webhooks(client, Signer(TOKEN), Route())
        answer = await webhooks.fetch(bot.voice_url, [("CallSid", "CA1")])
        assert isinstance(answer, DocumentFetched) is fetched
    assert len(transport.tokens) == 2
    assert len(set(transport.tokens)) == 1


@pytest.mark.parametrize(
    ("response", "code", "why"),
    [
        (Response(status=500), 11200, "answered 500"),
        (Response("<Response/>", content_type="application/json"), 12300, "application/json"),
        (Response("<Response>" + " " * 70_000 + "</Response>"), 11750, "65536"),
        (Response("<Response/>", delay=0.6), 11205, "within 0.3 s"),
        (Response("<Response><Dance/></Response>"), 12200, "<Dance>"),
        (Response("not xml"), 12100, "parse"),
    ],
)
async def test_a_webhook_that_fails_ends_the_call_with_the_carriers_code(response, code, why):
    async with echo_bot(lambda bot, request: response, listen) as bot:
        result = await ring(bot, network=exchange(webhook_seconds=0.3))
    assert result.status == "failed"
    assert result.ended_by is EndedBy.CARRIER
    assert [warning.code for warning in result.warnings] == [code]
    assert why in result.warnings[0].detail


async def test_nobody_listening_is_a_connection_failure():
    result = await exchange().call(
        "http://127.0.0.1:9/voice", SilentCaller(1), from_number="+15550142", to_number="+15550100"
    )
    assert [warning.code for warning in result.warnings] == [11205]


async def test_the_fallback_url_is_asked_and_told_what_went_wrong():
    def respond(bot: EchoBot, request: Request) -> Response:
        return Response(status=503) if request.target == "/voice" else document("<Say>sorry</Say>")

    async with echo_bot(respond, listen) as bot:
        fallback = bot.voice_url.replace("voice", "fallback")
        result = await ring(bot, SilentCaller(5), fallback_url=fallback)
    assert result.status == "completed"
    assert bot.requests[1].form.items() >= {("ErrorCode", "11200"), ("ErrorUrl", bot.voice_url)}
    assert result.heard.count(voice(200)) == 1


async def test_a_get_redirect_signs_its_query_and_says_that_the_call_is_in_progress():
    def respond(bot: EchoBot, request: Request) -> Response:
        if request.method == "POST":
            return document('<Say>a</Say><Redirect method="GET">/next?n=1</Redirect>')
        return document("<Hangup/>")

    async with echo_bot(respond, listen) as bot:
        await ring(bot, SilentCaller(5))
    request = bot.requests[1]
    assert request.target.startswith("/next?n=1&CallSid=CA")
    assert "CallStatus=in-progress" in request.target
    url = bot.voice_url.removesuffix("/voice") + request.target
    assert RequestValidator(TOKEN).validate(url, {}, request.headers["x-twilio-signature"])


async def test_the_status_callback_reports_the_end():
    async with echo_bot(connect(), listen) as bot:
        await ring(bot, status_url=bot.voice_url.replace("voice", "status"))
    report = bot.requests[-1]
    assert report.target == "/status"
    assert report.form.items() >= {
        ("CallStatus", "completed"),
        ("CallDuration", "1"),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", "0"),
    }


@pytest.mark.parametrize(
    ("body", "status"), [('<Reject reason="busy"/>', "busy"), ("<Pause length='0'/><Reject/>", "no-answer")]
)
async def test_a_rejected_call_is_never_answered(body, status):
    caller = Says([Spoken()] * 10)
    async with echo_bot(lambda bot, request: document(body), listen) as bot:
        result = await ring(bot, caller)
    assert result.status == status
    assert result.duration_ms == 0
    assert caller.heard == []


# --- the media stream, from the carrier ----------------------------------------------------------


async def test_the_stream_speaks_as_the_manual_says():
    said = [voice(200)[at : at + FRAME] for at in range(0, 1600, FRAME)]
    frames = [Spoken(audio, digit="7" if at == 4 else "") for at, audio in enumerate(said)]
    parameters = '<Parameter name="ctx" value="opaque &amp; id"/>'
    async with echo_bot(connect(parameters=parameters), listen) as bot:
        result = await ring(bot, Says(frames))
    connected, start, *rest = bot.received
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": result.stream_sid,
        "start": {
            "accountSid": ACCOUNT,
            "streamSid": result.stream_sid,
            "callSid": result.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"ctx": "opaque & id"},
        },
    }
    assert [message["sequenceNumber"] for message in rest] == [str(at) for at in range(2, len(rest) + 2)]
    assert {message["streamSid"] for message in rest} == {result.stream_sid}
    heard = [message["media"] for message in rest if message["event"] == "media"]
    assert [one["chunk"] for one in heard] == [str(at) for at in range(1, len(heard) + 1)]
    assert [one["timestamp"] for one in heard] == [str(at * 20) for at in range(len(heard))]
    assert {one["track"] for one in heard} == {"inbound"}
    payloads = [base64.b64decode(one["payload"]) for one in heard]
    assert {len(payload) for payload in payloads} == {FRAME}
    # the caller has begun to speak already while the handshake is under way
    missed = len(said) - len(payloads)
    assert payloads == said[missed:]
    assert b"".join(payloads) == result.said
    assert [message["dtmf"] for message in rest if message["event"] == "dtmf"] == [
        {"track": "inbound_track", "digit": "7"}
    ]
    assert result.dtmf == "7"
    assert rest[-1] == {
        "event": "stop",
        "sequenceNumber": str(len(rest) + 1),
        "streamSid": result.stream_sid,
        "stop": {"accountSid": ACCOUNT, "callSid": result.call_sid},
    }
    assert bot.conversations[0].socket.close_code == 1000
    assert result.ended_by is EndedBy.CALLER


async def test_frames_keep_an_absolute_clock_however_the_loop_is_held_up():
    arrived: list[float] = []

    async def talk(conversation: Conversation) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await conversation.next("media")
            arrived.append(loop.time())

    async def hold_up() -> None:
        for _ in range(8):
            await asyncio.sleep(0.1)
            np.linalg.inv(np.random.default_rng(0).normal(size=(200, 200)))

    async with echo_bot(connect(), talk) as bot, asyncio.TaskGroup() as tasks:
        tasks.create_task(hold_up())
        result = await ring(bot, SilentCaller(2.0))
    frames = np.arange(len(arrived))
    late = np.array(arrived) - arrived[0] - frames * 0.02
    assert late[-60:].min() < 0.02  # a clock that drifts stays late by what it was held up
    assert result.duration_ms == len(arrived) * 20


async def test_the_upgrade_is_signed_over_the_url_in_the_document_and_goes_where_it_is_told():
    def respond(bot: EchoBot, request: Request) -> Response:
        return document('<Connect><Stream url="wss://bot.example.com/media"/></Connect>')

    async with echo_bot(respond, listen) as bot:
        result = await ring(
            bot, voice_url="https://bot.example.com/voice?a=1", connect_to=("127.0.0.1", bot.web_port)
        )
    (request,), (upgrade,) = bot.requests, bot.upgrades
    assert request.headers["host"] == "bot.example.com"
    assert RequestValidator(TOKEN).validate(
        "https://bot.example.com/voice?a=1", request.form, request.headers["x-twilio-signature"]
    )
    assert upgrade.headers["Host"] == "bot.example.com"
    assert upgrade.path == "/media"
    assert RequestValidator(TOKEN).validate(
        "wss://bot.example.com/media", {}, upgrade.headers["x-twilio-signature"]
    )
    assert "Sec-WebSocket-Extensions" not in upgrade.headers
    assert result.warnings == ()


# --- and from the bot ----------------------------------------------------------------------------


async def test_what_the_bot_plays_reaches_the_ear_as_it_was_and_its_marks_come_back():
    audio = voice(330)

    async def talk(conversation: Conversation) -> None:
        await conversation.next("start")
        await conversation.play(audio[:1000])
        await conversation.play(audio[1000:])
        await conversation.send("mark", name="end")
        await conversation.next("mark")
        await conversation.socket.close()

    async with echo_bot(connect("<Hangup/>"), talk) as bot:
        result = await ring(bot, SilentCaller(5))
    begun = result.heard.index(audio)
    (mark,) = result.marks
    assert (mark.name, mark.cleared) == ("end", False)
    assert 0 <= mark.t_ms - (begun + len(audio)) / 8 <= 60
    assert len(result.said) == len(result.heard) == result.duration_ms * 8
    assert result.ended_by is EndedBy.BOT


async def test_clear_silences_the_ear_at_once_and_returns_the_marks_in_order():
    async def talk(conversation: Conversation) -> None:
        await conversation.next("start")
        await conversation.play(voice(3000))
        await conversation.send("mark", name="one")
        await conversation.send("mark", name="two")
        for _ in range(10):
            await conversation.next("media")
        await conversation.send("clear")
        await conversation.next("mark")
        await conversation.next("mark")
        await conversation.socket.close()

    async with echo_bot(connect(), talk) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [(mark.name, mark.cleared) for mark in result.marks] == [("one", True), ("two", True)]
    (spoken,) = result.hearing.bot
    assert 150 <= spoken.end_ms - spoken.start_ms <= 400
    (clear,) = [event for event in result.events if event.kind == "clear"]
    assert 2500 < clear.data["dropped_ms"] < 2900


async def test_what_is_no_message_is_one_warning_and_the_call_goes_on():
    async def talk(conversation: Conversation) -> None:
        await conversation.next("start")
        await conversation.socket.send("{")
        await conversation.socket.send(b"\x00")
        await conversation.send("mark", name="still here")
        await conversation.next("mark")
        await conversation.socket.close()

    async with echo_bot(connect("<Hangup/>"), talk) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [warning.code for warning in result.warnings] == [31951]
    assert [mark.name for mark in result.marks] == ["still here"]


async def test_when_the_bot_closes_the_next_verbs_run_and_a_second_stream_begins_anew():
    async def talk(conversation: Conversation) -> None:
        await conversation.next("media")
        await conversation.next("media")
        await conversation.socket.close()

    def respond(bot: EchoBot, request: Request) -> Response:
        if request.target == "/voice":
            return Response(bot.connect("<Say>one moment</Say><Redirect>/resume</Redirect>"))
        return Response(bot.connect("<Hangup/>"))

    async with echo_bot(respond, talk) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [request.target for request in bot.requests] == ["/voice", "/resume"]
    starts = [message for message in bot.received if message["event"] == "start"]
    assert [start["sequenceNumber"] for start in starts] == ["1", "1"]
    assert tuple(start["streamSid"] for start in starts) == result.stream_sids
    assert len(set(result.stream_sids)) == 2
    assert len(result.documents) == 2
    assert result.heard.count(voice(200)) == 1
    assert result.ended_by is EndedBy.BOT


async def test_a_refused_handshake_is_31920_and_the_next_verb_runs():
    async with echo_bot(connect("<Say>sorry</Say>"), listen, admit=lambda request: 403) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [(warning.code, "403" in warning.detail) for warning in result.warnings] == [(31920, True)]
    assert result.heard.count(voice(200)) == 1
    assert result.stream_sid == ""
    assert result.ended_by is EndedBy.CARRIER


async def test_a_redirect_of_the_handshake_is_not_followed():
    async with echo_bot(connect(), listen, admit=lambda request: 302) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [warning.code for warning in result.warnings] == [31920]


async def test_a_media_server_that_is_not_there_is_31901():
    stream = '<Connect><Stream url="ws://127.0.0.1:9/media"/></Connect>'
    async with echo_bot(lambda bot, request: document(stream), listen) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [warning.code for warning in result.warnings] == [31901]


async def test_a_lost_socket_is_31903_and_a_protocol_error_31924():
    async def vanish(conversation: Conversation) -> None:
        await conversation.next("media")
        conversation.socket.transport.abort()

    async def babble(conversation: Conversation) -> None:
        await conversation.next("media")
        conversation.socket.transport.write(struct.pack("BB", 0xF3, 0))
        await listen(conversation)

    for talk, code in ((vanish, 31903), (babble, 31924)):
        async with echo_bot(connect("<Hangup/>"), talk) as bot:
            result = await ring(bot, SilentCaller(5))
        assert [warning.code for warning in result.warnings] == [code]
        assert result.ended_by is EndedBy.CARRIER


async def test_a_server_that_closes_with_an_error_is_31921():
    async def talk(conversation: Conversation) -> None:
        await conversation.next("start")
        await conversation.socket.close(1011, "oh dear")

    async with echo_bot(connect("<Hangup/>"), talk) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [(warning.code, warning.detail) for warning in result.warnings] == [(31921, "1011 oh dear")]


async def test_a_bot_that_reads_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(media, "_SENDING_SECONDS", 0.3)

    given_up = asyncio.Event()

    async def talk(conversation: Conversation) -> None:
        await conversation.next("start")
        conversation.socket.transport.pause_reading()
        await given_up.wait()
        conversation.socket.transport.abort()

    # two minutes of audio in each frame fills what the sockets hold in a few frames, not in minutes
    flood = [Spoken()] * 10 + [Spoken(b"\xff" * 1_000_000)] * 12 + [Spoken()] * 200
    async with echo_bot(connect("<Hangup/>"), talk) as bot:
        result = await ring(bot, Says(flood))
        given_up.set()
    assert [warning.code for warning in result.warnings] == [31903]
    assert "took nothing" in result.warnings[0].detail


# --- the carrier's own audio, and the end --------------------------------------------------------


async def test_files_and_tones_are_played_into_the_ear():
    tune = voice(140, pitch=200)

    def respond(bot: EchoBot, request: Request) -> Response:
        if request.method == "GET":
            return Response(encode_wav(tune), content_type="audio/x-wav")
        played = '<Play>/tune.wav</Play><Play loop="2">https://example.com/known.wav</Play>'
        return document(f'{played}<Play digits="5w#"/><Pause length="0"/>')

    known = voice(60)
    async with echo_bot(respond, listen) as bot:
        network = exchange(sounds={"https://example.com/known.wav": known})
        result = await ring(bot, SilentCaller(5), network=network)
    assert result.heard.count(tune) == 1
    assert result.heard.count(known) == 2
    assert [press.digit for press in dtmf.find(result.heard)][-2:] == ["5", "#"]
    assert result.warnings == ()


async def test_a_file_that_cannot_be_had_is_a_warning_and_the_next_verb_runs():
    def respond(bot: EchoBot, request: Request) -> Response:
        if request.method == "GET":
            return Response(status=404)
        return document("<Play>/tune.wav</Play><Say>goodbye</Say>")

    async with echo_bot(respond, listen) as bot:
        result = await ring(bot, SilentCaller(5))
    assert [warning.code for warning in result.warnings] == [11200]
    assert result.heard.count(voice(200)) == 1


async def test_a_caller_who_hangs_up_cuts_an_announcement_short():
    body = "<Pause length='30'/><Say loop='0'>for ever</Say>"
    async with echo_bot(lambda bot, request: document("<Say>a</Say>" + body), listen) as bot:
        result = await ring(bot, SilentCaller(0.4))
    assert result.ended_by is EndedBy.CALLER
    assert result.duration_ms == 400


async def test_a_call_that_lasts_too_long_is_ended_by_the_carrier():
    async with echo_bot(connect(), listen) as bot:
        result = await ring(bot, SilentCaller(60), longest=0.3)
    assert result.ended_by is EndedBy.CARRIER
    assert bot.received[-1]["event"] == "stop"


async def test_observers_are_told_everything_as_it_happens():
    told: list[str] = []
    async with echo_bot(connect(), listen) as bot:
        result = await ring(
            bot,
            Says([Spoken(note="hello")] + [Spoken()] * 15),
            on_event=lambda event: told.append(event.kind),
        )
    assert told == [event.kind for event in result.events]
    assert told == ["ringing", "webhook", "twiml", "answered", *told[4:-2], "stream_closed", "ended"]
    assert {"stream_started", "caller"} <= set(told)
    times = [event.t_ms for event in result.events]
    assert times == sorted(times)
    assert next(event.t_ms for event in result.events if event.kind == "stream_started") == 0


async def test_many_calls_at_once_keep_to_themselves():
    async def talk(conversation: Conversation) -> None:
        start = await conversation.next("start")
        await conversation.send("mark", name=start["start"]["callSid"])
        await listen(conversation)

    async with echo_bot(connect(), talk) as bot, asyncio.TaskGroup() as tasks:
        network = exchange()
        calls = [tasks.create_task(ring(bot, SilentCaller(0.4), network=network)) for _ in range(20)]
    results = [call.result() for call in calls]
    assert [[mark.name for mark in result.marks] for result in results] == [
        [result.call_sid] for result in results
    ]
    assert len({result.call_sid for result in results}) == 20


async def test_a_recorded_caller_is_answered_and_the_answer_is_measured_on_the_audio(tmp_path):
    """The bot answers 200 ms after it has heard 100 ms of silence, and stops when it is interrupted."""
    path = tmp_path / "caller.wav"
    path.write_bytes(encode_wav(voice(600) + quiet(1500) + voice(700)))
    cues = 'utterances:\n- text: "a"\n- {text: "b", when: {interrupt_after_ms: 1000}}\n'
    path.with_suffix(".yaml").write_text(cues)

    async def talk(conversation: Conversation) -> None:
        await conversation.next("start")
        await conversation.play(voice(300))
        spoken = silent = 0
        while True:
            message: Mapping[str, dict[str, str]] = await conversation.next("media")
            if base64.b64decode(message["media"]["payload"]) != QUIET_FRAME:
                spoken, silent = spoken + 1, 0
                if spoken == 5:
                    await conversation.send("clear")
            elif spoken:
                silent += 1
                if silent == 5:
                    spoken = 0
                    await asyncio.sleep(0.2)
                    await conversation.play(voice(1500))

    async with echo_bot(connect(), talk) as bot:
        result = await ring(bot, RecordedCaller(path, manners=Manners(patience_ms=400, farewell_ms=100)))
    assert [event.data["note"] for event in result.events if event.kind == "caller"] == ["a", "b"]
    assert len(result.responses) == 2
    assert all(300 <= response.after_ms <= 900 for response in result.responses)
    (barge_in,) = result.barge_ins
    assert 100 <= barge_in.after_ms <= 600
    assert result.hearing.unanswered == ()
    assert json.dumps([dict(event.data) for event in result.events])
