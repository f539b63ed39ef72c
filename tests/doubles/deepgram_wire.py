"""What the endpoints of the double have in common: how it behaves, and a connection with its fault."""

import asyncio
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests.doubles.plan import Fault, Plan

Hear = Callable[[bytes], str]
Speak = Callable[[str], bytes]

_IDLE_MESSAGE: Final = (
    "Deepgram did not receive audio data or a text message within the timeout window. "
    "See https://dpgr.am/net0001"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """``hear`` is given mu-law, ``speak`` returns it; both run in a thread.

    ``idle`` is after how many seconds without audio or KeepAlive ``/v1/listen`` hangs up (NET-0001);
    ``enough`` how many seconds of audio must wait for a ``Finalize`` to be answered; ``final_every`` after
    how many seconds of speech without a pause words become final. ``chunk`` is in bytes.
    """

    plan: Plan
    hear: Hear
    speak: Speak
    idle: float
    enough: float
    final_every: float
    chunk: int


class Session(ABC):
    """One connection to an endpoint."""

    def __init__(self, conduct: Conduct, wire: "Wire", query: Mapping[str, str]) -> None:
        self.conduct = conduct
        self.wire = wire
        self.query = query
        self.request_id = str(uuid.uuid4())

    @staticmethod
    @abstractmethod
    def wrong(query: Mapping[str, str]) -> str:
        """What is wrong with the query, or nothing."""

    @abstractmethod
    async def run(self) -> None:
        """From the handshake to the end."""


def wrong_audio(query: Mapping[str, str], rates: tuple[str, ...]) -> str:
    if query.get("encoding") != "mulaw":
        return "Invalid query string: encoding."
    if query.get("sample_rate") not in rates:
        return "Invalid query string: sample_rate."
    return ""


class Wire:
    """A connection's socket, with its fault."""

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, fault: Fault, plan: Plan, endpoint: str
    ) -> None:
        self.fault = fault
        self._request = request
        self._socket = socket
        self._plan = plan
        self._endpoint = endpoint
        self._pieces = 0
        self.gone = False

    async def received(self, within: float | None = None) -> bytes | dict[str, Any] | None:
        """Audio, or a message; None when the client is gone. Raises ``TimeoutError``, ``ValueError``."""
        message = await self._socket.receive(timeout=within)
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is not WSMsgType.TEXT:
            self.gone = True
            return None
        said = json.loads(message.data)
        if not isinstance(said, dict):
            raise ValueError("not an object")
        self._plan.note(f"{self._endpoint} message", said)
        return said

    async def tell(self, message: Mapping[str, Any]) -> None:
        """What is no piece."""
        if not self.gone and not self._stalled():
            await self._send(json.dumps(message))

    async def piece(self, piece: Mapping[str, Any] | bytes) -> None:
        """What the endpoint is asked for; the fault counts these."""
        fault = self.fault
        if self.gone or fault.silent or self._stalled():
            return
        if fault.cut_after is not None and self._pieces >= fault.cut_after:
            self.gone = True
            assert self._request.transport is not None
            self._request.transport.abort()
            return
        if fault.close_after is not None and self._pieces >= fault.close_after:
            await self.close(fault.close_code, "NET-0000")
            return
        self._pieces += 1
        await asyncio.sleep(fault.dribble)
        if isinstance(piece, bytes):
            await self._send(piece)
        else:
            await self._send("{not JSON" if fault.garbage else json.dumps(piece))

    async def final(self, piece: Mapping[str, Any]) -> None:
        """A piece that is final."""
        await asyncio.sleep(self.fault.late)
        for _ in range(1 + self.fault.duplicate):
            await self.piece(piece)

    async def close(self, code: int, reason: str) -> None:
        self.gone = True
        await self._socket.close(code=code, message=reason.encode())

    async def close_idle(self) -> None:
        await self.close(1011, _IDLE_MESSAGE)

    def _stalled(self) -> bool:
        return self.fault.stall_after is not None and self._pieces >= self.fault.stall_after

    async def _send(self, data: str | bytes) -> None:
        try:
            if isinstance(data, str):
                await self._socket.send_str(data)
            else:
                await self._socket.send_bytes(data)
        except (ConnectionError, RuntimeError):  # the client is gone, or just going
            self.gone = True
