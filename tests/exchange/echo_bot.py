"""A small bot on a real port: its documents and its behaviour on the media socket are a test's to choose."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Talk = Callable[["Conversation"], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True)
class Response:
    body: str | bytes = ""
    status: int = 200
    content_type: str = "text/xml"
    delay: float = 0.0


@dataclass
class Conversation:
    """The bot's end of a media socket."""

    socket: ServerConnection
    received: list[dict[str, Any]]
    stream_sid: str = ""
    audio: bytearray = field(default_factory=bytearray)

    async def next(self, event: str = "") -> dict[str, Any]:
        """The next message, or the next of this kind."""
        while True:
            message: dict[str, Any] = json.loads(await self.socket.recv())
            self.received.append(message)
            if message["event"] == "start":
                self.stream_sid = message["streamSid"]
            if message["event"] == "media":
                self.audio += base64.b64decode(message["media"]["payload"])
            if not event or message["event"] == event:
                return message

    async def send(self, event: str, **body: Any) -> None:
        message = {"event": event, "streamSid": self.stream_sid}
        await self.socket.send(json.dumps(message | ({event: body} if body else {})))

    async def play(self, audio: bytes) -> None:
        await self.send("media", payload=base64.b64encode(audio).decode())


@dataclass
class EchoBot:
    """What it was asked, what it received, and where it listens."""

    web_port: int = 0
    media_port: int = 0
    requests: list[Request] = field(default_factory=list)
    upgrades: list[Any] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)

    @property
    def voice_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/voice"

    @property
    def media_url(self) -> str:
        return f"ws://127.0.0.1:{self.media_port}/media"

    def connect(self, after: str = "", parameters: str = "") -> str:
        """TwiML that connects the media socket."""
        stream = f'<Stream url="{self.media_url}">{parameters}</Stream>'
        return f"<Response><Connect>{stream}</Connect>{after}</Response>"


@asynccontextmanager
async def echo_bot(
    respond: Callable[[EchoBot, Request], Response],
    talk: Talk,
    *,
    admit: Callable[[Any], int] = lambda request: 101,
) -> AsyncIterator[EchoBot]:
    """Serve until the block ends. Documents are on one port, media on another and, relayed, on the first.

    ``admit`` is given an upgrade's request and answers 101 to let it in.
    """
    bot = EchoBot()

    async def on_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                await _relay(head, reader, writer, bot.media_port)
                return
            request = await _read_request(head, reader)
            bot.requests.append(request)
            response = respond(bot, request)
            await asyncio.sleep(response.delay)
            body = response.body.encode() if isinstance(response.body, str) else response.body
            head = f"HTTP/1.1 {response.status} X\r\nContent-Type: {response.content_type}\r\n"
            head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def on_media(socket: ServerConnection) -> None:
        bot.upgrades.append(socket.request)
        conversation = Conversation(socket, bot.received)
        bot.conversations.append(conversation)
        with contextlib.suppress(ConnectionClosed):
            await talk(conversation)

    def on_upgrade(connection: ServerConnection, request: Any) -> Any:
        status = admit(request)
        return None if status == 101 else connection.respond(status, "no")

    web = await asyncio.start_server(on_http, "127.0.0.1", 0)
    async with web, serve(on_media, "127.0.0.1", 0, process_request=on_upgrade, max_size=None) as media:
        bot.web_port = web.sockets[0].getsockname()[1]
        bot.media_port = next(iter(media.sockets)).getsockname()[1]
        yield bot


async def _relay(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Hand an upgrade on the web port to the media port, as a proxy would."""

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    far_writer.write(head)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(copy(reader, far_writer))
        tasks.create_task(copy(far_reader, writer))


async def _read_request(raw_head: bytes, reader: asyncio.StreamReader) -> Request:
    line, *lines = raw_head.decode().strip().split("\r\n")
    method, target, _ = line.split(" ")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Request(method, target, headers, form)
