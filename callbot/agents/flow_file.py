"""An agent's YAML file -> its ``Agent`` and ``Flow``; what is wrong in it is said with file and line."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from callbot.agents import yaml_source
from callbot.agents.agent import Agent, Thinking
from callbot.agents.flow_checks import STEPS, check_flow
from callbot.agents.flows import (
    AnswerFrom,
    Ask,
    Branch,
    Check,
    Command,
    CommandKind,
    End,
    Flow,
    GiveTo,
    Go,
    Intent,
    Limits,
    Listen,
    Node,
    Sentences,
    Slot,
    Step,
    Try,
    UseTool,
)
from callbot.agents.knowledge import spoken
from callbot.agents.slots import Kind
from callbot.agents.tools import Tools
from callbot.agents.yaml_source import Entry, Parts, Place, Source
from callbot.call import Disposition
from callbot.errors import ConfigurationError

LANGUAGES = Path(__file__).parent / "languages"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def load(
    path: Path, *, business: str, tools: Tools, agents: Collection[str], documents: Collection[str] = ()
) -> tuple[Agent, Flow]:
    """Read one agent. ``agents`` and ``documents`` are the names of all that the business has.

    Raises ``ConfigurationError``: one line for each problem, ``file:line: what, and what to write``.
    """
    source = yaml_source.read(path)
    yaml_source.check_shape(source, "agent")
    data = source.data
    if data["name"] != path.stem:
        raise ConfigurationError(
            f"{source.at(('name',))}: the agent is called {data['name']!r}; call the file "
            f"{data['name']}.yaml, or write 'name: {path.stem}'"
        )
    agent = Agent(
        name=data["name"],
        title=data["title"],
        role=data["role"],
        instructions=data["instructions"],
        greeting=(),
        voice=data["voice"],
        language=data.get("language", "en"),
        tools=tuple(data.get("tools", ())),
        handoffs=tuple(data.get("handoffs", ())),
        documents=data.get("documents", ""),
        thinking=Thinking(data.get("thinking", Thinking.FLOW)),
        budget=Decimal(str(data["budget"])) if "budget" in data else None,
    )
    constants = {
        "business": business,
        "agent.name": agent.name,
        "agent.title": agent.title,
        "agent.role": agent.role,
        "can_do": data["flow"]["can_do"],
    }
    language = _language(agent.language, source)
    parts = _parts(source, path.parent.parent)
    check_flow(agent, source, parts, tools=tools, agents=agents, documents=documents, constants=constants)
    build = _Builder(constants, tools)
    greeting = build.text(data["greeting"])
    flow = build.flow(agent, data["flow"], language.data, parts)
    return replace(agent, greeting=greeting), flow


def _language(language: str, source: Source) -> Source:
    path = LANGUAGES / f"{language}.yaml"
    known = sorted(item.stem for item in LANGUAGES.glob("*.yaml"))
    if language not in known:
        raise ConfigurationError(
            f"{source.at(('language',))}: {yaml_source.unknown_name('language', language, known)}"
        )
    pack = yaml_source.read(path)
    yaml_source.check_shape(pack, "language")
    return pack


def _parts(source: Source, folder: Path) -> Parts:
    """The slots, intents and nodes of the flow and of what it includes. The flow's own come first."""
    parts: Parts = {"slots": {}, "intents": {}, "nodes": {}}
    _collect(parts, source, ("flow",), source.data["flow"])
    for index, name in enumerate(source.data["flow"].get("include", ())):
        path = folder / name
        if not path.is_file():
            raise ConfigurationError(
                f"{source.at(('flow', 'include', index))}: there is no file {name!r}; "
                f"write its path from the business's folder, like shared/callback.yaml"
            )
        part = yaml_source.read(path)
        yaml_source.check_shape(part, "part")
        _collect(parts, part, (), part.data)
    return parts


def _collect(parts: Parts, source: Source, place: Place, data: Mapping[str, Any]) -> None:
    for section, entries in parts.items():
        for name, entry in data.get(section, {}).items():
            entries.setdefault(name, Entry(entry, source, (*place, section, name)))


@dataclass(frozen=True, slots=True)
class _Builder:
    """Turns checked data into values, with the business's constants filled in."""

    constants: Mapping[str, str]
    tools: Tools

    def text(self, text: str | list[str]) -> Sentences:
        return spoken([self.fixed(part) for part in ([text] if isinstance(text, str) else text)])

    def fixed(self, text: str) -> str:
        for name, value in self.constants.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def flow(self, agent: Agent, data: Mapping[str, Any], language: Mapping[str, Any], parts: Parts) -> Flow:
        phrases = {**language["phrases"], **data.get("phrases", {})}
        commands = {**language["commands"], **data.get("commands", {})}
        return Flow(
            name=agent.name,
            language=agent.language,
            start=data["start"],
            nodes={name: self.node(name, entry.data) for name, entry in parts["nodes"].items()},
            slots={name: self.slot(name, entry.data) for name, entry in parts["slots"].items()},
            intents={name: self.intent(name, entry.data) for name, entry in parts["intents"].items()},
            commands={name: self.command(name, entry) for name, entry in commands.items()},
            phrases={name: self.text(text) for name, text in phrases.items()},
            can_do=data["can_do"],
            human=data["human"],
            take_over=self.text(data.get("take_over", [])),
            out_of_scope=(*language.get("out_of_scope", ()), *data.get("out_of_scope", ())),
            question_words=tuple(language.get("question_words", ())),
            fillers=tuple(language.get("fillers", ())),
            function_words=tuple(language.get("function_words", ())),
            decline=tuple(language.get("decline", ())),
            worked=tuple(language.get("worked", ())),
            failed=tuple(language.get("failed", ())),
            acknowledged=tuple(language.get("acknowledged", ())),
        )

    def slot(self, name: str, data: Mapping[str, Any]) -> Slot:
        early = data.get("early", data["kind"] in {"order_id", "phone", "email", "date", "time", "datetime"})
        weekdays = data.get("weekdays")
        return Slot(
            name=name,
            kind=Kind(data["kind"]),
            about=data["about"],
            ask=self.text(data["ask"]),
            again=self.text(data.get("again", [])),
            offer=self.text(data.get("offer", [])),
            offer_value=data.get("offer_value", ""),
            optional=data.get("optional", False),
            default=data.get("default"),
            asked_when=tuple(data.get("asked_when", ())),
            options={value: tuple(words) for value, words in data.get("options", {}).items()},
            early=bool(early),
            early_pattern=re.compile(early, re.IGNORECASE) if isinstance(early, str) else None,
            readback=data.get("readback", f"{{{name}}}"),
            limits=Limits(
                minimum=data.get("minimum"),
                maximum=data.get("maximum"),
                weekdays=None if weekdays is None else frozenset(map(WEEKDAYS.index, weekdays)),
                between=tuple(data["between"]) if "between" in data else None,
            ),
            invalid=self.text(data.get("invalid", [])),
            give_up=data.get("give_up", ""),
        )

    def intent(self, name: str, data: Mapping[str, Any]) -> Intent:
        heard = data.get("heard", [])
        return Intent(
            name=name,
            next=data["next"],
            examples=tuple(data["examples"]),
            phrases=tuple(data.get("phrases", ())),
            about=data.get("about", name.replace("_", " ")),
            heard=(heard,) if isinstance(heard, str) else tuple(heard),
            forgets=tuple(data.get("forgets", ())),
            digression=data.get("in_between") == "digression",
        )

    def command(self, name: str, data: Mapping[str, Any]) -> Command:
        return Command(
            name=name,
            does=CommandKind(data["does"]),
            examples=tuple(data["examples"]),
            phrases=tuple(data.get("phrases", ())),
            say=self.text(data.get("say", [])),
        )

    def node(self, name: str, data: Mapping[str, Any]) -> Node:
        return Node(
            name=name,
            step=self.step(data),
            say=self.text(data.get("say", [])),
            forget=tuple(data.get("forget", ())),
            note=data.get("note", ""),
        )

    def step(self, data: Mapping[str, Any]) -> Step:
        match next((key for key in STEPS if key in data), None):
            case "ask":
                return Ask(data["ask"], data["next"])
            case "check":
                return Check(self.text(data["check"]), tuple(data["slots"]), data["next"])
            case "tool":
                arguments = {key: str(value) for key, value in data.get("with", {}).items()}
                return UseTool(
                    data["tool"],
                    arguments,
                    data["as"],
                    data["next"],
                    data["missing"],
                    changes=self.tools[data["tool"]].changes_data,
                )
            case "branch":
                otherwise = data["else"]
                return Branch(data["branch"], data["when"], data.get("known", otherwise), otherwise)
            case "try":
                return Try(data["try"], self.text(data["question"]), data["worked"], data["failed"])
            case "answer":
                return AnswerFrom(self.fixed(data["answer"]), data["next"], data.get("missing", data["next"]))
            case "hand_over":
                return GiveTo(data["hand_over"], self.fixed(data["reason"]), data.get("pending", ""))
            case "end":
                return End(Disposition(data["end"]))
            case "listen":
                return Listen(data.get("finished", False))
            case _:
                return Go(data["next"])
