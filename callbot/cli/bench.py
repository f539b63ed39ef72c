"""``callbot bench``: what this machine holds, and where the time goes. Each command takes its own options."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer

from callbot.errors import ConfigurationError

bench = typer.Typer(
    name="bench",
    no_args_is_help=True,
    help="Measure: how many calls are held, where time goes, and how others do. See docs/performance.md.",
)

_PASSED_ON: Final = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
Options = Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS]", show_default=False)]


@bench.command(context_settings=_PASSED_ON)
def capacity(options: Options = None) -> None:
    """Hold more and more calls at once until something breaks."""
    _check_installed()
    from bench.capacity import main

    _run(main, options)


@bench.command(context_settings=_PASSED_ON)
def latency(options: Options = None) -> None:
    """One call at a time: where the time of a response goes."""
    _check_installed()
    from bench.latency import main

    _run(main, options)


@bench.command(context_settings=_PASSED_ON)
def frame(options: Options = None) -> None:
    """Microseconds of one frame, step by step."""
    # in a process of its own, which has loaded nothing but what is measured
    raise typer.Exit(subprocess.call([sys.executable, "-m", "bench.frame", *(options or [])]))


@bench.command(context_settings=_PASSED_ON)
def compare(options: Options = None) -> None:
    """The same callers against other projects' bots, each installed into an environment of its own."""
    _check_installed()
    from bench.compare import main

    _run(main, options)


def _run(main: Callable[[Sequence[str]], int], options: Sequence[str] | None) -> None:
    raise typer.Exit(main(options or []))


def _check_installed() -> None:
    if importlib.util.find_spec("psutil") is None:
        raise ConfigurationError(
            "psutil is missing, which measures processor time and memory: pip install 'callbot[bench]'"
        )
