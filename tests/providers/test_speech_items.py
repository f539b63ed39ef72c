"""A vendor's memory of a call is made to be the call as it was heard."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.providers.ports import Message, Role, ToolCall
from callbot.providers.speech_to_speech.items import Create, Delete, Items, Truncate

CALL = ToolCall("call_1", "find_order", "{}")
CALLER, AGENT, NOTE = Role.CALLER, Role.AGENT, Role.NOTE


@dataclass
class Vendor:
    """What the vendor has in mind: (id, kind, words), and how long each word of an answer takes: a second."""

    items: Items = field(default_factory=Items)
    memory: list[tuple[str, str, str]] = field(default_factory=list)
    _count: int = 0

    def _id(self) -> str:
        self._count += 1
        return f"item_{self._count}"

    def caller(self, text: str, *, transcribed: bool = True) -> str:
        id = self._id()
        self.items.said()
        self.items.acknowledged(id)
        if transcribed:
            self.items.transcribed(id, text)
        self.memory.append((id, "caller", text))
        return id

    def answer(self, text: str) -> None:
        id = self._id()
        self.items.answering(id)
        for number, word in enumerate(text.split()):
            self.items.answered(id, word, number + 1.0)
        self.memory.append((id, "agent", text))

    def call(self) -> None:
        id = self._id()
        self.items.called(id, CALL.id)
        self.memory.append((id, "call", ""))

    def agree(self, *messages: Message) -> list[str]:
        """What it was told to change."""
        done = []
        for step in self.items.agree(messages):
            done.append(type(step).__name__)
            ids = [id for id, _, _ in self.memory]
            match step:
                case Delete(id):
                    del self.memory[ids.index(id)]
                case Truncate(id, seconds):
                    at = ids.index(id)
                    kept = " ".join(self.memory[at][2].split()[: round(seconds)])
                    self.memory[at] = (id, "agent", kept)
                case Create(id, message, after):
                    at = len(ids) if after is None else ids.index(after) + 1 if after else 0
                    kind = (
                        "call" if message.calls else "result" if message.role is Role.TOOL else message.role
                    )
                    self.memory.insert(at, (id, str(kind), message.text))
        return done

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(kind, text) for _, kind, text in self.memory]


def test_a_session_that_begins_in_mid_call_is_told_everything_in_order():
    vendor = Vendor()
    messages = [
        Message(NOTE, "Today is Monday."),
        Message(AGENT, "Hello."),
        Message(CALLER, "Where is it?"),
        Message(AGENT, "", (CALL,)),
        Message(Role.TOOL, "found", call_id=CALL.id),
        Message(AGENT, "On its way."),
    ]
    vendor.agree(*messages)
    assert vendor.lines == [
        ("note", "Today is Monday."),
        ("agent", "Hello."),
        ("caller", "Where is it?"),
        ("call", ""),
        ("result", "found"),
        ("agent", "On its way."),
    ]
    assert vendor.agree(*messages) == []


def test_what_others_said_stands_before_what_came_after_it():
    vendor = Vendor()
    vendor.caller("Where is it?")
    vendor.agree(
        Message(NOTE, "Monday."),
        Message(AGENT, "Hello."),
        Message(CALLER, "Where is it?"),
        Message(NOTE, "x"),
    )
    assert vendor.lines == [
        ("note", "Monday."),
        ("agent", "Hello."),
        ("caller", "Where is it?"),
        ("note", "x"),
    ]


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        ("It is on its way.", "It is on its way."),
        ("It is", "It is"),
        ("One moment, please. It is on", "It is on"),
        ("It IS on its way", "It is on its way."),
    ],
)
def test_an_answer_is_cut_to_what_was_heard(heard: str, left: str):
    vendor = Vendor()
    vendor.caller("Where is it?")
    vendor.answer("It is on its way.")
    vendor.agree(Message(CALLER, "Where is it?"), Message(AGENT, heard))
    assert vendor.lines == [("caller", "Where is it?"), ("agent", left)]


def test_an_answer_in_two_parts_is_one_line_of_ours():
    vendor = Vendor()
    vendor.caller("Where is it?")
    vendor.answer("Let me look.")
    vendor.call()
    messages = [Message(CALLER, "Where is it?"), Message(AGENT, "Let me look.", (CALL,))]
    messages.append(Message(Role.TOOL, "found", call_id=CALL.id))
    vendor.agree(*messages)
    vendor.answer("It is on its way.")
    messages[1:2] = [Message(AGENT, "", (CALL,))]
    messages.append(Message(AGENT, "Let me look. One moment, please. It is on"))
    assert vendor.agree(*messages) == ["Truncate"]
    assert vendor.lines == [
        ("caller", "Where is it?"),
        ("agent", "Let me look."),
        ("call", ""),
        ("result", "found"),
        ("agent", "It is on"),
    ]


def test_what_nobody_heard_or_meant_is_forgotten():
    vendor = Vendor()
    vendor.caller("Mhm.")
    vendor.caller("Where is")
    vendor.answer("Where is what?")
    vendor.caller("my order?")
    vendor.agree(Message(CALLER, "Where is my order?"))
    assert vendor.lines == [("caller", "Where is"), ("caller", "my order?")]


def test_what_is_not_transcribed_yet_belongs_to_the_last_line():
    vendor = Vendor()
    vendor.caller("Where is it?", transcribed=False)
    vendor.agree(Message(CALLER, "4711"), Message(AGENT, "Thanks."), Message(CALLER, "Where"))
    assert vendor.lines == [("caller", "4711"), ("agent", "Thanks."), ("caller", "Where is it?")]


def test_audio_that_was_none_is_not_waited_for():
    items = Items()
    items.said()
    items.nothing_said()
    assert list(items) == []


def test_a_call_that_was_taken_back_is_forgotten_with_its_result():
    vendor = Vendor()
    vendor.caller("Where is it?")
    vendor.call()
    vendor.agree(
        Message(CALLER, "Where is it?"), Message(AGENT, "", (CALL,)), Message(Role.TOOL, "x", call_id=CALL.id)
    )
    assert vendor.agree(Message(CALLER, "Where is it?")) == ["Delete", "Delete"]


def test_a_result_that_has_changed_takes_the_place_of_the_old():
    vendor = Vendor()
    vendor.call()
    told = [Message(AGENT, "", (CALL,)), Message(Role.TOOL, "No result.", call_id=CALL.id)]
    vendor.agree(*told)
    assert vendor.agree(told[0], Message(Role.TOOL, "found", call_id=CALL.id)) == ["Delete", "Create"]
    assert vendor.lines == [("call", ""), ("result", "found")]


def test_a_note_for_one_reply_goes_with_it():
    vendor = Vendor()
    vendor.caller("Hello.")
    vendor.agree(Message(CALLER, "Hello."), Message(NOTE, "Be brief."))
    assert vendor.agree(Message(CALLER, "Hello.")) == ["Delete"]


def test_a_long_call_that_was_summed_up_is_a_short_one():
    vendor = Vendor()
    vendor.caller("One two.")
    vendor.answer("Three four.")
    vendor.caller("Five six.")
    vendor.agree(Message(NOTE, "They counted."), Message(CALLER, "Five six."))
    assert vendor.lines == [("note", "They counted."), ("caller", "Five six.")]


# --- any call ----------------------------------------------------------------------------------------

WORDS = [f"w{number}" for number in range(400)]


@st.composite
def a_call(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    """Lines: who, all the words, and how many of them were heard (the caller's always)."""
    lines, at = [], 0
    for _ in range(draw(st.integers(1, 8))):
        for who in ("caller", "agent"):
            if who == "agent" and draw(st.booleans()) and lines:
                continue
            count = draw(st.integers(1, 12))
            text = " ".join(WORDS[at : at + count])
            at += count
            heard = count if who == "caller" else draw(st.integers(0, count))
            lines.append((who, text, heard))
    return lines


@given(a_call(), st.sets(st.integers(0, 15)), st.booleans())
def test_after_agreeing_its_memory_is_the_call_as_it_was_heard(
    call: list[tuple[str, str, int]], others: set[int], stepwise: bool
):
    """``others``: lines that it did not say or hear itself."""
    vendor = Vendor()
    told: list[Message] = []
    for number, (who, text, heard) in enumerate(call):
        if number not in others:
            (vendor.caller if who == "caller" else vendor.answer)(text)
        words = " ".join(text.split()[:heard])
        if words:
            told.append(Message(CALLER if who == "caller" else AGENT, words))
        if stepwise:
            vendor.agree(*told)
    vendor.agree(*told)
    assert vendor.lines == [(str(message.role), message.text) for message in told]
    assert vendor.agree(*told) == []
