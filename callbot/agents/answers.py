"""What the caller's words mean for the question that is open."""

from collections.abc import Sequence
from dataclasses import replace

from callbot.agents.agreeing import beyond, untold
from callbot.agents.brain import Expecting, Tried
from callbot.agents.diversions import Diversions
from callbot.agents.filling import task_nodes
from callbot.agents.flow_state import Wait
from callbot.agents.flows import Ask, Check, CommandKind, Slot, Try, UseTool
from callbot.agents.heard import Heard
from callbot.agents.ranking import Candidate, Ranking, Topic
from callbot.agents.slot_answers import SlotAnswers
from callbot.agents.slots import Kind, Parsed
from callbot.agents.stepping import Stepping
from callbot.agents.templates import names
from callbot.agents.walk import Lost, Rank, Walk
from callbot.agents.wording import words
from callbot.errors import InvalidState

SILENCE = Ranking((Candidate(Topic.NOTHING, "", 0.0),), fits=False, clear=False)


def rank(text: str) -> Walk[Ranking]:
    """What ``text`` may be about."""
    if not text.strip():
        return SILENCE
    ranking = yield Rank(text)
    if not isinstance(ranking, Ranking):
        raise InvalidState(f"a ranking was answered with {ranking!r}")
    return ranking


def answer(steps: Stepping, text: str, digits: str) -> Walk[None]:
    """One whole turn of the caller."""
    state = steps.state
    state.turn += 1
    previous, state.said = state.said, []
    if state.wait.kind == "tool":
        changes = _is_change(steps)
        if changes:
            text = untold(steps.filling, state, text)
        answers = yield from _hear(steps, text, digits, previous, in_passing=changes)
        yield from answers.tool_was_running()
        return
    answers = yield from _hear(steps, text, digits, previous)
    if answers.heard.is_command(CommandKind.REPEAT):
        yield from answers.elsewhere.repeat()
        return
    state.cause = text
    yes, more = answers.yes_and_more()
    if not more:
        plain = answers if yes in ("", text.strip()) else (yield from _hear(steps, yes, "", previous))
        yield from plain.to_wait()
        return
    following = yield from _hear(steps, more, "", previous, in_passing=True)
    own = following.is_question_of_its_own()
    if not own and not following.heard.leads_here():
        yield from answers.to_wait()
        return
    state.cause, steps.more = yes, more if own else ""
    yield from (yield from _hear(steps, yes, "", previous)).to_wait()
    if steps.more and not steps.moved:
        steps.more = ""
        yield from following.to_question()


def _hear(
    steps: Stepping, text: str, digits: str, previous: Sequence[str], *, in_passing: bool = False
) -> "Walk[Answers]":
    """The evidence in ``text``; ``in_passing``: it came with the answer to something else."""
    ranking = yield from rank(text)
    if in_passing:
        ranking = ranking.rather_answered()
    heard = Heard(steps.flow, steps.state, steps.filling, text, digits, ranking)
    return Answers(steps, heard, Diversions(steps, heard, previous))


def _is_change(steps: Stepping) -> bool:
    """Whether the tool that was running changes data."""
    step = steps.flow.nodes[steps.state.wait.node].step
    return isinstance(step, UseTool) and step.changes


class Answers:
    """Takes one answer to wherever it leads, by the kind of the open question."""

    def __init__(self, steps: Stepping, heard: Heard, elsewhere: Diversions) -> None:
        self.steps = steps
        self.heard = heard
        self.elsewhere = elsewhere
        self.flow = steps.flow
        self.state = steps.state
        self.filling = steps.filling

    def to_wait(self) -> Walk[None]:
        """Answer what ``state.wait`` waits for."""
        match self.state.wait.kind:
            case "ask":
                yield from SlotAnswers(self.steps, self.heard, self.elsewhere).to_ask()
            case "offer":
                yield from SlotAnswers(self.steps, self.heard, self.elsewhere).to_offer()
            case "suggest":
                yield from SlotAnswers(self.steps, self.heard, self.elsewhere).to_suggestion()
            case "check":
                yield from self._to_check()
            case "change":
                yield from self._to_change()
            case "try":
                yield from self._to_try()
            case "human":
                yield from self._to_human()
            case "which":
                yield from self._to_which()
            case _:
                yield from self._to_listen()

    def yes_and_more(self) -> tuple[str, str]:
        """The clear yes to a question for one, and what the caller wants behind it besides repeating it;
        twice nothing when there is no such yes. One that comes with new values is no plain yes."""
        agreed = self.filling.agreement(self.heard.text)
        if agreed is None or not agreed.firm or self.heard.digits:
            return "", ""
        more = beyond(self.filling, self.state, agreed.rest)
        asked = self.steps.expected().what is Expecting.YES_NO
        if not asked or self.heard.changes(self.steps.task_slots(), boldly=False):
            return "", ""
        return agreed.yes, more

    def is_question_of_its_own(self) -> bool:
        """Whether what was said behind a yes asks for an answer: known here, or by nobody."""
        if not self.heard.opens_question():
            return False
        foreign = self.heard.is_foreign() and not self.heard.is_short_reply()
        return self.heard.wants_more() or foreign

    def to_question(self) -> Walk[None]:
        """Answer a question that came behind a yes."""
        if self.heard.is_foreign():
            yield Lost(self.heard.text)
            yield from self.steps.phrase("dont_know")
            yield from self.steps.back()
        else:
            yield from self.elsewhere.wander()

    def _to_check(self) -> Walk[None]:
        wait = self.state.wait
        step = self.flow.nodes[wait.node].step
        if not isinstance(step, Check):
            raise InvalidState(f"node {wait.node!r} is not a check")
        agreed = self.heard.yes_no()
        changes = self.heard.changes(step.slots, boldly=agreed is False)
        if changes and not (agreed is None and self.heard.wanders(answered=True)):
            yield from self._change(wait.node, changes)
        elif self.heard.wanders(answered=agreed is not None):
            yield from self.elsewhere.wander()
        elif agreed is True:
            for name in step.slots:
                held = self.state.slots.get(name)
                if held is not None:
                    yield from self.steps.hold(name, replace(held, confirmed=True))
            yield from self.steps.go(step.next)
        elif agreed is False:
            self.state.wait = replace(wait, kind="change", misses=0)
            yield from self.steps.ask_again()
        else:
            yield from self.elsewhere.yes_or_no()

    def _change(self, check: str, changes: Sequence[tuple[Slot, Parsed]]) -> Walk[None]:
        for slot, parsed in changes:
            held = self.filling.held(parsed, said_by="caller", turn=self.state.turn)
            yield from self.steps.hold(slot, held)
        yield from self.steps.read_back(check, [slot.name for slot, _ in changes])

    def _to_change(self) -> Walk[None]:
        """The caller was asked what is wrong: a new value, or the name of what to change."""
        wait = self.state.wait
        step = self.flow.nodes[wait.node].step
        if not isinstance(step, Check):
            raise InvalidState(f"node {wait.node!r} is not a check")
        changes = self.heard.changes(step.slots, boldly=True)
        named = [name for name in step.slots if self._names(self.flow.slots[name].about)]
        if changes:
            yield from self._change(wait.node, changes)
        elif named:
            slot = self.flow.slots[named[0]]
            ask = next(
                node.name
                for node in self.flow.nodes.values()
                if isinstance(node.step, Ask) and node.step.slot == slot.name
            )
            yield from self.steps.wait_for(Wait("ask", ask, slot.name, names=(wait.node,)), slot.ask)
        elif self.heard.wanders(answered=False):
            yield from self.elsewhere.wander()
        elif wait.misses:
            self.state.wait = replace(wait, kind="check", misses=0)
            yield from self.steps.ask_again()
        else:
            self.state.wait = replace(wait, misses=1)
            yield from self.steps.phrase("slot_missed", about=self.flow.slots[step.slots[0]].about)
            yield from self.steps.ask_again()

    def _names(self, about: str) -> bool:
        """Whether the caller names what is ``about``: "the phone number"."""
        little = {word for text in self.flow.function_words for word in words(text)}
        return bool((set(words(about)) & set(words(self.heard.text))) - little)

    def _to_try(self) -> Walk[None]:
        wait = self.state.wait
        step = self.flow.nodes[wait.node].step
        if not isinstance(step, Try):
            raise InvalidState(f"node {wait.node!r} is not a step to try")
        worked = self._outcome()
        if self.heard.wanders(answered=worked is not None):
            yield from self.elsewhere.wander()
        elif worked is None:
            yield from self.elsewhere.yes_or_no()
        else:
            outcome = "worked" if worked else "did not help"
            self.state.tried[step.step] = outcome
            yield Tried(step.step, outcome)
            yield from self.steps.go(step.worked if worked else step.failed)

    def _outcome(self) -> bool | None:
        """Whether the step helped. An "okay" only says that the caller is at it."""
        if self.heard.says(self.flow.failed):
            return False
        if self.heard.says(self.flow.worked):
            return True
        if words(self.heard.text) in {words(phrase) for phrase in self.flow.acknowledged}:
            return None
        return self.heard.yes_no()

    def _to_human(self) -> Walk[None]:
        agreed = self.heard.yes_no()
        intent = self.flow.intent_of(self.flow.human)
        if agreed is True or (intent and self.heard.best.name == intent and self.heard.ranking.fits):
            self.state.paused = []
            if intent:
                yield from self.steps.begin(intent, self.heard.text)
            else:
                yield from self.steps.go(self.flow.human)
        elif agreed is False:
            self.state.wait = Wait("listen", self.flow.start)
            self.state.task = ""
            yield from self.steps.phrase("human_declined")
            yield from self.steps.back()
        else:
            yield from self._to_listen()

    def _to_which(self) -> Walk[None]:
        names = self.state.wait.names
        wanted = next(
            (
                item.name
                for item in self.heard.ranking.candidates
                if item.topic is Topic.INTENT and item.name in names
            ),
            "",
        )
        named = bool(wanted) and self._names(self.flow.intents[wanted].about)
        sure = self.heard.best.name == wanted or named
        if wanted and sure:
            yield from self.steps.begin(wanted, f"{self.state.heard} {self.heard.text}".strip())
        else:
            yield from self._to_listen()

    def _to_listen(self) -> Walk[None]:
        state = self.state
        best = self.heard.best
        agreed = self.heard.yes_no() if self.heard.is_short_reply() else None
        sure = best.phrase or (self.heard.ranking.clear and not self.heard.is_short_reply())
        vague = best.topic is Topic.COMMAND and not sure
        strong = self.heard.ranking.fits and not vague and (best.phrase or agreed is None)
        if state.last_check and self.filling.is_correction(self.heard.text):
            step = self.flow.nodes[state.last_check].step
            changes = self.heard.changes(step.slots, boldly=True) if isinstance(step, Check) else []
            if changes:
                yield from self._change(state.last_check, changes)
                return
        told = self._looked_up(Kind.ORDER_ID)
        if told and not best.phrase:
            yield from self.steps.begin(told, self.heard.text)
        elif strong:
            yield from self.elsewhere.wander()
        elif agreed is False and state.wait.kind == "listen" and state.finished:
            yield from self.elsewhere.goodbye()
        elif agreed is not None:
            yield from self.steps.phrase("something_else" if agreed else "open_question")
            yield self.steps.expected()
        elif (told := self._looked_up(Kind.PHONE) or self._implied(Kind.CHOICE)) is not None:
            yield from self.steps.begin(told, self.heard.text)
        else:
            yield from self.elsewhere.not_understood()

    def _looked_up(self, kind: Kind) -> str | None:
        """The one intent that looks something up by a slot of ``kind`` which these words fill."""
        found = [
            intent.name
            for intent in self.flow.intents.values()
            for step in (self.flow.nodes[name].step for name in task_nodes(self.flow, intent.next))
            if isinstance(step, UseTool)
            and not step.changes
            and any(
                slot.kind is kind and self.filling.read_early(slot, self.heard.text)
                for template in step.arguments.values()
                for slot in (self.flow.slots[name] for name in names(template) if name in self.flow.slots)
            )
        ]
        return found[0] if len(set(found)) == 1 else None

    def _implied(self, kind: Kind) -> str | None:
        """The one intent that begins by asking for a slot of ``kind`` which these words fill."""
        found = [
            intent.name
            for intent in self.flow.intents.values()
            if isinstance(step := self.flow.nodes[intent.next].step, Ask)
            and (slot := self.flow.slots[step.slot]).kind is kind
            and self.filling.read_early(slot, self.heard.text)
        ]
        return found[0] if len(found) == 1 else None

    def tool_was_running(self) -> Walk[None]:
        """The last reply was cut while a tool ran, or never heard: say what came of it, and then answer
        what else was said."""
        state = self.state
        step = self.flow.nodes[state.wait.node].step
        changes: list[tuple[Slot, Parsed]] = []
        if isinstance(step, UseTool) and not step.changes:
            changes = [
                (slot, parsed)
                for slot, parsed in self.filling.early(self.steps.task_slots(), self.heard.text)
                if (known := state.slots.get(slot.name)) is None or known.spoken != parsed.spoken
            ]
            for slot, parsed in changes:
                held = self.filling.held(parsed, said_by="caller", turn=state.turn)
                yield from self.steps.hold(slot, held)
        corrects = self.filling.is_correction(self.heard.text)
        if not changes and (corrects or self.heard.wants_more()):
            self.steps.more = self.heard.text
        yield from self.steps.go(state.wait.node)
        if self.steps.more and not self.steps.moved:
            self.steps.more = ""
            yield from self.to_wait()
