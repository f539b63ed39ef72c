"""OpenAI's ears: a realtime transcription session, for the models that transcribe while audio comes.

These models do not find the end of speech: every ``flush`` commits what was sent since the last one, and the
transcripts of an utterance's commits, joined, are what was said in it. The vendor's guide:
https://developers.openai.com/api/docs/guides/realtime-transcription
"""

import json
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.media_stream.audio import SILENCE
from callbot.providers.failures import from_status
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models
from callbot.providers.stt.socket_ears import SocketEars, Wire
from callbot.vendors import Account

DEFAULT_MODEL: Final = "gpt-live-transcribe"
KNOW_SEVERAL_LANGUAGES: Final = frozenset({"gpt-live-transcribe", "gpt-transcribe"})
"""The other models take one language, or none and find it out."""
RENEW_AFTER: Final = 55 * 60.0
"""Seconds. The vendor ends a session after 60 minutes."""
SHORTEST: Final = 800
"""Bytes, 0.1 s: the vendor refuses to commit less."""

_STATUS: Final = {
    "authentication_error": 401,
    "invalid_request_error": 400,
    "permission_error": 403,
    "rate_limit_error": 429,
    "server_error": 500,
}
_CLEAR: Final = '{"type":"input_audio_buffer.clear"}'


class _Language(msgspec.Struct):
    code: str


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None


class _Event(msgspec.Struct):
    """What we read of a server's event; others have other fields."""

    type: str
    item_id: str = ""
    delta: str | None = None
    transcript: str = ""
    languages: list[_Language] | None = None
    error: _Error | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)


@dataclass(slots=True, eq=False)
class _Segment:
    """The audio between two commits. ``words`` are those of its deltas, ``text`` is its transcript."""

    utterance: "_Utterance"
    size: int = 0
    wanted: bool = True
    """Not cleared."""
    words: str = ""
    text: str | None = None
    language: str | None = None


@dataclass(slots=True, eq=False)
class _Utterance:
    number: int
    committed: list[_Segment] = field(default_factory=list)


@dataclass(slots=True)
class _Present:
    """The present utterance, which one connection hands to the next."""

    utterance: _Utterance | None = None


@dataclass(frozen=True, slots=True)
class _Owed:
    """A final that is due when all of its segments have their text."""

    utterance: int
    segments: tuple[_Segment, ...]

    @property
    def ready(self) -> bool:
        return all(segment.text is not None for segment in self.segments)


class TranscriptionSession:
    """A ``Renewable`` dialect.

    The server takes our commits and clears one after the other and tells of each, so its place in our
    audio is known: what it says of an item that we do not know is about the oldest segment whose end it
    has not told yet.
    """

    keep_alive_after: float | None = None

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        model: str,
        languages: Sequence[str],
        renew_after: float = RENEW_AFTER,
        present: _Present | None = None,
    ) -> None:
        self.name = name
        self.url = f"{account.socket_url}/realtime?intent=transcription"
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {account.key}"}
        self.renew_after = renew_after
        self._account = account
        self._model = model
        self._languages = tuple(languages)
        self._present = present or _Present()
        self._open: _Segment | None = None
        self._ended: deque[_Segment] = deque()
        """Committed or cleared, and the server has not told so yet."""
        self._items: dict[str, _Segment] = {}
        self._owed: deque[_Owed] = deque()

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    def renewed(self) -> "TranscriptionSession":
        return TranscriptionSession(
            self.name,
            self._account,
            model=self._model,
            languages=self._languages,
            renew_after=self.renew_after,
            present=self._present,
        )

    # --- what we say -----------------------------------------------------------------------------

    def opened(self) -> Iterable[Wire]:
        transcription: dict[str, Any] = {"model": self._model}
        if self._model in KNOW_SEVERAL_LANGUAGES:
            transcription["languages"] = self._languages
        elif len(self._languages) == 1:
            transcription["language"] = self._languages[0]
        heard = {
            "format": {"type": "audio/pcmu"},
            "noise_reduction": None,
            "transcription": transcription,
            "turn_detection": None,
        }
        session = {"type": "transcription", "audio": {"input": heard}}
        return [json.dumps({"type": "session.update", "session": session})]

    def start(self, utterance: int) -> Iterable[Wire]:
        self._present.utterance = _Utterance(utterance)
        unheard, self._open = self._open, None
        if unheard is None:
            return []
        unheard.wanted = False
        self._ended.append(unheard)
        return [_CLEAR]

    def audio(self, audio: bytes) -> Iterable[Wire]:
        if self._open is None:
            self._open = _Segment(self._utterance("send"))
        self._open.size += len(audio)
        return [_append(audio)]

    def flush(self) -> Iterable[Wire | Transcribed]:
        utterance = self._utterance("flush")
        messages: list[Wire] = []
        if self._open is not None:
            if self._open.size < SHORTEST:
                messages.append(_append(SILENCE * (SHORTEST - self._open.size)))
            messages.append('{"type":"input_audio_buffer.commit"}')
            utterance.committed.append(self._open)
            self._ended.append(self._open)
            self._open = None
        self._owed.append(_Owed(utterance.number, tuple(utterance.committed)))
        return [*messages, *self._due()]

    def keep_alive(self) -> Iterable[Wire]:
        return []

    def closing(self) -> Iterable[Wire]:
        return []

    def _utterance(self, call: str) -> _Utterance:
        if self._present.utterance is None:
            raise InvalidState(f"{call} before start")
        return self._present.utterance

    # --- what the server says --------------------------------------------------------------------

    def received(self, message: Wire) -> Iterable[Transcribed]:
        try:
            event = _DECODER.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProviderError(
                f"{self.name}: sent what is no event",
                retryable=True,
                trouble=Trouble.BAD_FORMAT,
                provider=self.name,
            ) from error
        match event.type:
            case "conversation.item.input_audio_transcription.delta":
                return self._delta(event)
            case "conversation.item.input_audio_transcription.completed":
                return self._completed(event)
            case "input_audio_buffer.committed":
                if self._ended:
                    self._items[event.item_id] = self._ended.popleft()
            case "input_audio_buffer.cleared":
                if self._ended:
                    self._ended.popleft()
            case "conversation.item.input_audio_transcription.failed":
                raise self._failure(event.error or _Error())
            case "error":
                return self._error(event.error or _Error())
        return []

    def _delta(self, event: _Event) -> list[Transcribed]:
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

    def _completed(self, event: _Event) -> list[Transcribed]:
        """The completions of several items may come in any order, and one may come twice."""
        segment = self._items.get(event.item_id)
        if segment is None or segment.text is not None:
            return []
        segment.text = event.transcript
        for language in event.languages or ():
            if segment.language is None and language.code in self._languages:
                segment.language = language.code
        return self._due()

    def _error(self, error: _Error) -> list[Transcribed]:
        if error.code != "input_audio_buffer_commit_empty" or not self._ended:
            raise self._failure(error)
        self._ended.popleft().text = ""
        return self._due()

    def _due(self) -> list[Transcribed]:
        due: list[Transcribed] = []
        while self._owed and self._owed[0].ready:
            owed = self._owed.popleft()
            languages = [segment.language for segment in owed.segments if segment.language]
            language = languages[-1] if languages else None
            due.append(Transcribed(owed.utterance, _joined(owed.segments), final=True, language=language))
        return due

    def _failure(self, error: _Error) -> ProviderError:
        code = error.code or error.type or ""
        if code == "session_expired":
            return ProviderError(
                f"{self.name}: {code}", retryable=True, trouble=Trouble.CUT, provider=self.name
            )
        status = 429 if code.startswith("rate_limit") else _STATUS.get(error.type or "", 500)
        return from_status(self.name, status, code)


def _append(audio: bytes) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":"{b64encode(audio).decode()}"}}'


def _joined(segments: Iterable[_Segment]) -> str:
    texts = (segment.words if segment.text is None else segment.text for segment in segments)
    return " ".join(text for each in texts if (text := each.strip()))


@dataclass(frozen=True, slots=True)
class OpenAiHearing:
    """A ``Hearing``."""

    name: str
    account: Account
    model: str

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        return SocketEars(
            TranscriptionSession(self.name, self.account, model=self.model, languages=languages)
        )


def hearing(name: str, models: Models) -> OpenAiHearing:
    """For the registry: ``openai``, or ``openai:gpt-realtime-whisper``."""
    return OpenAiHearing(name, models.accounts["openai"], name.partition(":")[2] or DEFAULT_MODEL)
