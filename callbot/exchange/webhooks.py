"""The carrier's HTTP requests: signed, limited in time and size, repeated as its manual says."""

import asyncio
import secrets
from dataclasses import dataclass
from urllib.parse import urldefrag, urlencode, urlsplit, urlunsplit

import httpx

from callbot.exchange.errors import SoundError
from callbot.exchange.signing import Form, Signer
from callbot.exchange.twiml import DocumentFetched, FetchFailed

RETRIEVAL_FAILED, CONNECTION_FAILED, BAD_CONTENT_TYPE, TOO_LARGE = 11200, 11205, 12300, 11750
IDEMPOTENCY_TOKEN = "I-Twilio-Idempotency-Token"

_DOCUMENT_TYPES = frozenset({"text/xml", "application/xml", "text/html"})
_LARGEST_DOCUMENT = 64 * 1024
_LARGEST_SOUND = 32 * 1024 * 1024
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Where to find the bot. With ``connect_to``, its public addresses are all reached at that host and
    port in plain text, as through a proxy that ends TLS; what is signed is the public address."""

    connect_to: tuple[str, int] | None = None

    def place(self, url: str) -> tuple[str, dict[str, str]]:
        """The URL to open, and the headers that keep the public name."""
        if self.connect_to is None:
            return url, {}
        parts = urlsplit(url)
        host, port = self.connect_to
        name = f"[{host}]" if ":" in host else host
        return urlunsplit(("http", f"{name}:{port}", parts.path or "/", parts.query, "")), {
            "Host": parts.netloc
        }


@dataclass(frozen=True, slots=True)
class Webhooks:
    """One account's requests to one bot."""

    client: httpx.AsyncClient
    signer: Signer
    route: Route
    seconds: float = 15.0

    async def fetch(self, url: str, form: Form, *, method: str = "POST") -> DocumentFetched | FetchFailed:
        """Ask for a document. A connection that fails is tried once more with the same token."""
        try:
            response = await self._request(method, url, form, limit=_LARGEST_DOCUMENT)
        except _FailedError as failed:
            return FetchFailed(failed.code, failed.detail)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _DOCUMENT_TYPES:
            return FetchFailed(BAD_CONTENT_TYPE, f"{url} answered with {kind or 'no content type'}, not XML")
        return DocumentFetched(url, response.text)

    async def report(self, url: str, form: Form) -> FetchFailed | None:
        """A callback whose answer does not matter."""
        try:
            await self._request("POST", url, form, limit=_LARGEST_DOCUMENT)
        except _FailedError as failed:
            return FetchFailed(failed.code, failed.detail)
        return None

    async def sound(self, url: str) -> bytes:
        """A file to play; ``SoundError`` when it cannot be had."""
        try:
            response = await self._request("GET", url, (), limit=_LARGEST_SOUND)
        except _FailedError as failed:
            raise SoundError(failed.detail) from failed
        return response.content

    async def _request(self, method: str, url: str, form: Form, *, limit: int) -> httpx.Response:
        url = urldefrag(url).url
        if method == "GET" and form:
            url += ("&" if urlsplit(url).query else "?") + urlencode(form)
            form = ()
        place, headers = self.route.place(url)
        headers |= self.signer.webhook(url, form) | {IDEMPOTENCY_TOKEN: secrets.token_hex(16)}
        request = self.client.build_request(
            method, place, headers=headers, data=dict(form) if method == "POST" else None
        )
        try:
            async with asyncio.timeout(self.seconds):
                return await self._send(request, limit=limit)
        except TimeoutError as error:
            raise _FailedError(
                CONNECTION_FAILED, f"{url} did not answer within {self.seconds:g} s"
            ) from error

    async def _send(self, request: httpx.Request, *, limit: int) -> httpx.Response:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = await self.client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if attempt == _ATTEMPTS:
                    raise _FailedError(
                        CONNECTION_FAILED, f"no connection to {request.url}: {error}"
                    ) from error
            except httpx.HTTPError as error:
                raise _FailedError(CONNECTION_FAILED, f"{request.url}: {error!r}") from error
            else:
                return await _read(response, limit)
        raise AssertionError("the last attempt returns or raises")


class _FailedError(Exception):
    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


async def _read(response: httpx.Response, limit: int) -> httpx.Response:
    """The response with its body, unless it is an error or too large."""
    url = response.request.url
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > limit:
                raise _FailedError(TOO_LARGE, f"{url} answered with more than {limit} bytes")
    except httpx.HTTPError as error:
        raise _FailedError(CONNECTION_FAILED, f"{url}: {error!r}") from error
    finally:
        await response.aclose()
    if not response.is_success:
        raise _FailedError(RETRIEVAL_FAILED, f"{url} answered {response.status_code}")
    headers = {"content-type": response.headers.get("content-type", "")}
    return httpx.Response(response.status_code, headers=headers, content=bytes(body))
