"""The application: routes and lifespan, nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from callbot.carriers.twilio import webhooks
from callbot.config import Settings
from callbot.services import ServicesFactory, services_of

_NO_STORE = {"cache-control": "no-store"}


def create_app(settings: Settings, *, services: ServicesFactory) -> Starlette:
    """``services(settings)`` is entered when the process starts and left when it stops; what it yields
    is ``app.state.services``."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with services(settings) as app.state.services:
            yield

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *webhooks.routes,
            WebSocketRoute(webhooks.MEDIA_PATH, media),
        ],
        lifespan=lifespan,
    )


async def healthz(request: Request) -> JSONResponse:
    """Alive: the loop turns."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def readyz(request: Request) -> JSONResponse:
    """Willing to take calls, or why not."""
    reasons = services_of(request).why_not_ready()
    if reasons:
        return JSONResponse({"status": "not ready", "reasons": reasons}, status_code=503, headers=_NO_STORE)
    return JSONResponse({"status": "ready"}, headers=_NO_STORE)


async def media(websocket: WebSocket) -> None:
    """The media socket; imported when the first one opens, for it brings speech and models along."""
    await import_module("callbot.carriers.twilio.media").media_endpoint(websocket)
