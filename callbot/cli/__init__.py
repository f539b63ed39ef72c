"""The commands: ``callbot call``, ``serve``, ``simulate``, ``doctor``, ``bench``."""

from pathlib import Path
from typing import Annotated

import typer

from callbot.cli.bench import bench
from callbot.errors import ConfigurationError, ModelMissing

app = typer.Typer(
    name="callbot",
    no_args_is_help=True,
    add_completion=False,
    help="A phone agent that hears, thinks and speaks into the live call.",
    pretty_exceptions_enable=False,
)
app.add_typer(bench)

Audio = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, help="A recorded caller: a WAV file, mu-law or PCM."),
]
JsonPath = Annotated[Path | None, typer.Option("--json", help="Write the call record here.")]


@app.command()
def call(
    audio: Audio,
    json_path: JsonPath = None,
    to: Annotated[str | None, typer.Option("--to", help="The number that is dialled.")] = None,
    straight: Annotated[
        bool, typer.Option("--straight", help="Play the recording through, without waiting for the bot.")
    ] = False,
) -> None:
    """Ring the bot with a recorded caller, over a local telephone exchange, and watch the call."""
    from callbot.cli.call import call as ring

    raise typer.Exit(ring(audio, json_path=json_path, to=to, straight=straight))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [HOST, else 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [PORT, else 8000].")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes that share the calls [CALLBOT_WORKERS, or 1]."),
    ] = None,
    services: Annotated[str, typer.Option(hidden=True)] = "callbot.assembly:assemble",
) -> None:
    """Serve calls: the Twilio webhooks and the media socket."""
    from callbot.cli.serve import serve as run

    raise typer.Exit(run(host=host, port=port, workers=workers, services=services))


@app.command()
def simulate(
    scenarios: Annotated[
        list[Path], typer.Argument(exists=True, help="Scenarios (YAML) or recorded callers.")
    ],
    json_path: JsonPath = None,
) -> None:
    """Ring the bot with scripted callers, one after another, and check what they expect."""
    from callbot.cli.simulate import simulate as run

    raise typer.Exit(run(scenarios, json_path=json_path))


@app.command()
def doctor() -> None:
    """Say what is configured, what is missing, and what will be used instead."""
    from callbot.cli.doctor import doctor as examine

    raise typer.Exit(examine())


def main() -> None:
    """The entry point: what an operator can put right is told in words, not as a traceback."""
    try:
        app()
    except (ConfigurationError, ModelMissing) as error:
        typer.secho(str(error), fg="red", err=True)
        raise SystemExit(2) from None
