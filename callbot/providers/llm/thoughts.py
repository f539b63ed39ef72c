"""What a model thinks aloud before it answers: ``<think>..</think>``, from servers that leave it in the text.

Nobody should hear it. Does no I/O.
"""

from typing import Final

_BEGIN: Final = "<think>"
_END: Final = "</think>"


class WithoutThoughts:
    """Passes on an answer's text, but for thoughts at its very beginning."""

    def __init__(self) -> None:
        self._held = ""
        self._begun = self._thinking = False

    def feed(self, text: str) -> str:
        if self._begun or not (self._held or text.strip()):
            return text
        self._held += text
        if not self._thinking:
            start = self._held.lstrip()
            if _BEGIN.startswith(start):
                return ""  # it may become one
            self._thinking = start.startswith(_BEGIN)
        if self._thinking:
            _, end, self._held = self._held.rpartition(_END)
            if not end:
                return ""
        self._begun = True
        return self._held.lstrip() if self._thinking else self._held
