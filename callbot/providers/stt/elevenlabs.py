"""ElevenLabs Scribe, which hears while one speaks.

https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime

Scribe knows segments: a commit ends one, and its text is that segment's alone. An utterance that is flushed
several times is several segments, whose texts are joined.
"""

import base64
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from callbot.errors import ProviderError, Trouble
from callbot.media_stream.audio import RATE, SILENCE
from callbot.providers.ports import Transcribed
from callbot.providers.registry import Models
from callbot.providers.sockets import secure
from callbot.providers.stt.socket_ears import SocketEars, Wire
from callbot.vendors import Account

MODEL: Final = "scribe_v2_realtime"
FORMAT: Final = "ulaw_8000"
KEEP_ALIVE_AFTER: Final = 10.0
LEAST_TO_COMMIT: Final = 2_560
"""Bytes: with less than 0.3 s in a segment, a commit is refused."""
COMMITTED_AFTER: Final = 60 * RATE
"""Bytes: a segment that is longer may be committed by the vendor itself, who does it after 90 s."""
_PULSE: Final = SILENCE * 800
_LANGUAGES: Final = {
    "deu": "de",
    "eng": "en",
    "fra": "fr",
    "ita": "it",
    "nld": "nl",
    "pol": "pl",
    "por": "pt",
    "spa": "es",
}
"""Scribe may name a language in three letters."""

_TROUBLES: Final[Mapping[str, tuple[Trouble, bool]]] = {
    "error": (Trouble.UNAVAILABLE, True),
    "auth_error": (Trouble.AUTH, False),
    "unaccepted_terms": (Trouble.AUTH, False),
    "quota_exceeded": (Trouble.QUOTA, False),
    "rate_limited": (Trouble.RATE_LIMITED, True),
    "resource_exhausted": (Trouble.RATE_LIMITED, True),
    "queue_overflow": (Trouble.RATE_LIMITED, True),
    "commit_throttled": (Trouble.RATE_LIMITED, True),
    "input_error": (Trouble.REJECTED, False),
    "invalid_request": (Trouble.REJECTED, False),
    "chunk_size_exceeded": (Trouble.REJECTED, False),
    "transcriber_error": (Trouble.UNAVAILABLE, True),
    "session_time_limit_exceeded": (Trouble.CUT, True),
    "insufficient_audio_activity": (Trouble.CUT, True),
}


@dataclass(slots=True)
class _Utterance:
    """``texts`` are those of its segments that are known."""

    number: int
    texts: list[str] = field(default_factory=list)
    flushed: bool = False

    def so_far(self, more: str = "") -> str:
        return " ".join(text for text in (*self.texts, more) if text)


@dataclass(frozen=True, slots=True)
class _Commit:
    """A commit that is not answered yet. ``flushes`` are those that its answer is for: none, if it only
    separates an utterance that nobody asked about from the next."""

    utterance: _Utterance
    flushes: int


class Scribe:
    """The ``Dialect`` of one call."""

    cuts: bool = True
    keep_alive_after: float | None = KEEP_ALIVE_AFTER

    def __init__(self, name: str, model: str, account: Account, languages: Sequence[str]) -> None:
        query = [
            ("model_id", model),
            ("audio_format", FORMAT),
            ("commit_strategy", "manual"),
            ("language_code", languages[0] if languages else ""),
            *(("secondary_languages", language) for language in languages[1:]),
            ("include_language_detection", "true" if len(languages) > 1 else ""),
        ]
        self.name = name
        asked = urlencode([(key, value) for key, value in query if value])
        self.url = f"{account.socket_url}/v1/speech-to-text/realtime?{asked}"
        self.headers: Mapping[str, str] = {"xi-api-key": account.key}
        self._languages = languages
        self._now = _Utterance(0)
        self._heard = 0
        """Bytes of the utterance in the segment that is open."""
        self._open = 0
        """Bytes in it, with silence."""
        self._commits: deque[_Commit] = deque()
        self._answered: _Utterance | None = None
        """Whose segment was answered last, until its language is known."""
        self._language: str | None = None
        """Of the segment that will be answered next, where that comes first."""

    def opened(self) -> Iterable[Wire]:
        return ()

    def start(self, utterance: int) -> Iterable[Wire]:
        """What came after the last flush of the utterance before has no words, and may stay."""
        messages = self._commit(flushes=0) if self._heard and not self._now.flushed else []
        self._heard = 0
        self._now = _Utterance(utterance)
        return messages

    def audio(self, audio: bytes) -> Iterable[Wire]:
        self._heard += len(audio)
        return [self._chunk(audio)]

    def flush(self) -> Iterable[Wire | Transcribed]:
        self._now.flushed = True
        if self._heard:
            return self._commit(flushes=1)
        last = self._commits[-1] if self._commits else None
        if last is not None and last.utterance is self._now:
            self._commits[-1] = _Commit(last.utterance, last.flushes + 1)
            return ()
        return [Transcribed(self._now.number, self._now.so_far(), True)]

    def keep_alive(self) -> Iterable[Wire]:
        return [self._chunk(_PULSE)]

    def closing(self) -> Iterable[Wire]:
        return ()

    def received(self, message: Wire) -> Iterable[Transcribed]:
        try:
            data = json.loads(message)
            kind, text = str(data["message_type"]), str(data.get("text", "")).strip()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._failure("a message that is none", Trouble.BAD_FORMAT, retryable=True) from error
        if kind in _TROUBLES:
            trouble, retryable = _TROUBLES[kind]
            raise self._failure(kind, trouble, retryable=retryable)
        match kind:
            case "partial_transcript":
                return self._partial(text)
            case "committed_transcript":
                return self._committed(text)
            case "committed_transcript_with_timestamps":
                return self._identified(data)
        return ()

    def _partial(self, text: str) -> list[Transcribed]:
        """Of the open segment; if a commit is on its way, of the one before it, which will be final soon."""
        if self._commits or not self._heard or not text:
            return []
        return [Transcribed(self._now.number, self._now.so_far(text), False)]

    def _committed(self, text: str) -> list[Transcribed]:
        if not self._commits:
            return self._committed_by_itself(text)
        commit = self._commits.popleft()
        utterance, language = commit.utterance, self._language
        self._answered, self._language = utterance if language is None else None, None
        utterance.texts.append(text)
        return [Transcribed(utterance.number, utterance.so_far(), True, language)] * commit.flushes

    def _committed_by_itself(self, text: str) -> list[Transcribed]:
        """What nobody asked for: a long segment, or one that is told twice."""
        if self._open < COMMITTED_AFTER:
            return []
        self._heard = self._open = 0
        self._now.texts.append(text)
        so_far = self._now.so_far()
        return [Transcribed(self._now.number, so_far, False)] if so_far else []

    def _identified(self, data: Mapping[str, Any]) -> list[Transcribed]:
        """The language may come after the text, which does not wait for it: then it is told again."""
        code = str(data.get("language_code") or "").partition("-")[0].lower()
        language = _LANGUAGES.get(code, code)
        told, self._answered = self._answered, None
        if language not in self._languages:
            return []
        if told is None:
            self._language = language if self._commits else None
            return []
        if told is not self._now or not told.so_far():
            return []
        return [Transcribed(told.number, told.so_far(), True, language)]

    def _commit(self, *, flushes: int) -> list[Wire]:
        silence = SILENCE * (LEAST_TO_COMMIT - self._open)
        messages: list[Wire] = [self._chunk(silence)] if silence else []
        self._heard = self._open = 0
        self._commits.append(_Commit(self._now, flushes))
        return [*messages, self._chunk(b"", commit=True)]

    def _chunk(self, audio: bytes, *, commit: bool = False) -> str:
        self._open += len(audio)
        return json.dumps(
            {
                "message_type": "input_audio_chunk",
                "audio_base_64": base64.b64encode(audio).decode(),
                "commit": commit,
                "sample_rate": RATE,
            }
        )

    def _failure(self, detail: str, trouble: Trouble, *, retryable: bool) -> ProviderError:
        return ProviderError(
            f"{self.name}: {detail}", retryable=retryable, trouble=trouble, provider=self.name
        )


@dataclass(frozen=True, slots=True)
class ElevenLabsHearing:
    """A ``Hearing``: each call has a connection of its own."""

    name: str
    account: Account

    def for_call(self, languages: Sequence[str]) -> SocketEars:
        """On the event loop's thread."""
        return SocketEars(Scribe(self.name, self.name.partition(":")[2] or MODEL, self.account, languages))


def hearing(name: str, models: Models) -> ElevenLabsHearing:
    """For the registry: ``elevenlabs:scribe_v2_realtime``, or ``elevenlabs`` for the usual model."""
    account = models.accounts["elevenlabs"]
    secure(account.socket_url)
    return ElevenLabsHearing(name, account)
