"""``callbot call``: a recorded caller rings the bot, and you watch."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callbot import logs
from callbot.cli.local import DEFAULT_FROM, DEFAULT_TO, Rung, local, local_settings
from callbot.cli.view import CallView
from callbot.config import LogLevel, Settings
from callbot.exchange.callers import RecordedCaller
from callbot.exchange.errors import ScenarioError, SoundError

GOOD = ("resolved", "transferred", "abandoned")


def call(audio: Path, *, json_path: Path | None, to: str | None, straight: bool) -> int:
    """0 when the call went through, 1 when it failed, 2 when the recording cannot be used."""
    console = Console()
    settings = local_settings()
    logs.configure(settings.model_copy(update={"log_level": LogLevel.WARNING}))
    try:
        caller = RecordedCaller(audio, straight=straight)
    except (ScenarioError, SoundError) as error:
        console.print(str(error), style="red", markup=False)
        return 2
    rung = asyncio.run(_ring(settings, caller, audio, to, console))
    record = rung.record | {"measured": measured(rung)}
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(record, indent=2, default=str) + "\n")
    summary(console, rung, json_path)
    return 0 if rung.record and rung.record["disposition"] in GOOD else 1


async def _ring(
    settings: Settings, caller: RecordedCaller, audio: Path, to: str | None, console: Console
) -> Rung:
    to_number = to or caller.sidecar.to_number or DEFAULT_TO
    from_number = caller.sidecar.from_number or DEFAULT_FROM
    view = CallView(console)

    def loading(what: str) -> None:
        console.print(f"loading {what}", style="dim", highlight=False)

    async with local(settings, observers=(view.observe,), loading=loading) as bot:
        view.titles = bot.services.titles
        ringing = f"{audio.name} rings {to_number} from {from_number}"
        console.print(ringing, style="bold", highlight=False, markup=False)
        with view:
            return await bot.ring(caller, from_number=from_number, to_number=to_number)


def measured(rung: Rung) -> dict[str, Any]:
    """What the exchange measured on the audio at the caller's ear, in ms."""
    result = rung.result
    return {
        "responses_ms": [response.after_ms for response in result.responses],
        "response_p50_ms": percentile([response.after_ms for response in result.responses], 50),
        "response_p95_ms": percentile([response.after_ms for response in result.responses], 95),
        "barge_ins_ms": [barge_in.after_ms for barge_in in result.barge_ins],
        "duration_ms": result.duration_ms,
        "warnings": [f"{warned.code} {warned.detail}" for warned in result.warnings],
    }


def percentile(values: list[int], percent: int) -> int | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summary(console: Console, rung: Rung, json_path: Path | None) -> None:
    """The table at the end, and how to go on."""
    record = rung.record
    if not record:
        console.print(
            f"The call failed before it was answered: {rung.result.detail or rung.result.status}.",
            style="red",
            markup=False,
        )
        for warned in rung.result.warnings:
            console.print(f"  {warned.code} {warned.detail}", style="red", markup=False)
        return
    table = Table(title="The call", title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim", min_width=20)
    table.add_column(overflow="fold")
    for label, value in _rows(rung):
        table.add_row(label, Text(value))
    console.print()
    console.print(table)
    files = {"recording": record["recording"] or "off (CALLBOT_RECORD)", "call record": json_path}
    for label, path in files.items():
        if path is not None:  # on a line of its own, to be copied
            console.print(Text.assemble("  ", (f"{label:<24}", "dim"), str(path)), soft_wrap=True)
    if record["recording"]:
        console.print("  The recording has the caller on the left and the bot on the right.", style="dim")
    console.print(
        "\nGo on with [bold]make serve[/bold] to take calls from Twilio, "
        "or ring with a recording of your own: [bold]make call CALLER=YOUR.wav[/bold]"
    )


def _rows(rung: Rung) -> Iterator[tuple[str, str]]:
    record, numbers = rung.record, measured(rung)
    turns = record["turns"]
    yield "ended", f"{record['disposition']}, by the {record['ended_by']}, after {_seconds(rung)} s"
    yield "agents", " → ".join(record["agents"])
    handoffs = [f"{made['from']} → {made['to']}: {made['reason']}" for made in record["handoffs"]]
    yield "handoffs", "; ".join(handoffs) or "none"
    yield "turns", f"{_turns_of(turns, 'caller')} of the caller, {_turns_of(turns, 'agent')} of the agents"
    yield "response at the ear", _responses(numbers)
    interrupted = [turn for turn in turns if turn.get("interrupted")]
    yield "interruptions", str(len(interrupted))
    for turn in interrupted:
        yield "  heard of it", f"“{turn['heard']}” of “{turn['text']}”"
    if numbers["barge_ins_ms"]:
        silences = ", ".join(f"{ms} ms" for ms in numbers["barge_ins_ms"])
        yield "silent after", f"{silences} from the caller's first sound"
    for failure in record["failures"]:
        after = f"{failure['instead']} went on" if failure["instead"] else "nobody was left"
        yield "failed", f"{failure['provider']} ({failure['trouble']}); {after}"
    if any(used["port"] != "carrier" for used in record["usage"]):
        yield "cost", _cost(record["cost"])
    for tool in record["tools"]:
        if tool["changed"]:
            yield "done", f"{tool['tool'].replace('_', ' ')}: {_short(tool['result'])}"


def _responses(numbers: dict[str, Any]) -> str:
    if not numbers["responses_ms"]:
        return "none"
    return (
        f"p50 {numbers['response_p50_ms']} ms, p95 {numbers['response_p95_ms']} ms, "
        f"over {len(numbers['responses_ms'])} answers"
    )


def _cost(cost: dict[str, Any]) -> str:
    parts = ", ".join(f"{port} ${amount:.4f}" for port, amount in cost["by_port"].items() if amount)
    unpriced = f"; no price is known for {', '.join(cost['unpriced'])}" if cost["unpriced"] else ""
    return f"${cost['total']:.4f} ({parts}){' estimated' if cost['estimate'] else ''}{unpriced}"


def _turns_of(turns: list[dict[str, Any]], who: str) -> int:
    return sum(turn["who"] == who for turn in turns)


def _seconds(rung: Rung) -> int:
    return round(rung.result.duration_ms / 1000)


def _short(result: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in (result or {}).items())
