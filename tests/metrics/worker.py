"""A worker that has nothing but a page: accepts on an inherited socket, with its siblings.

    python -m tests.metrics.worker LISTENER CALLS

Its numbers are those of ``CALLS`` calls that began, of which one is live; then it says its process id.
"""

import asyncio
import socket
import sys
from types import SimpleNamespace

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from callbot.conversation.events import CallStarted
from callbot.metrics.calls import CallMeter
from callbot.metrics.exposition import Exposition, metrics_endpoint
from callbot.metrics.instruments import Metrics


async def main(listener: int, calls: int) -> None:
    metrics = Metrics()
    meter = CallMeter(metrics)
    for number in range(calls):
        meter.observe(f"CA{number}", 0.0, CallStarted("support"))
        metrics.response.observe(0.4)
    metrics.calls_live.set(1)
    metrics.seats.set(200)
    app = Starlette(routes=[Route("/metrics", metrics_endpoint)])
    app.state.services = SimpleNamespace(exposition=Exposition(metrics))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    print("ready", flush=True)  # noqa: T201
    await server.serve(sockets=[socket.socket(fileno=listener)])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
