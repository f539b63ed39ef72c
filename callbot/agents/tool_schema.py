"""A typed function as a model sees it, and what a model sends back as values: a JSON schema, and its check.

What is wrong with a model's arguments is said in words that it can act upon.
"""

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from callbot.errors import InvalidState

_TYPES: Final[Mapping[type, Mapping[str, str]]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    date: {"type": "string", "format": "date"},
}
_MOST_CHARACTERS: Final = 1000
_ARGUMENTS = re.compile(r"\n\s*Arg(?:ument)?s:\s*\n", re.I)
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False, "yes": True, "no": False}


class BadArguments(Exception):
    """The text tells the model what is wrong and what to send instead."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument. ``kind`` is one of str, bool, int, float and date; ``options`` the values of a
    ``Literal``; ``nullable`` when None may be given."""

    name: str
    kind: type
    required: bool
    options: tuple[Any, ...] = ()
    nullable: bool = False
    about: str = ""

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = dict(_TYPES[self.kind])
        if self.options:
            found["enum"] = [*self.options, *([None] if self.nullable else [])]
        if self.nullable:
            found["type"] = [found["type"], "null"]
        if self.about:
            found["description"] = self.about
        return found

    def read(self, value: Any) -> Any:
        """``value`` as JSON of the right kind, or ``BadArguments``. Numbers may come as text, and text
        as numbers."""
        if value is None or (value == "" and self.kind is not str and not self.required):
            if self.nullable or not self.required:
                return None
            raise BadArguments(f"{self.name!r} is required.")
        read = self._as_kind(value)
        if read is None or (self.options and read not in self.options):
            raise BadArguments(f"{self.name!r} must be {self._wanted()}, not {str(value)[:60]!r}.")
        return read

    def _as_kind(self, value: Any) -> Any:
        text = str(value).strip()
        if isinstance(value, dict | list) or len(text) > _MOST_CHARACTERS:
            return None
        if self.kind is bool:
            return value if isinstance(value, bool) else _WORDS.get(text.lower())
        if isinstance(value, bool):
            return None
        try:
            if self.kind is int:
                number = float(text)
                return int(number) if number.is_integer() else None
            if self.kind is float:
                number = float(text)
                return number if math.isfinite(number) else None
            if self.kind is date:
                return date.fromisoformat(text).isoformat()
        except (ValueError, OverflowError):
            return None
        return value if isinstance(value, str) else text

    def _wanted(self) -> str:
        if self.options:
            return "one of " + ", ".join(json.dumps(option) for option in self.options)
        if self.kind is date:
            return "a date like 2026-11-30"
        return {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}[self.kind]


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of one function, in order, and what it does in the words of its docstring."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]

    def schema(self) -> dict[str, Any]:
        """A JSON schema of an object."""
        return {
            "type": "object",
            "properties": {item.name: item.schema() for item in self.parameters},
            "required": [item.name for item in self.parameters if item.required],
            "additionalProperties": False,
        }

    def read(self, text: str) -> dict[str, Any]:
        """The model's arguments, checked, as JSON's own values; those it left out are left out.

        Raises ``BadArguments``.
        """
        given = _object(text)
        names = [item.name for item in self.parameters]
        problems = [_unknown(name, names) for name in given if name not in names]
        found: dict[str, Any] = {}
        for item in self.parameters:
            if item.name not in given:
                if item.required:
                    problems.append(f"{item.name!r} is missing.")
                continue
            try:
                value = item.read(given[item.name])
            except BadArguments as error:
                problems.append(str(error))
                continue
            if value is not None:
                found[item.name] = value
        if problems:
            raise BadArguments(" ".join(problems))
        return found

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the function is called with. A value that a flow did not know is an empty string, and is
        left out where that is no value.

        Raises ``BadArguments``.
        """
        found: dict[str, Any] = {}
        for item in self.parameters:
            if item.name not in arguments:
                continue
            value = item.read(arguments[item.name])
            if value is not None:
                found[item.name] = date.fromisoformat(value) if item.kind is date else value
            elif item.required:
                found[item.name] = None
        return found


def signature(function: Callable[..., Any]) -> Signature:
    """What ``function`` takes. Raises ``InvalidState`` for a parameter that no model could fill in."""
    name = getattr(function, "__name__", "")
    hints = get_type_hints(function)
    description, about = _documented(inspect.getdoc(function) or "")
    return Signature(
        name,
        description or name.replace("_", " "),
        tuple(
            _parameter(name, item, hints.get(item.name, str), about.get(item.name, ""))
            for item in inspect.signature(function).parameters.values()
        ),
    )


def _parameter(function: str, item: inspect.Parameter, hint: Any, about: str) -> Parameter:
    nullable = False
    if get_origin(hint) in (Union, UnionType):
        rest = [option for option in get_args(hint) if option is not type(None)]
        nullable = len(rest) < len(get_args(hint))
        hint = rest[0] if len(rest) == 1 else None
    options: tuple[Any, ...] = ()
    if get_origin(hint) is Literal:
        options = get_args(hint)
        kinds = {type(option) for option in options}
        hint = kinds.pop() if len(kinds) == 1 else None
    if hint not in _TYPES or item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD, item.POSITIONAL_ONLY):
        raise InvalidState(
            f"the parameter {item.name!r} of the tool {function!r} must be annotated as str, int, float, "
            "bool, date, a Literal of one of them, or one of these or None"
        )
    return Parameter(item.name, hint, item.default is inspect.Parameter.empty, options, nullable, about)


def _documented(text: str) -> tuple[str, dict[str, str]]:
    """A docstring's description, and what it says of each argument under ``Args:``."""
    description, *rest = _ARGUMENTS.split(text, maxsplit=1)
    about: dict[str, str] = {}
    for line in rest[0].splitlines() if rest else ():
        name, colon, said = line.strip().partition(":")
        if colon and name.isidentifier():
            about[name] = said.strip()
    return " ".join(description.replace("``", "").split()), about


def _object(text: str) -> dict[str, Any]:
    """The JSON object in ``text``; some models write it as a string within JSON, which means the same."""
    try:
        given = json.loads(text or "{}")
        if isinstance(given, str):
            given = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise BadArguments("The arguments are not valid JSON. Send one JSON object.") from error
    if not isinstance(given, dict):
        raise BadArguments("The arguments must be one JSON object, with a value for each parameter.")
    return given


def _unknown(name: str, names: Iterable[str]) -> str:
    known = list(names)
    near = get_close_matches(str(name), known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known) or 'none'}."
    return f"There is no parameter {str(name)[:60]!r}{meant}"
