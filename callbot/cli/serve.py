"""``callbot serve``: take calls from Twilio."""

from rich.console import Console

from callbot import logs
from callbot.assembly import assemble
from callbot.config import load
from callbot.server import serve as run


def serve(*, host: str | None, port: int | None) -> int:
    """Until a signal, and until the last call is over."""
    settings = load()
    logs.configure(settings)
    console = Console(stderr=True)
    where = f"http://{host or settings.host}:{settings.port if port is None else port}"
    console.print(
        f"callbot serves on {where} (stop with Ctrl-C: live calls are finished first)", highlight=False
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
    run(settings, services=assemble, host=host, port=port)
    return 0
