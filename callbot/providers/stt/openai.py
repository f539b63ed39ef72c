"""OpenAI's ears: a realtime transcription session, for the models that transcribe while audio comes.

The vendor's guide: https://developers.openai.com/api/docs/guides/realtime-transcription
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_words
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models
from callbot.providers.sockets import secure
from callbot.providers.stt.openai_commits import Commits, Present, Told, transcription
from callbot.providers.stt.socket_ears import SocketEars, Wire
from callbot.vendors import Account

DEFAULT_MODEL: Final = "gpt-live-transcribe"
RENEW_AFTER: Final = 55 * 60.0
"""Seconds. The vendor ends a session after 60 minutes."""


class Error(msgspec.Struct):
    """What a session tells of what went wrong. ``event_id`` is that of our event which it is about."""

    type: str | None = None
    code: str | None = None
    event_id: str | None = None


class _Event(Told):
    error: Error | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)


class TranscriptionSession:
    """A ``Renewable`` dialect."""

    cuts: bool = True
    keep_alive_after: float | None = None

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        model: str,
        languages: Sequence[str],
        renew_after: float = RENEW_AFTER,
        present: Present | None = None,
    ) -> None:
        self.name = name
        self.url = f"{account.socket_url}/realtime?intent=transcription"
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {account.key}"}
        self.renew_after = renew_after
        self._account = account
        self._model = model
        self._languages = tuple(languages)
        self._commits = Commits(languages, present)

    @property
    def owes(self) -> bool:
        return self._commits.owes

    def renewed(self) -> "TranscriptionSession":
        return TranscriptionSession(
            self.name,
            self._account,
            model=self._model,
            languages=self._languages,
            renew_after=self.renew_after,
            present=self._commits.present,
        )

    def opened(self) -> Iterable[Wire]:
        heard = {
            "format": {"type": "audio/pcmu"},
            "noise_reduction": None,
            "transcription": transcription(self._model, self._languages),
            "turn_detection": None,
        }
        session = {"type": "transcription", "audio": {"input": heard}}
        return [json.dumps({"type": "session.update", "session": session})]

    def start(self, utterance: int) -> Iterable[Wire]:
        return self._commits.start(utterance)

    def audio(self, audio: bytes) -> Iterable[Wire]:
        return self._commits.audio(audio)

    def flush(self) -> Iterable[Wire | Transcribed]:
        return self._commits.flush()

    def keep_alive(self) -> Iterable[Wire]:
        return []

    def closing(self) -> Iterable[Wire]:
        return []

    def received(self, message: Wire) -> Iterable[Transcribed]:
        try:
            event = _DECODER.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise no_event(self.name) from error
        failed = event.type in ("error", "conversation.item.input_audio_transcription.failed")
        if not failed:
            return self._commits.take(event)
        told = event.error or Error()
        if event.type == "error" and told.code == "input_audio_buffer_commit_empty":
            due = self._commits.nothing_committed()
            if due is not None:
                return due
        raise session_failure(self.name, told)


def no_event(name: str) -> ProviderError:
    return ProviderError(
        f"{name}: sent what is no event", retryable=True, trouble=Trouble.BAD_FORMAT, provider=name
    )


def session_failure(name: str, error: Error) -> ProviderError:
    """An error that a session tells of, as ours."""
    code = error.code or error.type or ""
    if code == "session_expired":
        return ProviderError(f"{name}: {code}", retryable=True, trouble=Trouble.CUT, provider=name)
    return from_words(name, code, error.type or "")


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
    account = models.accounts["openai"]
    secure(account.socket_url)
    return OpenAiHearing(name, account, name.partition(":")[2] or DEFAULT_MODEL)
