"""A whole business from its folder: numbers, agents with their flows, and documents.

business.yaml          its name and its numbers
agents/<name>.yaml     one agent each, with its flow
shared/*.yaml          parts of flows that several agents include
documents/<name>.yaml  passages to answer from
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import structlog

from callbot.agents import flow_file, knowledge, yaml_source
from callbot.agents.agent import Agent, Thinking
from callbot.agents.brain import Brain
from callbot.agents.flow_brain import FlowBrain
from callbot.agents.flow_first_brain import FlowFirstBrain
from callbot.agents.flows import Flow
from callbot.agents.knowledge import NO_DOCUMENTS, Documents
from callbot.agents.matching import Understanding
from callbot.agents.model_brain import ModelBrain
from callbot.agents.prompting import Function, Mind
from callbot.agents.stand_in import StandInBrain
from callbot.agents.tool_runs import ToolRuns
from callbot.agents.tools import Tools
from callbot.agents.yaml_source import Source, fail, unknown_name
from callbot.errors import ConfigurationError
from callbot.providers.ports import Embedder, LanguageModel
from callbot.routing.intake import Busy, CallBack, Dial, LanguageRoute, Number, Overflow, Sorry

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Business:
    """All of a business that a call needs, checked. ``numbers`` is by the number dialled (E.164)."""

    name: str
    numbers: Mapping[str, Number]
    agents: Mapping[str, Agent]
    flows: Mapping[str, Flow]
    documents: Mapping[str, Documents]
    tools: Tools

    def understand(
        self, embedder: Embedder, *, kept: Embedder | None = None, model: LanguageModel | None = None
    ) -> "Brains":
        """Embed every flow's examples with ``kept`` (``KeptVectors``) or else with ``embedder``. ``model``
        thinks for the agents that think with one.

        Blocking, seconds for hundreds of sentences that are not kept yet: call it in a thread.
        """
        return Brains(
            self,
            {
                name: Understanding(
                    flow,
                    self.documents.get(self.agents[name].documents, NO_DOCUMENTS),
                    embedder,
                    kept=kept,
                )
                for name, flow in self.flows.items()
            },
            model,
        )


@dataclass(frozen=True, slots=True)
class Brains:
    """Makes brains: one per agent and call."""

    business: Business
    understandings: Mapping[str, Understanding]
    model: LanguageModel | None = None

    def brain(self, agent: str, *, today: date, model: LanguageModel | None = None) -> Brain:
        """A new brain for ``agent``, as its file says that it thinks; ``today`` is the date at the business,
        for "on Tuesday". ``model`` takes the place of the one that all calls share. Without any, the flow
        thinks."""
        model = model or self.model
        chosen = self.business.agents[agent]
        runs = ToolRuns(self.business.tools)
        if chosen.thinking is Thinking.FLOW or model is None:
            return self._by_flow(chosen, runs, today)
        by_model = self._by_model(chosen, model, runs, today)
        by_flow = self._by_flow(chosen, runs, today)
        if chosen.thinking in (Thinking.MODEL, Thinking.SPEECH):
            return StandInBrain(by_model, by_flow)
        flow, understanding = self.business.flows[agent], self.understandings[agent]
        return FlowFirstBrain(flow, by_flow, by_model, understanding, today=today)

    def _by_flow(self, agent: Agent, runs: ToolRuns, today: date) -> FlowBrain:
        flow, understanding = self.business.flows[agent.name], self.understandings[agent.name]
        return FlowBrain(agent, flow, understanding, runs, today=today)

    def _by_model(self, agent: Agent, model: LanguageModel, runs: ToolRuns, today: date) -> ModelBrain:
        tools = self.business.tools
        functions = {name: Function(tools[name].signature, tools[name].changes_data) for name in agent.tools}
        mind = Mind(agent, self.business.flows[agent.name], functions, today)
        return ModelBrain(mind, model, runs, self.understandings[agent.name].retrieve)


def load(folder: Path, tools: Tools) -> Business:
    """Read and check a business. Raises ``ConfigurationError`` naming file and line."""
    source = yaml_source.read(folder / "business.yaml")
    yaml_source.check_shape(source, "business")
    name = source.data["name"]
    paths = {path.stem: path for path in sorted((folder / "agents").glob("*.yaml"))}
    if not paths:
        raise ConfigurationError(f"{folder.name}: there are no agents; write one in agents/<name>.yaml")
    numbers = _numbers(source, frozenset(paths))
    documents = {path.stem: knowledge.load(path) for path in sorted((folder / "documents").glob("*.yaml"))}
    agents: dict[str, Agent] = {}
    flows: dict[str, Flow] = {}
    for stem, path in paths.items():
        agents[stem], flows[stem] = flow_file.load(
            path, business=name, tools=tools, agents=paths.keys(), documents=documents.keys()
        )
    return Business(name, numbers, agents, flows, documents, tools)


def _numbers(source: Source, agents: frozenset[str]) -> dict[str, Number]:
    problems: list[str] = []
    numbers: dict[str, Number] = {}
    for dialled, entry in source.data["numbers"].items():
        place = ("numbers", dialled)
        named: list[tuple[tuple[str, ...], str]] = [(("agent",), entry["agent"])]
        named += [(("by_words", agent), agent) for agent in entry.get("by_words", {})]
        by_language = entry.get("by_language", {})
        named += [(("by_language", code, "agent"), route["agent"]) for code, route in by_language.items()]
        problems += [
            f"{source.at((*place, *inner))}: {unknown_name('agent', agent, agents)}"
            for inner, agent in named
            if agent not in agents
        ]
        problems += _overflow_problems(source, dialled, entry.get("overflow", {}))
        numbers[dialled] = Number(
            dialled=dialled,
            name=entry["name"],
            agent=entry["agent"],
            languages=tuple(entry.get("languages", ("en",))),
            by_words={agent: tuple(phrases) for agent, phrases in entry.get("by_words", {}).items()},
            by_language={
                code: LanguageRoute(route["agent"], tuple(route.get("words", ())))
                for code, route in by_language.items()
            },
            overflow=_overflow(entry.get("overflow", {})),
        )
    fail(problems)
    return numbers


def _overflow_problems(source: Source, dialled: str, entry: Mapping[str, Any]) -> list[str]:
    """Of one number's overflow path: what its shape alone does not tell."""
    place = ("numbers", dialled, "overflow")
    ways = [way for way in ("dial", "callback", "busy") if entry.get(way)]
    problems = []
    if len(ways) > 1:
        where = source.at((*place, ways[1]))
        problems.append(f"{where}: a call overflows one way: write {ways[0]} or {ways[1]}")
    if "busy" in ways and "say" in entry:
        problems.append(
            f"{source.at((*place, 'say'))}: a caller who gets the busy tone hears no words: write say or busy"
        )
    if "dial" in ways and entry["dial"] in source.data["numbers"]:
        problems.append(
            f"{source.at((*place, 'dial'))}: {entry['dial']} is one of the business's own numbers, which "
            "would ring here again; write one that somebody else answers"
        )
    return problems


def _overflow(entry: Mapping[str, Any]) -> Overflow:
    say = entry.get("say")
    if "dial" in entry:
        return Dial(entry["dial"], say)
    if entry.get("callback"):
        return CallBack(say)
    if entry.get("busy"):
        return Busy()
    return Sorry(say)
