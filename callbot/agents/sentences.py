"""Sentences of a text, also of one that is still being written."""

import re

from callbot.agents.markup import is_open, opened_at

_END = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s)|\n+")
_NEVER_LAST = re.compile(
    r"dr|mr|jr|sr|mrs|ms|prof|st|approx|e\.g|i\.e|vs|fig|incl|excl|ext|tel|dept|apt|est|sra|"
    r"srta|dra|ud|uds|av|núm|ej|p\.ej|aprox"
)
_SELDOM_LAST = re.compile(r"etc|a\.m|p\.m|inc|ltd|co|corp|ave|rd|blvd|u\.s|u\.k|hrs|mins")
_BEFORE_NUMBERS = re.compile(r"no|nos|p|pp|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|min")
_LONGEST_HELD = 2000
"""Characters of unclosed code after which we no longer wait for its end."""


class SentenceSplitter:
    """Cuts text that arrives in pieces into sentences, each as soon as it is sure to be over.

    Joined by spaces, the sentences have the words of the text. Code and JSON are never cut.
    """

    def __init__(self) -> None:
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """The sentences that ``text`` completes."""
        self._text += text
        return self._take(finished=False)

    @property
    def pending(self) -> str:
        """What has come and is no whole sentence yet."""
        return self._text

    def cut(self, end: int) -> str:
        """The first ``end`` characters of what is pending: they wait no longer."""
        head, self._text = self._text[:end].strip(), self._text[end:].lstrip()
        return head

    def finish(self) -> list[str]:
        """What remains: the text is over."""
        found = self._take(finished=True)
        rest, self._text = self._text.strip(), ""
        return [*found, rest] if rest else found

    def _take(self, *, finished: bool) -> list[str]:
        found: list[str] = []
        searched = 0
        sure = opened_at(self._text)
        while end := _END.search(self._text, searched):
            head, tail = self._text[: end.end()], self._text[end.end() :]
            searched = end.end()
            if "\n" not in end[0]:
                decided = _is_end(head, tail, finished=finished)
                if decided is None:
                    break
                if not decided:
                    continue
            held = len(self._text) < _LONGEST_HELD
            if held and end.end() > sure:
                break  # what was opened there is open to the end
            if held and is_open(head):
                continue
            if head.strip():
                found.append(head.strip())
            self._text, searched = tail, 0
            sure = opened_at(tail)
        return found


def sentences(text: str) -> list[str]:
    """``text`` cut into its sentences."""
    splitter = SentenceSplitter()
    return [*splitter.feed(text), *splitter.finish()]


def _is_end(head: str, tail: str, *, finished: bool) -> bool | None:
    """Whether a sentence ends with ``head``; ``None`` while that depends on what is still to come."""
    word = head.split()[-1].lstrip("\"'([*_“‘").rstrip("\"'”’)]*_")
    if not word.endswith(".") or word.endswith(("?", "!")):
        following = tail.lstrip()[:1]
        return not (word.endswith("…") and following.islower())
    stem = word.rstrip(".")
    lower = stem.lower()
    if _NEVER_LAST.fullmatch(lower):
        return False
    open_question = bool(
        _SELDOM_LAST.fullmatch(lower)
        or _BEFORE_NUMBERS.fullmatch(lower)
        or word.endswith("..")
        or (len(stem) == 1 and stem.isupper() and stem != "I")
    )
    if stem.isdigit() and len(stem) <= 2 and head.rsplit("\n", 1)[-1].strip() == word:
        return False  # the number of a list's line
    if not open_question:
        return True
    following = tail.lstrip()[:1]
    if not following:
        return False if finished else None
    if _BEFORE_NUMBERS.fullmatch(lower):
        return not following.isdigit()
    if len(stem) == 1:
        return not _is_initial(head)
    return not (following.islower() or following.isdigit())


def _is_initial(head: str) -> bool:
    """True of "J. Smith" and "J. K. Smith"; not "plan B."."""
    before = head.split()[:-1]
    return not before or before[-1][:1].isupper()
