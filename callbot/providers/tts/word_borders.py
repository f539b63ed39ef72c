"""Audio that comes in chunks, cut into pieces of speech between words, the first one early. No I/O.

Whatever a voice says of its words' times, the pieces have all the words of the text, in order.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from callbot.media_stream.audio import FRAME_BYTES, RATE, SILENCE, seconds
from callbot.providers.ports import Speech, WordTime

Character = tuple[str, float, float]
"""A character of the text, and from when to when it is said: seconds from the start of its chunk."""

_ROUNDING: Final = 0.03
"""Seconds by which the end of a word may lie after the audio that has come."""
_LOOK_AHEAD: Final = 4
"""Words of the text that may be missing where a voice told its words otherwise than they are written."""
_CHARACTER_SECONDS: Final = 0.065
"""What people need for a character, spaces counted."""
_FIRST, _NEXT = 0.35, 1.0
"""Seconds that a piece lasts at least, where the words' times are guessed."""


class Cutter(Protocol):
    """Of one text."""

    def feed(self, audio: bytes, characters: Sequence[Character]) -> list[Speech]:
        """What is complete with this chunk; often nothing."""

    def finish(self) -> list[Speech]:
        """The rest, after the last chunk."""


class Aligned:
    """A ``Cutter`` for a voice that tells when each character is said.

    Its words may differ from those of the text (a number in words). Then the words between two that are the
    same share the time between them.
    """

    def __init__(self, text: str) -> None:
        self._words = text.split()
        self._audio = bytearray()
        """What no piece has yet."""
        self._begin = 0
        """Where in the whole it begins, in bytes."""
        self._timed: list[WordTime] = []
        """Words that no piece has yet. Their times are of the whole, as all here."""
        self._next = 0
        """The first word of the text that has no time."""
        self._end = 0.0
        """Of the last word that has one."""
        self._spelling = ""
        self._spelled = (0.0, 0.0)
        self._unknown: tuple[float, float] | None = None
        """When words were said that the text does not have."""

    @property
    def _received(self) -> float:
        return (self._begin + len(self._audio)) / RATE

    def feed(self, audio: bytes, characters: Sequence[Character]) -> list[Speech]:
        offset = self._received
        self._audio += audio
        for character, start, end in characters:
            if character.isspace():
                self._word_ends()
            else:
                self._spell(character, offset + start, offset + end)
        ready = 0
        while ready < len(self._timed) and self._timed[ready].end <= self._received + _ROUNDING:
            ready += 1
        if not ready:
            return []
        return [self._piece(ready, min(self._begins_after(ready), self._received))]

    def finish(self) -> list[Speech]:
        self._word_ends()
        self._share(self._next, len(self._words), max(self._end, self._received))
        if not self._timed and not self._audio:
            return []
        if not self._audio:
            self._audio += SILENCE * FRAME_BYTES
        return [self._piece(len(self._timed), self._received)]

    def _spell(self, character: str, start: float, end: float) -> None:
        first = self._spelled[0] if self._spelling else max(start, self._end)
        self._spelling += character
        self._spelled = (first, max(end, self._spelled[1], first))
        if self._next < len(self._words) and self._spelling == self._words[self._next]:
            self._word_ends()

    def _word_ends(self) -> None:
        word, (start, end) = self._spelling, self._spelled
        self._spelling = ""
        if not word:
            return
        ahead = self._words[self._next : self._next + _LOOK_AHEAD]
        for same in (str, _plain):
            for distance, expected in enumerate(ahead):
                if same(expected) == same(word) and same(word):
                    self._share(self._next, self._next + distance, start)
                    self._time(start, end)
                    return
        self._unknown = (self._unknown[0] if self._unknown else start, end)

    def _share(self, first: int, last: int, until: float) -> None:
        """Words ``first`` to ``last`` were said between what has a time and ``until``."""
        start = min(self._unknown[0] if self._unknown else self._end, until)
        self._unknown = None
        letters = sum(len(word) for word in self._words[first:last])
        for word in self._words[first:last]:
            end = start + (until - start) * len(word) / letters
            letters -= len(word)
            self._time(start, end)
            start = end

    def _time(self, start: float, end: float) -> None:
        start = max(start, self._end)
        self._end = max(start, end)
        self._timed.append(WordTime(self._words[self._next], start, self._end))
        self._next += 1

    def _begins_after(self, ready: int) -> float:
        """The start of what comes after so many words, as far as it is known."""
        if ready < len(self._timed):
            return self._timed[ready].start
        if self._unknown is not None:
            return self._unknown[0]
        return self._spelled[0] if self._spelling else self._received

    def _piece(self, many: int, until: float) -> Speech:
        cut = round(until * RATE) - self._begin
        audio = bytes(self._audio[:cut])
        begin, length = self._begin / RATE, seconds(audio)
        words = tuple(
            WordTime(
                word.word,
                min(max(0.0, word.start - begin), length),
                min(max(0.0, word.end - begin), length),
            )
            for word in self._timed[:many]
        )
        del self._timed[:many], self._audio[:cut]
        self._begin += len(audio)
        return Speech(" ".join(word.word for word in words), audio, words)


class Guessed:
    """A ``Cutter`` for a voice that tells nothing. The cuts are where its words end if it speaks as people
    do, wherever the chunks end; the last piece has the rest."""

    def __init__(self, text: str) -> None:
        self._groups = _groups(text.split())
        self._audio = bytearray()

    def feed(self, audio: bytes, characters: Sequence[Character]) -> list[Speech]:
        self._audio += audio
        found = []
        while len(self._groups) > 1:
            text, size = self._groups[0]
            if len(self._audio) <= size:
                break
            found.append(Speech(text, bytes(self._audio[:size])))
            del self._groups[0], self._audio[:size]
        return found

    def finish(self) -> list[Speech]:
        text = " ".join(text for text, _ in self._groups)
        return [Speech(text, bytes(self._audio) or SILENCE * FRAME_BYTES)] if text else []


def cutter(text: str, characters: Sequence[Character]) -> Cutter:
    """For a text whose first chunk came with these."""
    return Aligned(text) if characters else Guessed(text)


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _groups(words: Sequence[str]) -> list[tuple[str, int]]:
    """Words that make a piece, and how many bytes of audio they would be."""
    groups: list[tuple[str, int]] = []
    group: list[str] = []
    length = 0.0
    for word in words:
        group.append(word)
        length += (len(word) + 1) * _CHARACTER_SECONDS
        if length >= (_NEXT if groups else _FIRST):
            groups.append((" ".join(group), round(length * RATE)))
            group, length = [], 0.0
    if group:
        groups.append((" ".join(group), round(length * RATE)))
    return groups
