"""The one client of a process for OpenAI's REST interface, and what its failures are in our words."""

from typing import Final

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI
from openai import DefaultAsyncHttpxClient as HttpClient

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_status
from callbot.providers.registry import Models

CONNECT_WITHIN: Final = 2.0
KEEP_WARM: Final = 120.0
"""How long an idle connection is kept: callers think between turns, and a new one costs a handshake."""
LIMITS: Final = httpx2.Timeout(30.0, connect=CONNECT_WITHIN)
"""For a request: the first is between two pieces of an answer. Whoever asks has shorter deadlines."""


def openai_client(models: Models) -> AsyncOpenAI:
    """Shared by whoever speaks to OpenAI in this process, so that its connections are. Nothing is asked yet.

    Raises ``Unconfigured``.
    """
    account = models.accounts["openai"]

    def load() -> AsyncOpenAI:
        client = AsyncOpenAI(
            api_key=account.key,
            base_url=account.url,
            websocket_base_url=account.socket_url,
            max_retries=0,  # whoever holds several adapters retries
            timeout=httpx2.Timeout(None, connect=CONNECT_WITHIN),
            http_client=HttpClient(
                limits=httpx2.Limits(
                    max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_WARM
                )
            ),
        )
        models.on_close(client.close)
        return client

    return models.once("openai client", load)


FAILURES: Final = (APIError, httpx2.TransportError, ValueError)
"""What the client raises: the second while an answer is streamed, the last for JSON that is none."""


def from_openai(provider: str, error: Exception, *, begun: bool = False) -> ProviderError:
    """One of ``FAILURES``. ``begun``: a piece of the answer had come."""
    if isinstance(error, APIStatusError):
        code = error.code or error.type or ""
        return from_status(provider, error.status_code, code, headers=error.response.headers)
    cause = error.__cause__ if isinstance(error, APIConnectionError) else error
    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        trouble = Trouble.CONNECT
    elif isinstance(cause, httpx2.TimeoutException):
        trouble = Trouble.STALLED if begun else Trouble.SLOW
    elif isinstance(cause, httpx2.TransportError):
        trouble = Trouble.CUT
    else:
        trouble = Trouble.BAD_FORMAT
    detail = type(cause if cause is not None else error).__name__
    return ProviderError(f"{provider}: {detail}", retryable=True, trouble=trouble, provider=provider)
