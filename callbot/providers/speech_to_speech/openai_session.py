"""One session with OpenAI's realtime models, which hear, think and speak by themselves. Does no I/O.

We say when the caller's turn is over and when an answer is wanted (``turn_detection`` is off): one set of
rules decides about turns, whoever thinks. What the caller says is committed at each pause and transcribed;
an answer comes as audio and as text. The vendor's guide: https://developers.openai.com/api/docs/guides/realtime
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog

from callbot.errors import ProviderError, Trouble
from callbot.providers.ports import (
    Ending,
    Finished,
    Message,
    Piece,
    Prompt,
    Role,
    Speech,
    TokenUsage,
    ToolCall,
    ToolSpec,
    Transcribed,
    Words,
)
from callbot.providers.speech_to_speech.items import Create, Delete, Items, Step, Truncate
from callbot.providers.speech_to_speech.uttering import Pace, Uttering
from callbot.providers.stt.openai import RENEW_AFTER, Error, no_event, session_failure
from callbot.providers.stt.openai_commits import COMMIT, Commits, Present, Told, transcription
from callbot.providers.stt.socket_ears import Wire
from callbot.vendors import Account

_ENDINGS: Final = {"max_output_tokens": Ending.LENGTH, "content_filter": Ending.FILTERED}
_ROLES: Final = {
    Role.CALLER: ("user", "input_text"),
    Role.AGENT: ("assistant", "output_text"),
    Role.NOTE: ("system", "input_text"),
}
MULAW: Final = {"type": "audio/pcmu"}

log = structlog.get_logger(__name__)

Tell = Callable[[Piece | ProviderError], None]
"""Told what comes of an answer: the last is ``Finished`` or a ``ProviderError``."""


class _Item(msgspec.Struct):
    id: str = ""
    type: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""


class _Tokens(msgspec.Struct):
    text_tokens: int | None = 0
    audio_tokens: int | None = 0


class _Read(_Tokens):
    cached_tokens_details: _Tokens | None = None


class _Usage(msgspec.Struct):
    input_token_details: _Read | None = None
    output_token_details: _Tokens | None = None


class _Details(msgspec.Struct):
    reason: str | None = None
    error: Error | None = None


class _Response(msgspec.Struct):
    id: str = ""
    status: str = ""
    status_details: _Details | None = None
    usage: _Usage | None = None


class _Event(Told):
    error: Error | None = None
    response: _Response | None = None
    response_id: str = ""
    item: _Item | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)


@dataclass(slots=True, eq=False)
class Answer:
    """One that was asked for. ``number`` names it in what the vendor says of our request."""

    number: int
    prompt: Prompt
    tell: Tell
    id: str = ""
    dropped: bool = False
    uttering: dict[str, Uttering] = field(default_factory=dict)
    """By item."""
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manner:
    """What is the same in all sessions of a call."""

    name: str
    account: Account
    model: str
    voice: str
    transcriber: str
    languages: tuple[str, ...]
    renew_after: float = RENEW_AFTER

    def session(self, instructions: str | None = None, tools: Sequence[ToolSpec] = ()) -> dict[str, Any]:
        """Whole, for what is left out of an update is no reason for the audio to change its format; but for
        the voice, which stands in the first, without ``instructions``: the vendor takes none after an answer.
        """
        told: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": MULAW,
                    "noise_reduction": None,
                    "transcription": transcription(self.transcriber, self.languages),
                    "turn_detection": None,
                },
                "output": {"format": MULAW} | ({"voice": self.voice} if instructions is None else {}),
            },
            "tools": [
                {"type": "function", "name": t.name, "description": t.description, "parameters": t.parameters}
                for t in tools
            ],
            "tool_choice": "auto",
        }
        return told if instructions is None else told | {"instructions": instructions}


class RealtimeSession:
    """A ``Renewable`` dialect that also answers: ``ask`` and ``drop`` say what to send."""

    cuts: bool = True
    keep_alive_after: float | None = None

    def __init__(self, manner: Manner, *, present: Present | None = None, pace: Pace | None = None) -> None:
        self.name = manner.name
        self.url = f"{manner.account.socket_url}/realtime?model={manner.model}"
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {manner.account.key}"}
        self.renew_after = manner.renew_after
        self._manner = manner
        self._commits = Commits(manner.languages, present)
        self._pace = pace or Pace()
        self._items = Items()
        self._told: tuple[str, tuple[ToolSpec, ...]] = ("", ())
        """The instructions and tools that the session has."""
        self._answer: Answer | None = None
        self._waiting: Answer | None = None
        self._asked = 0

    @property
    def owes(self) -> bool:
        return self._commits.owes or self._answer is not None

    def renewed(self) -> "RealtimeSession":
        return RealtimeSession(self._manner, present=self._commits.present, pace=self._pace)

    # --- hearing ---------------------------------------------------------------------------------

    def opened(self) -> Iterable[Wire]:
        return [json.dumps({"type": "session.update", "session": self._manner.session()})]

    def start(self, utterance: int) -> Iterable[Wire]:
        return self._commits.start(utterance)

    def audio(self, audio: bytes) -> Iterable[Wire]:
        return self._commits.audio(audio)

    def flush(self) -> Iterable[Wire | Transcribed]:
        said = list(self._commits.flush())
        if COMMIT in said:
            self._items.said()
        return said

    def keep_alive(self) -> Iterable[Wire]:
        return []

    def closing(self) -> Iterable[Wire]:
        return []

    def lost(self, error: ProviderError) -> None:
        """The connection is over."""
        for answer in (self._answer, self._waiting):
            if answer is not None and not answer.dropped:
                answer.tell(error)
        self._answer = self._waiting = None

    # --- answering -------------------------------------------------------------------------------

    def ask(self, prompt: Prompt, tell: Tell) -> tuple[Answer, Iterable[Wire]]:
        """An answer to a prompt, told to ``tell``. The vendor gives one at a time: this one waits for the one
        before, which was dropped, to be over."""
        self._asked += 1
        answer = Answer(self._asked, prompt, tell)
        if self._answer is None:
            return answer, list(self._begin(answer))
        self._waiting = answer
        return answer, []

    def drop(self, answer: Answer) -> Iterable[Wire]:
        """Nobody wants it any more; nothing is told of it from now on."""
        answer.dropped = True
        if self._waiting is answer:
            self._waiting = None
        if self._answer is not answer:
            return []
        of = {"response_id": answer.id} if answer.id else {}
        return [json.dumps({"type": "response.cancel", "event_id": f"drop_{answer.number}", **of})]

    def _begin(self, answer: Answer) -> Iterator[Wire]:
        self._answer = answer
        prompt = answer.prompt
        if self._told != (prompt.instructions, prompt.tools):
            self._told = (prompt.instructions, prompt.tools)
            session = self._manner.session(prompt.instructions, prompt.tools)
            yield json.dumps(
                {"type": "session.update", "event_id": f"ask_{answer.number}.session", "session": session}
            )
        for number, step in enumerate(self._items.agree(prompt.messages)):
            yield json.dumps({"event_id": f"agree_{answer.number}.{number}", **_wire(step)})
        yield json.dumps({"type": "response.create", "event_id": f"ask_{answer.number}"})

    def _over(self) -> Iterable[Wire]:
        """The vendor is done with the present answer."""
        self._answer = None
        waiting, self._waiting = self._waiting, None
        return list(self._begin(waiting)) if waiting is not None else []

    # --- what the server says --------------------------------------------------------------------

    def received(self, message: Wire) -> Iterable[Wire | Transcribed]:
        try:
            event = _DECODER.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise no_event(self.name) from error
        if event.type == "error":
            return self._error(event.error or Error())
        if event.type.startswith("response."):
            return self._response(event)
        match event.type:
            case "input_audio_buffer.committed":
                self._items.acknowledged(event.item_id)
            case "conversation.item.input_audio_transcription.completed":
                self._items.transcribed(event.item_id, event.transcript)
            case "conversation.item.input_audio_transcription.failed":
                raise session_failure(self.name, event.error or Error())
        return self._commits.take(event)

    def _response(self, event: _Event) -> Iterable[Wire]:
        answer = self._answer
        if answer is None:
            return []
        if event.type == "response.created" and event.response is not None:
            answer.id = event.response.id
            return []
        if event.type == "response.done" and event.response is not None:
            if not answer.dropped:
                self._finish(answer, event.response)
            return self._over()
        item = event.item or _Item()
        match event.type:
            case "response.output_item.added" if item.type == "message":
                self._items.answering(item.id)
            case "response.output_item.added" if item.type == "function_call":
                self._items.called(item.id, item.call_id)
            case _ if answer.dropped:
                pass
            case "response.output_audio_transcript.delta":
                self._uttering(answer, event.item_id).words(event.delta or "")
            case "response.output_audio.delta":
                uttering = self._uttering(answer, event.item_id)
                self._say(answer, event.item_id, uttering.sound(self._audio(event.delta or "")))
            case "response.output_text.delta" if event.delta:
                answer.tell(Words(event.delta))
            case "response.output_item.done" if item.type == "message":
                self._end(answer, item.id)
            case "response.output_item.done" if item.type == "function_call":
                answer.calls.append(ToolCall(item.call_id, item.name, item.arguments or "{}"))
        return []

    def _audio(self, delta: str) -> bytes:
        try:
            return b64decode(delta, validate=True)
        except ValueError as error:
            raise no_event(self.name) from error

    def _uttering(self, answer: Answer, item: str) -> Uttering:
        return answer.uttering.setdefault(item, Uttering(self._pace))

    def _say(self, answer: Answer, item: str, speech: Speech | None) -> None:
        if speech is None:
            return
        begins = answer.uttering[item].given - speech.seconds
        for word in speech.words:
            self._items.answered(item, word.word, begins + word.end)
        answer.tell(speech)

    def _end(self, answer: Answer, item: str) -> None:
        if item in answer.uttering:
            self._say(answer, item, answer.uttering[item].finish())

    def _finish(self, answer: Answer, response: _Response) -> None:
        for item in answer.uttering:
            self._end(answer, item)
        for call in answer.calls:
            answer.tell(call)
        details = response.status_details or _Details()
        if response.status == "failed":
            answer.tell(session_failure(self.name, details.error or Error(type="server_error")))
        elif response.status == "cancelled":
            told = f"{self.name}: the answer was cancelled, and not by us"
            answer.tell(ProviderError(told, retryable=True, trouble=Trouble.CUT, provider=self.name))
        else:
            usual = Ending.TOOL_CALLS if answer.calls else Ending.STOP
            answer.tell(Finished(_ENDINGS.get(details.reason or "", usual), _tokens(response.usage)))

    def _error(self, error: Error) -> Iterable[Wire | Transcribed]:
        """Most errors are about one message of ours, and the session goes on."""
        about, _, number = (error.event_id or "").partition("_")
        if error.code == "input_audio_buffer_commit_empty":
            due = self._commits.nothing_committed()
            if due is not None:
                self._items.nothing_said()
                return due
        if about in ("agree", "drop"):
            log.info("a model's own memory of the call was not changed", provider=self.name, code=error.code)
            return []
        answer = self._answer
        if about == "ask" and answer is not None and number.partition(".")[0] == str(answer.number):
            if not answer.dropped:
                answer.tell(session_failure(self.name, error))
            answer.dropped = True
            if not number.endswith(".session"):
                return self._over()
            self._told = ("", ())  # the session is as it was: who asks next says again who it is
            return []
        raise session_failure(self.name, error)


def _wire(step: Step) -> dict[str, Any]:
    match step:
        case Delete(id):
            return {"type": "conversation.item.delete", "item_id": id}
        case Truncate(id, seconds):
            ended = {"content_index": 0, "audio_end_ms": int(seconds * 1000)}
            return {"type": "conversation.item.truncate", "item_id": id, **ended}
        case Create(id, message, after):
            place = {} if after is None else {"previous_item_id": after or "root"}
            return {"type": "conversation.item.create", **place, "item": {"id": id, **_item(message)}}


def _item(message: Message) -> dict[str, Any]:
    if message.calls:
        (call,) = message.calls
        called = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        return {"type": "function_call", **called}
    if message.role is Role.TOOL:
        return {"type": "function_call_output", "call_id": message.call_id, "output": message.text}
    role, kind = _ROLES[message.role]
    return {"type": "message", "role": role, "content": [{"type": kind, "text": message.text}]}


def _tokens(usage: _Usage | None) -> TokenUsage | None:
    if usage is None or usage.input_token_details is None or usage.output_token_details is None:
        return None
    read, written = usage.input_token_details, usage.output_token_details
    cached = read.cached_tokens_details or _Tokens()
    return TokenUsage(
        read.text_tokens or 0,
        cached.text_tokens or 0,
        written.text_tokens or 0,
        read.audio_tokens or 0,
        cached.audio_tokens or 0,
        written.audio_tokens or 0,
    )
