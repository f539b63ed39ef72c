"""Deepgram on loopback: ``/v1/listen``, ``/v2/listen`` (Flux) and ``/v1/speak``.

The endpoints of the plan are ``listen``, ``flux`` and ``speak``; a fault is that of one connection.

| field | honoured by | and does |
|---|---|---|
| ``refuse``, ``blackhole``, ``delay`` | all | as ``Fault`` says |
| ``status``, ``code``, ``retry_after`` | all | a failed upgrade; ``code`` is its ``dg-error`` |
| ``stall_after``, ``dribble``, ``cut_after``, ``close_after``, ``close_code`` | all | a piece is a \
``Results``, a ``TurnInfo``, a chunk of audio |
| ``garbage`` | all | what is not JSON; for ``speak`` the header of a WAV file before the audio |
| ``empty`` | all | closed with 1000 at the first audio; for ``speak`` ``Flushed`` without audio |
| ``silent`` | all | audio and text are taken, and nothing comes |
| ``duplicate``, ``late`` | ``listen``, ``flux`` | of what is final; for ``flux`` the ends of turns |
| ``wrong_rate`` | ``speak`` | 16 kHz where 8 kHz were asked for |
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from aiohttp import web

from tests.doubles.deepgram_flux import Flux
from tests.doubles.deepgram_listen import Listen
from tests.doubles.deepgram_speak import Speaking
from tests.doubles.deepgram_wire import Conduct, Hear, Session, Speak, Wire
from tests.doubles.plan import Fault, Plan

Refusal = tuple[int, str, str]
"""A status, the vendor's code and its text."""


class DeepgramDouble:
    """``async with double: double.url``. For the arguments see ``Conduct``."""

    def __init__(
        self,
        plan: Plan,
        *,
        hear: Hear = lambda audio: "",
        speak: Speak = lambda text: b"\xff" * 480 * len(text),
        key: str = "dg-key",
        idle: float = 10.0,
        enough: float = 0.02,
        final_every: float = 4.0,
        chunk: int = 1_000,
    ) -> None:
        self.plan = plan
        self._conduct = Conduct(
            plan=plan,
            hear=hear,
            speak=speak,
            idle=idle,
            enough=enough,
            final_every=final_every,
            chunk=chunk,
        )
        self._key = key
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/listen", self._handler("listen", Listen))
        app.router.add_get("/v2/listen", self._handler("flux", Flux))
        app.router.add_get("/v1/speak", self._handler("speak", Speaking))
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    def _handler(self, endpoint: str, session: type[Session]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self.plan.fault(endpoint)
            self.plan.note(endpoint, dict(request.query), dict(request.headers))
            async with self._open():
                if fault.refuse:
                    assert request.transport is not None
                    request.transport.abort()
                    return web.Response()
                if fault.blackhole:
                    await self._over.wait()
                    return web.Response()
                refusal = self._refused(request, fault, session)
                if refusal is not None:
                    return _failed_upgrade(refusal, fault.retry_after)
                socket = web.WebSocketResponse()
                socket.headers["dg-request-id"] = str(uuid.uuid4())
                await socket.prepare(request)
                await asyncio.sleep(fault.delay)
                wire = Wire(request, socket, fault, self.plan, endpoint)
                await session(self._conduct, wire, request.query).run()
                return socket

        return handle

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        self.plan.open += 1
        try:
            yield
        finally:
            self.plan.open -= 1

    def _refused(self, request: web.Request, fault: Fault, session: type[Session]) -> Refusal | None:
        if fault.status is not None:
            return fault.status, fault.code or "ERROR", fault.code or "refused"
        if request.headers.get("Authorization") != f"Token {self._key}":
            return 401, "INVALID_AUTH", "Invalid credentials."
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return 400, "Bad Request", "Expected a WebSocket upgrade."
        wrong = session.wrong(request.query)
        return (400, "Bad Request", wrong) if wrong else None


def _failed_upgrade(refusal: Refusal, retry_after: float | None) -> web.Response:
    """https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors"""
    status, code, text = refusal
    request_id = str(uuid.uuid4())
    headers = {"dg-request-id": request_id, "dg-error": text}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return web.json_response(
        {"err_code": code, "err_msg": text, "request_id": request_id}, status=status, headers=headers
    )
