"""What was sent to OpenAI to be transcribed, commit by commit, and the words that come back for it.

The models that transcribe while audio comes do not find the end of speech: every ``flush`` commits what was
sent since the last one, and the transcripts of an utterance's commits, joined, are what was said in it.
Shared by the sessions that only transcribe and those that speak as well. Does no I/O.
"""

from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from callbot.errors import InvalidState
from callbot.media_stream.audio import SILENCE
from callbot.providers.ports import Transcribed

SHORTEST: Final = 800
"""Bytes, 0.1 s: the vendor refuses to commit less."""
KNOW_SEVERAL_LANGUAGES: Final = frozenset({"gpt-live-transcribe", "gpt-transcribe"})
"""The other models take one language, or none and find it out."""
COMMIT: Final = '{"type":"input_audio_buffer.commit"}'
_CLEAR: Final = '{"type":"input_audio_buffer.clear"}'
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"


class Language(msgspec.Struct):
    code: str


class Told(msgspec.Struct):
    """What we read of a server's event about our audio; it has other fields."""

    type: str
    item_id: str = ""
    delta: str | None = None
    transcript: str = ""
    languages: list[Language] | None = None


@dataclass(slots=True, eq=False)
class Segment:
    """The audio between two commits. ``words`` are those of its deltas, ``text`` is its transcript."""

    utterance: "Utterance"
    size: int = 0
    wanted: bool = True
    """Not cleared."""
    words: str = ""
    text: str | None = None
    language: str | None = None


@dataclass(slots=True, eq=False)
class Utterance:
    number: int
    committed: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Present:
    """The present utterance, which one connection hands to the next."""

    utterance: Utterance | None = None


@dataclass(frozen=True, slots=True)
class _Owed:
    """A final that is due when all of its segments have their text."""

    utterance: int
    segments: tuple[Segment, ...]

    @property
    def ready(self) -> bool:
        return all(segment.text is not None for segment in self.segments)


class Commits:
    """Those of one connection.

    The server takes our commits and clears one after the other and tells of each, so its place in our audio
    is known: what it says of an item that we do not know is about the oldest segment whose end it has not
    told yet.
    """

    def __init__(self, languages: Sequence[str], present: Present | None = None) -> None:
        self.present = present or Present()
        self._languages = tuple(languages)
        self._open: Segment | None = None
        self._ended: deque[Segment] = deque()
        """Committed or cleared, and the server has not told so yet."""
        self._items: dict[str, Segment] = {}
        self._owed: deque[_Owed] = deque()

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    # --- what we say -----------------------------------------------------------------------------

    def start(self, utterance: int) -> Iterable[str]:
        self.present.utterance = Utterance(utterance)
        unheard, self._open = self._open, None
        if unheard is None:
            return []
        unheard.wanted = False
        self._ended.append(unheard)
        return [_CLEAR]

    def audio(self, audio: bytes) -> Iterable[str]:
        if self._open is None:
            self._open = Segment(self._utterance("send"))
        self._open.size += len(audio)
        return [_append(audio)]

    def flush(self) -> Iterable[str | Transcribed]:
        utterance = self._utterance("flush")
        messages: list[str] = []
        if self._open is not None:
            if self._open.size < SHORTEST:
                messages.append(_append(SILENCE * (SHORTEST - self._open.size)))
            messages.append(COMMIT)
            utterance.committed.append(self._open)
            self._ended.append(self._open)
            self._open = None
        self._owed.append(_Owed(utterance.number, tuple(utterance.committed)))
        return [*messages, *self._due()]

    def _utterance(self, call: str) -> Utterance:
        if self.present.utterance is None:
            raise InvalidState(f"{call} before start")
        return self.present.utterance

    # --- what the server says --------------------------------------------------------------------

    def take(self, event: Told) -> list[Transcribed]:
        match event.type.removeprefix(_TRANSCRIPTION):
            case ".delta":
                return self._delta(event)
            case ".completed":
                return self._completed(event)
            case "input_audio_buffer.committed":
                if self._ended:
                    self._items[event.item_id] = self._ended.popleft()
            case "input_audio_buffer.cleared":
                if self._ended:
                    self._ended.popleft()
        return []

    def nothing_committed(self) -> list[Transcribed] | None:
        """The server found the oldest commit to be empty; None when there is none to find so."""
        if not self._ended:
            return None
        self._ended.popleft().text = ""
        return self._due()

    def _delta(self, event: Told) -> list[Transcribed]:
        segment = self._items.get(event.item_id)
        if segment is None:
            segment = self._ended[0] if self._ended else self._open
            if segment is None:
                return []
            self._items[event.item_id] = segment
        if not segment.wanted or segment.text is not None or not event.delta:
            return []
        segment.words += event.delta
        utterance = segment.utterance
        before = utterance.committed
        if segment in before:
            before = before[: before.index(segment)]
        text = _joined([*before, segment])
        return [Transcribed(utterance.number, text, final=False)] if text else []

    def _completed(self, event: Told) -> list[Transcribed]:
        """The completions of several items may come in any order, and one may come twice."""
        segment = self._items.get(event.item_id)
        if segment is None or segment.text is not None:
            return []
        segment.text = event.transcript
        for language in event.languages or ():
            if segment.language is None and language.code in self._languages:
                segment.language = language.code
        return self._due()

    def _due(self) -> list[Transcribed]:
        due: list[Transcribed] = []
        while self._owed and self._owed[0].ready:
            owed = self._owed.popleft()
            languages = [segment.language for segment in owed.segments if segment.language]
            language = languages[-1] if languages else None
            due.append(Transcribed(owed.utterance, _joined(owed.segments), final=True, language=language))
        return due


def transcription(model: str, languages: Sequence[str]) -> dict[str, object]:
    """How a session is told what to transcribe with."""
    if model in KNOW_SEVERAL_LANGUAGES:
        return {"model": model, "languages": tuple(languages)}
    return {"model": model, "language": languages[0]} if len(languages) == 1 else {"model": model}


def _append(audio: bytes) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":"{b64encode(audio).decode()}"}}'


def _joined(segments: Iterable[Segment]) -> str:
    texts = (segment.words if segment.text is None else segment.text for segment in segments)
    return " ".join(text for each in texts if (text := each.strip()))
