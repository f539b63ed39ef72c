"""The one client of a process for OpenAI's REST interface, and what its failures are in our words."""

from typing import Final

import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI
from openai import DefaultAsyncHttpxClient as HttpClient

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_status
from callbot.providers.registry import Models

CONNECT_WITHIN: Final = 2.0
LONGEST_SILENCE: Final = 60.0
"""Between two pieces of an answer. Those who ask have shorter deadlines: this is for when nobody has."""
KEEP_WARM: Final = 120.0
"""How long an idle connection is kept: callers think between turns, and a new one costs a handshake."""


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
            timeout=httpx2.Timeout(LONGEST_SILENCE, connect=CONNECT_WITHIN),
            http_client=HttpClient(
                limits=httpx2.Limits(
                    max_connections=1000, max_keepalive_connections=100, keepalive_expiry=KEEP_WARM
                )
            ),
        )
        models.on_close(client.close)
        return client

    return models.once("openai client", load)


FAILURES: Final = (APIError, httpx2.TransportError)
"""What the client raises: the second while an answer is streamed."""


def from_openai(provider: str, error: Exception, *, begun: bool = False) -> ProviderError:
    """One of ``FAILURES``. ``begun``: a piece of the answer had come."""
    if isinstance(error, APIStatusError):
        code = error.code or error.type or ""
        return from_status(provider, error.status_code, code, headers=error.response.headers)
    cause = error.__cause__ if isinstance(error, APIConnectionError) else error
    if isinstance(error, APITimeoutError) or isinstance(cause, httpx2.TimeoutException):
        connecting = isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        trouble = Trouble.CONNECT if connecting else Trouble.STALLED if begun else Trouble.SLOW
    elif isinstance(cause, httpx2.TransportError):
        # the client raises its own error until the headers have come, and leaves the transport's after
        trouble = Trouble.CONNECT if isinstance(error, APIConnectionError) else Trouble.CUT
    else:
        trouble = Trouble.BAD_FORMAT
    detail = type(cause if cause is not None else error).__name__
    return ProviderError(f"{provider}: {detail}", retryable=True, trouble=trouble, provider=provider)
