"""``callbot serve``: take calls from Twilio."""

import contextlib

from rich.console import Console
from uvicorn.importer import ImportFromStringError, import_from_string

from callbot import logs
from callbot.accepting import listen, url_of
from callbot.config import Settings, load
from callbot.errors import ConfigurationError
from callbot.workers import supervise


def serve(*, host: str | None, port: int | None, workers: int | None, services: str) -> int:
    """Until a signal, and until the last call is over. ``services``: where their factory is imported from."""
    settings = load() if workers is None else load(workers=workers)
    logs.configure(settings)
    workers = settings.workers
    # A taken port is told at once, and the port that 0 stands for is known.
    listener = listen(settings.host if host is None else host, settings.port if port is None else port)
    with contextlib.closing(listener):
        _tell(settings, url_of(listener), workers)
        if workers > 1:
            return supervise(settings, services=services, workers=workers, listener=listener)
        from callbot.server import serve as run  # brings everything along, which a supervisor does not need

        try:
            factory = import_from_string(services)
        except ImportFromStringError as error:
            raise ConfigurationError(str(error)) from None
        run(settings, services=factory, listener=listener)
    return 0


def _tell(settings: Settings, url: str, workers: int) -> None:
    console = Console(stderr=True)
    by = f" with {workers} workers" if workers > 1 else ""
    console.print(
        f"callbot serves on {url}{by} (stop with Ctrl-C: live calls are finished first)", highlight=False
    )
    if settings.public_url is None:
        console.print(
            "PUBLIC_URL and TWILIO_AUTH_TOKEN are not set: every webhook will be refused. "
            ".env.example says what to write; `make call` works without them.",
            style="yellow",
            highlight=False,
        )
    else:
        console.print(
            f"Twilio: set the number's voice webhook to {settings.public_url}/twilio/voice (POST)",
            highlight=False,
        )
        console.print(f"        and its fallback to {settings.public_url}/twilio/fallback", highlight=False)
