"""Walking the nodes: what is said, asked, looked up and done until the caller's words are needed.

``Stepping`` holds the state of one call in one flow and changes it; the questions it leaves open are
answered in ``walker``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final, assert_never

from callbot.agents import slots as parsing
from callbot.agents.agent import Agent
from callbot.agents.brain import (
    Cited,
    Did,
    EndCall,
    Expect,
    Expecting,
    HandOff,
    History,
    Remember,
    Say,
)
from callbot.agents.filling import Filling, task_slots
from callbot.agents.flow_state import Held, State, Wait
from callbot.agents.flows import (
    AnswerFrom,
    Ask,
    Branch,
    Check,
    End,
    Flow,
    GiveTo,
    Go,
    Listen,
    Node,
    Sentences,
    Slot,
    Try,
    UseTool,
)
from callbot.agents.ranking import Found
from callbot.agents.slots import Kind
from callbot.agents.templates import fill, names
from callbot.agents.walk import RunTool, Search, ToolResult, Walk
from callbot.errors import InvalidState
from callbot.routing.handoff import SlotValue

MOST_NODES: Final = 100
"""A flow that passes so many nodes without waiting for the caller goes in a circle."""


class Stepping:
    """One call's place in a flow, and the moves that need no words of the caller.

    ``more`` are words of the caller that wait for their answer: questions come only after it.
    ``moved`` says that the call has gone to another agent or is over.
    """

    def __init__(self, agent: Agent, flow: Flow, state: State, history: History, *, today: date) -> None:
        self.agent = agent
        self.flow = flow
        self.state = state
        self.history = history
        self.filling = Filling(flow, today)
        self.more = ""
        self.moved = False

    # --- values ----------------------------------------------------------------------------------

    def spoken(self, name: str) -> str | None:
        """A placeholder's value in words an agent can say."""
        if name == "caller_number":
            number = self.value(name)
            parsed = parsing.parse(Kind.PHONE, number, today=self.filling.today) if number else None
            return parsed.spoken if parsed else number
        held = self.state.slots.get(name)
        if held is not None:
            return None if held.value is None else held.spoken
        value = self.value(name)
        return None if value is None else str(value)

    def value(self, name: str) -> Any:
        """A placeholder's value as tools and branches see it, or None."""
        if name in self.state.slots:
            return self.state.slots[name].value
        if name == "caller_number":
            number = self.history.call.from_number
            return number if number.startswith("+") else None
        if name in ("reason", "heard"):
            return getattr(self.state, name) or None
        result, _, field = name.partition(".")
        return self.state.results.get(result, {}).get(field)

    def hold(self, slot: Slot | str, held: Held) -> Walk[None]:
        """Fill or change a slot."""
        name = slot if isinstance(slot, str) else slot.name
        self.state.slots[name] = held
        if name in self.state.declined:
            self.state.declined.remove(name)
        yield Remember(SlotValue(name, held.value, held.said_by, held.confirmed, held.turn))

    def take_early(self, slots: Iterable[str], text: str, *, anew: bool = False) -> Walk[None]:
        """Fill every empty one of ``slots`` (``anew``: every one) that ``text`` names in passing."""
        for name in self.filling.hinted(slots, text):
            if name not in self.state.hinted:
                self.state.hinted.append(name)
        empty = [name for name in slots if anew or name not in self.state.slots]
        for slot, parsed in self.filling.early(empty, text):
            held = self.filling.held(parsed, said_by="caller", turn=self.state.turn)
            known = self.state.slots.get(slot.name)
            if known is None or known.value != held.value:
                yield from self.hold(slot, held)

    def task_slots(self) -> tuple[str, ...]:
        """The slots of the task at hand."""
        intent = self.flow.intents.get(self.state.task)
        return task_slots(self.flow, intent.next) if intent else ()

    # --- saying ----------------------------------------------------------------------------------

    def say(self, templates: Sentences, **values: str) -> Walk[list[str]]:
        """Say what can be filled, and return it."""
        filled = self._filled(templates, values)
        for sentence, fixed in filled:
            yield Say(sentence, fixed=fixed)
        said = [sentence for sentence, _ in filled]
        self.state.said += said
        return said

    def _filled(self, templates: Sentences, values: Mapping[str, str]) -> list[tuple[str, bool]]:
        """The sentences whose values are known, each with whether it has none."""
        filled = [
            (fill(template, lambda name: values.get(name) or self.spoken(name)), not names(template))
            for template in templates
        ]
        return [(sentence[:1].upper() + sentence[1:], fixed) for sentence, fixed in filled if sentence]

    def repeat(self, sentence: str) -> Walk[None]:
        """Say again what was said, as it was said."""
        self.state.said.append(sentence)
        yield Say(sentence)

    def phrase(self, name: str, **values: str) -> Walk[list[str]]:
        return (yield from self.say(self.flow.phrases[name], **values))

    def wait_for(self, wait: Wait, question: Sentences, **values: str) -> Walk[None]:
        """Ask, and leave the question open."""
        self.state.wait = wait
        if self.more:
            self.state.question = [sentence for sentence, _ in self._filled(question, values)]
            return
        said = yield from self.say(question, **values)
        if said:
            self.state.question = said
        yield self.expected()

    def expected(self) -> Expect:
        """What the open question expects."""
        wait = self.state.wait
        if wait.kind == "ask":
            what, complete = parsing.expecting(self.flow.slots[wait.slot].kind)
            return Expect(what, wait.slot, complete)
        if wait.kind in ("offer", "check", "try", "human", "suggest"):
            return Expect(Expecting.YES_NO, wait.slot or None)
        return Expect(Expecting.CHOICE if wait.kind == "which" else Expecting.ANYTHING)

    def back(self) -> Walk[None]:
        """After something else: the open question again."""
        question = self.state.question
        wait = self.state.wait
        if wait.kind == "check":
            for sentence in question:  # "Is that right?" alone would not say what
                yield from self.repeat(sentence)
        elif question and wait.kind != "listen":
            last = self.flow.slots[wait.slot].ask[-1] if wait.kind == "ask" else question[-1]
            yield from self.say(self.flow.phrases["return"], question=_mid_sentence(last))
        else:
            asked = "anything_else" if self.state.finished else "open_question"
            self.state.question = yield from self.phrase(asked)
        yield self.expected()

    # --- nodes -----------------------------------------------------------------------------------

    def begin(self, intent: str, text: str) -> Walk[None]:
        """Start serving an intent that ``text`` asked for."""
        state = self.state
        chosen = self.flow.intents[intent]
        if intent in state.done:
            state.done.remove(intent)
            for name in chosen.forgets:
                state.slots.pop(name, None)
        state.task = intent
        state.task_number += 1
        state.heard = text
        state.last_check = ""
        state.misses = 0
        slots = task_slots(self.flow, chosen.next)
        yield from self.take_early(slots, text, anew=True)
        yield from self.go(chosen.next)

    def go(self, name: str) -> Walk[None]:
        """Walk from node ``name`` until the caller's words are needed or the call moves on."""
        following: str | None = name
        for _ in range(MOST_NODES):
            if following is None:
                return
            following = yield from self._node(self.flow.nodes[following])
        raise InvalidState(f"flow {self.flow.name!r} goes in a circle at node {following!r}")

    def _node(self, node: Node) -> Walk[str | None]:
        if node.note and self.state.heard:
            held = Held(self.state.heard, self.state.heard, turn=self.state.turn)
            yield from self.hold(node.note, held)
        if not isinstance(node.step, Listen | Try):  # those two may have nothing to say after all
            yield from self.say(node.say)
        for slot in node.forget:
            self.state.slots.pop(slot, None)
        return (yield from self._step(node))

    def _step(self, node: Node) -> Walk[str | None]:
        match node.step:
            case Listen(finished):
                yield from self._listen(node, finished=finished)
                return None
            case Try() as attempt:
                return (yield from self._try(node, attempt))
            case Go(following):
                return following
            case Ask(slot, following):
                return (yield from self._ask(node.name, self.flow.slots[slot], following))
            case Check(question=question):
                self.state.last_check = node.name
                yield from self.wait_for(Wait("check", node.name), question)
                return None
            case UseTool() as use:
                return (yield from self.use(node.name, use))
            case Branch() as branch:
                return self._branch(branch)
            case AnswerFrom() as source:
                return (yield from self._answer_from(source))
            case GiveTo() as give:
                yield from self._give(give)
                return None
            case End(disposition):
                self.moved = True
                yield EndCall(disposition)
                return None
            case _ as unreachable:
                assert_never(unreachable)

    def _listen(self, node: Node, *, finished: bool) -> Walk[None]:
        state = self.state
        state.finished |= finished
        if finished and state.task:
            state.done.append(state.task)
        if state.paused:
            state.wait = state.paused.pop()
            state.task = state.wait.task
            yield from self.ask_again()
            return
        state.task = ""
        yield from self.wait_for(Wait("listen", node.name), node.say)

    def _try(self, node: Node, step: Try) -> Walk[str | None]:
        outcome = self.state.tried.get(step.step)
        if outcome is not None:
            return step.worked if outcome == "worked" else step.failed
        yield from self.say(node.say)
        yield from self.wait_for(Wait("try", node.name), step.question)
        return None

    def _ask(self, node: str, slot: Slot, following: str) -> Walk[str | None]:
        state = self.state
        if slot.name in state.slots or slot.name in state.declined:
            return following
        if slot.default is not None and slot.name not in state.hinted:
            held = Held(slot.default, str(slot.default), "agent", turn=state.turn)
            yield from self.hold(slot, held)
            return following
        if slot.offer and (not slot.offer_value or self._offered(slot) is not None):
            yield from self.wait_for(Wait("offer", node, slot.name), slot.offer)
        else:
            yield from self.wait_for(Wait("ask", node, slot.name), slot.ask)
        return None

    def _offered(self, slot: Slot) -> str | None:
        return fill(slot.offer_value, lambda name: _text(self.value(name)))

    def take_offered(self, slot: Slot) -> Walk[bool]:
        """Take the value that was offered; False when the offer was only to give one."""
        value = self._offered(slot) if slot.offer_value else None
        if value is None:
            return False
        held = Held(value, self.filling.spoken(slot, value), "carrier", turn=self.state.turn)
        yield from self.hold(slot, held)
        return True

    def _branch(self, step: Branch) -> str:
        value = self.value(step.on)
        if value is None:
            return step.otherwise
        return step.when.get(_text(value) or "", step.known)

    def _answer_from(self, step: AnswerFrom) -> Walk[str]:
        query = fill(step.query, self.spoken) or self.state.heard
        found = yield Search(query)
        if not isinstance(found, Found):
            return step.missing
        yield from self.cite(found)
        return step.next

    def cite(self, found: Found) -> Walk[None]:
        """Answer from a passage, and say which."""
        yield Cited(found.document, found.passage, found.score)
        yield from self.say(found.answer)

    def _give(self, step: GiveTo) -> Walk[None]:
        self.state.wait = Wait("listen", self.flow.start)
        self.state.task = ""
        reason = fill(step.reason, self.spoken) or self.flow.phrases["open_question"][0]
        self.moved = True
        yield HandOff(step.to, reason, step.pending or f"{self.state.heard} {self.more}".strip())

    # --- tools -----------------------------------------------------------------------------------

    def use(self, node: str, step: UseTool) -> Walk[str | None]:
        """Run a node's tool; the node to go on with, or None when it failed."""
        self.state.wait = Wait("tool", node)
        arguments = {
            name: fill(template, lambda each: _text(self.value(each))) or ""
            for name, template in step.arguments.items()
        }
        said = json.dumps(arguments, sort_keys=True)
        key = f"{self.history.call.sid}:{self.state.task_number}:{node}:{said}"
        result = yield RunTool(step.tool, arguments, key, step.changes)
        if not isinstance(result, ToolResult):
            raise InvalidState(f"tool {step.tool!r} was answered with {result!r}")
        if result.failed:
            yield from self.phrase("tool_failed")
            yield from self.offer_human()
            return None
        yield Did(step.tool, arguments, result.values or {}, step.changes and result.values is not None)
        if result.values is None:
            self.state.results.pop(step.save_as, None)
            return None if (yield from self._suggest(node, step, result.instead)) else step.missing
        self.state.results[step.save_as] = dict(result.values)
        self.state.finished |= step.changes
        return step.next

    def _suggest(self, node: str, step: UseTool, instead: Mapping[str, Sequence[str]]) -> Walk[bool]:
        """Ask whether the one value that a look-up would have found something for was meant."""
        if step.changes:
            return False
        offered = [
            (argument, value)
            for argument, values in instead.items()
            for value in values
            if value not in self.state.refused
        ]
        if len(offered) != 1:
            return False
        ((argument, value),) = offered
        template = step.arguments.get(argument, "")
        slot = self.flow.slots.get(template.strip("{}"))
        if slot is None or template != f"{{{slot.name}}}":
            return False
        yield from self._ask_suggested(Wait("suggest", node, slot.name, offered=value))
        return True

    def _ask_suggested(self, wait: Wait) -> Walk[None]:
        """An id is written as one word, which a voice spells; other values as they are said."""
        slot = self.flow.slots[wait.slot]
        written = wait.offered if slot.kind is Kind.ORDER_ID else self.filling.spoken(slot, wait.offered)
        yield from self.wait_for(wait, self.flow.phrases["did_you_mean"], value=written)

    def look_up_again(self, changed: Sequence[str]) -> Walk[str | None]:
        """Repeat the look-ups that ``changed`` slots went into; a node's name when one finds nothing, and
        an empty one when it left a question open."""
        wait = self.state.wait
        stale = set(changed)
        for node in self.flow.nodes.values():
            step = node.step
            if not isinstance(step, UseTool) or step.changes or step.save_as not in self.state.results:
                continue
            used = {each.partition(".")[0] for text in step.arguments.values() for each in names(text)}
            if used & stale:
                following = yield from self.use(node.name, step)
                if following != step.next:
                    return following or ""
                stale.add(step.save_as)
        self.state.wait = wait
        return None

    # --- questions asked again -------------------------------------------------------------------

    def offer_human(self) -> Walk[None]:
        yield from self.wait_for(Wait("human", self.state.wait.node), self.flow.phrases["offer_human"])

    def ask_again(self) -> Walk[None]:
        """The question of the current wait, in full."""
        wait = self.state.wait
        node = self.flow.nodes[wait.node]
        match wait.kind, node.step:
            case "ask", _:
                yield from self.wait_for(wait, self.flow.slots[wait.slot].ask)
            case "offer", _:
                yield from self.wait_for(wait, self.flow.slots[wait.slot].offer)
            case "check", Check(question=question):
                yield from self.wait_for(wait, question)
            case "try", Try(question=question):
                yield from self.wait_for(wait, question)
            case "suggest", _:
                yield from self._ask_suggested(wait)
            case "change", _:
                yield from self.wait_for(wait, self.flow.phrases["what_to_change"])
            case _:
                yield from self.wait_for(Wait("listen", self.flow.start), self.flow.phrases["open_question"])

    def read_back(self, check: str, changed: Sequence[str]) -> Walk[None]:
        """Have only the ``changed`` slots of a check confirmed."""
        missing = yield from self.look_up_again(changed)
        if missing is not None:
            if missing:
                yield from self.go(missing)
            return
        texts = [fill(self.flow.slots[name].readback, self.spoken) for name in changed]
        self.state.last_check = check
        yield from self.wait_for(
            Wait("check", check, names=tuple(changed)),
            self.flow.phrases["reconfirm"],
            changed=", ".join(text for text in texts if text),
        )

    def pause(self) -> None:
        """Remember the open question: the next task is a digression."""
        self.state.paused.append(replace(self.state.wait, task=self.state.task))


def _mid_sentence(sentence: str) -> str:
    """A sentence as it continues another: "What ..." -> "what ...", but "I'm ..." stays."""
    place = 1 if sentence.startswith("¿") else 0
    word = sentence[place:].partition(" ")[0]
    if word.partition("'")[0] == "I" or not word[1:].islower():
        return sentence
    return sentence[:place] + sentence[place].lower() + sentence[place + 1 :]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


def adopt(steps: Stepping, slots: Mapping[str, SlotValue]) -> None:
    """Take over facts that are already known in the call."""
    for name, slot in slots.items():
        if name in steps.flow.slots and name not in steps.state.slots:
            spoken = steps.filling.spoken(steps.flow.slots[name], slot.value)
            steps.state.slots[name] = Held(slot.value, spoken, slot.said_by, slot.confirmed, slot.turn)
