"""The carrier's end of many media sockets at once, cheaply: one timer paces all of them."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final

from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport

from bench.subscriber import FRAME_SECONDS, Subscriber
from callbot.exchange.sounds import FRAME_MS
from callbot.exchange.wire import CONNECTED, Messages

SLOT_SECONDS: Final = 0.002
SLOTS: Final = round(FRAME_SECONDS / SLOT_SECONDS)
"""The callers' frames are spread over the 20 ms; a slot's callers send theirs together."""

_CLOSE_ENOUGH: Final = 0.0005
"""The loop's timers are whole milliseconds."""


class Call(WSListener):
    """One caller's socket: it joins the pacer when it is connected and leaves when it is not.

    ``subscribe`` is told when the first frame is due. Calls of consecutive ``number`` are spread over the
    20 ms between two frames.
    """

    __slots__ = (
        "_hung_up",
        "_media",
        "_others",
        "_pacer",
        "_parameters",
        "_partial",
        "_subscribe",
        "_subscriber",
        "_transport",
        "_why_lost",
        "ended",
        "messages",
        "number",
    )

    def __init__(
        self,
        number: int,
        *,
        messages: Messages,
        parameters: Mapping[str, str],
        pacer: "Pacer",
        subscribe: Callable[[float], Subscriber],
    ) -> None:
        self.number = number
        self.messages = messages
        self.ended = asyncio.Event()
        self._parameters = parameters
        self._pacer = pacer
        self._subscribe = subscribe
        self._others = 1
        """Messages that are numbered and are no media; ``start`` is the first."""
        self._hung_up = False
        self._partial = bytearray()
        self._why_lost = ""
        media = '{"event":"media","sequenceNumber":"%d","streamSid":"' + messages.stream_sid + '","media":'
        media += '{"track":"inbound","chunk":"%d","timestamp":"%d","payload":"%b"}}'
        self._media = media.encode()

    def tick(self, now: float) -> None:
        """Send a frame."""
        sent = self._subscriber.frames_sent
        payload = self._subscriber.tick(now)
        if self._subscriber.echoes:
            self._return_marks(sent)
        self._transport.send(
            WSMsgType.TEXT, self._media % (sent + self._others + 1, sent + 1, sent * FRAME_MS, payload)
        )

    def hang_up(self) -> None:
        """The caller has had enough: ``stop``, and the socket closes."""
        self._hung_up = True
        self._pacer.leave(self)
        self.messages.sequence = self._subscriber.frames_sent + self._others
        self._send(self.messages.stop())
        self._transport.send_close(WSCloseCode.OK)

    def abort(self) -> None:
        self._transport.disconnect(graceful=False)

    async def result(self) -> None:
        """Raises what went wrong in here, if anything did."""
        with contextlib.suppress(WSError):  # the peer's fault, and counted
            await self._transport.wait_disconnected()

    # --- the socket's side -----------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send(CONNECTED)
        self._send(self.messages.start(self._parameters))
        self._subscriber = self._subscribe(self._pacer.join(self))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = time.monotonic()
        match frame.msg_type:
            case WSMsgType.TEXT if frame.fin:
                self._receive(frame.get_payload_as_memoryview(), now)
            case WSMsgType.TEXT | WSMsgType.CONTINUATION:
                self._partial += frame.get_payload_as_memoryview()
                if frame.fin:
                    self._receive(bytes(self._partial), now)
                    self._partial.clear()
            case WSMsgType.BINARY:
                self._subscriber.bad_message("a binary frame; messages are text", now)
            case WSMsgType.CLOSE:
                reason = (frame.get_close_message() or b"").decode(errors="replace")
                self._why_lost = f"closed with {frame.get_close_code().value} {reason}".rstrip()
                if not transport.is_close_frame_sent:
                    transport.send_close(frame.get_close_code())
                transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self._hung_up:
            self._pacer.leave(self)
            self._subscriber.lost(self._why_lost or "the socket broke", time.monotonic())
        self.ended.set()

    def _receive(self, text: bytes | memoryview, now: float) -> None:
        self._subscriber.receive(text, now)
        if self._subscriber.echoes:
            self._return_marks(self._subscriber.frames_sent)

    def _return_marks(self, frames_sent: int) -> None:
        for name in () if self._hung_up else self._subscriber.echoes:
            self.messages.sequence = frames_sent + self._others
            self._others += 1
            self._send(self.messages.mark(name))
        self._subscriber.echoes = ()

    def _send(self, text: str) -> None:
        self._transport.send(WSMsgType.TEXT, text.encode())


class Pacer:
    """Sends every caller's frames, each when it is due, with one timer for all of them.

    The schedule is absolute: what a late tick was to send is sent, and the next is due when it was.
    ``late_ms`` is how late each tick was that had anything to send.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.late_ms: list[float] = []
        self.calls = 0
        self.empty = asyncio.Event()
        self._slots: list[list[Call]] = [[] for _ in range(SLOTS)]
        self._began = time.monotonic()
        self._tick = 0
        """The one that is waited for."""

    def join(self, call: Call) -> float:
        """Returns when the first frame is due."""
        ahead = (call.number - self._tick) % SLOTS
        self._slots[call.number % SLOTS].append(call)
        self.calls += 1
        self.empty.clear()
        return self._began + (self._tick + ahead) * SLOT_SECONDS

    def leave(self, call: Call) -> None:
        self._slots[call.number % SLOTS].remove(call)
        self.calls -= 1
        if not self.calls:
            self.empty.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            calls = self._slots[self._tick % SLOTS]
            if calls or not self.calls:
                await self._until(self._began + self._tick * SLOT_SECONDS)
            if calls:
                now = time.monotonic()
                self.late_ms.append(max(0.0, now - self._began - self._tick * SLOT_SECONDS) * 1000)
                self.frames += len(calls)
                for call in calls:
                    call.tick(now)
            self._tick += 1

    async def _until(self, due: float) -> None:
        """Whoever else wants to run may, even when it is late already."""
        await asyncio.sleep(0)
        while (early := due - time.monotonic()) > _CLOSE_ENOUGH:  # noqa: ASYNC110 - it may wake early
            await asyncio.sleep(early)
