"""What an agent never says aloud, whatever the model writes: code, JSON, tool calls, ids, its instructions.

Sentence by sentence, so that nothing waits for it. Marks of Markdown are taken out of a sentence; a
sentence that names what only machines should see is left out whole.
"""

import re
from collections.abc import Iterable
from typing import Final

from callbot.agents.markup import SILENCE, masked, opened_at
from callbot.agents.wording import words

SYSTEM_RUN: Final = 8
"""So many words of the instructions in a row are no coincidence."""

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_URL = re.compile(r"\b(?:https?|wss?|ftp|file)://[^\s)>\]]+|(?<!\w)/(?:api|v\d|functions|tools)/\S*", re.I)
_LABEL = re.compile(r"^\s*(?:assistant|agent|answer|response|final)\s*:\s*", re.I)
_STAGE = re.compile(r"\[[^\]]{4,}\]")
_LIST = re.compile(r"^\s*(?:#{1,6}|>+|[-+•*]|\d{1,2}[.)])\s+", re.MULTILINE)
_MARKS = re.compile(r"(?<!\s)\*+|\*+(?!\s)|`+|~~|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)|^#+|\|")

_FOR_MACHINES = re.compile(
    r"""
    \b(?:functions?|tools?)\.\w                                     # a function's address
    | \b[A-Za-z_]\w*\((?:\)|[^)]*[=:"'{])                           # a call
    | \b[A-Za-z]+(?:_[A-Za-z0-9]+)+\b(?![\w.+-]*@)                  # a name of code, no e-mail address
    | \b(?:AC|CA|CF|CN|IM|MM|MZ|PN|RE|SK|SM|VE)[0-9a-fA-F]{20,}\b   # a carrier's ids
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b      # a UUID
    | \b(?=[0-9a-fA-F]*[a-fA-F])(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,}\b
    | \b(?:sk|pk|xi|rk)-[\w-]{8,}                                   # a key
    | \b(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])\w{20,}\b                  # base64, tokens
    | ^\s*(?:system|developer|tool|user|function)\s*:               # another speaker's part
    | <\||\|>
    """,
    re.VERBOSE | re.I,
)


class Guard:
    """Looks at every sentence of one reply. ``secrets`` are ids of this call, ``names`` those of its tools,
    ``instructions`` what the model was told to be."""

    def __init__(self, *, instructions: str, names: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        told = words(instructions)
        self._runs = {told[at : at + SYSTEM_RUN] for at in range(len(told) - SYSTEM_RUN + 1)}
        coded = (name for name in names if not name.islower() or "_" in name)  # "transfer" is also a word
        literal = sorted({*coded, *(secret for secret in secrets if len(secret) > 2)})
        named = "|".join(re.escape(item) for item in literal)
        self._named = re.compile(rf"(?<!\w)(?:{named})(?!\w)" if literal else r"(?!)", re.I)
        self._open = ""
        self._said: tuple[str, ...] = ()
        self.kept_back = 0
        """Sentences of which something was left out that nobody should hear."""

    def clean(self, sentence: str) -> str:
        """``sentence`` as it may be said; empty when nothing of it may."""
        before = self._open
        text = f"{before} {sentence}" if before else sentence
        self._open = text[opened_at(text) :]
        text = _LINK.sub(r"\1", text)
        hidden = masked(text)
        plain = _URL.sub("", _STAGE.sub("", hidden.replace(SILENCE, "")))
        removed = plain != hidden.replace(SILENCE, "") or _holds_code(text, hidden)
        plain = _LABEL.sub("", plain)
        if self._is_for_machines(plain):
            self.kept_back += 1
            return ""
        plain = " ".join(_MARKS.sub("", _LIST.sub("", plain)).split())
        plain = re.sub(r"\s+([.,;:?!])", r"\1", plain)
        if removed:
            self.kept_back += 1
            if len(words(plain)) < 2 or plain.endswith(":"):
                return ""
        return plain if any(letter.isalnum() for letter in plain) else ""

    def _is_for_machines(self, text: str) -> bool:
        if _FOR_MACHINES.search(_MARKS.sub("", text)) or self._named.search(text):
            return True
        said = (*self._said, *words(text))
        if any(said[at : at + SYSTEM_RUN] in self._runs for at in range(len(said) - SYSTEM_RUN + 1)):
            return True
        self._said = said[-(SYSTEM_RUN - 1) :]
        return False


def _holds_code(text: str, hidden: str) -> bool:
    """Whether more than a mark at the beginning of a line was taken out."""
    longest = max((len(run) for run in re.findall(rf"{SILENCE}+", hidden)), default=0)
    return longest > 6 or (longest > 1 and any(sign in text for sign in "{<`"))
