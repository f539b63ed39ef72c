"""One step of tools: which of the model's calls are run, in which order, and what it is told of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from callbot.agents import confirming
from callbot.agents.brain import Answer, Did, EndCall, HandOff, Noticed, Remember, Say
from callbot.agents.memory import Entry, Proposal
from callbot.agents.prompting import END_CALL, HAND_OVER, OFFER_CALLBACK
from callbot.agents.thought import Notice, Outcomes, StartTools, Thought, ToolsDone
from callbot.agents.tool_schema import BadArguments
from callbot.agents.walk import RunTool, ToolResult
from callbot.call import Disposition
from callbot.errors import InvalidState
from callbot.providers.ports import Message, Role, ToolCall
from callbot.routing.handoff import SlotValue

if TYPE_CHECKING:
    from callbot.agents.thinking import Thinking

SLOW_AFTER: Final = 2.0
"""Seconds of a tool after which the caller is asked to wait."""

_ASK_FIRST: Final = (
    "Not done yet: the caller has not agreed. Say in one sentence what you are about to do, with every "
    "value, and ask whether you should. After their yes, call this again with the same arguments."
)
_NOT_YET: Final = "Not done: see to the other functions first."


@dataclass(frozen=True, slots=True)
class _Own:
    """A function of the call itself, done last."""

    call: ToolCall
    arguments: Mapping[str, Any]


class ToolSteps:
    """The tools of one reply. A yes of the caller's holds for this reply and no longer."""

    def __init__(self, thinking: "Thinking", answer: Answer | None, wish: str) -> None:
        """``wish`` is what the caller wants answered, for whom the call is given to."""
        self.thinking = thinking
        self.mind = thinking.mind
        self.memory = thinking.memory
        self._agreed = answer is not None and confirming.agrees(
            answer, language=self.mind.agent.language, today=self.mind.today
        )
        self._heard = confirming.question_heard(self.memory.said, thinking.history, self.mind.agent.name)
        self._proposed = tuple(self.memory.proposed)
        self._wish = wish
        self.memory.proposed = []

    def take_up(self) -> Thought[None]:
        """Changes that a reply that is over has left running are waited for, and told."""
        running, self.memory.running = self.memory.running, []
        if running:
            yield Noticed(Notice.COMMITTED, {"tools": [run.tool for _, run in running]})
            yield from self._run(running)

    def take(self, calls: Sequence[ToolCall], said: str) -> Thought[bool]:
        """Run what may be run and tell the model; True when the reply is over with it."""
        calls = [self._by_itself(call, number) for number, call in enumerate(calls)]
        self.memory.entries.append(Entry(self.thinking.at, Message(Role.AGENT, said, tuple(calls))))
        runs: list[tuple[ToolCall, RunTool]] = []
        own: list[_Own] = []
        refused = False
        for call in calls:
            verdict = self._judge(call)
            if isinstance(verdict, RunTool):
                runs.append((call, verdict))
            elif isinstance(verdict, _Own):
                own.append(verdict)
            else:
                refused = True
                what = Notice.UNCONFIRMED if verdict is _ASK_FIRST else Notice.ARGUMENTS
                known = call.name in self.mind.functions or self.mind.own(call.name) is not None
                yield Noticed(what, {"tool": call.name} if known else {})
                self.memory.results[call.id] = verdict
        if runs and not (yield from self._run(runs)):
            self.memory.results |= {item.call.id: _NOT_YET for item in own}
            yield from self.thinking.phrase("tool_slow")
            yield from self.thinking.phrase("offer_human")
            return True
        return (yield from self._do_own(own, refused=refused))

    def _by_itself(self, call: ToolCall, number: int) -> ToolCall:
        """A call whose id no other call has, whatever the server numbers them by."""
        known = {made.id for entry in self.memory.entries for made in entry.message.calls}
        return replace(call, id=f"{call.id}-{len(known)}-{number}") if call.id in known else call

    # --- which calls are run -----------------------------------------------------------------------

    def _judge(self, call: ToolCall) -> RunTool | _Own | str:
        """What to do with a call, or what to tell the model instead of doing it."""
        own = self.mind.own(call.name)
        function = self.mind.functions.get(call.name)
        signature = own or (function.signature if function else None)
        if signature is None:
            return self._unknown(call.name)
        try:
            arguments = signature.read(call.arguments)
        except BadArguments as error:
            return f"Not done: {error}"
        if function is None or own is not None:
            return _Own(call, arguments)
        said = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
        if function.changes and not self._confirmed(Proposal(call.name, said)):
            return _ASK_FIRST
        key = f"{self.thinking.history.call.sid}:{call.name}:{said}"
        return RunTool(call.name, arguments, key, function.changes)

    def _unknown(self, name: str) -> str:
        known = [spec.name for spec in self.mind.specs]
        near = get_close_matches(name, known, n=1)
        meant = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
        return f"There is no function {name[:60]!r}. {meant}"

    def _confirmed(self, proposal: Proposal) -> bool:
        """Whether the caller was asked about this change in the last reply, heard it, and said yes."""
        if self._agreed and self._heard and proposal in self._proposed:
            return True
        if proposal not in self.memory.proposed:
            self.memory.proposed.append(proposal)
        return False

    # --- running -----------------------------------------------------------------------------------

    def _run(self, runs: Sequence[tuple[ToolCall, RunTool]]) -> Thought[bool]:
        """Run all at once, with a word to the caller when it takes long; False when it took too long."""
        self.memory.running += [(call, run) for call, run in runs if run.changes]
        yield StartTools({call.id: run for call, run in runs})
        results = yield from self._outcomes(SLOW_AFTER)
        if len(results) < len(runs):
            for sentence in self.mind.flow.phrases["one_moment"]:
                yield Say(sentence, fixed=True, waiting=True)
            results = yield from self._outcomes(None)
        in_time = True
        for call, run in runs:
            result = results[call.id]
            self.memory.results[call.id] = _told(run, result)
            if result.late:
                in_time = False
                yield Noticed(Notice.SLOW_TOOL, {"tool": run.tool})
                continue  # a change goes on, and is told when it is known
            if run.changes:
                self.memory.running.remove((call, run))
            if not result.failed and run.key not in self.memory.done:
                changed = run.changes and result.values is not None
                if changed:
                    self.memory.done.append(run.key)
                yield Did(run.tool, run.arguments, result.values or {}, changed)
                yield from self._remember(run, found=result.values is not None)
        return in_time

    def _outcomes(self, within: float | None) -> Thought[Mapping[str, ToolResult]]:
        given = yield ToolsDone(within)
        if not isinstance(given, Outcomes):
            raise InvalidState(f"tools were answered with {given!r}")
        return given.results

    def _remember(self, run: RunTool, *, found: bool) -> Thought[None]:
        """The slots of the flow that these arguments are."""
        for argument, value in run.arguments.items():
            slot = self.mind.slots.get((run.tool, argument), "")
            if slot and found and value != "":
                self.memory.facts[slot] = str(value)
                yield Remember(SlotValue(slot, value, "caller", run.changes))

    # --- functions of the call itself ----------------------------------------------------------------

    def _do_own(self, own: Sequence[_Own], *, refused: bool) -> Thought[bool]:
        """In the order: a callback is offered, the call is given away, the call ends; the first that is
        wanted is done, once everything else is."""
        wanted = {item.call.name: item for item in own}
        first = next((name for name in (OFFER_CALLBACK, HAND_OVER, END_CALL) if name in wanted), "")
        if first and refused and first != HAND_OVER:
            first = ""
        for item in own:
            done = item is wanted.get(first)
            self.memory.results[item.call.id] = "Done." if done else _NOT_YET
        if not first:
            return False
        arguments = wanted[first].arguments
        if first == OFFER_CALLBACK:
            yield from self.thinking.phrase("offer_human")
        elif first == HAND_OVER:
            reason = self.thinking.guard.clean(arguments["reason"])
            yield HandOff(arguments["to"], reason, self._wish)
        else:
            if not self.thinking.said:
                yield from self.thinking.phrase("goodbye")
            yield EndCall(Disposition(arguments["disposition"]))
        return True


def _told(run: RunTool, result: ToolResult) -> str:
    """A result in JSON, marked as what it is: data."""
    if result.late:
        more = " It may still go through." if run.changes else ""
        return f"No result: it took too long.{more} The caller was told, and offered a callback."
    if result.failed:
        return "It failed: what stands behind it cannot be reached. Tell the caller, and offer a callback."
    if result.values is None:
        near = {name: list(values) for name, values in result.instead.items() if values}
        return json.dumps({"found": False, **({"similar": near} if near else {})}, ensure_ascii=False)
    done = {"done": True} if run.changes else {}
    return json.dumps({**done, "result": dict(result.values)}, ensure_ascii=False, default=str)
