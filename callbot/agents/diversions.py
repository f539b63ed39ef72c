"""What callers say that is no answer to the open question: something else, or nothing we understand."""

from collections.abc import Sequence
from dataclasses import replace

from callbot.agents.brain import EndCall
from callbot.agents.flow_state import Wait
from callbot.agents.flows import CommandKind
from callbot.agents.heard import Heard
from callbot.agents.ranking import Candidate, Found, Topic
from callbot.agents.stepping import Stepping
from callbot.agents.walk import Lost, Search, Walk
from callbot.call import Disposition


class Diversions:
    """Goes where the caller's words lead instead, and comes back to the question."""

    def __init__(self, steps: Stepping, heard: Heard, previous: Sequence[str]) -> None:
        self.steps = steps
        self.heard = heard
        self.previous = previous
        self.flow = steps.flow
        self.state = steps.state

    def wander(self) -> Walk[None]:
        """Do what the words are about, whatever was asked."""
        best = self.heard.best
        self.state.misses = 0
        match best.topic:
            case Topic.COMMAND:
                yield from self._command(best.name)
            case Topic.DOCUMENT:
                self.state.finished |= self.state.wait.kind == "listen"
                yield from answer_from(self.steps, best, self.heard.text)
                self._withdraw()
                yield from self.steps.back()
            case Topic.INTENT:
                yield from self._intent(best)
            case Topic.NOTHING:
                yield from self.not_understood()

    def _withdraw(self) -> None:
        """An offer that was passed over no longer stands."""
        if self.state.wait.kind in ("human", "which"):
            self.state.wait = Wait("listen", self.flow.start)

    def _intent(self, best: Candidate) -> Walk[None]:
        second = self.heard.ranking.second
        undecided = (
            self.state.wait.kind == "listen"
            and not (best.phrase or self.heard.ranking.clear)
            and second is not None
            and second.topic is Topic.INTENT
        )
        if undecided and second is not None:
            self.state.heard = self.heard.text
            names = (best.name, second.name)
            first, other = (self.flow.intents[name].about for name in names)
            wait = Wait("which", self.state.wait.node, names=names)
            yield from self.steps.wait_for(wait, self.flow.phrases["which_of"], first=first, second=other)
            return
        if self.state.wait.kind not in ("listen", "human", "which"):
            if self.flow.intents[best.name].digression:
                self.steps.pause()
            else:
                self.state.paused = []
        yield from self.steps.begin(best.name, self.heard.text)

    def _command(self, name: str) -> Walk[None]:
        command = self.flow.commands[name]
        match command.does:
            case CommandKind.GOODBYE:
                yield from self.goodbye()
            case CommandKind.REPEAT:
                yield from self.repeat()
            case CommandKind.HUMAN:
                yield from self._human()
            case CommandKind.START_OVER:
                yield from self._start_over()
            case CommandKind.WAIT:
                yield from self.steps.phrase("take_your_time")
                yield self.steps.expected()
            case CommandKind.THANKS:
                yield from self.steps.phrase("welcome")
                yield from self.steps.back()
            case CommandKind.ANSWER:
                yield from self.steps.say(command.say)
                self._withdraw()
                yield from self.steps.back()

    def goodbye(self) -> Walk[None]:
        yield from self.steps.phrase("goodbye")
        yield EndCall(Disposition.RESOLVED)

    def _human(self) -> Walk[None]:
        yield from self.steps.phrase("no_live_transfer")
        if self.state.task and self.state.task == self.flow.intent_of(self.flow.human):
            yield from self.steps.back()
        else:
            yield from self.steps.offer_human()

    def _start_over(self) -> Walk[None]:
        state = self.state
        state.slots = {name: held for name, held in state.slots.items() if held.said_by == "carrier"}
        state.results, state.declined, state.hinted, state.paused = {}, [], [], []
        state.task, state.last_check = "", ""
        state.wait = Wait("listen", self.flow.start)
        yield from self.steps.phrase("start_over")
        yield from self.steps.wait_for(state.wait, self.flow.phrases["open_question"])

    def repeat(self) -> Walk[None]:
        """Say the whole last reply again."""
        if not self.previous:
            yield from self.steps.phrase("nothing_to_repeat")
        for sentence in self.previous:
            yield from self.steps.repeat(sentence)
        yield self.steps.expected()

    def not_understood(self) -> Walk[None]:
        yield Lost(self.heard.text)
        state = self.state
        state.misses += 1
        foreign = self.heard.best.topic is Topic.NOTHING and not self.heard.is_short_reply()
        yield from self.steps.phrase("dont_know" if foreign else "not_understood")
        if state.misses >= 2:
            yield from self.steps.offer_human()
            return
        state.wait = Wait("listen", state.wait.node if state.wait.kind == "listen" else self.flow.start)
        yield from self.steps.phrase("help_with")
        yield from self.steps.wait_for(state.wait, self.flow.phrases["open_question"])

    def yes_or_no(self) -> Walk[None]:
        """Neither yes nor no: ask again, and after the second time offer a person."""
        wait = self.state.wait
        if wait.kind != "try" or self.heard.is_foreign():  # there, it may only be "I'm at it"
            yield Lost(self.heard.text)
        if wait.misses >= 2:
            yield from self.steps.offer_human()
            return
        if self.heard.is_foreign():
            yield from self.steps.phrase("dont_know")
        elif wait.kind != "try":
            yield from self.steps.phrase("yes_or_no")
        self.state.wait = replace(wait, misses=wait.misses + 1)
        yield from self.steps.ask_again()


def answer_from(steps: Stepping, document: Candidate, text: str) -> Walk[None]:
    """Answer ``text`` from the passage it is about."""
    found = yield Search(text, document.name)
    if isinstance(found, Found):
        yield from steps.cite(found)
