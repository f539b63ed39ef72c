"""Where the time between the caller's last word and our first sound goes: ``callbot bench latency``.

    python -m bench.latency [--json FILE] [CALLER.wav ...]

Recorded callers ring over the local exchange: one after another on the whole offline stack with its real
models, and on stand-ins that take no time, so that what is left is ours; then at once on stand-ins that take
as long as providers over the network do: with none of the ways to be faster than they are, some, and all; and
at once on the adapters and doubles of vendors (``bench.network``).
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import msgspec
from rich import box
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

import callbot.conversation
from bench.breakdown import Breakdown, Parts, Response
from bench.machine import Machine, machine
from bench.recorded import Recordings
from bench.server import rules, services
from bench.standins import Latencies
from bench.statistics import Summary, summary
from callbot import logs
from callbot.app import create_app
from callbot.cli.local import Local, Records, local, local_settings
from callbot.cli.simulate import Ringing, read, ring
from callbot.config import LogLevel, Settings
from callbot.conversation.rules import TurnRules
from callbot.errors import ConfigurationError
from callbot.exchange.callers import RecordedCaller
from callbot.exchange.errors import ScenarioError, SoundError
from callbot.media_stream.vad import SmootherRules
from callbot.server import running
from callbot.services import Services
from callbot.session import Observer

CALLERS: Final = ("support_bill", "sales_order", "technical_visit", "email", "numbers_spelled", "tour")
NAMES: Final = tuple(part.name for part in fields(Parts))

SLOW: Final = Latencies(stt=0.2, brain=0.35, tts=0.12)
SLOW_WORDS: Final = "providers of 200, 350 and 120 ms"
FAR_WORDS: Final = "vendors 40 ms away"
COMPARED: Final = {
    SLOW_WORDS: {
        "first": "first",
        "answer": "answer",
        "first_if_finished": "first, whole sentences",
        "answer_if_finished": "answer, whole sentences",
    },
    FAR_WORDS: {"greeting": "greeting", "first": "first sound", "answer": "answer"},
}
"""What is compared of whom: fields of ``Stack``, and their heads."""
NEVER: Final = 3600.0

_AUDIO: Final = Path(__file__).parents[1] / "fixtures" / "audio"
_RULES: Final = Path(callbot.conversation.__file__).parent / "rules.yaml"
_AGENT: Final = "support"
_BAR: Final = 32
_COLOURS: Final = ("cyan", "blue", "magenta", "yellow", "green")


# --- what came of it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stack:
    """What was measured on one stack. Times are in ms.

    ``parts`` and ``response``, of the answer itself, are by the bot's own clock, and so are ``first``, the
    first sound of ours whatever it is, and ``answer``, the answer's own when an acknowledgement has played;
    of callers whose words were whole, once more. ``greeting`` is from the beginning of a call to its first
    sound. ``at_the_ear`` is what the exchange measured on the audio that the same callers heard.
    ``discarded`` replies were begun ahead in vain.
    """

    name: str
    parts: Mapping[str, Summary]
    response: Summary
    first: Summary
    answer: Summary
    greeting: Summary
    first_if_finished: Summary
    answer_if_finished: Summary
    at_the_ear: Summary
    acknowledged: int
    discarded: int
    responses: tuple[Response, ...]


@dataclass(frozen=True, slots=True)
class Latency:
    machine: Machine
    date: str | None
    callers: tuple[str, ...]
    stacks: tuple[Stack, ...]


def stack(
    name: str,
    responses: Sequence[Response],
    at_the_ear: Sequence[float],
    *,
    greetings: Sequence[float] = (),
    discarded: int = 0,
) -> Stack:
    """``responses`` and ``greetings`` are in seconds, ``at_the_ear`` in ms."""
    in_ms = tuple(_in_ms(one) for one in responses)
    finished = [one for one in in_ms if one.finished]
    return Stack(
        name,
        {part: summary([getattr(one.parts, part) for one in in_ms]) for part in NAMES},
        response=summary([one.parts.total for one in in_ms]),
        first=summary([one.first for one in in_ms]),
        answer=summary([one.answer for one in in_ms]),
        greeting=summary([round(one * 1000, 2) for one in greetings]),
        first_if_finished=summary([one.first for one in finished]),
        answer_if_finished=summary([one.answer for one in finished]),
        at_the_ear=summary(at_the_ear),
        acknowledged=sum(one.acknowledged for one in in_ms),
        discarded=discarded,
        responses=in_ms,
    )


def _in_ms(one: Response) -> Response:
    return Response(
        Parts(*(round(getattr(one.parts, part) * 1000, 2) for part in NAMES)),
        first=round(one.first * 1000, 2),
        answer=round(one.answer * 1000, 2),
        acknowledged=one.acknowledged,
        finished=one.finished,
    )


def table(one: Stack) -> Table:
    """A row for each part, its bar beginning where the one before it ended."""
    drawn = Table(title=one.name, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    drawn.add_column("part")
    drawn.add_column("p50 ms", justify="right")
    drawn.add_column("p95 ms", justify="right")
    drawn.add_column("", min_width=_BAR)
    whole = sum(part.p50 or 0.0 for part in one.parts.values()) or 1.0
    began = 0.0
    for (name, part), colour in zip(one.parts.items(), _COLOURS, strict=True):
        ended = began + (part.p50 or 0.0)
        drawn.add_row(name, *_figures(part), Bar(whole, began, ended, width=_BAR, color=colour))
        began = ended
    drawn.add_section()
    drawn.add_row("response", *_figures(one.response), Text(f"{one.response.count} answers", "dim"))
    drawn.add_row("at the ear", *_figures(one.at_the_ear), Text(f"{one.at_the_ear.count} answers", "dim"))
    return drawn


def comparison(stacks: Sequence[Stack], of: str, columns: Mapping[str, str]) -> Table:
    """What each way to be faster is worth, by p50 and p95 in ms, and what it costs; ``of`` whom. ``columns``
    are the heads of fields of ``Stack``."""
    drawn = Table(title=f"{of}: p50, p95 ms", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    drawn.add_column("")
    for name in (*columns.values(), "okay", "in vain"):
        drawn.add_column(name, justify="right")
    for one in stacks:
        figures: Sequence[Summary] = [getattr(one, field) for field in columns]
        drawn.add_row(
            one.name.removeprefix(f"{of}, "),
            *(
                f"{figure.p50:.0f}, {figure.p95:.0f}"
                if figure.p50 is not None and figure.p95 is not None
                else "-"
                for figure in figures
            ),
            f"{one.acknowledged} of {len(one.responses)}",
            str(one.discarded),
        )
    return drawn


def _figures(one: Summary) -> tuple[str, str]:
    p50, p95 = ("-" if value is None else f"{value:.1f}" for value in (one.p50, one.p95))
    return p50, p95


# --- calling -------------------------------------------------------------------------------------

Stage = Callable[[Settings, Observer], AbstractAsyncContextManager[Local]]
"""A bot and an exchange, with somebody who watches its calls."""


def stand_ins(
    latencies: Latencies,
    turns: TurnRules,
    *,
    recordings: Recordings | None = None,
    cuts: bool = False,
    smoothing: SmootherRules | None = None,
) -> Stage:
    """The product with providers that take so long. ``recordings``: what its recogniser hears of; ``cuts``:
    whether a flush cuts what it hears."""

    @asynccontextmanager
    async def stage(settings: Settings, observer: Observer) -> AsyncIterator[Local]:
        records = Records()

        def watched(settings: Settings) -> AbstractAsyncContextManager[Services]:
            return services(
                settings,
                observers=(observer,),
                finished=records.put,
                latencies=latencies,
                turns=turns,
                recordings=recordings,
                cuts=cuts,
                smoothing=smoothing,
            )

        app = create_app(settings, services=watched)
        async with running(app) as port:
            yield Local(settings, port, records, app.state.services)

    return stage


def stages(callers: Sequence[Ringing]) -> dict[str, Stage]:
    """By name, in the order in which they are measured."""
    ours = rules()
    silent = replace(ours, acknowledge_if_later_than=NEVER)
    waiting = replace(silent, most_discarded=0.0)
    late = SmootherRules(pause_chunks=SmootherRules().stop_chunks)  # the first sign is when it is silence
    recordings = Recordings(one.caller for one in callers if isinstance(one.caller, RecordedCaller))

    def slow(turns: TurnRules, smoothing: SmootherRules | None = None, *, cuts: bool = True) -> Stage:
        return stand_ins(SLOW, turns, recordings=recordings, cuts=cuts, smoothing=smoothing)

    return {
        "the offline stack": lambda settings, observer: local(settings, observers=(observer,)),
        "stand-ins": stand_ins(Latencies(), ours),
        f"{SLOW_WORDS}, one after the other": slow(waiting, late),
        f"{SLOW_WORDS}, thinking ahead in silence": slow(silent, late),
        f"{SLOW_WORDS}, thinking ahead at its first sign": slow(silent),
        f"{SLOW_WORDS}, acknowledging alone": slow(replace(ours, most_discarded=0.0), late),
        f"{SLOW_WORDS}, all of it": slow(ours),
        f"{SLOW_WORDS}, all of it, and no flush cuts": slow(ours, cuts=False),
        **_far(recordings),
    }


def _far(recordings: Recordings) -> dict[str, Stage]:
    """The doubles are in a checkout alone, and what they are made of comes with ``callbot[dev]``."""
    try:
        from bench import network
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in ("tests", "aiohttp"):
            return {}
        raise
    return dict(network.stages(recordings))


async def measure(
    name: str, stage: Stage, callers: Sequence[Ringing], folder: Path, tell: Callable[[str], None]
) -> Stack:
    """Let the callers ring, one after another; where only providers are slow, all at once.

    How late answers are is learnt by the process: before callers ring at once, the first of them has rung
    alone, and is not counted.
    """
    breakdown = Breakdown(rules())
    at_the_ear: list[float] = []
    tell(f"{name}: loading")
    at_once = name.startswith(tuple(COMPARED))
    async with stage(local_settings(folder), breakdown.observe) as bot:
        if at_once:
            tell(f"{name}: {callers[0].name} rings, uncounted")
            await ring(bot, callers[0])
            breakdown.responses.clear()
            breakdown.greetings.clear()
            breakdown.discarded = 0
            tell(f"{name}: {len(callers)} ring at once")
            rung = await asyncio.gather(*(ring(bot, caller) for caller in callers))
        else:
            rung = []
            for number, caller in enumerate(callers, 1):
                tell(f"{name}: {caller.name} rings ({number} of {len(callers)})")
                rung.append(await ring(bot, caller))
        for one in rung:
            at_the_ear += [float(response.after_ms) for response in one.result.responses]
    return stack(
        *(name, breakdown.responses, at_the_ear),
        greetings=breakdown.greetings,
        discarded=breakdown.discarded,
    )


async def measure_all(
    stages: Mapping[str, Stage], callers: Sequence[Ringing], folder: Path, tell: Callable[[str], None]
) -> tuple[Stack, ...]:
    """Where our own time is looked at, one stage after another; where providers are slow, or far away, all of
    those at once."""

    def measured(name: str) -> Coroutine[None, None, Stack]:
        return measure(name, stages[name], callers, folder / str(list(stages).index(name)), tell)

    found = [await measured(name) for name in stages if not name.startswith(tuple(COMPARED))]
    for words in COMPARED:
        found += await asyncio.gather(*(measured(name) for name in stages if name.startswith(words)))
    return tuple(found)


def main(argv: Sequence[str]) -> int:
    given = argparse.ArgumentParser(
        prog="callbot bench latency", description="Where the time of a response goes."
    )
    given.add_argument("callers", nargs="*", type=Path, metavar="CALLER.wav", help="recorded callers (six)")
    given.add_argument("--date", metavar="DATE", help="written into the JSON as it is")
    given.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    given.add_argument(
        "--only", default="", metavar="WORDS", help="only stages with these words in their name"
    )
    asked = given.parse_args(argv)
    console = Console()
    try:
        callers = [read(path) for path in asked.callers or [_AUDIO / f"{name}.wav" for name in CALLERS]]
    except (ScenarioError, SoundError, ConfigurationError) as error:
        console.print(str(error), style="red", markup=False)
        return 2
    known = stages(callers)
    wanted = {name: stage for name, stage in known.items() if asked.only in name}
    if not wanted:
        console.print(f"no stage has {asked.only!r} in its name; there are:", style="red", markup=False)
        console.print("\n".join(known), markup=False)
        return 2
    logs.configure(local_settings().model_copy(update={"log_level": LogLevel.WARNING}))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, console.status("") as status:

        def tell(text: str) -> None:
            if console.is_terminal:
                status.update(text)
            else:
                console.print(text, highlight=False, markup=False)

        stacks = asyncio.run(measure_all(wanted, callers, Path(folder), tell))
    for one in stacks:
        console.print(table(one))
    for words, columns in COMPARED.items():
        if compared := [one for one in stacks if one.name.startswith(words)]:
            console.print(comparison(compared, words, columns))
    if asked.json is not None:
        found = Latency(machine(), asked.date, tuple(caller.name for caller in callers), stacks)
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    return 0 if stacks and all(one.responses for one in stacks) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
