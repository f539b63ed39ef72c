"""YAML that remembers where everything stood, so that an error can name file and line."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from callbot.errors import ConfigurationError

Place = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which yes, no, on and off are words; only true and false are truth values."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])


@dataclass(frozen=True, slots=True)
class Source:
    """One file's content, with the line of every value in it."""

    file: str
    data: Any
    lines: dict[Place, int]

    def at(self, place: Place) -> str:
        """``file:line`` of the value at ``place``, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.file}:{self.lines.get(place, 1)}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One named thing of a flow and where it is written: that may be an included file."""

    data: Mapping[str, Any]
    source: Source
    place: Place

    def at(self, *inner: str | int) -> str:
        return self.source.at((*self.place, *inner))


Parts = dict[str, dict[str, Entry]]
"""``slots``, ``intents`` and ``nodes``: name -> entry."""


def read(path: Path) -> Source:
    """Read one YAML file. Raises ``ConfigurationError`` when it cannot be read or is not YAML."""
    file = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{file}: there is no such file in {path.parent.parent}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: byte {error.start} is not UTF-8: save the file as UTF-8") from None
    return parse(text, file)


def parse(text: str, file: str) -> Source:
    """Read YAML text; ``file`` is the name to show in errors."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[Place, int] = {}
        data = None if root is None else _construct(loader, root, (), lines, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise ConfigurationError(
            f"{file}:{line}: this is not YAML: {error.problem}; sentences with : ? # or , belong in quotes"
        ) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: this is not YAML: {error}") from None
    finally:
        loader.dispose()
    return Source(file, data, lines)


def _construct(loader: _Loader, node: yaml.Node, place: Place, lines: dict[Place, int], file: str) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, item, (*place, index), lines, file) for index, item in enumerate(node.value)
        ]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in mapping:
                raise ConfigurationError(f"{file}:{line}: {key!r} is written twice; remove one of them")
            lines[*place, key] = line
            mapping[key] = _construct(loader, value_node, (*place, key), lines, file)
        return mapping
    return loader.construct_object(node, deep=True)


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(
        (Path(__file__).parent / "flow_schema.json").read_text(encoding="utf-8")
    )
    return schema


def check_shape(source: Source, kind: str) -> None:
    """Check a file against ``#/$defs/<kind>`` of the schema. Raises with every problem it finds."""
    schema = {**_schema(), "$ref": f"#/$defs/{kind}"}
    validator = jsonschema.Draft202012Validator(schema)
    problems = [
        f"{source.at(tuple(error.absolute_path))}: {_explain(error)}"
        for error in sorted(validator.iter_errors(source.data), key=lambda error: list(map(str, error.path)))
    ]
    fail(problems)


def _explain(error: jsonschema.ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "the file"
    schema = error.schema if isinstance(error.schema, dict) else {}
    match error.validator:
        case "additionalProperties":
            allowed = sorted(schema.get("properties", {}))
            written = error.instance if isinstance(error.instance, dict) else {}
            unknown = sorted(set(written) - set(allowed))
            return "; ".join(f"{where}: {unknown_name('key', key, allowed)}" for key in unknown)
        case "required" | "dependentRequired":
            missing = re.findall(r"'([^']+)'", error.message)
            return f"{where}: {missing[0]!r} is missing; add a line '{missing[0]}: ...'"
        case "enum":
            return f"{where}: {error.instance!r} is not known; write one of {', '.join(schema['enum'])}"
        case _:
            wanted = schema.get("description")
            return f"{where}: {error.message}" + (f"; write {wanted}" if wanted else "")


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that nothing has."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"there is no {what} {name!r}; did you mean {close[0]!r}?"
    return f"there is no {what} {name!r}; write one of: {', '.join(names) or '(none is defined)'}"


def fail(problems: Iterable[str]) -> None:
    """Raise one ``ConfigurationError`` with all ``problems``, if there are any."""
    found = tuple(dict.fromkeys(problems))
    if found:
        raise ConfigurationError("\n".join(found))
