"""A vendor's failure, as its transport tells it, to ours."""

import json
from collections.abc import Mapping
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from callbot.errors import ProviderError, Trouble

_OUT_OF_MONEY: Final = ("insufficient_quota", "quota_exceeded", "billing", "insufficient_funds")
_WORDS: Final = ("code", "status", "type", "err_code", "error_code")
"""What vendors call the code of an error."""
_MOST_TOLD: Final = 120
"""Characters of a vendor's own words that are worth a log line."""


def from_status(
    provider: str, status: int, code: str = "", *, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """An HTTP status of 400 and more; ``code`` is the vendor's own word for what is wrong.

    ``headers`` (any case of ``Retry-After`` and ``retry-after-ms``) say when to come back.
    """
    trouble, retryable = _of(status, code.lower())
    return ProviderError(
        f"{provider}: {status} {code[:_MOST_TOLD]}".rstrip(),
        retryable=retryable,
        trouble=trouble,
        retry_after=retry_after(headers or {}),
        provider=provider,
    )


def _of(status: int, code: str) -> tuple[Trouble, bool]:
    if status == 402 or any(word in code for word in _OUT_OF_MONEY):
        return Trouble.QUOTA, False
    if status in (401, 403):
        return Trouble.AUTH, False
    if status == 429:
        return Trouble.RATE_LIMITED, True
    if status == 413 or "context_length" in code:
        return Trouble.TOO_LONG, False
    if status == 408 or status >= 500:
        return Trouble.UNAVAILABLE, True
    return Trouble.REJECTED, False


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date, which the header may also hold, is not read."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(lower[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 86_400:
            return seconds
    return None


def from_socket(provider: str, error: BaseException, *, connected: bool) -> ProviderError:
    """What a WebSocket's library raised while it connected, or after."""
    if isinstance(error, InvalidStatus):
        response = error.response
        code = response.headers.get("dg-error", "") or _word(response.body)
        return from_status(provider, response.status_code, code, headers=dict(response.headers.raw_items()))
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        detail = f"closed with {error.rcvd.code} {error.rcvd.reason[:_MOST_TOLD]}".rstrip()
    elif isinstance(error, InvalidHandshake):
        detail = "the handshake failed"
    else:
        detail = type(error).__name__
    trouble = Trouble.CUT if connected else Trouble.CONNECT
    return ProviderError(f"{provider}: {detail}", retryable=True, trouble=trouble, provider=provider)


def _word(body: bytes | bytearray) -> str:
    """The code in a refusal's body. Sentences stay behind: they may quote the key that is refused."""
    try:
        told = json.loads(body)
        error = told.get("error") or told.get("detail") or told
        return str(next((error[name] for name in _WORDS if error.get(name)), ""))
    except (ValueError, AttributeError):  # a proxy's page, or a string where an object was
        return ""
