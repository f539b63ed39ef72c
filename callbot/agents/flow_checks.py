"""What a schema cannot see: names that lead nowhere, nodes that nothing leads to, values nobody knows."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from callbot.agents.agent import Agent
from callbot.agents.prompting import OWN
from callbot.agents.templates import names
from callbot.agents.tools import Tools
from callbot.agents.yaml_source import Entry, Parts, Source, fail, unknown_name

STEPS = ("ask", "check", "tool", "branch", "try", "answer", "hand_over", "end", "listen")
"""The keys that say what a node does; a node has one of them, or only ``next``."""

LINKS = ("next", "missing", "known", "else", "worked", "failed")
_BELONGS = {
    "slots": ("check",),
    "with": ("tool",),
    "as": ("tool",),
    "missing": ("tool", "answer"),
    "when": ("branch",),
    "known": ("branch",),
    "else": ("branch",),
    "question": ("try",),
    "worked": ("try",),
    "failed": ("try",),
    "reason": ("hand_over",),
    "pending": ("hand_over",),
    "finished": ("listen",),
}
_LEAVES = ("hand_over", "end", "listen")
KNOWN_TO_ALL = ("caller_number", "reason", "heard")


def check_flow(
    agent: Agent,
    source: Source,
    parts: Parts,
    *,
    tools: Tools,
    agents: Collection[str],
    documents: Collection[str],
    constants: Mapping[str, str],
) -> None:
    """Raise one ``ConfigurationError`` naming every problem of an agent's file, or return."""
    fail(
        [
            *_agent_problems(agent, source, tools, agents),
            *_document_problems(agent, source, documents),
            *_start_problems(source, parts),
            *_node_problems(agent, parts, tools),
            *_entry_problems(parts),
            *_unconfirmed(parts, tools),
            *_template_problems(source, parts, tools, constants),
            *_unreachable(source, parts),
        ]
    )


def _agent_problems(agent: Agent, source: Source, tools: Tools, agents: Collection[str]) -> Iterator[str]:
    for index, name in enumerate(agent.tools):
        if name not in tools:
            yield f"{source.at(('tools', index))}: {unknown_name('tool', name, tools.names())}"
        elif name in OWN:
            yield f"{source.at(('tools', index))}: every agent has a tool {name!r} already; rename yours"
    for index, name in enumerate(agent.handoffs):
        if name not in agents:
            yield f"{source.at(('handoffs', index))}: {unknown_name('agent', name, agents)}"


def _document_problems(agent: Agent, source: Source, documents: Collection[str]) -> Iterator[str]:
    if agent.documents and agent.documents not in documents:
        known = unknown_name("set of documents", agent.documents, documents)
        yield f"{source.at(('documents',))}: {known}"


def _start_problems(source: Source, parts: Parts) -> Iterator[str]:
    for key in ("start", "human"):
        name = source.data["flow"][key]
        if name not in parts["nodes"]:
            yield f"{source.at(('flow', key))}: {unknown_name('node', name, parts['nodes'])}"


def links(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The nodes a node leads to, each with the keys it is written under."""
    for key in LINKS:
        if key in data:
            yield (key,), data[key]
    for value, name in data.get("when", {}).items():
        yield ("when", value), name


def _node_problems(agent: Agent, parts: Parts, tools: Tools) -> Iterator[str]:
    for name, entry in parts["nodes"].items():
        data = entry.data
        steps = [key for key in STEPS if key in data]
        if len(steps) > 1:
            yield f"{entry.at(steps[1])}: node {name!r} does both {steps[0]!r} and {steps[1]!r}; make it two"
        elif not steps and "next" not in data:
            yield f"{entry.at()}: node {name!r} leads nowhere; add 'next: ...' or one of {', '.join(STEPS)}"
        for key, owners in _BELONGS.items():
            if key in data and not set(owners) & set(steps):
                yield f"{entry.at(key)}: {key!r} belongs to {' or '.join(owners)}; remove it from {name!r}"
        if "next" in data and steps and steps[0] in (*_LEAVES, "branch", "try"):
            yield f"{entry.at('next')}: 'next' is never reached after {steps[0]!r}; remove it"
        for where, target in links(data):
            if target not in parts["nodes"]:
                yield f"{entry.at(*where)}: {unknown_name('node', target, parts['nodes'])}"
        for key in ("ask", "note"):
            if key in data and data[key] not in parts["slots"]:
                yield f"{entry.at(key)}: {unknown_name('slot', data[key], parts['slots'])}"
        for key in ("slots", "forget"):
            for index, slot in enumerate(data.get(key, ())):
                if slot not in parts["slots"]:
                    yield f"{entry.at(key, index)}: {unknown_name('slot', slot, parts['slots'])}"
        if "hand_over" in data and data["hand_over"] not in agent.handoffs:
            yield (
                f"{entry.at('hand_over')}: {unknown_name('agent', data['hand_over'], agent.handoffs)}"
                f" (an agent hands over only to those in its 'handoffs')"
            )
        if "tool" in data:
            yield from _tool_problems(agent, entry, tools)


def _tool_problems(agent: Agent, entry: Entry, tools: Tools) -> Iterator[str]:
    name = entry.data["tool"]
    if name not in agent.tools or name not in tools:
        yield f"{entry.at('tool')}: {unknown_name('tool', name, agent.tools)} (or add it to 'tools')"
        return
    tool = tools[name]
    given = entry.data.get("with", {})
    for argument in given:
        if argument not in tool.arguments:
            yield f"{entry.at('with', argument)}: {unknown_name('argument', argument, tool.arguments)}"
    for argument in tool.required:
        if argument not in given:
            yield f"{entry.at('with')}: {name!r} needs {argument!r}; add it to 'with'"


def _unconfirmed(parts: Parts, tools: Tools) -> Iterator[str]:
    """Whatever leads to a tool that changes data must be a check."""
    nodes = parts["nodes"]
    changing = {
        name
        for name, entry in nodes.items()
        if entry.data.get("tool", "") in tools and tools[entry.data["tool"]].changes_data
    }
    for entries in (nodes, parts["intents"]):
        for name, entry in entries.items():
            for where, target in links(entry.data):
                if target in changing and "check" not in entry.data:
                    tool = nodes[target].data["tool"]
                    yield (
                        f"{entry.at(*where)}: {name!r} leads to {tool!r}, which changes data, without the "
                        f"caller's yes; put a node with 'check: ...' in between"
                    )


def _entry_problems(parts: Parts) -> Iterator[str]:
    for entry in parts["intents"].values():
        if entry.data["next"] not in parts["nodes"]:
            yield f"{entry.at('next')}: {unknown_name('node', entry.data['next'], parts['nodes'])}"
        for index, slot in enumerate(entry.data.get("forgets", ())):
            if slot not in parts["slots"]:
                yield f"{entry.at('forgets', index)}: {unknown_name('slot', slot, parts['slots'])}"
    for name, entry in parts["slots"].items():
        data = entry.data
        if data["kind"] == "choice" and not data.get("options"):
            yield f"{entry.at('kind')}: slot {name!r} is a choice without options; add 'options: ...'"
        if data["kind"] != "choice" and "options" in data:
            yield f"{entry.at('options')}: only a choice has options; write 'kind: choice' or remove them"
        give_up = data.get("give_up")
        if give_up and give_up not in parts["nodes"]:
            yield f"{entry.at('give_up')}: {unknown_name('node', give_up, parts['nodes'])}"
        if isinstance(data.get("early"), str):
            try:
                re.compile(data["early"])
            except re.error as error:
                yield f"{entry.at('early')}: this is not a regular expression: {error}"


def _template_problems(
    source: Source, parts: Parts, tools: Tools, constants: Mapping[str, str]
) -> Iterator[str]:
    known = {*constants, *KNOWN_TO_ALL, *parts["slots"]}
    for entry in parts["nodes"].values():
        if entry.data.get("tool", "") in tools and "as" in entry.data:
            known |= {f"{entry.data['as']}.{field}" for field in tools[entry.data["tool"]].returns}
    for section in parts.values():
        for entry in section.values():
            for place, text in _texts(entry.data, ()):
                for name in names(text):
                    if name not in known:
                        yield f"{entry.at(*place)}: {unknown_name('value', name, known)}"
            branch = entry.data.get("branch")
            if branch is not None and branch not in known:
                yield f"{entry.at('branch')}: {unknown_name('value', branch, known)}"
    for key in ("take_over",):
        for place, text in _texts(source.data["flow"].get(key, []), ("flow", key)):
            for name in names(text):
                if name not in known:
                    yield f"{source.at(place)}: {unknown_name('value', name, known)}"
    for place, text in _texts(source.data["greeting"], ("greeting",)):
        for name in names(text):
            if name not in constants:
                yield f"{source.at(place)}: {unknown_name('value', name, constants)}"


def _texts(data: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string in ``data`` that is a sentence or an argument: regular expressions are not."""
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if key not in ("early", "options"):
                yield from _texts(value, (*place, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, (*place, index))


def _unreachable(source: Source, parts: Parts) -> Iterator[str]:
    nodes = parts["nodes"]
    flow = source.data["flow"]
    reached: set[str] = set()
    waiting = [flow["start"], flow["human"]]
    waiting += [entry.data["next"] for entry in parts["intents"].values()]
    waiting += [entry.data["give_up"] for entry in parts["slots"].values() if "give_up" in entry.data]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in reached:
            reached.add(name)
            waiting += [target for _, target in links(nodes[name].data)]
    for name in nodes:
        if name not in reached and nodes[name].source is source:
            yield (
                f"{nodes[name].at()}: nothing leads to node {name!r}; name it in some 'next', or remove it"
            )
