"""``callbot simulate``: scripted callers ring, and what they expect of the call is checked."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callbot import logs
from callbot.call import Disposition
from callbot.cli.call import measured, percentile
from callbot.cli.local import DEFAULT_FROM, DEFAULT_TO, Local, Rung, local, local_settings
from callbot.config import LogLevel, Settings
from callbot.errors import ConfigurationError
from callbot.exchange.callers import RecordedCaller, ScriptedCaller
from callbot.exchange.errors import ScenarioError, SoundError

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {"type": "array", "items": {"type": "string"}}
_COUNT = {"type": "integer", "minimum": 0}
EXPECTATIONS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "agents": (_WORDS, "a list of the agents in their order, as in [support, sales]"),
    "disposition": ({"enum": list(Disposition)}, f"one of {', '.join(Disposition)}"),
    "slots": ({"type": "object"}, "a mapping of slots to values, as in {order_id: B7429}"),
    "handoffs": (_COUNT, "how many there are, as in 1"),
    "heard": (_WORDS, "a list of what the caller must have heard, as in [thank you, goodbye]"),
    "max_response_ms": (_COUNT, "the slowest response in milliseconds, as in 900"),
}
"""What can be expected: each with its schema, and what to write."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """One caller to be, and what its call is expected to be like."""

    name: str
    caller: RecordedCaller | ScriptedCaller
    from_number: str
    to_number: str
    expect: Mapping[str, Any]


def simulate(paths: list[Path], *, json_path: Path | None) -> int:
    """0 when every call met its expectations, 1 otherwise, 2 when a scenario cannot be read."""
    console = Console()
    try:
        callers = [read(path) for path in paths]
    except (ScenarioError, SoundError, ConfigurationError) as error:
        console.print(str(error), style="red", markup=False)
        return 2
    settings = local_settings()
    logs.configure(settings.model_copy(update={"log_level": LogLevel.WARNING}))
    records = asyncio.run(_simulate(settings, callers, console))
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(records, indent=2, default=str) + "\n")
    return 1 if any(record["unmet"] for record in records) else 0


def read(path: Path) -> Ringing:
    """A scenario, or a recorded caller with its sidecar."""
    if path.suffix.lower() == ".wav":
        caller = RecordedCaller(path)
        sidecar = path.with_suffix(".yaml")
        data = yaml.safe_load(sidecar.read_text()) if sidecar.is_file() else {}
        from_number = caller.sidecar.from_number or DEFAULT_FROM
        return Ringing(
            path.stem,
            caller,
            from_number,
            caller.sidecar.to_number or DEFAULT_TO,
            _known(sidecar, data.get("expect", {})),
        )
    scripted = ScriptedCaller(path)
    scenario = scripted.scenario
    return Ringing(
        scenario.name, scripted, scenario.from_number, scenario.to_number, _known(path, scenario.expect)
    )


def _known(path: Path, expect: object) -> Mapping[str, Any]:
    """``expect``, checked: what is misspelt must not pass for what was met."""
    if not isinstance(expect, dict):
        raise ConfigurationError(f"{path}: expect: write a mapping, as in {{disposition: resolved}}")
    unknown = set(expect) - set(EXPECTATIONS)
    if unknown:
        raise ConfigurationError(
            f"{path}: expect: {', '.join(sorted(map(str, unknown)))} cannot be checked; "
            f"write {', '.join(EXPECTATIONS)}"
        )
    for name, value in expect.items():
        schema, advice = EXPECTATIONS[name]
        if not jsonschema.Draft202012Validator(schema).is_valid(value):
            raise ConfigurationError(f"{path}: expect: {name}: {value!r} cannot be; write {advice}")
    return expect


async def _simulate(settings: Settings, callers: list[Ringing], console: Console) -> list[dict[str, Any]]:
    table = Table("caller", "result", "agents", "disposition", "p50", "p95")
    records: list[dict[str, Any]] = []
    async with local(settings) as bot:
        for number, ringing in enumerate(callers, 1):
            console.print(f"[{number}/{len(callers)}] {ringing.name}", highlight=False, markup=False)
            rung = await ring(bot, ringing)
            problems = unmet(ringing.expect, rung)
            numbers = measured(rung)
            records.append({"name": ringing.name, "unmet": problems, **rung.record, "measured": numbers})
            table.add_row(
                Text(ringing.name),
                "[red]failed[/red]" if problems else "[green]ok[/green]",
                " → ".join(rung.record.get("agents", ())),
                str(rung.record.get("disposition", "none")),
                _at(numbers["responses_ms"], 50),
                _at(numbers["responses_ms"], 95),
            )
    console.print(table)
    for record in records:
        for problem in record["unmet"]:
            console.print(Text(f"{record['name']}: {problem}", "red"), soft_wrap=True)
    console.print(overall([record["measured"] for record in records]), highlight=False)
    failed = sum(bool(record["unmet"]) for record in records)
    console.print(f"{len(callers) - failed} passed, {failed} failed", highlight=False)
    return records


def _same(got: object, expected: object) -> bool:
    """A date is what its weekday is, so that a recording stays right next week."""
    if str(expected).lower() in WEEKDAYS:
        try:
            return WEEKDAYS[date.fromisoformat(str(got)).weekday()] == str(expected).lower()
        except ValueError:
            return False
    return str(got) == str(expected)


def overall(measurements: Sequence[Mapping[str, Any]]) -> str:
    """The percentiles over all calls, as the exchange measured them on the audio."""
    responses = [ms for numbers in measurements for ms in numbers["responses_ms"]]
    barge_ins = [ms for numbers in measurements for ms in numbers["barge_ins_ms"]]
    return (
        f"response at the ear: p50 {_at(responses, 50)}, p95 {_at(responses, 95)} "
        f"({len(responses)} answers); "
        f"barge-in to silence: p50 {_at(barge_ins, 50)} ({len(barge_ins)} interruptions)"
    )


def _at(values: list[int], percent: int) -> str:
    found = percentile(values, percent)
    return "-" if found is None else f"{found} ms"


async def ring(bot: Local, ringing: Ringing) -> Rung:
    """One call."""
    return await bot.ring(ringing.caller, from_number=ringing.from_number, to_number=ringing.to_number)


def unmet(expect: Mapping[str, Any], rung: Rung) -> list[str]:
    """What the call was expected to be like and was not, in words."""
    record = rung.record
    if not record:
        return [f"the call was not answered: {rung.result.detail or rung.result.status}"]
    problems = []
    for name in ("agents", "disposition"):
        if name in expect and record[name] != expect[name]:
            problems.append(f"{name}: {record[name]}, expected {expect[name]}")
    if "handoffs" in expect and len(record["handoffs"]) != expect["handoffs"]:
        problems.append(f"handoffs: {len(record['handoffs'])}, expected {expect['handoffs']}")
    for name, value in expect.get("slots", {}).items():
        got = record["slots"].get(name, {}).get("value")
        if not _same(got, value):
            problems.append(f"slot {name}: {got}, expected {value}")
    heard = " ".join(turn["heard"] or "" for turn in record["turns"] if turn["who"] == "agent").lower()
    problems += [
        f"not heard: {phrase!r}" for phrase in expect.get("heard", ()) if phrase.lower() not in heard
    ]
    slowest = max((response.after_ms for response in rung.result.responses), default=0)
    if "max_response_ms" in expect and slowest > expect["max_response_ms"]:
        problems.append(f"slowest response {slowest} ms, expected at most {expect['max_response_ms']}")
    return problems
