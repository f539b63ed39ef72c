"""An answer's audio and its words, which a model tells apart, as speech whose words have times.

The words come ahead of the audio and without times, so where each of them ends is an estimate: by its length,
at the pace of the answers before. Does no I/O.
"""

from dataclasses import dataclass
from typing import Final

from callbot.media_stream.audio import RATE
from callbot.providers.ports import Speech, WordTime

PIECE: Final = 0.4
"""Seconds of a piece, but for the first, which is as short as it comes, and the last."""
USUAL_PACE: Final = 15.0
"""Characters a second, the space behind each word among them."""
_MEMORY: Final = 0.5
"""The weight of the newest answer in the pace."""
_SHORTEST: Final = 2.0
"""Seconds: shorter answers say nothing of the pace."""


@dataclass(slots=True)
class Pace:
    """How fast a voice speaks, as known from its answers."""

    characters: float = USUAL_PACE
    """A second."""

    def learn(self, characters: int, seconds: float) -> None:
        if seconds >= _SHORTEST:
            self.characters += _MEMORY * (characters / seconds - self.characters)


class Uttering:
    """One answer, while it comes."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._text = ""
        """Told, and not given out."""
        self._characters = 0
        self._audio = bytearray()
        self.given = 0.0
        """Seconds of audio in the pieces so far."""
        self._word_at = 0.0
        """Where the next word begins, as far as we can say."""

    def words(self, text: str) -> None:
        """The next piece of its text."""
        self._text += text

    def sound(self, audio: bytes) -> Speech | None:
        """The next piece of its audio, mu-law; what may be given out with it."""
        self._audio += audio
        if self.given and len(self._audio) / RATE < PIECE:
            return None
        return self._piece(last=False)

    def finish(self) -> Speech | None:
        """It is over."""
        if not self._audio and not self._text.strip():
            return None
        whole = self.given + len(self._audio) / RATE
        piece = self._piece(last=True)
        self._pace.learn(self._characters, whole)
        return piece

    def _piece(self, *, last: bool) -> Speech:
        audio = bytes(self._audio)
        self._audio.clear()
        begins, ends = self.given, self.given + len(audio) / RATE
        self.given = ends
        words = self._rest(begins, ends) if last else self._spoken_by(begins, ends)
        return Speech(" ".join(word.word for word in words), audio, tuple(words))

    def _spoken_by(self, begins: float, ends: float) -> list[WordTime]:
        """The words that are over when the piece is."""
        found = []
        while (cut := _word_end(self._text)) and self._word_at + self._takes(cut) <= ends:
            found.append(self._take(cut, begins, self._word_at + self._takes(cut)))
        return found

    def _rest(self, begins: float, ends: float) -> list[WordTime]:
        """All that are left, with what is left of the audio."""
        characters = len(" ".join(self._text.split())) + 1
        found = []
        while self._text.strip():
            cut = _word_end(self._text + " ") or len(self._text)
            share = (len(self._text[:cut].strip()) + 1) / characters
            characters -= len(self._text[:cut].strip()) + 1
            end = self._word_at + share * max(0.0, ends - self._word_at)
            found.append(self._take(cut, begins, end))
        return found

    def _takes(self, cut: int) -> float:
        return (len(self._text[:cut].strip()) + 1) / self._pace.characters

    def _take(self, cut: int, begins: float, end: float) -> WordTime:
        word, self._text = self._text[:cut].strip(), self._text[cut:]
        start, self._word_at = max(begins, self._word_at), max(begins, end)
        self._characters += len(word) + 1
        return WordTime(word, start - begins, self._word_at - begins)


def _word_end(text: str) -> int:
    """Where the first word of ``text`` is over; 0 while it may go on."""
    start = len(text) - len(text.lstrip())
    end = next((at for at in range(start, len(text)) if text[at].isspace()), 0)
    return end
