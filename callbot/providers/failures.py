"""A vendor's failure, as its transport tells it, to ours."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from callbot.errors import ProviderError, Trouble

_OUT_OF_MONEY: Final = ("insufficient_quota", "quota_exceeded", "billing", "insufficient_funds")
_WORDS: Final = ("code", "status", "type", "err_code", "error_code")
"""What vendors call the code of an error."""
_MOST_TOLD: Final = 120
"""Characters of a vendor's own words that are worth a log line."""
_STATUS_OF: Final[Mapping[str, int]] = {
    "authentication_error": 401,
    "context_length_exceeded": 400,
    "insufficient_permissions": 403,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_model": 404,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "rate_limited": 429,
    "server_error": 500,
}
"""What HTTP would say instead of the words that are used where there is no status: in a stream that has
begun, in a session, and in the reason of its end."""
_REQUEST_IDS: Final = ("x-request-id", "request-id", "dg-request-id")
_IDENTIFIER: Final = re.compile(r"[\w-]{1,80}")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def from_status(
    provider: str, status: int, code: str = "", *, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """An HTTP status of 400 and more; ``code`` is the vendor's own word for what is wrong.

    ``headers``, in any case, say when to come back, and what the vendor calls the request: who asks it what
    went wrong is asked for that.
    """
    trouble, retryable = _of(status, code.lower())
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    when = retry_after(lower)
    if when is None and status == 429:
        when = _limit_reset(lower)
    told = f"{provider}: {status} {code[:_MOST_TOLD]}".rstrip()
    if request := next((lower[name] for name in _REQUEST_IDS if name in lower), ""):
        told += f" (request {request})" if _IDENTIFIER.fullmatch(request) else ""
    return ProviderError(told, retryable=retryable, trouble=trouble, retry_after=when, provider=provider)


def from_words(provider: str, *words: str) -> ProviderError:
    """A failure that is told without a status: the vendor's words for it, the most exact one first."""
    known = (status for word in words if (status := _STATUS_OF.get(word)))
    return from_status(provider, next(known, 500), next(filter(None, words), ""))


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
    """Seconds, of headers in lower case."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except KeyError:
            continue
        except ValueError:
            seconds = _until(headers[name], headers.get("date", ""))
        if 0 <= seconds < 86_400:
            return seconds
    return None


def _until(moment: str, now: str) -> float:
    """Seconds to a date of HTTP's, by the clock of who told it; negative when it is none."""
    try:
        then = parsedate_to_datetime(moment)
        try:
            told = parsedate_to_datetime(now)
        except ValueError:
            told = datetime.now(UTC)
        return max(0.0, (then - told).total_seconds())
    except (ValueError, TypeError):  # the one of a date without a zone
        return -1.0


def _limit_reset(headers: Mapping[str, str]) -> float | None:
    """What OpenAI's headers say of the limits of which nothing is left: ``1s``, ``6m0s``."""
    waits = [
        sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(reset))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0"
        and (reset := headers.get(f"x-ratelimit-reset-{kind}"))
    ]
    return max(waits, default=None)


def from_socket(provider: str, error: BaseException, *, connected: bool) -> ProviderError:
    """What a WebSocket's library raised while it connected, or after."""
    if isinstance(error, InvalidStatus):
        response = error.response
        code = response.headers.get("dg-error", "") or word_of(response.body)
        return from_status(provider, response.status_code, code, headers=dict(response.headers.raw_items()))
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        *kind, word = error.rcvd.reason.split(".")
        if error.rcvd.code >= 3000 and not _STATUS_OF.keys().isdisjoint((word, *kind)):
            return from_words(provider, word, *kind)  # as OpenAI's (agents-js#1756)
        detail = f"closed with {error.rcvd.code} {error.rcvd.reason[:_MOST_TOLD]}".rstrip()
    elif isinstance(error, InvalidHandshake):
        detail = "the handshake failed"
    else:
        detail = type(error).__name__
    trouble = Trouble.CUT if connected else Trouble.CONNECT
    return ProviderError(f"{provider}: {detail}", retryable=True, trouble=trouble, provider=provider)


def word_of(body: bytes | bytearray) -> str:
    """The code in a refusal's body. Sentences stay behind: they may quote the key that is refused."""
    try:
        told = json.loads(body)
        error = told.get("error") or told.get("detail") or told
        return str(next((error[name] for name in _WORDS if error.get(name)), ""))
    except (ValueError, AttributeError):  # a proxy's page, or a string where an object was
        return ""
