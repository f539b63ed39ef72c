"""Thinks one reply with a language model: a request in, actions and needs out. Awaits nothing."""

from collections.abc import Sequence
from typing import Final, assert_never

from callbot.agents import compaction, prompting
from callbot.agents import slots as parsing
from callbot.agents.asking import Asked, ask
from callbot.agents.brain import (
    Answer,
    Cited,
    EndCall,
    Expect,
    Expecting,
    Greet,
    History,
    Noticed,
    Nudge,
    OfferHuman,
    Request,
    Say,
    TakeOver,
)
from callbot.agents.guardrails import Guard
from callbot.agents.memory import Memory
from callbot.agents.prompting import Mind
from callbot.agents.sentences import sentences
from callbot.agents.templates import fill, names
from callbot.agents.thought import (
    Notice,
    Passages,
    Retrieve,
    Retrieved,
    Thought,
)
from callbot.agents.tool_steps import ToolSteps
from callbot.agents.wording import words
from callbot.call import Disposition
from callbot.errors import InvalidState, Trouble
from callbot.providers.ports import Message, Speech

MOST_STEPS: Final = 5
"""So often in one reply the model may call tools and be asked again."""
MOST_TRIES: Final = 2
"""So often a stream that broke, or said nothing, is asked for in one reply."""
FITTING: Final = 0.3
"""The score from which on a passage is worth telling the model."""
SHARED: Final = 4
"""So many of a passage's longer words in an answer say that it rests on the passage."""

_NO_WORDS: Final = (
    "Your last answer held nothing that the caller could hear. Say one or two plain sentences; functions are "
    "called through the function interface only."
)


def think(
    mind: Mind,
    memory: Memory,
    request: Request,
    history: History,
    *,
    aside: str = "",
    said: Sequence[str] = (),
    budget: int = compaction.BUDGET,
) -> Thought[None]:
    """Answer one request. Changes ``memory`` as it goes: keep a copy to be able to take the reply back.

    ``aside`` is told to the model for this reply only: where the call stands otherwise; ``said`` are
    sentences that the reply has begun with. Raises what the model raised when there is nothing else to do.
    """
    yield from Thinking(mind, memory, history, aside=aside, said=said, budget=budget).reply(request)


class Thinking:
    """One reply. ``said`` are its sentences so far."""

    def __init__(
        self,
        mind: Mind,
        memory: Memory,
        history: History,
        *,
        aside: str,
        said: Sequence[str],
        budget: int,
    ) -> None:
        self.mind = mind
        self.memory = memory
        self.history = history
        self.asides = [aside] if aside else []
        self.budget = budget
        self.said = list(said)
        self._spoken_from = len(self.said)
        """Where in ``said`` that begins which the model speaks itself."""
        self.answering = ""
        self.guard = Guard(
            instructions=mind.instructions,
            names=[spec.name for spec in mind.specs],
            secrets=[history.call.sid],
        )
        memory.opening = memory.opening or prompting.opening(mind, history)
        memory.forget_words()

    @property
    def at(self) -> int:
        """The line that this reply will be."""
        return len(self.history.lines) + prompting.unwritten(self.history, self.answering)

    def reply(self, request: Request) -> Thought[None]:
        match request:
            case Greet():
                for sentence in self.mind.agent.greeting:
                    yield from self.say(sentence, fixed=True)
            case TakeOver(packet):
                self.memory.note(self.at, prompting.taking_over(packet))
                if not self.said:
                    reason = packet.reason if packet.reason.startswith("you") else None
                    yield from self.template(self.mind.flow.take_over, reason=reason)
                if packet.pending:
                    yield from self._converse(packet.pending, None)
                else:
                    yield from self.phrase("open_question")
            case Answer(text, digits):
                self.answering = text or digits
                yield from self._converse(text, request)
            case Nudge(step):
                yield from self._nudge(step)
                return
            case OfferHuman():
                yield from self.phrase(request.phrase)
                yield from self.phrase("offer_human")
            case _ as unreachable:
                assert_never(unreachable)
        self.memory.said = self.said
        if self.guard.kept_back:
            yield Noticed(Notice.LEAKED)
        yield self._expected()

    # --- saying ----------------------------------------------------------------------------------

    def say(self, sentence: str, *, fixed: bool = False, speech: Speech | None = None) -> Thought[None]:
        """``speech`` is a sentence, or a piece of one, as the model has spoken it itself."""
        if speech is not None:
            self.said[self._spoken_from :] = sentences(" ".join([*self.said[self._spoken_from :], sentence]))
        else:
            self.said.append(sentence)
            self._spoken_from = len(self.said)
        self.memory.said = self.said
        yield Say(sentence, fixed=fixed, speech=speech)

    def template(self, templates: Sequence[str], **values: str | None) -> Thought[None]:
        """Say those of a flow's sentences whose values are known."""
        for template in templates:
            text = fill(template, values.get)
            if text:
                yield from self.say(text, fixed=not names(template))

    def phrase(self, name: str) -> Thought[None]:
        yield from self.template(self.mind.flow.phrases[name])

    def _nudge(self, step: int) -> Thought[None]:
        """The caller is silent: prompt twice with the last question, then say goodbye."""
        if step >= 3:
            yield from self.phrase("silent_goodbye")
            yield EndCall(Disposition.ABANDONED)
            return
        question = [sentence for sentence in self.memory.said if sentence.endswith("?")][-1:]
        yield from self.phrase("still_there" if step == 1 else "still_here")
        for sentence in question:
            yield from self.say(sentence)
        self.memory.said = question
        yield self._expected()

    def _expected(self) -> Expect:
        """What the last question asks for: a yes when a change waits for one, else what it names."""
        question = self.said[-1] if self.said and self.said[-1].endswith("?") else ""
        if question and self.memory.proposed:
            return Expect(Expecting.YES_NO)
        if question in self.mind.flow.phrases["offer_human"]:
            return Expect(Expecting.YES_NO)
        asked = set(words(question))
        for slot in self.mind.flow.slots.values():
            about = {word for word in words(slot.about) if len(word) > 3}
            if about and about <= asked:
                what, complete = parsing.expecting(slot.kind)
                return Expect(what, slot.name, complete)
        return Expect(Expecting.ANYTHING)

    # --- the loop of model and tools -------------------------------------------------------------

    def _converse(self, text: str, answer: Answer | None) -> Thought[None]:
        tools = ToolSteps(self, answer, text)
        yield from tools.take_up()
        self._tell_facts()
        passages = yield from self._retrieve(text)
        if self.said:
            self.asides.append(f'You have just said: "{" ".join(self.said)}" Go on from there.')
        yield from self._until_answered(tools)
        for passage in passages:
            if rests_on(" ".join(self.said), passage.text):
                yield Cited(passage.document, passage.passage, passage.score)

    def _until_answered(self, tools: ToolSteps) -> Thought[None]:
        steps, empty, broken = 0, 0, 0
        while True:
            asked = yield from self._ask()
            if asked.cut:
                broken += 1
                yield Noticed(Notice.TRUNCATED)
                if broken >= MOST_TRIES:
                    if asked.error is not None and not self.said:
                        raise asked.error
                    return
                said = " ".join(self.said)
                self.asides.append(f'You were cut off when you had said: "{said}" Go on, and repeat nothing.')
            elif asked.calls:
                steps += 1
                if steps > MOST_STEPS:
                    yield Noticed(Notice.LOOP)
                    yield from self.phrase("too_many_steps")
                    yield from self.phrase("offer_human")
                    return
                if (yield from tools.take(asked.calls, " ".join(asked.said))):
                    return
            elif asked.said:
                return
            else:
                empty += 1
                yield Noticed(Notice.EMPTY)
                if empty >= MOST_TRIES:
                    yield from self.phrase("not_understood")
                    yield from self.phrase("open_question")
                    return
                self.asides.append(_NO_WORDS)

    def _ask(self) -> Thought[Asked]:
        """One stream, spoken as it comes. One that is too long for the model is made shorter."""
        while True:
            told = compaction.tokens(self._messages())
            if told > 2 * self.budget and compaction.cut(self.memory, self.history, budget=self.budget):
                self._tell_facts()
                yield Noticed(Notice.COMPACTED, {"by": "cut"})
            prompt = prompting.prompt(
                self.mind, self.memory, self.history, answering=self.answering, aside=" ".join(self.asides)
            )
            asked = yield from ask(prompt, self.guard, self.say)
            error = asked.error
            if error is None or asked.cut:
                return asked
            told = compaction.tokens(self._messages())
            if error.trouble is not Trouble.TOO_LONG:
                raise error
            if not compaction.cut(self.memory, self.history, budget=told // 2):
                raise error
            self._tell_facts()
            yield Noticed(Notice.COMPACTED, {"by": "cut"})

    def _messages(self) -> Sequence[Message]:
        return tuple(prompting.messages(self.memory, self.history, answering=self.answering))

    # --- what the model should know ----------------------------------------------------------------

    def _tell_facts(self) -> None:
        """Note what has become known since the model was last told."""
        new = {
            name: str(slot.value)
            for name, slot in self.history.slots.items()
            if self.memory.facts.get(name) != str(slot.value)
        }
        if new:
            self.memory.facts |= new
            self.memory.note(self.at, prompting.known([prompting.fact(*item) for item in new.items()]))

    def _retrieve(self, text: str) -> Thought[list[Retrieved]]:
        """Passages that may answer ``text``; those that the model does not have yet are noted."""
        if not self.mind.agent.documents or not text.strip():
            return []
        given = yield Retrieve(text)
        if not isinstance(given, Passages):
            raise InvalidState(f"a search was answered with {given!r}")
        found = [passage for passage in given.found if passage.score >= FITTING]
        for passage in found:
            if passage.passage not in self.memory.passages:
                self.memory.passages.append(passage.passage)
                self.memory.note(self.at, prompting.passage(passage.title, passage.text))
        return found


def rests_on(said: str, passage: str) -> bool:
    """Whether an answer has words of a passage in it: its figures, and its longer words."""
    told = {word for word in words(passage) if len(word) > 3 or word.isdigit()}
    return len(told & set(words(said))) >= min(SHARED, max(1, len(told) // 2))
