"""What a scripted caller does, and the cues beside a recording: YAML in, frozen values out.

Whatever is wrong is a ``ScenarioError`` that names the file, the line, and what to write instead.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from callbot.exchange.dtmf import KEYS
from callbot.exchange.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, or its ``utterance``-th utterance (from 1)."""

    path: Path
    utterance: int | None = None


@dataclass(frozen=True, slots=True)
class PlayClip:
    clip: Clip


@dataclass(frozen=True, slots=True)
class WaitForStop:
    """Until the bot has spoken and stopped."""


@dataclass(frozen=True, slots=True)
class WaitForSpeech:
    """Until the bot is heard."""


@dataclass(frozen=True, slots=True)
class StaySilent:
    seconds: float


@dataclass(frozen=True, slots=True)
class PressKeys:
    digits: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Speak ``after_ms`` into the bot's next reply."""

    clip: Clip
    after_ms: int


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Step = PlayClip | WaitForStop | WaitForSpeech | StaySilent | PressKeys | Interrupt | HangUp


@dataclass(frozen=True, slots=True)
class Scenario:
    """One caller's script. ``expect`` is for whoever judges the call; the exchange only hands it on."""

    path: Path
    name: str
    to_number: str
    from_number: str
    steps: tuple[Step, ...]
    expect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cue:
    """When one utterance of a recording begins; without either time, when the bot has stopped."""

    text: str = ""
    interrupt_after_ms: int | None = None
    straight_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The cues in ``NAME.yaml`` beside ``NAME.wav``; ``cues`` is empty when it lists no utterances.

    ``hangs_up``: after the last utterance the caller does not hear the answer out.
    """

    path: Path
    cues: tuple[Cue, ...] = ()
    from_number: str = ""
    to_number: str = ""
    hangs_up: bool = False
    utterances_line: int = 1


# --- the schemas: a description says what to write ------------------------------------------------

_TIME_MS = {"type": "integer", "minimum": 0, "description": "write a number of milliseconds, as in 600"}
_SECONDS = {
    "type": "number",
    "minimum": 0,
    "maximum": 600,
    "description": "write a number of seconds, as in 2",
}
_NUMBER = {
    "type": "string",
    "minLength": 1,
    "description": "write the number in E.164, as in +15550142, or anonymous",
}
_CLIP = {
    "description": "write a WAV file's name, or {file: clip.wav, utterance: 2}",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "required": ["file"],
            "additionalProperties": False,
            "properties": {
                "file": {"type": "string", "minLength": 1},
                "utterance": {"type": "integer", "minimum": 1},
            },
        },
    ],
}
_STEP_WORDS = "play, wait, press, interrupt, silence or hang_up"
_STEP = {
    "type": "object",
    "description": f"write one of {_STEP_WORDS}",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "play": _CLIP,
        "wait": {
            "description": "write bot_stopped, bot_speaking or {seconds: 2}",
            "anyOf": [
                {"enum": ["bot_stopped", "bot_speaking"]},
                {
                    "type": "object",
                    "required": ["seconds"],
                    "additionalProperties": False,
                    "properties": {"seconds": _SECONDS},
                },
            ],
        },
        "press": {
            "type": ["string", "integer"],
            "minimum": 0,
            "pattern": rf"^[{re.escape(''.join(KEYS))}]+$",
            "description": 'write keys in quotes, as in "5" or "12#"',
        },
        "interrupt": {
            "type": "object",
            "required": ["play", "after_ms"],
            "additionalProperties": False,
            "properties": {"play": _CLIP, "after_ms": _TIME_MS},
            "description": "write {play: clip.wav, after_ms: 600}",
        },
        "silence": _SECONDS,
        "hang_up": {"type": "null", "description": "write hang_up alone, without a value"},
    },
}
_SCENARIO = {
    "type": "object",
    "description": "write name, to, from, steps and, if you like, expect",
    "required": ["name", "to", "from", "steps"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "description": "write a name in words"},
        "to": _NUMBER,
        "from": _NUMBER,
        "steps": {
            "type": "array",
            "minItems": 1,
            "items": _STEP,
            "description": f"write a list of steps, each one of {_STEP_WORDS}",
        },
        "expect": {"type": "object", "description": "write a mapping, as in {disposition: resolved}"},
    },
}
_CUE = {
    "type": "object",
    "description": 'write - text: "what is said" and, if you like, when: {interrupt_after_ms: 600}',
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "description": "write what is said, in quotes"},
        "when": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {"interrupt_after_ms": _TIME_MS, "straight_after_ms": _TIME_MS},
            "description": "write {interrupt_after_ms: 600} or {straight_after_ms: 300}",
        },
    },
}
_SIDECAR = {
    "type": "object",
    "description": "write a mapping with utterances, from or to",
    "properties": {
        "utterances": {"type": "array", "items": _CUE, "description": 'write a list of - text: "..."'},
        "from": _NUMBER,
        "to": _NUMBER,
        "then": {"enum": ["hang_up"], "description": "write hang_up, or leave it out"},
    },
}


# --- reading -------------------------------------------------------------------------------------


def read_scenario(path: Path) -> Scenario:
    """The scenario in ``path``; clips are looked up beside it and must exist."""
    source = _read(path)
    data = source.data
    if isinstance(data, dict) and isinstance(data.get("steps"), list):
        data["steps"] = [{"hang_up": None} if step == "hang_up" else step for step in data["steps"]]
    source.check(_SCENARIO)
    steps = tuple(_step(step, source.where("steps", index), path) for index, step in enumerate(data["steps"]))
    return Scenario(path, data["name"], data["to"], data["from"], steps, data.get("expect", {}))


def read_sidecar(path: Path) -> Sidecar:
    """The cues in ``path``. Other keys (licence, voice, notes) are for others to read."""
    source = _read(path)
    source.check(_SIDECAR)
    data = source.data
    cues = tuple(Cue(cue["text"], **cue.get("when", {})) for cue in data.get("utterances", ()))
    return Sidecar(
        path,
        cues,
        from_number=data.get("from", ""),
        to_number=data.get("to", ""),
        hangs_up="then" in data,
        utterances_line=source.line("utterances"),
    )


def _step(step: Mapping[str, Any], where: str, scenario: Path) -> Step:
    (word, value), *_ = step.items()
    match word:
        case "play":
            return PlayClip(_clip(value, where, scenario))
        case "wait" if value == "bot_stopped":
            return WaitForStop()
        case "wait" if value == "bot_speaking":
            return WaitForSpeech()
        case "wait":
            return StaySilent(float(value["seconds"]))
        case "press":
            return PressKeys(str(value))
        case "interrupt":
            return Interrupt(_clip(value["play"], where, scenario), value["after_ms"])
        case "silence":
            return StaySilent(float(value))
        case _:
            return HangUp()


def _clip(value: str | Mapping[str, Any], where: str, scenario: Path) -> Clip:
    name, utterance = (value, None) if isinstance(value, str) else (value["file"], value.get("utterance"))
    path = scenario.parent / name
    if not path.is_file():
        raise ScenarioError(f"{where}: there is no {name} beside the scenario; paths are relative to it")
    return Clip(path, utterance)


class _Loader(yaml.SafeLoader):
    """Reads integers as YAML 1.2 does, so that +15550142 and 012 stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789")
)


@dataclass(frozen=True, slots=True)
class _Source:
    """A YAML file: its values, and the nodes that remember where each was written."""

    path: Path
    data: Any
    root: yaml.Node | None

    def line(self, *way: str | int) -> int:
        """The line (from 1) of what is reached by these keys and indexes, or of the last that exists."""
        node = self.root
        mark = node.start_mark.line if node is not None else 0
        for key in way:
            found = _child(node, key)
            if found is None:
                break
            at, node = found
            mark = at.start_mark.line
        return mark + 1

    def where(self, *way: str | int) -> str:
        return f"{self.path}:{self.line(*way)}"

    def check(self, schema: Mapping[str, Any]) -> None:
        errors = jsonschema.Draft202012Validator(schema).iter_errors(self.data)
        error = next(iter(sorted(errors, key=lambda error: list(map(str, error.absolute_path)))), None)
        if error is None:
            return
        way = list(error.absolute_path)
        name = ".".join(map(str, way)) or "the file"
        reason = error.message if len(error.message) < 160 else f"{error.instance!r:.80} does not fit"
        if error.validator == "anyOf":
            reason = f"{error.instance!r:.80} does not fit"
        hint = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
        raise ScenarioError(f"{self.where(*way)}: {name}: {reason}" + (f"; {hint}" if hint else ""))


def _child(node: yaml.Node | None, key: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Where the entry is written, and its value."""
    match node, key:
        case yaml.MappingNode(), str():
            return next(((name, value) for name, value in node.value if name.value == key), None)
        case yaml.SequenceNode(), int() if key < len(node.value):
            return node.value[key], node.value[key]
        case _:
            return None


def _read(path: Path) -> _Source:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read as text: {error}") from error
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ScenarioError(f"{path}:{line}: not YAML: {error.reason}") from error
    try:
        root = loader.get_single_node()
        _refuse_repeats(root, path)
        return _Source(path, loader.construct_document(root) if root is not None else None, root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise ScenarioError(f"{path}:{line}: not YAML: {error.problem}") from error
    finally:
        loader.dispose()


def _refuse_repeats(node: yaml.Node | None, path: Path, within: tuple[yaml.Node, ...] = ()) -> None:
    """YAML lets the last of two equal keys win in silence, and a list contain itself; a script must not."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return
    line = node.start_mark.line + 1
    if node in within:
        raise ScenarioError(f"{path}:{line}: this contains itself; write it out")
    seen: set[str] = set()
    for entry in node.value:
        if isinstance(node, yaml.MappingNode):
            name, value = entry
            if name.value in seen:
                raise ScenarioError(
                    f"{path}:{name.start_mark.line + 1}: {name.value} is given twice; keep one"
                )
            seen.add(str(name.value))
        else:
            value = entry
        _refuse_repeats(value, path, (*within, node))
