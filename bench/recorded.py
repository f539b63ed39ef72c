"""A recogniser that knows what it will hear: recorded callers, and when each of their words ends.

It finds the audio that it is given in the recordings, so it hears what was really said up to there, some
time late: partials that grow by a word, without capitals and marks, while the caller speaks, and a final when
it is flushed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.standins import HEARD
from callbot.exchange import ear
from callbot.exchange.callers import RecordedCaller
from callbot.exchange.sounds import FRAME, RATE, SILENCE
from callbot.providers.ports import Transcribed

_MARKS: Final = ".,?!"
_GAP: Final = 8_000
"""Bytes, a second, in which nothing was found that is known."""
_APART: Final = SILENCE * 4_000
"""Between two utterances, so that what is heard before one holds no word of the other."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    ends: int
    """Bytes from the beginning of everything."""


class Recordings:
    """All that some callers say, end to end. Words are as long as they have letters; a caller of whom nobody
    wrote down what they say has the stand-ins' one question spread over each utterance."""

    def __init__(self, callers: Iterable[RecordedCaller]) -> None:
        audio = bytearray()
        words: list[_Word] = []
        for caller in callers:
            cues = caller.sidecar.cues
            for number, speech in enumerate(caller.recording.utterances):
                text = cues[number].text if number < len(cues) else HEARD
                spoken = [
                    (segment.start_ms, segment.end_ms)
                    for segment in ear.speech(speech.audio)
                    if segment.end_ms <= speech.words_end_ms + 20
                ]
                words += (
                    _Word(word, len(audio) + at)
                    for word, at in zip(text.split(), ends(text.split(), spoken), strict=True)
                )
                audio += speech.audio + _APART
        self._audio = bytes(audio)
        self._words = words

    def end_of(self, audio: bytes) -> int | None:
        """The place up to which ``audio`` has come, by its last frame; None if that is nobody's speech."""
        last = audio[-FRAME:]
        if len(set(last)) < 2:
            return None
        at = self._audio.find(last)
        return None if at < 0 else at + len(last)

    def words(self, start: int, end: int) -> Sequence[str]:
        """Those that end between two places."""
        return [word.text for word in self._words if start < word.ends <= end]


def ends(words: Sequence[str], spoken: Sequence[tuple[int, int]]) -> list[int]:
    """When each of ``words`` ends, in bytes, if the ``spoken`` stretches (ms) are shared out by letters."""
    whole = sum(end - start for start, end in spoken)
    letters = sum(map(len, words)) or 1
    found, said = [], 0
    for word in words:
        said += len(word)
        left = whole * said / letters
        at = 0.0
        for start, end in spoken:
            at = start + min(left, end - start)
            left -= end - start
            if left <= 1e-6:
                break
        found.append(round(at * RATE / 1000))
    return found


def extend(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    """What was heard goes on from ``start`` to ``end``; after a gap, it is heard anew."""
    if stretches and 0 <= start - stretches[-1][1] <= _GAP:
        stretches[-1] = stretches[-1][0], end
    else:
        stretches.append((start, end))


class RecordedEars:
    """A ``SpeechToText`` that hears ``recordings``, ``latency`` seconds late."""

    def __init__(self, recordings: Recordings, latency: float, *, cuts: bool = False) -> None:
        self.cuts = cuts
        self._recordings = recordings
        self._latency = latency
        self._events: asyncio.Queue[Transcribed | None] = asyncio.Queue()
        self._utterance = 0
        self._stretches: list[tuple[int, int]] = []
        self._partial = ""

    def start(self, utterance: int) -> None:
        self._utterance, self._stretches, self._partial = utterance, [], ""

    def send(self, audio: bytes) -> None:
        end = self._recordings.end_of(audio)
        if end is None:
            return
        extend(self._stretches, end - len(audio), end)
        partial = " ".join(word.strip(_MARKS).lower() for word in self._words())
        if partial != self._partial:
            self._partial = partial
            self._tell(partial, final=False)

    def flush(self) -> None:
        self._tell(" ".join(self._words()), final=True)

    async def events(self) -> AsyncIterator[Transcribed]:
        while (event := await self._events.get()) is not None:
            yield event

    async def aclose(self) -> None:
        self._events.put_nowait(None)

    def _words(self) -> list[str]:
        return [word for start, end in self._stretches for word in self._recordings.words(start, end)]

    def _tell(self, text: str, *, final: bool) -> None:
        heard = Transcribed(self._utterance, text, final)
        asyncio.get_running_loop().call_later(self._latency, self._events.put_nowait, heard)
