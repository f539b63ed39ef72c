"""One-time tokens: what proves that a media socket belongs to a call whose webhook we answered.

The webhook puts a token in the stream's parameters; the socket's ``start`` brings it back, perhaps to
another worker. So a token says itself what it stands for: what the webhook knew of the call, which of the
call's streams it opens and until when, signed (HMAC-SHA256) with a secret that the workers share. That it
is good only once is the seats' doing: a stream can be occupied a single time.
"""

import base64
import binascii
import hmac
import struct
from dataclasses import dataclass
from typing import Final, Protocol

from callbot.call import Call, Direction

LIFETIME: Final = 30.0
"""Seconds from the webhook's answer to the stream's ``start``; the carrier needs one or two."""
LONGEST_PARTY: Final = 144
"""Of the caller's and of the called address. With two of these a token still fits into the carrier's
``<Parameter>``, whose name and value may have 500 characters together."""

_HEAD = struct.Struct(">BdB?")  # version, expiry, stream, outbound
_VERSION: Final = 1
_MAC: Final = 32


@dataclass(frozen=True, slots=True)
class Claims:
    """``resumed``: the call was in conversation before, and its stream was lost."""

    call: Call
    resumed: bool = False

    @property
    def stream(self) -> int:
        """Which of the call's streams this is, from 1."""
        return 2 if self.resumed else 1


class Streams(Protocol):
    """Who sees to it that a stream starts only once: the seats."""

    def occupy(self, call_sid: str, stream: int, now: float) -> bool: ...

    def leave(self, call_sid: str, stream: int) -> None: ...


class Tokens:
    """Issues and redeems tokens. ``secret``: 32 random bytes, the same in all workers."""

    def __init__(self, secret: bytes, streams: Streams, *, lifetime: float = LIFETIME) -> None:
        self._secret = secret
        self._streams = streams
        self._lifetime = lifetime

    def issue(self, claims: Claims, now: float) -> str:
        """A token for this stream of this call, whose seat is reserved."""
        call = claims.call
        head = _HEAD.pack(_VERSION, now + self._lifetime, claims.stream, call.direction is Direction.OUTBOUND)
        body = head + "\0".join((call.sid, call.from_number, call.to_number)).encode()
        return base64.urlsafe_b64encode(self._mac(body) + body).decode().rstrip("=")

    def redeem(self, token: str, call_sid: str, now: float) -> Claims | None:
        """What the token stands for, once; ``None`` if it is invented, spent, late or another call's.

        A token shown for the wrong call has leaked: it is spent all the same.
        """
        read = self._read(token)
        if read is None:
            return None
        claims, expires = read
        if now >= expires or not self._streams.occupy(claims.call.sid, claims.stream, now):
            return None
        if claims.call.sid != call_sid:
            self._streams.leave(claims.call.sid, claims.stream)
            return None
        return claims

    def _read(self, token: str) -> tuple[Claims, float] | None:
        """What we wrote and when it expires; None for what we did not write."""
        try:
            signed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        mac, body = signed[:_MAC], signed[_MAC:]
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        version, expires, stream, outbound = _HEAD.unpack_from(body)
        if version != _VERSION:  # a release that is being replaced wrote it
            return None
        sid, from_number, to_number = body[_HEAD.size :].decode().split("\0")
        direction = Direction.OUTBOUND if outbound else Direction.INBOUND
        return Claims(Call(sid, from_number, to_number, direction), resumed=stream > 1), expires

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, "sha256")
