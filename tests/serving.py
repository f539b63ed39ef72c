"""The application with everything real but speech: settings, services and a signing carrier for tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from callbot.call import Call
from callbot.carriers.twilio.signatures import Signatures
from callbot.config import Settings, load
from callbot.exchange.signing import Form, Signer
from callbot.reception import Reception
from callbot.services import Services
from callbot.session import Equipment
from callbot.store.recorder import Recorder

TOKEN = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
PUBLIC_URL = "https://bot.example.com"
CALL_SID = "CA" + "0123456789abcdef" * 2
CALL: Form = (
    ("CallSid", CALL_SID),
    ("AccountSid", "AC" + "0" * 32),
    ("From", "+15550142"),
    ("To", "+15550100"),
    ("CallStatus", "ringing"),
    ("Direction", "inbound"),
    ("CallerName", ""),
)

carrier = Signer(TOKEN)


def settings_in(folder: Path, **overrides: object) -> Settings:
    given: dict[str, object] = {"data": folder, "public_url": PUBLIC_URL, "twilio_auth_token": TOKEN}
    return load(None, **(given | overrides))


def services_with(
    missing: Callable[[], tuple[str, ...]] = tuple,
) -> Callable[[Settings], AbstractAsyncContextManager[Services]]:
    """Services whose speech models are as good as loaded, unless ``missing`` says otherwise."""

    @asynccontextmanager
    async def services(settings: Settings) -> AsyncIterator[Services]:
        recorder = Recorder(settings.database_url, spool=settings.spool)
        await recorder.start()
        reception = Reception(_equip, recorder, settings.recordings)
        try:
            yield Services(
                settings=settings,
                recorder=recorder,
                reception=reception,
                signatures=Signatures.of(settings),
                missing=missing,
            )
        finally:
            await reception.aclose()
            await recorder.aclose()

    return services


def _equip(call: Call) -> Equipment:
    raise AssertionError("these tests hold no conversation")
