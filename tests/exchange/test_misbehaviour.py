import asyncio
import json

import pytest
from twilio.request_validator import RequestValidator
from websockets.exceptions import InvalidStatus

from callbot.exchange.errors import TwimlError
from callbot.exchange.misbehaviour import open_stream, ring
from callbot.exchange.signing import Signer
from tests.exchange.echo_bot import Conversation, EchoBot, Request, Response, echo_bot

pytestmark = pytest.mark.realtime

ACCOUNT = "AC" + "0" * 32
SIGNER = Signer("12345")


def respond(bot: EchoBot, request: Request) -> Response:
    """A bot that lets only the carrier in."""
    signature = request.headers.get("x-twilio-signature", "")
    if not RequestValidator("12345").validate(bot.voice_url, request.form, signature):
        return Response(status=403)
    return Response(bot.connect(parameters='<Parameter name="ctx" value="one-time"/>'))


def admit(request) -> int:
    return 101 if "x-twilio-signature" in request.headers else 403


async def listen(conversation: Conversation) -> None:
    while True:
        await conversation.next()


async def test_whoever_does_not_sign_or_signs_wrongly_gets_no_document():
    async with echo_bot(respond, listen, admit=admit) as bot:
        for signer in (None, Signer("54321")):
            assert (await ring(bot.voice_url, signer=signer, account_sid=ACCOUNT)).status == 403
        answer = await ring(bot.voice_url, signer=SIGNER, account_sid=ACCOUNT, form={"From": "anonymous"})
        assert answer.status == 200
        assert answer.stream.parameters == {"ctx": "one-time"}
        assert bot.requests[-1].form["From"] == "anonymous"
        with pytest.raises(InvalidStatus):
            async with open_stream(answer, signer=None):
                pass


async def test_a_bare_socket_sends_whatever_it_is_given():
    frames: list[str | bytes] = []

    async def talk(conversation: Conversation) -> None:
        for _ in range(5):
            frames.append(await conversation.socket.recv())
        await conversation.socket.send("answer")
        await conversation.socket.close(1008, "enough")

    async with echo_bot(respond, talk, admit=admit) as bot:
        answer = await ring(bot.voice_url, signer=SIGNER, account_sid=ACCOUNT)
        async with open_stream(answer, signer=SIGNER) as socket:
            await socket.send("junk", b"\x00\xff")
            await socket.begin({"ctx": "stolen"})
            await socket.send(socket.messages.media(b"\xff" * 160, timestamp_ms=0))
            assert await socket.receive() == "answer"
            assert await socket.close_code() == 1008
    assert frames[:2] == ["junk", b"\x00\xff"]
    connected, start, media = (json.loads(frame) for frame in frames[2:])
    assert connected["event"] == "connected"
    assert start["start"]["customParameters"] == {"ctx": "stolen"}
    assert start["start"]["callSid"] == answer.call_sid
    assert media["media"]["chunk"] == "1"


async def test_a_socket_can_vanish_without_closing():
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def talk(conversation: Conversation) -> None:
        await conversation.socket.wait_closed()
        ended.set_result(conversation.socket.close_code)

    async with echo_bot(respond, talk, admit=admit) as bot:
        answer = await ring(bot.voice_url, signer=SIGNER, account_sid=ACCOUNT)
        async with open_stream(answer, signer=SIGNER) as socket:
            await socket.begin()
            socket.vanish()
            assert await socket.close_code() == 1006
        assert await asyncio.wait_for(ended, 5) == 1006


async def test_a_frozen_socket_stays_open_and_reads_nothing():
    async def talk(conversation: Conversation) -> None:
        await conversation.socket.send("unread")
        await conversation.socket.wait_closed()

    async with echo_bot(respond, talk, admit=admit) as bot:
        answer = await ring(bot.voice_url, signer=SIGNER, account_sid=ACCOUNT)
        async with open_stream(answer, signer=SIGNER) as socket:
            assert await socket.receive() == "unread"
            socket.freeze()
            await bot.conversations[0].socket.send("after")
            with pytest.raises(TimeoutError):
                await socket.receive(seconds=0.2)
            socket.vanish()


async def test_a_document_without_a_stream_says_so():
    async with echo_bot(lambda bot, request: Response("<Response/>"), listen) as bot:
        answer = await ring(bot.voice_url, signer=SIGNER, account_sid=ACCOUNT)
    with pytest.raises(TwimlError, match="connects no stream"):
        assert answer.stream
