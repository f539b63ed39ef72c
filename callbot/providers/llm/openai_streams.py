"""The connection to an OpenAI-compatible server, and what its SDK raises, as ours.

One client of the SDK serves a process. It keeps its connections open between the turns of a call, retries
nothing and, but for connecting, waits for ever: deadlines and retries are for who asks.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, Protocol, TypeVar

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAsyncHttpxClient

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_status, from_words
from callbot.providers.llm.openai_terms import Memory, Terms, of_the_template
from callbot.providers.ports import Ending, Finished, Piece, TokenUsage, ToolCall, Words
from callbot.providers.registry import Models
from callbot.vendors import Account

CONNECT_WITHIN: Final = 2.0
KEPT_OPEN: Final = 120.0
"""Seconds without a request; the SDK's own are 5, less than a caller's turn takes."""
REST_WITHIN: Final = 0.5
"""Seconds for what follows the end of an answer, the usage for instance."""

Event = TypeVar("Event")
Read = TypeVar("Read", contravariant=True)

_TOO_LONG: Final = re.compile(
    r"context (length|size|window)|maximum context|prompt is too long", re.IGNORECASE
)


def client(models: Models) -> AsyncOpenAI:
    """The process's own. Raises ``ConfigurationError`` when there is no key."""
    account = models.accounts["openai"]

    def connect() -> AsyncOpenAI:
        opened = _client(account)
        models.on_close(opened.close)
        return opened

    return models.once("openai client", connect)


def _client(account: Account) -> AsyncOpenAI:
    timeout = httpx2.Timeout(None, connect=CONNECT_WITHIN)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEPT_OPEN)
    return AsyncOpenAI(
        api_key=account.key,
        base_url=account.url,
        max_retries=0,
        timeout=timeout,
        http_client=DefaultAsyncHttpxClient(timeout=timeout, limits=limits),
    )


async def connect(provider: str, sdk: AsyncOpenAI) -> None:
    """Opens a connection, and learns whether the key is good.

    Raises ``ProviderError`` when it is not, or when nobody answers; a server without a list of models, or a
    key that may not read it, is fine.
    """
    try:
        await sdk.models.with_raw_response.list()
    except openai.APIError as error:
        failed = failure(provider, error, began=False)
        if failed.trouble is Trouble.CONNECT or (failed.trouble is Trouble.AUTH and _status(error) == 401):
            raise failed from None


# --- asking ------------------------------------------------------------------------------------------


async def ask(
    provider: str,
    memory: Memory,
    fields: Callable[[Terms], dict[str, Any]],
    create: Callable[[dict[str, Any]], Awaitable[AsyncStream[Event]]],
    *,
    optional: frozenset[str],
) -> AsyncStream[Event]:
    """A stream, once its headers are there.

    A request that is refused for a field that it can do without is made again without it; when that helps,
    whoever asks next knows. Raises ``ProviderError``.
    """
    terms = memory.terms
    while True:
        asked = fields(terms)
        try:
            stream = await create(asked)
        except openai.APIError as error:
            learnt = _learnt(terms, error, optional & asked.keys())
            if learnt is None:
                raise failure(provider, error, began=False) from None
            terms = learnt
        else:
            memory.terms = terms
            return stream


def _learnt(terms: Terms, error: openai.APIError, optional: frozenset[str]) -> Terms | None:
    if not isinstance(error, openai.APIStatusError) or error.status_code not in (400, 422, 500):
        return None
    message, code, param = _told(error)
    if _TOO_LONG.search(message) or (error.status_code == 500 and not of_the_template(message)):
        return None
    return terms.after(message=message, code=code, param=param, optional=optional)


async def told(provider: str, stream: AsyncStream[Event]) -> AsyncGenerator[Event]:
    """The events of a stream. Closing this closes the HTTP stream. Raises ``ProviderError``."""
    try:
        while True:
            event = await anext(stream)
            yield event
    except StopAsyncIteration:
        return
    except openai.APIError as error:
        raise failure(provider, error, began=True) from None
    except ValueError:  # no JSON, or no UTF-8
        raise bad_format(provider, "an event is not JSON") from None
    finally:
        await stream.close()
        await _unwind(stream)


async def _unwind(stream: AsyncStream[Any]) -> None:
    """Ends the generators that a closed stream is made of, one in the other: they read on, and find it
    closed. Left alone, each would become a task of the loop's before it is gone."""
    with suppress(openai.APIError, httpx2.HTTPError, httpx2.StreamError, ValueError, StopAsyncIteration):
        while True:
            await anext(stream)


async def rest(events: AsyncGenerator[Event], read: Callable[[Event], object]) -> None:
    """What still comes when the answer is complete. Whatever goes wrong with it, the answer is good."""
    with suppress(TimeoutError, ProviderError):
        async with asyncio.timeout(REST_WITHIN):
            async for event in events:
                read(event)


# --- answering ---------------------------------------------------------------------------------------


class Answer(Protocol[Read]):
    """What the events of a stream have told so far."""

    @property
    def complete(self) -> bool:
        """Nothing but the usage may still come."""

    @property
    def usage(self) -> TokenUsage | None: ...

    def read(self, event: Read, /) -> str:
        """The next words. Raises ``ProviderError``: the SDK hands over whatever JSON it was sent."""

    def end(self) -> tuple[Sequence[ToolCall], Ending]:
        """Raises ``ProviderError`` if that was no answer."""


async def stream(
    provider: str,
    memory: Memory,
    fields: Callable[[Terms], dict[str, Any]],
    create: Callable[[dict[str, Any]], Awaitable[AsyncStream[Event]]],
    answer: Answer[Event],
    *,
    optional: frozenset[str],
) -> AsyncGenerator[Piece]:
    """Asks, and tells the answer as the port has it. Closing this closes the HTTP stream. Raises
    ``ProviderError``."""
    asked = await ask(provider, memory, fields, create, optional=optional)
    async with aclosing(told(provider, asked)) as events:
        async for event in events:
            if words := answer.read(event):
                yield Words(words)
            if answer.complete:
                break
        calls, ending = answer.end()
        for call in calls:
            yield call
        await rest(events, answer.read)
        yield Finished(ending, answer.usage)


# --- what went wrong ---------------------------------------------------------------------------------


def failure(provider: str, error: openai.APIError, *, began: bool) -> ProviderError:
    """``began``: the answer had begun to come. Of the vendor's words only its code is told: the rest may
    hold parts of a key, or of what the caller said."""
    if isinstance(error, openai.APIStatusError):
        message, code, _ = _told(error)
        if error.status_code in (400, 422) and _TOO_LONG.search(message):
            code = "context_length_exceeded"
        return from_status(provider, error.status_code, code or "", headers=error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        trouble = Trouble.CUT if began else Trouble.CONNECT
        what = "the connection broke" if began else "no connection"
        return ProviderError(f"{provider}: {what}", retryable=True, trouble=trouble, provider=provider)
    return told_in_stream(provider, error.code, error.type)


def told_in_stream(provider: str, code: object, kind: object = None) -> ProviderError:
    """A failure that the vendor reports when it has already answered 200. Local servers repeat the status
    they would have answered for a code."""
    if re.fullmatch(r"[45]\d\d", str(code)):
        return from_status(provider, int(str(code)), _word(kind) or "")
    return from_words(provider, _word(code) or "", _word(kind) or "")


def bad_format(provider: str, detail: str) -> ProviderError:
    return ProviderError(
        f"{provider}: {detail}", retryable=True, trouble=Trouble.BAD_FORMAT, provider=provider
    )


def incomplete(provider: str, *, began: bool) -> ProviderError:
    """The stream ended in good order, and the answer had not."""
    trouble = Trouble.CUT if began else Trouble.EMPTY
    what = "the answer breaks off" if began else "the answer is empty"
    return ProviderError(f"{provider}: {what}", retryable=True, trouble=trouble, provider=provider)


def _status(error: openai.APIError) -> int | None:
    return error.status_code if isinstance(error, openai.APIStatusError) else None


def _told(error: openai.APIStatusError) -> tuple[str, str | None, str | None]:
    """Message, code and parameter, as far as a server has them: some send words alone."""
    body = error.body
    if isinstance(body, dict):
        message = body.get("message") or body.get("detail") or ""
        param = body.get("param")
        return str(message), _word(body.get("code")), param if isinstance(param, str) else None
    return str(body or ""), None, None


def _word(code: object) -> str | None:
    """A code that is one; local servers repeat the status there, and others write sentences."""
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z][\w.-]*", code) else None
