"""One-time tokens: what proves that a media socket belongs to a call whose webhook we answered.

The webhook puts a token in the stream's parameters; the socket's ``start`` brings it back. A token is
random (128 bits, from the caller of ``issue``), bound to its call, good once and for a short time, and
it carries what the webhook knew of the call, so that the socket need not trust what it is told.
"""

from collections import OrderedDict
from dataclasses import dataclass

from callbot.call import Call

LIFETIME = 30.0
"""Seconds from the webhook's answer to the stream's ``start``; the carrier needs one or two."""

CAPACITY = 10_000


@dataclass(frozen=True, slots=True)
class Claims:
    """``resumed``: the call was in conversation before, and its stream was lost."""

    call: Call
    resumed: bool = False


class Tokens:
    """The tokens that are out. Beyond ``capacity`` the oldest is forgotten: its call is refused."""

    def __init__(self, *, lifetime: float = LIFETIME, capacity: int = CAPACITY) -> None:
        self._lifetime = lifetime
        self._capacity = capacity
        self._out: OrderedDict[str, tuple[float, Claims]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._out)

    def issue(self, token: str, claims: Claims, now: float) -> None:
        self._forget_expired(now)
        while len(self._out) >= self._capacity:
            self._out.popitem(last=False)
        self._out[token] = (now + self._lifetime, claims)

    def redeem(self, token: str, call_sid: str, now: float) -> Claims | None:
        """What the token stands for, once; ``None`` if it is unknown, spent, late or another call's.

        A token shown for the wrong call has leaked: it is spent all the same.
        """
        self._forget_expired(now)
        _, claims = self._out.pop(token, (0.0, None))
        if claims is None or claims.call.sid != call_sid:
            return None
        return claims

    def _forget_expired(self, now: float) -> None:
        while self._out:
            token, (expires, _) = next(iter(self._out.items()))
            if now < expires:
                return
            del self._out[token]
