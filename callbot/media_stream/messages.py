"""Twilio Media Streams messages: JSON text frames to frozen values and back.

Twilio Docs, Voice, Media Streams, "WebSocket messages". All counters on the wire are strings; fields
that we do not know are ignored; whatever is not a message is a ``BadMessage``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from callbot.errors import BadMessage

LARGEST_MESSAGE: Final = 64 * 1024

_KEYS: Final = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message: the socket speaks the protocol."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins. ``parameters`` are the ``<Parameter>`` children of ``<Stream>``."""

    stream_sid: str
    call_sid: str
    account_sid: str
    encoding: str
    sample_rate: int
    channels: int
    parameters: Mapping[str, str]
    sequence: int


class Media(msgspec.Struct, frozen=True, gc=False):
    """Mu-law from the caller, of any length; ``timestamp_ms`` counts from the start of the stream.

    Frozen as the others are; a dataclass takes ten times as long to make, fifty times a second a call.
    """

    stream_sid: str
    sequence: int
    chunk: int
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Dtmf:
    stream_sid: str
    digit: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The audio before the mark of this name has played, or was cleared."""

    stream_sid: str
    name: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Stop:
    stream_sid: str
    call_sid: str
    sequence: int


Message = Connected | Start | Media | Dtmf | Mark | Stop


class _Wire(msgspec.Struct, tag_field="event", rename="camel"):
    """The shapes on the wire; they do not leave this module."""


class _Connected(_Wire, tag="connected"):
    pass


class _Format(msgspec.Struct, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class _StartBody(msgspec.Struct, rename="camel"):
    account_sid: str
    call_sid: str
    media_format: _Format
    custom_parameters: dict[str, str] = {}


class _Start(_Wire, tag="start"):
    stream_sid: str
    start: _StartBody
    sequence_number: int


class _MediaBody(msgspec.Struct):
    payload: bytes
    timestamp: int
    chunk: int = 0
    track: str = "inbound"


class _Media(_Wire, tag="media"):
    stream_sid: str
    media: _MediaBody
    sequence_number: int = 0


class _DtmfBody(msgspec.Struct):
    digit: str


class _Dtmf(_Wire, tag="dtmf"):
    stream_sid: str
    dtmf: _DtmfBody
    sequence_number: int = 0


class _MarkBody(msgspec.Struct):
    name: str


class _Mark(_Wire, tag="mark"):
    stream_sid: str
    mark: _MarkBody
    sequence_number: int = 0


class _StopBody(msgspec.Struct, rename="camel"):
    call_sid: str = ""


class _Stop(_Wire, tag="stop"):
    stream_sid: str
    stop: _StopBody
    sequence_number: int = 0


# strict=False reads the counters, which are strings on the wire, as integers.
_decoder = msgspec.json.Decoder(_Media | _Mark | _Dtmf | _Start | _Stop | _Connected, strict=False)
_encoder = msgspec.json.Encoder()


def decode(frame: str | bytes | memoryview | None) -> Message:
    """One text frame (UTF-8) to a message. ``None`` stands for a binary frame.

    Raises ``BadMessage`` whose ``kind`` is ``binary``, ``oversize``, ``json``, ``base64`` or ``shape``.
    """
    if frame is None:
        raise BadMessage("binary", "media streams speak text frames")
    if len(frame) > LARGEST_MESSAGE:
        raise BadMessage("oversize", f"{len(frame)} characters")
    try:
        wire = _decoder.decode(frame)
    except msgspec.ValidationError as error:
        detail = str(error)
        raise BadMessage("base64" if "base64" in detail else "shape", detail) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadMessage("json", str(error)) from None
    except RecursionError:
        raise BadMessage("json", "nested too deeply") from None
    if type(wire) is _Media:  # all but a few of a call's messages
        media = wire.media
        return Media(wire.stream_sid, wire.sequence_number, media.chunk, media.timestamp, media.payload)
    return _from_wire(wire)


def _from_wire(wire: _Wire) -> Message:
    match wire:
        case _Mark():
            return Mark(wire.stream_sid, wire.mark.name, wire.sequence_number)
        case _Dtmf():
            if wire.dtmf.digit not in _KEYS:
                raise BadMessage("shape", "dtmf.digit is not a key of a telephone")
            return Dtmf(wire.stream_sid, wire.dtmf.digit, wire.sequence_number)
        case _Start():
            body = wire.start
            form = body.media_format
            return Start(
                stream_sid=wire.stream_sid,
                call_sid=body.call_sid,
                account_sid=body.account_sid,
                encoding=form.encoding,
                sample_rate=form.sample_rate,
                channels=form.channels,
                parameters=body.custom_parameters,
                sequence=wire.sequence_number,
            )
        case _Stop():
            return Stop(wire.stream_sid, wire.stop.call_sid, wire.sequence_number)
        case _:
            return Connected()


# --- to the carrier: a text frame each, UTF-8 ---------------------------------------------------


class _OutMedia(msgspec.Struct):
    payload: bytes


class _OutMessage(msgspec.Struct, rename="camel", omit_defaults=True):
    event: str
    stream_sid: str
    media: _OutMedia | None = None
    mark: _MarkBody | None = None


def media(stream_sid: str, audio: bytes) -> bytes:
    """Append mu-law to what the carrier plays."""
    return _encoder.encode(_OutMessage("media", stream_sid, media=_OutMedia(audio)))


def mark(stream_sid: str, name: str) -> bytes:
    """Ask for a receipt once everything sent so far has played."""
    return _encoder.encode(_OutMessage("mark", stream_sid, mark=_MarkBody(name)))


def clear(stream_sid: str) -> bytes:
    """Drop what has not played; the carrier returns all pending marks at once."""
    return _encoder.encode(_OutMessage("clear", stream_sid))
