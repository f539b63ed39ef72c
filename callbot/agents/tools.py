"""The functions that an agent may call: typed, asynchronous, run once per idempotency key."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints, is_typeddict

from callbot.agents.tool_schema import BadArguments, Signature, signature
from callbot.errors import InvalidState


@dataclass(frozen=True, slots=True)
class NotFound:
    """A look-up found nothing, but would have with another value of an argument, which the caller may
    have said. ``instead`` has such values by argument; when there is but one, the caller is asked."""

    instead: Mapping[str, Sequence[str]]


Returned = Mapping[str, Any] | NotFound | None
ToolFunction = Callable[..., Awaitable[Returned]]


class ToolFailed(Exception):
    """What stands behind a tool cannot be reached or refused; the caller is told so and loses nothing."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One function. ``signature`` is what it takes, ``returns`` the fields of its result;
    ``changes_data`` makes the caller's yes necessary."""

    name: str
    function: ToolFunction
    signature: Signature
    returns: tuple[str, ...]
    changes_data: bool

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.signature.parameters)

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments without a default."""
        return tuple(item.name for item in self.signature.parameters if item.required)


class Tools:
    """A registry of tools, by name. Lives as long as the process: it remembers finished changes by key,
    so that the same confirmed request never changes data twice."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._finished: dict[str, Returned] = {}

    def add(self, function: ToolFunction, *, changes_data: bool = False) -> None:
        """Register an ``async def`` that returns a TypedDict, or None or ``NotFound`` (found nothing). Its
        parameters are str, int, float, bool, date, a Literal, or one of these or None. The function's name
        is the tool's name, its docstring what a language model is told of it."""
        name = getattr(function, "__name__", "")
        returns = _fields(get_type_hints(function).get("return")) or _refuse(name)
        self._tools[name] = Tool(
            name=name,
            function=function,
            signature=signature(function),
            returns=returns,
            changes_data=changes_data,
        )

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    async def run(self, name: str, arguments: Mapping[str, Any], key: str) -> Returned:
        """Run a tool, or return what it returned before for the same ``key`` when it changes data.
        ``arguments`` are JSON's values, or text as a flow fills it in.

        Raises ``ToolFailed``, also when an argument is not what the function takes.
        """
        tool = self._tools[name]
        if tool.changes_data and key in self._finished:
            return self._finished[key]
        try:
            typed = tool.signature.typed(arguments)
        except BadArguments as error:
            raise ToolFailed(str(error)) from error
        result = await tool.function(**typed)
        if tool.changes_data:
            self._finished[key] = result
        return result


def _fields(returned: Any) -> tuple[str, ...]:
    options = get_args(returned) if get_origin(returned) in (Union, UnionType) else (returned,)
    return next((tuple(option.__annotations__) for option in options if is_typeddict(option)), ())


def _refuse(name: str) -> NoReturn:
    raise InvalidState(f"the tool {name!r} must be annotated to return a TypedDict or None")
