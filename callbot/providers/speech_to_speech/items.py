"""What a model that hears and speaks by itself has in mind of a call, and how that is made to agree with us.

Its vendor keeps the conversation: what the caller said and what it answered, as audio. A prompt tells the
call as it was heard. ``Items.agree`` says what must be changed for the one to be like the other: an answer is
cut to what reached the ear, what never did is taken out, and notes, results and what others said are put in.
A session that begins in mid-call is told everything, as text. Does no I/O.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import Enum, auto
from typing import Final

from callbot.providers.ports import Message, Role

ALIKE: Final = 0.6
"""The share of words that must be the same for a line of the prompt to be about an item."""


def plain_words(text: str) -> list[str]:
    """As they are compared: one for each that is written."""
    return [re.sub(r"[\W_]", "", word.lower()) for word in text.split()]


class Kind(Enum):
    CALLER = auto()
    AGENT = auto()
    NOTE = auto()
    CALL = auto()
    RESULT = auto()


_KINDS: Final = {
    Role.CALLER: Kind.CALLER,
    Role.AGENT: Kind.AGENT,
    Role.NOTE: Kind.NOTE,
    Role.TOOL: Kind.RESULT,
}


@dataclass(slots=True, eq=False)
class Item:
    """``id`` is empty until the vendor has told it. ``text`` is None while nobody knows what was said.

    ``ends`` are the seconds at which the words of ``text`` end, of an answer's audio.
    """

    kind: Kind
    id: str
    text: str | None = ""
    ends: list[float] = field(default_factory=list)
    spoken: bool = False
    """It is audio."""
    call_id: str = ""

    @property
    def words(self) -> list[str]:
        return plain_words(self.text or "")


# --- what must be changed ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    """Put in ``message``, which is one line, one call or one result: behind the item ``after``, at the end if
    that is None, and first if it is empty."""

    id: str
    message: Message
    after: str | None


@dataclass(frozen=True, slots=True)
class Delete:
    id: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """The caller heard so many ``seconds`` of this answer."""

    id: str
    seconds: float


Step = Create | Delete | Truncate


class Items:
    """Those of one session, in their order."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._made = 0

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    # --- what the vendor puts in -----------------------------------------------------------------

    def said(self) -> None:
        """The caller's audio was committed; its id is still to come."""
        self._items.append(Item(Kind.CALLER, "", None, spoken=True))

    def acknowledged(self, id: str) -> None:
        """The oldest audio without an id has one."""
        item = next((item for item in self._items if not item.id), None)
        if item is not None:
            item.id = id

    def nothing_said(self) -> None:
        """The oldest audio without an id was none."""
        item = next((item for item in self._items if not item.id), None)
        if item is not None:
            self._items.remove(item)

    def transcribed(self, id: str, text: str) -> None:
        item = self._find(id)
        if item is not None and item.kind is Kind.CALLER:
            item.text = text

    def answering(self, id: str) -> None:
        """An answer begins."""
        self._items.append(Item(Kind.AGENT, id, spoken=True))

    def answered(self, id: str, word: str, end: float) -> None:
        """Its next word, which ends so many seconds into it."""
        item = self._find(id)
        if item is not None:
            item.text = f"{item.text} {word}".strip()
            item.ends.append(end)

    def called(self, id: str, call_id: str) -> None:
        self._items.append(Item(Kind.CALL, id, call_id=call_id))

    def _find(self, id: str) -> Item | None:
        return next((item for item in reversed(self._items) if item.id == id), None)

    # --- agreeing --------------------------------------------------------------------------------

    def agree(self, messages: Sequence[Message]) -> list[Step]:
        """What makes the vendor's conversation the one of ``messages``; done, as far as we know, at once."""
        parts = [part for message in messages for part in _parts(message)]
        found = self._find_facts(parts)
        cuts = self._find_lines(parts, found)
        kept = {item for items in found.values() for item in items}
        steps: list[Step] = [Delete(item.id) for item in self._items if item.id and item not in kept]
        self._items = [item for item in self._items if not item.id or item in kept]
        steps += [self._cut(item, words) for item, words in cuts.items()]
        at = -1
        for number, part in enumerate(parts):
            if items := found.get(number):
                at = max(at, self._items.index(items[-1]))
                continue
            steps.append(self._create(part, at))
            at += 1
        return steps

    def _find_facts(self, parts: Sequence[Message]) -> dict[int, list[Item]]:
        """The items that notes, calls and results are already, by the number of the part."""
        there: dict[tuple[Kind, str, str], deque[Item]] = {}
        for item in self._items:
            there.setdefault((item.kind, item.call_id, item.text or ""), deque()).append(item)
        found = {}
        for number, part in enumerate(parts):
            key = (_kind(part), part.calls[0].id if part.calls else part.call_id, part.text)
            if key[0] not in (Kind.CALLER, Kind.AGENT) and there.get(key):
                found[number] = [there[key].popleft()]
        return found

    def _find_lines(self, parts: Sequence[Message], found: dict[int, list[Item]]) -> dict[Item, int]:
        """Likewise those of what was said, into ``found``; and of answers that were not heard to their end,
        how many words were."""
        spoken = [item for item in self._items if item.kind in (Kind.CALLER, Kind.AGENT)]
        lines = [(n, part) for n, part in enumerate(parts) if _kind(part) in (Kind.CALLER, Kind.AGENT)]
        newest = max((n for n, part in lines if part.role is Role.CALLER), default=-1)
        cuts: dict[Item, int] = {}
        at = 0
        for number, part in lines:
            match = (
                _caller_items(spoken, at, part.text, newest=number == newest)
                if part.role is Role.CALLER
                else _agent_items(spoken, at, part.text, cuts)
            )
            if match:
                found[number] = match
                at = spoken.index(match[-1]) + 1
        return cuts

    def _cut(self, item: Item, words: int) -> Truncate:
        item.text = " ".join((item.text or "").split()[:words])
        del item.ends[words:]
        return Truncate(item.id, item.ends[-1])

    def _create(self, part: Message, at: int) -> Create:
        """Behind the item that is number ``at``."""
        self._made += 1
        kind = _kind(part)
        call_id = part.calls[0].id if part.calls else part.call_id
        item = Item(kind, f"{kind.name.lower()}_{self._made}", part.text, call_id=call_id)
        after: str | None = None
        if at + 1 < len(self._items):
            after = self._items[at].id if at >= 0 else ""
        self._items.insert(at + 1, item)
        return Create(item.id, part, after)


def _parts(message: Message) -> Iterator[Message]:
    """A message, each of its calls for itself."""
    if message.text or not message.calls:
        yield Message(message.role, message.text, call_id=message.call_id)
    for call in message.calls:
        yield Message(Role.AGENT, "", (call,))


def _kind(part: Message) -> Kind:
    return Kind.CALL if part.calls else _KINDS[part.role]


def _caller_items(spoken: Sequence[Item], at: int, text: str, *, newest: bool) -> list[Item]:
    """What of the caller's is ``text``. What was said last may be heard and not transcribed yet."""
    left = Counter(plain_words(text))
    taken: list[Item] = []
    for item in spoken[at:]:
        if taken and not left:
            break
        if item.kind is not Kind.CALLER:
            if taken and taken[-1].text is None:
                break
            continue
        if item.text is None:
            if newest:
                taken.append(item)
            continue
        words = Counter(plain_words(item.text))
        same = words & left
        if not words or same.total() < ALIKE * words.total():
            if taken:
                break
            continue
        left -= words
        taken.append(item)
    return taken


def _agent_items(spoken: Sequence[Item], at: int, text: str, cuts: dict[Item, int]) -> list[Item]:
    """What of the agent's is ``text``, which was heard; ``cuts`` is told of what was not heard to its end."""
    left = plain_words(text)
    taken: list[Item] = []
    for item in spoken[at:]:
        if taken and not left:
            break
        if item.kind is not Kind.AGENT:
            if taken:
                break
            continue
        words = item.words
        blocks = SequenceMatcher(None, words, left, autojunk=False).get_matching_blocks()
        same = sum(block.size for block in blocks)
        if not same or same < ALIKE * min(len(words), len(left)):
            if taken:
                break
            continue
        last = blocks[-2]  # behind it stands an empty one
        heard = last.a + last.size
        if heard < len(words):
            if not item.spoken:
                continue  # what we put in as text cannot be cut: it is put in anew
            cuts[item] = heard
        del left[: last.b + last.size]
        taken.append(item)
    return taken
