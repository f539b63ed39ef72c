"""``GET /metrics``: the numbers in Prometheus' text format, for whoever may read them.

With a token set, whoever presents it; without one, this machine alone. Behind a proxy everybody comes
from this machine, so what a proxy passed on is not taken for local; one that does not say so (nginx, unless
it is told to) needs the token, or keeps the path to itself.
"""

import asyncio
import hmac
import ipaddress
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from callbot.metrics.instruments import Metrics
from callbot.metrics.sharing import folder_of_this_process

_NO_STORE: Final = {"cache-control": "no-store"}
_PASSED_ON: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Exposition:
    """What ``/metrics`` shows, and to whom."""

    def __init__(self, metrics: Metrics, *, token: str | None = None) -> None:
        self._registry = metrics.registry
        self._token = token
        self._folder = folder_of_this_process()

    def text(self) -> bytes:
        """Every number: of this process, or of all workers where they share theirs."""
        if self._folder is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def refusal(self, request: Request) -> Response | None:
        """Why this reader may not read, or None."""
        if self._token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), self._token.encode()):
                return None
            return PlainTextResponse(
                "A token is needed.\n", status_code=401, headers={**_NO_STORE, "www-authenticate": "Bearer"}
            )
        if _is_local(request):
            return None
        return PlainTextResponse(
            "Served to this machine only, as long as no token is set.\n", status_code=403, headers=_NO_STORE
        )


async def metrics_endpoint(request: Request) -> Response:
    """The route. ``app.state.services.exposition`` is an ``Exposition``."""
    exposition: Exposition = request.app.state.services.exposition
    refusal = exposition.refusal(request)
    if refusal is not None:
        return refusal
    text = await asyncio.to_thread(exposition.text)  # milliseconds, in which no call should wait
    return Response(text, headers={**_NO_STORE, "content-type": CONTENT_TYPE_LATEST})


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _PASSED_ON):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
