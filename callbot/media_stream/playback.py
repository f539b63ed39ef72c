"""What was sent, and what was heard.

We send faster than the caller hears. The carrier plays what it is sent in order, and returns a mark
when all audio before it has played. On ``clear`` it returns every pending mark at once, and those
prove nothing: so the ledger retires its clips first, and a mark it no longer knows is ignored.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from callbot.media_stream.audio import RATE, seconds
from callbot.providers.ports import WordTime

SHORTEST_CLIP: Final = 0.4


@dataclass(frozen=True, slots=True)
class Clip:
    """A marked piece of a reply: mu-law, and the written words in it (times from the clip's start).

    Without words the clip is heard as a whole or not at all.
    """

    turn: int
    text: str
    audio: bytes
    words: tuple[WordTime, ...] = ()
    filler: bool = False
    """It is no part of the reply, but said while that is waited for; cut, it is not said again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A clip on its way: its mark's name, and when it will start to play if nothing stalls."""

    clip: Clip
    mark: str
    plays_at: float

    @property
    def ends_at(self) -> float:
        return self.plays_at + seconds(self.clip.audio)


@dataclass(frozen=True, slots=True)
class Cut:
    """What ``clear`` left unheard, from the beginning of the first word that was not heard whole."""

    rest: tuple[Clip, ...]


def clips(turn: int, text: str, audio: bytes, words: Sequence[WordTime]) -> list[Clip]:
    """Cut a sentence into clips of at least ``SHORTEST_CLIP`` between its words, so that marks tell
    how far the caller has heard."""
    if not words:
        return [Clip(turn, text, audio)]
    found: list[Clip] = []
    first, start = 0, 0.0
    for i, word in enumerate(words):
        last = i == len(words) - 1
        end = seconds(audio) if last else (word.end + words[i + 1].start) / 2
        if not last and (end - start < SHORTEST_CLIP or seconds(audio) - end < SHORTEST_CLIP):
            continue
        group = words[first : i + 1]
        found.append(
            Clip(
                turn,
                " ".join(w.word for w in group),
                audio[_byte(start) : _byte(end)],
                tuple(WordTime(w.word, max(0.0, w.start - start), w.end - start) for w in group),
            )
        )
        first, start = i + 1, end
    return found


def _byte(at: float) -> int:
    return round(at * RATE)


class Playback:
    """The ledger of one call. Times are seconds of one clock, given in."""

    def __init__(self) -> None:
        self._sent: deque[Sent] = deque()
        self._heard: dict[int, list[str]] = {}
        self._count = 0
        self._ends_at = 0.0

    @property
    def playing(self) -> bool:
        """Something that we sent has not been heard to its end."""
        return bool(self._sent)

    @property
    def ends_at(self) -> float:
        """When the last clip will have played, if nothing stalls."""
        return self._ends_at

    @property
    def turn(self) -> int | None:
        """The turn of the clip that is playing."""
        return self._sent[0].clip.turn if self._sent else None

    def heard(self, turn: int) -> str:
        """The words of a turn that reached the caller's ear."""
        return " ".join(self._heard.get(turn, ()))

    def remaining(self, now: float) -> float:
        """Seconds of audio that are still to play."""
        return max(0.0, self._ends_at - now) if self._sent else 0.0

    def send(self, clip: Clip, now: float) -> Sent:
        """Enter a clip; send its audio and then its mark to the carrier."""
        self._count += 1
        sent = Sent(clip, f"{clip.turn}.{self._count}", max(now, self._ends_at if self._sent else now))
        self._sent.append(sent)
        self._ends_at = sent.ends_at
        return sent

    def marked(self, mark: str, now: float) -> bool:
        """The carrier returned a mark: its clip, and those before it, were heard. False for a mark
        that is unknown, because its clip was cleared or it never was ours."""
        if not any(sent.mark == mark for sent in self._sent):
            return False
        while True:
            sent = self._sent.popleft()
            self._note(sent.clip.turn, sent.clip.text)
            if sent.mark == mark:
                break
        self._settle(now)
        return True

    def lapse(self, now: float) -> None:
        """Marks are overdue (the carrier lost them): take everything sent as heard."""
        for sent in self._sent:
            self._note(sent.clip.turn, sent.clip.text)
        self._sent.clear()
        self._ends_at = now

    def clear(self, now: float) -> Cut:
        """Retire every clip, before ``clear`` is sent. The clip that is playing counts up to the last
        word that had time to end; later ones not at all."""
        rest: list[Clip] = []
        for sent in self._sent:
            clip = sent.clip
            elapsed = now - sent.plays_at
            whole = [w for w in clip.words if not rest and w.end <= elapsed]
            if whole:
                self._note(clip.turn, " ".join(w.word for w in whole))
            unheard = clip.words[len(whole) :]
            if clip.words and not unheard:
                continue
            rest.append(_from_word(clip, len(whole)) if whole else clip)
        self._sent.clear()
        self._ends_at = now
        return Cut(tuple(rest))

    def _note(self, turn: int, text: str) -> None:
        if text:
            self._heard.setdefault(turn, []).append(text)

    def _settle(self, now: float) -> None:
        """A mark says exactly when its clip ended, so the next one plays from now."""
        starts = now
        for i, sent in enumerate(self._sent):
            self._sent[i] = replace(sent, plays_at=starts)
            starts = self._sent[i].ends_at
        self._ends_at = starts


def _from_word(clip: Clip, index: int) -> Clip:
    words = clip.words[index:]
    start = words[0].start
    return Clip(
        clip.turn,
        " ".join(w.word for w in words),
        clip.audio[_byte(start) :],
        tuple(WordTime(w.word, w.start - start, w.end - start) for w in words),
        clip.filler,
    )
