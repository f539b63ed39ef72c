"""The sockets that speak: one text a connection (PROTOCOLS D3), and many contexts on one (D4)."""

import asyncio
import base64
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests.doubles.elevenlabs_faults import MESSAGES, Gate, Messages
from tests.doubles.plan import Fault, Plan

SCHEDULE: Final = (120, 160, 250, 290)
MOST_CONTEXTS: Final = 5
POLICY: Final = 1008
_FIRST_ONLY: Final = {
    "voice_settings",
    "generation_config",
    "pronunciation_dictionary_locators",
    "xi-api-key",
    "authorization",
}
_TEXT: Final = {"text", "flush", "try_trigger_generation"}
_CONTROL: Final = {"context_id", "close_context", "close_socket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the double speaks. ``speak`` may take its time: it runs in a thread."""

    speak: Callable[[str], bytes]
    chunk: float = 0.25
    """Seconds of audio in a message."""
    between: float = 0.0
    """Seconds that pass between two messages of one text."""
    idle: float | None = None
    """Instead of the ``inactivity_timeout`` that was asked for."""
    old_spelling: bool = False
    """As in the samples of the documentation: ``is_final``, ``context_id``, ``charsDurationsMs``."""
    aligned: bool = True
    """Whether the voice knows when each character is said."""
    lagging: bool = False
    """The first message has the times of its first character alone, the next those of the rest, and its
    own."""


@dataclass(eq=False)
class Context:
    """One text. Its slot is taken until its last message is sent, also after it was closed."""

    name: str | None
    fault: Fault
    schedule: list[int]
    buffer: str = ""
    flushed: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    """What is to be spoken, and None for the end."""
    begun: bool = False
    """Some audio was sent."""
    closed: bool = False
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    """Closed before it began."""

    def __post_init__(self) -> None:
        self.gate = Gate(self.fault)

    def add(self, text: str, *, at_once: bool) -> None:
        """Nothing is spoken before the schedule says so, or ``at_once``."""
        if text != " " or self.buffer:
            self.buffer += text
        if self.buffer.strip() and (at_once or len(self.buffer) >= self.schedule[0]):
            if len(self.schedule) > 1 and not at_once:
                self.schedule.pop(0)
            self.flushed.put_nowait(self.buffer)
            self.buffer = ""

    def close(self) -> None:
        """What was flushed is still spoken; what was not is dropped."""
        if not self.closed:
            self.closed = True
            self.flushed.put_nowait(None)

    def close_now(self) -> None:
        """By its message, which may overtake the text: what has not begun to sound is dropped (pipecat#4681,
        #5271)."""
        if not self.begun:
            self.dropped.set()
            while not self.flushed.empty():
                self.flushed.get_nowait()
        self.close()


class Speaker:
    """A connection. ``endpoint`` is ``tts-input`` or ``tts-multi``; the contexts of the latter have faults of
    their own, ``tts-context``."""

    def __init__(
        self,
        endpoint: str,
        plan: Plan,
        fault: Fault,
        query: dict[str, str],
        manner: Manner,
        messages: Messages,
    ) -> None:
        self._endpoint = endpoint
        self._multi = endpoint == "tts-multi"
        self._plan = plan
        self._fault = fault
        self._gate = Gate(fault)
        self._auto = query.get("auto_mode") == "true"
        self._aligned = query.get("sync_alignment") == "true" and manner.aligned
        self._idle = manner.idle if manner.idle is not None else float(query.get("inactivity_timeout", 20))
        self._manner = manner
        self._messages = messages
        self._contexts: dict[str | None, Context] = {}
        self._speaking: set[asyncio.Task[None]] = set()

    async def run(self, socket: web.WebSocketResponse) -> None:
        try:
            if self._fault.delay:
                await asyncio.sleep(self._fault.delay)
            await self._read(socket)
        finally:
            for task in self._speaking:
                task.cancel()
            if self._speaking:
                await asyncio.wait(self._speaking)

    async def _read(self, socket: web.WebSocketResponse) -> None:
        while not self._messages.over:
            try:
                message = await socket.receive(timeout=self._idle)
            except TimeoutError:
                await self._fail("input_timeout_exceeded")
                return
            if message.type is not WSMsgType.TEXT:
                if message.type is WSMsgType.BINARY:
                    await self._fail("invalid_message")
                return
            try:
                data = json.loads(message.data)
            except ValueError:
                await self._fail("invalid_message")
                return
            self._plan.note(self._endpoint, data)
            known = _FIRST_ONLY | _TEXT | (_CONTROL if self._multi else set())
            if not isinstance(data, dict) or not data.keys() <= known:
                await self._fail("invalid_message")
            elif self._fault.code and self._fault.status is None:
                await self._fail(self._fault.code)
            else:
                await self._take(data)

    async def _take(self, data: dict[str, Any]) -> None:
        if data.get("close_socket"):
            for context in self._contexts.values():
                context.add("", at_once=True)
                context.close()
            if self._speaking:
                await asyncio.wait(self._speaking)
            await self._messages.close(1000)
            return
        name, text = data.get("context_id"), data.get("text") or ""
        context = self._contexts.get(name)
        if data.get("close_context"):
            if context is not None:
                context.close_now()
            return
        if context is None or context.closed:
            context = await self._open(name, data)
            if context is None:
                return
        elif data.keys() & _FIRST_ONLY:
            await self._fail("invalid_message")
            return
        if not self._multi and data.get("text") == "":
            context.add("", at_once=True)
            context.close()
            return
        context.add(text, at_once=bool(data.get("flush")) or (self._auto and bool(text.strip())))

    async def _open(self, name: str | None, data: dict[str, Any]) -> Context | None:
        """Also by a mere flush of a context that nobody opened, as the vendor does."""
        if len(self._contexts) >= MOST_CONTEXTS:
            await self._fail("max_active_conversations")
            return None
        fault = self._plan.fault("tts-context") if self._multi else self._fault
        schedule = (data.get("generation_config") or {}).get("chunk_length_schedule") or SCHEDULE
        if not all(50 <= length <= 500 for length in schedule):
            await self._fail("invalid_message")
            return None
        context = self._contexts[name] = Context(name, fault, list(schedule))
        task = asyncio.create_task(self._speak(context))
        self._speaking.add(task)
        task.add_done_callback(self._speaking.discard)
        return context

    async def _speak(self, context: Context) -> None:
        fault = context.fault
        gates = (self._gate, context.gate) if self._multi else (self._gate,)
        first = True
        while (text := await context.flushed.get()) is not None:
            if self._multi and fault.code:
                await self._fail(fault.code)
                return
            if fault.empty or self._fault.empty:
                break
            if fault.silent or self._fault.silent:
                continue
            if first and self._multi:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(context.dropped.wait(), fault.delay)
            first = False
            async for message in self._spoken(text, wrong_rate=fault.wrong_rate or self._fault.wrong_rate):
                if context.dropped.is_set():
                    break
                context.begun = True
                await self._messages.send(message | self._named(context), *gates)
                await asyncio.sleep(self._manner.between)
        if not (fault.silent or self._fault.silent):
            if not any(gate.stalled for gate in gates):
                final = "is_final" if self._manner.old_spelling else "isFinal"
                await self._messages.tell({final: True} | self._named(context))
            self._contexts.pop(context.name, None)
        if not self._multi:
            await self._messages.close(1000)

    def _named(self, context: Context) -> dict[str, str]:
        if not self._multi or context.name is None:
            return {}
        return {"context_id" if self._manner.old_spelling else "contextId": context.name}

    async def _spoken(self, text: str, *, wrong_rate: bool) -> AsyncIterator[dict[str, Any]]:
        """The audio of a text, and when its characters are said: all take the same time."""
        audio = await asyncio.to_thread(self._manner.speak, text)
        text = text.strip()
        durations = "charsDurationsMs" if self._manner.old_spelling else "charDurationsMs"
        each = len(audio) / max(1, len(text))
        many = max(1, math.ceil(self._manner.chunk * 8000 / each))
        for start in range(0, len(text), many):
            characters = list(text[start : start + many])
            piece = audio[round(start * each) : round((start + len(characters)) * each)]
            if wrong_rate:
                piece = bytes(byte for byte in piece for _ in (0, 1))
            told = characters
            if self._manner.lagging and len(text) > 2 * many:
                told = {0: characters[:1], many: [*text[1:many], *characters]}.get(start, characters)
            at = [round(i * each / 8) for i in range(len(told) + 1)]
            alignment = {
                "chars": told,
                "charStartTimesMs": at[:-1],
                durations: [end - begin for begin, end in pairwise(at)],
            }
            yield {
                "audio": base64.b64encode(piece).decode(),
                "alignment": alignment if self._aligned else None,
                "normalizedAlignment": alignment if self._aligned else None,
            }

    async def _fail(self, code: str) -> None:
        message = MESSAGES.get(code, code)
        await self._messages.tell({"message": message, "error": code, "code": POLICY})
        await self._messages.close(POLICY, message)
