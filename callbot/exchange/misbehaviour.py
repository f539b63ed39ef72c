"""A carrier that does not keep to the rules, or somebody who only claims to be one: for tests.

``ring`` asks for a document as the carrier does, ``open_stream`` gives the bare socket that the document
names, and what is sent on it is up to you.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from callbot.exchange.errors import TwimlError
from callbot.exchange.media import open_socket
from callbot.exchange.signing import Signer
from callbot.exchange.twiml import NOT_TWIML, Stream, parse
from callbot.exchange.webhooks import Route
from callbot.exchange.wire import CONNECTED, Messages


@dataclass(frozen=True, slots=True)
class Answer:
    """What the voice webhook answered."""

    url: str
    call_sid: str
    account_sid: str
    status: int
    text: str

    @property
    def stream(self) -> Stream:
        """The document's first ``<Stream>``, its URL made absolute; ``TwimlError`` when there is none."""
        for verb in parse(self.text).verbs:
            if isinstance(verb, Stream):
                url = urljoin(self.url, verb.url)
                url = "ws" + url.removeprefix("http") if url.startswith("http") else url
                return Stream(url, verb.name, verb.track, verb.parameters)
        raise TwimlError(NOT_TWIML, "the document connects no stream")


@dataclass(slots=True)
class RawSocket:
    """A media socket on which anything can be sent. ``messages`` writes what a good carrier would send."""

    socket: ClientConnection
    stream: Stream
    messages: Messages

    async def send(self, *frames: str | bytes) -> None:
        """Text or binary frames, as they are."""
        for frame in frames:
            await self.socket.send(frame)

    async def begin(self, parameters: Mapping[str, str] | None = None) -> None:
        """``connected`` and ``start``; with the document's parameters unless others are given."""
        given = self.stream.parameters if parameters is None else parameters
        await self.send(CONNECTED, self.messages.start(given))

    async def receive(self, *, seconds: float = 5.0) -> str | bytes:
        """The bot's next frame."""
        async with asyncio.timeout(seconds):
            return await self.socket.recv()

    async def close_code(self, *, seconds: float = 10.0) -> int:
        """Read on until the bot closes; 1006 when it vanished."""
        async with asyncio.timeout(seconds):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd is not None else 1006

    def vanish(self) -> None:
        """Be gone without a word: the connection is reset."""
        self.socket.transport.abort()

    def freeze(self) -> None:
        """Stay connected and read nothing more."""
        self.socket.transport.pause_reading()


async def ring(
    voice_url: str,
    *,
    signer: Signer | None,
    account_sid: str,
    call_sid: str = "",
    form: Mapping[str, str] | None = None,
    connect_to: tuple[str, int] | None = None,
) -> Answer:
    """Post a voice webhook: unsigned without a ``signer``, and with ``form`` in place of its values."""
    call_sid = call_sid or "CA" + secrets.token_hex(16)
    values = {
        "CallSid": call_sid,
        "AccountSid": account_sid,
        "From": "+15550142",
        "To": "+15550100",
        "CallStatus": "ringing",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
    } | dict(form or {})
    place, headers = Route(connect_to).place(voice_url)
    if signer is not None:
        headers |= signer.webhook(voice_url, list(values.items()))
    async with httpx.AsyncClient(timeout=15.0, trust_env=False) as client:
        response = await client.post(place, data=values, headers=headers)
    return Answer(voice_url, values["CallSid"], account_sid, response.status_code, response.text)


@asynccontextmanager
async def open_stream(
    answer: Answer, *, signer: Signer | None, connect_to: tuple[str, int] | None = None
) -> AsyncIterator[RawSocket]:
    """The socket that the answer names; websockets' ``InvalidStatus`` when the bot refuses it."""
    stream = answer.stream
    messages = Messages(answer.account_sid, answer.call_sid, "MZ" + secrets.token_hex(16))
    async with await open_socket(stream.url, signer=signer, route=Route(connect_to)) as socket:
        yield RawSocket(socket, stream, messages)
