"""A bot and a telephone exchange in one process, on loopback: what ``call`` and ``simulate`` share."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callbot.agents.tools import Tools
from callbot.app import create_app
from callbot.assembly import assemble
from callbot.config import Settings, load
from callbot.exchange.callers import Caller
from callbot.exchange.network import Exchange
from callbot.exchange.result import CallResult
from callbot.server import running
from callbot.services import Services
from callbot.session import Observer

PUBLIC_URL = "https://callbot.test"
"""What the carrier calls us; the exchange knows where that is."""

DEFAULT_FROM = "+15550142"
DEFAULT_TO = "+15550100"
RECORD_WITHIN = 15.0
"""Seconds from the carrier's end of a call to the bot's record of it: its recording is closed in between."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A finished call: what the exchange measured at the caller's ear, and the bot's own record."""

    result: CallResult
    record: dict[str, Any]


class Records:
    """The bot's records of finished calls, as they come in."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)

    def put(self, record: dict[str, Any]) -> None:
        self._queues[record["call_sid"]].put_nowait(record)

    async def of(self, result: CallResult) -> dict[str, Any]:
        """One comes for each stream, and the last one counts; none for a stream that the bot refused."""
        record: dict[str, Any] = {}
        try:
            async with asyncio.timeout(RECORD_WITHIN):
                for _ in result.stream_sids:
                    record = await self._queues[result.call_sid].get()
        except TimeoutError:
            pass
        return record


class Local:
    """The bot, listening, and the exchange that rings it."""

    def __init__(self, settings: Settings, port: int, records: Records, services: Services) -> None:
        self.services = services
        self._port = port
        self._records = records
        token = settings.twilio_auth_token
        assert token is not None
        self._exchange = Exchange(auth_token=token.get_secret_value(), account_sid="AC" + "0" * 32)

    async def ring(self, caller: Caller, *, from_number: str, to_number: str) -> Rung:
        """Ring, and stay until the call is over."""
        result = await self._exchange.call(
            f"{PUBLIC_URL}/twilio/voice",
            caller,
            from_number=from_number,
            to_number=to_number,
            connect_to=("127.0.0.1", self._port),
            fallback_url=f"{PUBLIC_URL}/twilio/fallback",
            status_url=f"{PUBLIC_URL}/twilio/status",
        )
        return Rung(result, await self._records.of(result))


def local_settings(data: Path | None = None) -> Settings:
    """The settings as configured, but for a carrier that is only the local exchange."""
    overrides: dict[str, Any] = {} if data is None else {"data": data}
    return load(
        public_url=PUBLIC_URL,
        twilio_auth_token=secrets.token_hex(16),
        twilio_account_sid=None,
        twilio_signing_key_id=None,
        twilio_signing_key=None,
        **overrides,
    )


@asynccontextmanager
async def local(
    settings: Settings,
    *,
    tools: Tools | None = None,
    observers: tuple[Observer, ...] = (),
    loading: Callable[[str], None] = lambda what: None,
) -> AsyncIterator[Local]:
    """Load the bot, start it on a free port, and connect the exchange. ``tools`` are those of a company of
    one's own; ``loading`` is told each part."""
    records = Records()

    def services(settings: Settings) -> AbstractAsyncContextManager[Services]:
        return assemble(settings, tools=tools, observers=observers, finished=records.put, loading=loading)

    app = create_app(settings, services=services)
    async with running(app) as port:
        yield Local(settings, port, records, app.state.services)
