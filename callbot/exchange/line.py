"""The playback side of one bidirectional stream: what the bot sends, and when the caller hears it.

The rules are those of "Media Streams: WebSocket messages": media is buffered and played in the order of
arrival, a mark comes back when playback reaches it, ``clear`` empties the buffer and returns every mark
that was waiting. What is not a message is a warning (31951), once, and the stream goes on.
"""

import base64
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from callbot.exchange.sounds import FRAME, RATE, SILENCE

LONGEST_BUFFER = 600 * RATE
"""About ten minutes of audio; what goes beyond is discarded (31931)."""


@dataclass(frozen=True, slots=True)
class Echo:
    """Send this mark back. ``cleared`` says that it was flushed by ``clear``, not reached."""

    name: str
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class Warn:
    """Log a warning with the carrier's code; the stream goes on."""

    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """The bot emptied the buffer; ``dropped`` bytes of mu-law will not be heard."""

    dropped: int


Effect = Echo | Warn | Cleared


@dataclass(frozen=True, slots=True)
class Played:
    """What reaches the caller's ear in 20 ms, silence included, and what is due at their beginning."""

    audio: bytes
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class _Media:
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str


@dataclass(frozen=True, slots=True)
class _Clear:
    pass


_Message = _Media | _Mark | _Clear


class _UnfitError(Exception):
    """Why a message is not one."""


@dataclass(slots=True)
class Line:
    """One stream's buffer. ``received`` and ``played`` count bytes of audio since it began."""

    stream_sid: str
    received: int = 0
    played: int = 0
    _buffer: bytearray = field(default_factory=bytearray)
    _marks: deque[tuple[int, str]] = field(default_factory=deque)
    _busy_until: float = 0.0
    _warned: set[int] = field(default_factory=set)

    @property
    def buffered(self) -> int:
        """Bytes waiting to be played."""
        return len(self._buffer)

    @property
    def pending_marks(self) -> tuple[str, ...]:
        return tuple(name for _, name in self._marks)

    def receive(self, text: str | bytes, now: float) -> list[Effect]:
        """A message of the bot's."""
        try:
            message, surplus = _decode(text, self.stream_sid)
        except _UnfitError as unfit:
            return self._warn(31951, str(unfit))
        warnings = self._warn(31951, f"unexpected field {surplus}") if surplus else []
        match message:
            case _Media(payload):
                return warnings + self._append(payload)
            case _Mark(name):
                self._marks.append((self.received, name))
                return warnings + (self._reached() if now >= self._busy_until else [])
            case _Clear():
                return warnings + self._clear()

    def tick(self, now: float) -> Played:
        """Play the 20 ms that begin ``now``. A mark is returned once the audio before it has ended."""
        effects = self._reached()
        audio = bytes(self._buffer[:FRAME])
        del self._buffer[:FRAME]
        self.played += len(audio)
        self._busy_until = now + len(audio) / RATE
        return Played(audio.ljust(FRAME, SILENCE), tuple(effects))

    def _append(self, payload: bytes) -> list[Effect]:
        room = LONGEST_BUFFER - len(self._buffer)
        kept = payload[:room]
        self._buffer += kept
        self.received += len(kept)
        if len(kept) == len(payload):
            return []
        return self._warn(31931, "more than 10 minutes of audio are buffered; what follows is discarded")

    def _clear(self) -> list[Effect]:
        dropped = len(self._buffer)
        self._buffer.clear()
        self.received = self.played
        echoes = [Echo(name, cleared=True) for _, name in self._marks]
        self._marks.clear()
        return [Cleared(dropped), *echoes]

    def _reached(self) -> list[Effect]:
        echoes: list[Effect] = []
        while self._marks and self._marks[0][0] <= self.played:
            echoes.append(Echo(self._marks.popleft()[1]))
        return echoes

    def _warn(self, code: int, detail: str) -> list[Effect]:
        if code in self._warned:
            return []
        self._warned.add(code)
        return [Warn(code, detail)]


def _decode(text: str | bytes, stream_sid: str) -> tuple[_Message, str]:
    """The message and the name of a field too many, if any; or ``_UnfitError``."""
    message = _object(text)
    event = message.get("event")
    if not isinstance(event, str) or event not in ("media", "mark", "clear"):
        raise _UnfitError(f"unknown event {event!r:.40}")
    if message.get("streamSid") != stream_sid:
        raise _UnfitError(f"{event} for streamSid {message.get('streamSid')!r:.40}, this is {stream_sid!r}")
    surplus = sorted(set(message) - {"event", "streamSid", event})
    if event == "clear":
        return _Clear(), next(iter(surplus), "")
    field_name = "payload" if event == "media" else "name"
    body = message.get(event)
    if not isinstance(body, dict) or not isinstance(body.get(field_name), str):
        raise _UnfitError(f"{event} without {event}.{field_name}")
    surplus += [f"{event}.{name}" for name in sorted(set(body) - {field_name})]
    value = body[field_name]
    return (_Media(_payload(value)) if event == "media" else _Mark(value)), next(iter(surplus), "")


def _object(text: str | bytes) -> dict[str, Any]:
    if isinstance(text, bytes):
        raise _UnfitError("a binary frame; messages are text")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _UnfitError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise _UnfitError(f"a message is an object, not {type(message).__name__}")
    return message


def _payload(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _UnfitError(f"media.payload is not base64: {error}") from error
