"""How the ElevenLabs double refuses, and what of its sockets' messages a fault lets through."""

import asyncio
import json
import math
import socket
import struct
from typing import Any, Final

from aiohttp import web

from tests.doubles.plan import Fault

_LONGEST_REASON: Final = 123
"""Bytes that the frame that closes a WebSocket has room for."""

MESSAGES: Final = {
    "invalid_api_key": "Invalid API key",
    "quota_exceeded": "This request exceeds your quota. You have 0 credits remaining.",
    "voice_not_found": "A voice for the voice_id was not found.",
    "too_many_concurrent_requests": "Too many concurrent requests for your current subscription.",
    "system_busy": "The system is experiencing heavy traffic. Please try again.",
    "max_active_conversations": "Maximum simultaneous contexts per WebSocket connection exceeded (5). "
    "Please close an existing context before opening a new one.",
    "input_timeout_exceeded": "Have not received a new text input within the timeout of 20 seconds. "
    "Streaming input terminated. Please make sure to either feed the input in the timely manner, or to send "
    'the end of input text (empty string "") when done.',
}


def error(status: int, code: str, *, retry_after: float | None = None) -> web.Response:
    """The vendor's answer to a request that it does not take."""
    headers = {}
    if status == 429:
        headers |= {"current-concurrent-requests": "10", "maximum-concurrent-requests": "10"}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    detail = {"status": code, "message": MESSAGES.get(code, code)}
    return web.json_response({"detail": detail}, status=status, headers=headers)


def cut(request: web.BaseRequest) -> None:
    """Resets the connection: no goodbye of any kind, and what was not sent yet never is."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


async def refused(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    """What ``refuse``, ``blackhole`` and ``status`` make of a request, or None if it is let in."""
    if fault.refuse:
        cut(request)
        await asyncio.sleep(math.inf)  # until the server notices
    if fault.blackhole:
        await asyncio.sleep(math.inf)
    if fault.status is not None:
        return error(fault.status, fault.code, retry_after=fault.retry_after)
    return None


class Gate:
    """Counts the pieces that went through: of a connection, or of a context on it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.count = 0

    @property
    def stalled(self) -> bool:
        return self.fault.stall_after is not None and self.count >= self.fault.stall_after

    @property
    def cut(self) -> bool:
        return self.fault.cut_after is not None and self.count >= self.fault.cut_after

    @property
    def closed(self) -> bool:
        return self.fault.close_after is not None and self.count >= self.fault.close_after


class Messages:
    """One end of a WebSocket, through the gates of its faults."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request = request
        self._socket = socket
        self.over = False

    async def send(self, message: dict[str, Any], *gates: Gate) -> None:
        """One piece."""
        await self._stop_if_due(gates)
        if self.over or any(gate.stalled for gate in gates):
            return
        if dribble := max((gate.fault.dribble for gate in gates), default=0.0):
            await asyncio.sleep(dribble)
        garbage = any(gate.fault.garbage for gate in gates)
        await self.tell("{no message" if garbage else message)
        for gate in gates:
            gate.count += 1
        await self._stop_if_due(gates)

    async def tell(self, message: dict[str, Any] | str) -> None:
        """What is no piece."""
        if self.over:
            return
        try:
            await self._socket.send_str(message if isinstance(message, str) else json.dumps(message))
        except ConnectionError:
            self.over = True

    async def close(self, code: int, reason: str = "") -> None:
        if not self.over:
            self.over = True
            await self._socket.close(code=code, message=reason.encode()[:_LONGEST_REASON])

    async def _stop_if_due(self, gates: tuple[Gate, ...]) -> None:
        if self.over:
            return
        if any(gate.cut for gate in gates):
            self.over = True
            cut(self._request)
        for gate in gates:
            if gate.closed:
                await self.close(gate.fault.close_code)
