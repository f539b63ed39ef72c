"""The application: routes and lifespan, nothing else. The media socket is not its own: see ``server.py``."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from callbot.carriers.twilio import webhooks
from callbot.config import Settings
from callbot.metrics.exposition import metrics_endpoint
from callbot.services import Services, ServicesFactory, services_of

_NO_STORE = {"cache-control": "no-store"}


def create_app(
    settings: Settings,
    *,
    services: ServicesFactory,
    joined: Callable[[Services], None] = lambda services: None,
) -> Starlette:
    """``services(settings)`` is entered when the process starts and left when it stops; what it yields
    is ``app.state.services``. ``joined`` is called with it before anything is served."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with services(settings) as app.state.services:
            joined(app.state.services)
            yield

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics_endpoint),
            *webhooks.routes,
        ],
        lifespan=lifespan,
    )


async def healthz(request: Request) -> JSONResponse:
    """Alive: the loop turns."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def readyz(request: Request) -> JSONResponse:
    """Willing to take calls, or why not."""
    reasons = services_of(request).why_not_ready(asyncio.get_running_loop().time())
    if reasons:
        return JSONResponse({"status": "not ready", "reasons": reasons}, status_code=503, headers=_NO_STORE)
    return JSONResponse({"status": "ready"}, headers=_NO_STORE)
