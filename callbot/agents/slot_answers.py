"""Answers to a question for a slot: the value, half of it, something else with it, or none."""

from dataclasses import replace

from callbot.agents import slots as parsing
from callbot.agents.diversions import Diversions
from callbot.agents.filling import KEYPAD, within
from callbot.agents.flow_state import Held, Wait
from callbot.agents.flows import Ask, Slot, UseTool
from callbot.agents.heard import Heard
from callbot.agents.slots import Kind, Parsed
from callbot.agents.stepping import Stepping
from callbot.agents.walk import Lost, Walk

SYMBOLS = frozenset({Kind.ORDER_ID, Kind.PHONE, Kind.NUMBER, Kind.AMOUNT, Kind.TIME, Kind.DATETIME})
"""The kinds made of digits: the same digits are not two of them."""


class SlotAnswers:
    """Fills the slot that was asked for, and whatever else of the task the answer holds."""

    def __init__(self, steps: Stepping, heard: Heard, elsewhere: Diversions) -> None:
        self.steps = steps
        self.heard = heard
        self.elsewhere = elsewhere
        self.flow = steps.flow
        self.state = steps.state
        self.filling = steps.filling

    def to_ask(self) -> Walk[None]:
        wait = self.state.wait
        slot = self.flow.slots[wait.slot]
        parsed = self._read(slot)
        if self.heard.wanders(answered=parsed is not None):
            yield from self.elsewhere.wander()
            return
        others = yield from self._other_slots(slot)
        if self.state.wait is not wait:
            return  # a look-up with what else was said has led elsewhere
        if parsed is not None:
            if within(slot.limits, parsed.value):
                yield from self._fill(slot, parsed)
            else:
                yield from self.steps.say(slot.invalid)
                yield from self._ask_once_more(slot, spoken=bool(slot.invalid))
        elif slot.optional and (self.heard.says(self.flow.decline) or self.heard.yes_no() is False):
            yield from self._decline(slot)
        elif others or self.heard.best.name == self.state.task:
            yield from self.steps.ask_again()
        elif self.heard.is_foreign():
            yield Lost(self.heard.text)
            yield from self.steps.phrase("dont_know")
            yield from self.steps.back()
        else:
            if self._says_something_else(slot):
                yield Lost(self.heard.text)
            yield from self._ask_once_more(slot, spoken=False)

    def _says_something_else(self, slot: Slot) -> bool:
        """Whether this is a sentence with nothing of the value in it: no figure, and no half of a date."""
        text, language = self.heard.text, self.flow.language
        figures = any(symbol.isdigit() for symbol in parsing.compact(text, language))
        if figures or self.heard.digits or self.heard.is_short_reply():
            return False
        if slot.kind in (Kind.DATE, Kind.TIME, Kind.DATETIME):
            return parsing.parse(Kind.DATETIME, text, language=language, today=self.filling.today) is None
        return not (self.filling.begins_anew(slot, text) or self.filling.problem(slot, text))

    def _read(self, slot: Slot) -> Parsed | None:
        """The answer by itself, or with the half that was given before."""
        parsed = self.filling.read(slot, self.heard.text, self.heard.digits)
        partial = self.state.wait.partial
        if parsed is None and partial:
            parsed = self.filling.read(slot, f"{partial} {self.heard.text}", self.heard.digits)
            parsed = parsed or self.filling.completed(slot, partial, self.heard.text)
        return parsed

    def _fill(self, slot: Slot, parsed: Parsed) -> Walk[None]:
        wait = self.state.wait
        changed = slot.name in self.state.slots
        held = self.filling.held(parsed, said_by="caller", turn=self.state.turn)
        yield from self.steps.hold(slot, held)
        yield from self._after_slot(wait, slot, changed=changed)

    def _after_slot(self, wait: Wait, slot: Slot, *, changed: bool) -> Walk[None]:
        """Go on behind the question, or back to the check that sent us to it."""
        self.state.misses = 0
        if wait.names:
            yield from self.steps.read_back(wait.names[0], [slot.name])
            return
        node = self.flow.nodes[wait.node]
        if isinstance(node.step, Ask):
            yield from self.steps.go(node.step.next)

    def _other_slots(self, asked: Slot) -> Walk[bool]:
        """Fill or change what else of the task stands in this answer."""
        found = False
        names = [name for name in self.steps.task_slots() if name != asked.name]
        for slot, parsed in self.filling.early(names, self.heard.text):
            held = self.filling.held(parsed, said_by="caller", turn=self.state.turn)
            known = self.state.slots.get(slot.name)
            same = known is not None and known.value == held.value
            if same or slot.kind is asked.kind or (asked.kind in SYMBOLS and slot.kind in SYMBOLS):
                continue
            found = True
            yield from self.steps.hold(slot, held)
            if known:
                missing = yield from self.steps.look_up_again([slot.name])
                if missing:
                    yield from self.steps.go(missing)
                if missing is not None:
                    break
        return found

    def _ask_once_more(self, slot: Slot, *, spoken: bool) -> Walk[None]:
        """First say what was missing, then offer the keypad, then move on."""
        wait = self.state.wait
        given = f"{self.heard.text} {self.heard.digits.strip('*#')}".strip()
        partial = given if self.filling.begins_anew(slot, given) else f"{wait.partial} {given}".strip()
        wait = replace(wait, misses=wait.misses + 1, partial=partial)
        self.state.wait = wait
        question = slot.again or slot.ask
        if wait.misses >= 3:
            yield from self._give_up(slot)
            return
        problem = self.filling.problem(slot, wait.partial, self.heard.digits)
        if wait.misses == 2 and slot.kind in KEYPAD:
            yield from self.steps.phrase("slot_keypad", about=slot.about)
        elif wait.misses == 2:
            yield from self.steps.phrase("slot_again")
        elif problem and not spoken:
            yield from self.steps.say(("{problem}",), problem=problem)
        elif not spoken:
            yield from self.steps.phrase("slot_missed", about=slot.about)
        yield from self.steps.wait_for(wait, question)

    def _give_up(self, slot: Slot) -> Walk[None]:
        wait = self.state.wait
        if slot.optional:
            yield from self._decline(slot)
            return
        yield from self.steps.phrase("slot_gave_up", about=slot.about)
        if slot.give_up:
            yield from self.steps.go(slot.give_up)
        elif self.flow.intent_of(self.flow.human) == self.state.task:
            self.state.task = ""
            self.state.wait = Wait("listen", self.flow.start)
            yield from self.steps.back()
        else:
            self.state.wait = wait
            yield from self.steps.offer_human()

    def _decline(self, slot: Slot) -> Walk[None]:
        wait = self.state.wait
        self.state.declined.append(slot.name)
        yield from self.steps.phrase("slot_declined")
        yield from self._after_slot(wait, slot, changed=False)

    def to_offer(self) -> Walk[None]:
        """Take the value that was offered, another one, or none."""
        wait = self.state.wait
        slot = self.flow.slots[wait.slot]
        parsed = (
            self.filling.read(slot, self.heard.text, self.heard.digits)
            if len(self.heard.digits) != 1
            else None
        )
        agreed = self.heard.yes_no()
        if parsed is not None and within(slot.limits, parsed.value):
            yield from self._fill(slot, parsed)
        elif self.heard.wanders(answered=agreed is not None):
            yield from self.elsewhere.wander()
        elif (yield from self._other_slots(slot)) and (
            self.state.wait is not wait
            or agreed is None
            or (agreed is False and self.filling.is_correction(self.heard.text))
        ):
            if self.state.wait is wait:
                yield from self.steps.ask_again()  # the no was about something else
        elif agreed is True:
            if (yield from self.steps.take_offered(slot)):
                yield from self._after_slot(wait, slot, changed=False)
            else:
                yield from self.steps.wait_for(replace(wait, kind="ask", misses=0), slot.ask)
        elif agreed is False or self.heard.says(self.flow.decline):
            if slot.optional:
                yield from self._decline(slot)
            else:
                yield from self.steps.wait_for(replace(wait, kind="ask", misses=0), slot.ask)
        else:
            yield from self.elsewhere.yes_or_no()

    def to_suggestion(self) -> Walk[None]:
        """Take the value that a look-up suggested, or another one; a no goes on as if nothing had been
        suggested. The value said once more may have been misheard once more, and is no answer."""
        wait = self.state.wait
        slot = self.flow.slots[wait.slot]
        agreed = self.heard.yes_no()
        parsed = self._read_instead(slot)
        said = str(parsing.to_json(parsed.value)) if parsed else ""
        near = bool(parsing.alike(said, [wait.offered], language=self.flow.language))
        if parsed is None and self.heard.wanders(answered=agreed is not None):
            yield from self.elsewhere.wander()
        elif said == wait.offered or (agreed is True and (parsed is None or near)):
            yield from self._take_suggested(slot)
        elif parsed is not None and (agreed is False or not near):
            self.state.refused.append(wait.offered)
            yield from self.steps.hold(
                slot, self.filling.held(parsed, said_by="caller", turn=self.state.turn)
            )
            yield from self.steps.go(wait.node)
        elif agreed is False:
            self.state.refused.append(wait.offered)
            step = self.flow.nodes[wait.node].step
            yield from self.steps.go(step.missing if isinstance(step, UseTool) else self.flow.start)
        else:
            yield from self.elsewhere.yes_or_no()

    def _read_instead(self, slot: Slot) -> Parsed | None:
        """Another value than the one suggested, whole or only its letter."""
        if len(self.heard.digits) == 1:
            return None
        tried = self.state.slots.get(slot.name)
        parsed = self.filling.read(slot, self.heard.text, self.heard.digits)
        if parsed is None and tried is not None:
            parsed = self.filling.completed(slot, str(tried.value), self.heard.text)
        return parsed

    def _take_suggested(self, slot: Slot) -> Walk[None]:
        wait = self.state.wait
        self.state.misses = 0
        spoken = self.filling.spoken(slot, wait.offered)
        held = Held(wait.offered, spoken, "caller", confirmed=True, turn=self.state.turn)
        yield from self.steps.hold(slot, held)
        yield from self.steps.go(wait.node)
