"""OpenAI's text models on loopback: chat completions and responses, streamed or whole.

Endpoints in the plan: ``chat``, ``responses``, and ``models`` (the list, which a client may ask for to open
a connection). A piece is one server-sent event. Honoured of ``Fault``: refuse, blackhole, status, code,
retry_after, delay; and where an answer is streamed stall_after, dribble, cut_after, close_after (the body
ends in good order, only too early), empty (a stream that ends well and says nothing), silent (comments that
keep the connection alive, and no event) and garbage. ``plan.open`` counts requests that are being answered.
"""

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from aiohttp import web

from tests.doubles.openai_chat_checks import (
    CHAT_FIELDS,
    LOCAL_FIELDS,
    RESPONSES_FIELDS,
    Refused,
    check_fields,
    check_input,
    check_knobs,
    check_limits,
    check_messages,
    check_template,
    check_tools,
    failure,
)
from tests.doubles.openai_chat_wire import (
    Answer,
    Usage,
    as_chat,
    chat_chunks,
    chat_whole,
    count,
    response_events,
    response_whole,
    written,
)
from tests.doubles.plan import Fault, Plan

KEY: Final = "sk-double-0123456789"
EFFORTS: Final = ("none", "low", "medium", "high", "xhigh")
_CACHED_FROM, _CACHED_IN_STEPS_OF = 1024, 128
_KEEP_ALIVE = 0.05


class OpenAiChatDouble:
    """``think`` says what the model answers to a parsed request, a response's told as a chat completion's.

    ``local`` behaves like the servers one runs oneself: any key, no usage, no rate limits told, tool calls
    whole and without ids, no responses, and a 400 for every field that it does not know.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        think: Callable[[dict[str, Any]], Answer],
        key: str = KEY,
        local: bool = False,
        model: str = "gpt-5.4-mini",
        others: Iterable[str] = (),
        refuses: Iterable[str] = (),
        efforts: Iterable[str] = EFFORTS,
        first_token: float = 0.0,
        between_tokens: float = 0.0,
        context: int = 100_000,
        template: int | None = None,
        reasons: int = 0,
    ) -> None:
        self.plan = plan
        self.think = think
        self.key = key
        self.local = local
        self.model = model
        self.others = frozenset(others)
        """Models that it has besides."""
        self.refuses = tuple(refuses)
        """Fields that the model does not take."""
        self.efforts = tuple(efforts)
        self.first_token = first_token
        self.between_tokens = between_tokens
        self.context = context
        """In tokens."""
        self.template = template
        """The status with which its chat template refuses a system message that is not the first, and two
        of one speaker in a row; None for one that takes all."""
        self.reasons = reasons
        """Tokens, of those that an answer may have, which it spends before the first word if it may."""
        self.url = ""
        """As ``OPENAI_BASE_URL``."""
        self._number = 0
        self._prompts: deque[tuple[str, str]] = deque(maxlen=100)
        self._runner: web.AppRunner

    @property
    def connections(self) -> int:
        """Of TCP, those included that wait for their next request."""
        server = self._runner.server
        return 0 if server is None else len(server.connections)

    async def idle(self, *, within: float) -> None:
        """Returns when nothing is being answered. Raises ``TimeoutError``."""
        await self._until(lambda: self.plan.open == 0, within)

    async def deserted(self, *, within: float) -> None:
        """Returns when nobody is connected. Raises ``TimeoutError``."""
        await self._until(lambda: self.plan.open == self.connections == 0, within)

    async def _until(self, true: Callable[[], bool], within: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while not true():
            if loop.time() > until:
                raise TimeoutError(f"{self.connections} connections, {self.plan.open} requests")
            await asyncio.sleep(0.001)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self._chat),
            web.post("/v1/responses", self._responses),
            web.get("/v1/models", self._models),
        ]

    async def __aenter__(self) -> "OpenAiChatDouble":
        app = web.Application(client_max_size=1 << 24)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    # --- requests --------------------------------------------------------------------------------

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "models", self._list)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "chat", self._complete)

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        if self.local:
            raise web.HTTPNotFound(text='{"detail":"Not Found"}', content_type="application/json")
        return await self._serve(request, "responses", self._respond)

    async def _serve(self, request: web.Request, endpoint: str, answer: Any) -> web.StreamResponse:
        fault = self.plan.fault(endpoint)
        self.plan.open += 1
        try:
            asked = json.loads(await request.read() or b"{}")
            self.plan.note(endpoint, asked, dict(request.headers))
            if fault.refuse:
                return await _reset(request)
            if fault.blackhole:
                await asyncio.Event().wait()
            await asyncio.sleep(fault.delay)
            if fault.status is not None:
                raise failure(fault.status, fault.code)
            if not self.local and request.headers.get("Authorization") != f"Bearer {self.key}":
                raise failure(401)
            found: web.StreamResponse = await answer(request, asked, fault)
            return found
        except Refused as refused:
            headers = self._headers()
            if fault.retry_after is not None:
                headers["retry-after"] = str(max(1, round(fault.retry_after)))
                headers["retry-after-ms"] = str(round(fault.retry_after * 1000))
            return web.json_response(refused.body, status=refused.status, headers=headers)
        finally:
            self.plan.open -= 1

    async def _list(self, request: web.Request, asked: Any, fault: Fault) -> web.StreamResponse:
        model = {"id": self.model, "object": "model", "created": 1_790_000_000, "owned_by": "openai"}
        return web.json_response({"object": "list", "data": [model]}, headers=self._headers())

    async def _complete(
        self, request: web.Request, asked: dict[str, Any], fault: Fault
    ) -> web.StreamResponse:
        known = LOCAL_FIELDS if self.local else CHAT_FIELDS
        check_fields(asked, known, local=self.local, responses=False)
        self._check(asked)
        check_messages(asked.get("messages"))
        if self.template is not None:
            check_template(asked["messages"], self.template)
        prompt = json.dumps([asked["messages"][:1], asked.get("tools"), asked["messages"][1:]])
        cached = self._cached(prompt, asked)
        answer = Answer() if fault.empty else self._answer(asked)
        usage = Usage(count(prompt), cached, written(answer))
        self._number += 1
        about = {"number": self._number, "local": self.local}
        if not asked.get("stream"):
            await asyncio.sleep(self.first_token)
            whole = chat_whole(answer, asked, usage, **about)
            return web.json_response(whole, headers=self._headers())
        chunks = chat_chunks(answer, asked, usage, **about)
        done = [b"data: [DONE]\n\n"]
        return await self._stream(request, (*map(_data, chunks), *done), fault)

    async def _respond(self, request: web.Request, asked: dict[str, Any], fault: Fault) -> web.StreamResponse:
        check_fields(asked, RESPONSES_FIELDS, local=False, responses=True)
        self._check(asked)
        check_input(asked.get("input"))
        if asked.get("max_output_tokens", 16) < 16:
            raise Refused(
                400, "Invalid 'max_output_tokens': integer below minimum value.", param="max_output_tokens"
            )
        prompt = json.dumps([asked.get("instructions"), asked.get("tools"), asked.get("input")])
        cached = self._cached(prompt, asked)
        answer = Answer() if fault.empty else self._answer(as_chat(asked))
        usage = Usage(count(prompt), cached, written(answer))
        self._number += 1
        if not asked.get("stream"):
            await asyncio.sleep(self.first_token)
            whole = response_whole(answer, asked, usage, number=self._number)
            return web.json_response(whole, headers=self._headers())
        events = response_events(answer, asked, usage, number=self._number)
        framed = (f"event: {event['type']}\n".encode() + _data(event) for event in events)
        return await self._stream(request, framed, fault)

    def _check(self, asked: dict[str, Any]) -> None:
        if not self.local and asked.get("model") not in {self.model, *self.others}:
            raise failure(404)
        check_knobs(asked, self.refuses, self.efforts)
        check_limits(asked)
        check_tools(asked.get("tools"))

    def _answer(self, asked: dict[str, Any]) -> Answer:
        effort = (asked.get("reasoning") or {}).get("effort") or asked.get("reasoning_effort")
        most = asked.get("max_completion_tokens") or asked.get("max_output_tokens") or self.reasons + 1
        return Answer(ending="length") if effort != "none" and most <= self.reasons else self.think(asked)

    def _cached(self, prompt: str, asked: Mapping[str, Any]) -> int:
        """Tokens that were in the cache: those that an earlier prompt with the same key began with, too."""
        if count(prompt) > self.context:
            raise failure(400, "context_length_exceeded")
        key = asked.get("prompt_cache_key", "")
        common = max((_common(prompt, text) for name, text in self._prompts if name == key), default=0)
        self._prompts.append((key, prompt))
        cached = common // 4 // _CACHED_IN_STEPS_OF * _CACHED_IN_STEPS_OF
        return cached if cached >= _CACHED_FROM else 0

    # --- answers ---------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        if self.local:
            return {}
        return {
            "x-request-id": f"req_{self._number:06}",
            "openai-processing-ms": "12",
            "x-ratelimit-limit-requests": "10000",
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-remaining-requests": "9999",
            "x-ratelimit-remaining-tokens": "1999000",
            "x-ratelimit-reset-requests": "6ms",
            "x-ratelimit-reset-tokens": "1ms",
        }

    async def _stream(
        self, request: web.Request, events: Iterable[bytes], fault: Fault
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={**self._headers(), "Content-Type": "text/event-stream; charset=utf-8"}
        )
        await response.prepare(request)
        while fault.silent:
            await response.write(b": keep-alive\n\n")
            await asyncio.sleep(_KEEP_ALIVE)
        await asyncio.sleep(self.first_token)
        for number, event in enumerate(_spoilt(events) if fault.garbage else events):
            match number:
                case fault.stall_after:
                    await asyncio.Event().wait()
                case fault.cut_after:
                    return await _reset(request)
                case fault.close_after:
                    break
            await asyncio.sleep(fault.dribble)
            await response.write(event)
            if self.between_tokens:
                await asyncio.sleep(self.between_tokens)
        await response.write_eof()
        return response


def _data(event: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def _spoilt(events: Iterable[bytes]) -> Iterator[bytes]:
    """Each event's JSON is broken off."""
    for event in events:
        yield event[: len(event) // 2] + b"\n\n"


def _common(one: str, other: str) -> int:
    """How many characters they begin with alike."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one.startswith(other[:middle]):
            least = middle
        else:
            most = middle - 1
    return least


async def _reset(request: web.Request) -> web.StreamResponse:
    """RST, not FIN; ends with the cancellation that a lost connection brings."""
    transport = request.transport
    assert transport is not None
    await asyncio.sleep(0.005)  # what was written before has left
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()
    await asyncio.Event().wait()
    raise AssertionError("the connection is gone")
