"""The ports: what an adapter must be able to do. Adapters satisfy them by shape.

All audio that crosses a port is mu-law at 8 kHz, the call's own format; an adapter whose model
wants another rate converts inside.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Transcribed:
    """Words of one utterance, as far as they are known.

    ``utterance`` is the number given to ``start``. A later event of the same utterance replaces an
    earlier one, whole. ``final`` means: this is what was said up to the last ``flush``; when the
    caller goes on in the same utterance another final follows. ``language`` is set by adapters that
    identify it (ISO 639-1), and ``confidence`` (0..1) by those that know it. ``turn_over`` is the vendor's
    own confidence (0..1) that the caller's turn is over, None from those that do not judge that.
    """

    utterance: int
    text: str
    final: bool
    language: str | None = None
    confidence: float | None = None
    turn_over: float | None = None


@runtime_checkable
class SpeechToText(Protocol):
    """Hears one call. ``start``, ``send`` and ``flush`` never wait and never raise on a dead vendor:
    trouble comes out of ``events`` as a ``ProviderError``."""

    @property
    def cuts(self) -> bool:
        """What follows a ``flush`` is heard apart from what came before it, so one in mid-word costs the
        word."""

    def start(self, utterance: int) -> None:
        """A new utterance begins with the next ``send``; the numbers rise."""

    def send(self, audio: bytes) -> None:
        """Mu-law of the current utterance, any length."""

    def flush(self) -> None:
        """The caller paused: report a final of everything sent since ``start``. May be called again."""

    def events(self) -> AsyncIterator[Transcribed]:
        """Partials and finals until ``aclose``."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WordTime:
    """One word of the text that was given to ``speak``: seconds from the start of its ``Speech``."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of spoken audio: mu-law at 8 kHz, and the words in it.

    ``words`` covers the words of ``text`` (split at white space) in order, or is empty when the voice
    does not know them.
    """

    text: str
    audio: bytes
    words: tuple[WordTime, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.audio) / 8000


@runtime_checkable
class TextToSpeech(Protocol):
    """Speaks in one voice. ``name`` identifies voice and settings: it is part of the cache's key."""

    name: str
    language: str

    def speak(self, text: str) -> AsyncGenerator[Speech]:
        """Audio for ``text`` (already in words a voice can read), piece by piece as it is ready.

        Joined, the pieces' ``text`` has the same words in the same order. Raises ``ProviderError``.
        Closing the iterator stops the work.
        """


# --- language models -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that the model may call. ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a function called. ``arguments`` is its JSON, whole and unchecked; ``id`` is never
    empty (an adapter makes one up for servers that give none)."""

    id: str
    name: str
    arguments: str


class Role(StrEnum):
    CALLER = "caller"
    AGENT = "agent"
    TOOL = "tool"
    """The result of the call whose id is ``call_id``."""
    NOTE = "note"
    """From us to the model, in mid-conversation: who takes over, what was found in the documents."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    """Of an agent's message: what it called."""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model. What stays the same from turn to turn stands first, byte for byte, so that
    vendors can cache it: ``instructions``, then ``tools``; ``cache_key`` names that prefix."""

    instructions: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    cache_key: str = ""
    most_tokens: int = 400


@dataclass(frozen=True, slots=True)
class Words:
    """The next piece of the text."""

    text: str


class Ending(StrEnum):
    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    """The answer was longer than it may be."""
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """``cached`` are those of ``read`` that the vendor had in its cache. Tokens of audio are counted apart,
    and are not among these."""

    read: int
    cached: int
    written: int
    audio_read: int = 0
    audio_cached: int = 0
    audio_written: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The last piece. ``usage`` is None when the server does not tell."""

    ending: Ending
    usage: TokenUsage | None = None


Piece = Words | Speech | ToolCall | Finished


@runtime_checkable
class LanguageModel(Protocol):
    """Any number of calls share one. ``name`` is as in settings: ``openai:gpt-5.4-mini``."""

    name: str

    def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        """Text as it comes, tool calls whole (in the order of their first fragment), and ``Finished`` last.
        A model that speaks by itself gives ``Speech`` instead of ``Words``.

        Raises ``ProviderError``. Closing the iterator closes the vendor's stream.
        """


@runtime_checkable
class SpeechToSpeech(LanguageModel, Protocol):
    """A model that hears the caller by itself and answers in a voice of its own; each call has one.

    It is asked like any ``LanguageModel``, once it has ears. A prompt tells the call as it was heard: what
    the model has in mind of it, as sound, is made to agree with that before it answers.
    """

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        """Its ears, on a line of their own that takes the place of the one before. See ``Hearing``."""


@runtime_checkable
class Connecting(Protocol):
    """An adapter that can open ahead what its next request would wait for."""

    async def connect(self) -> None:
        """Does little when it is open already. Raises ``ProviderError``."""


class Embedder(Protocol):
    """Turns sentences into unit vectors whose dot product ranks likeness (rank, do not threshold)."""

    def embed(self, texts: Sequence[str], *, query: bool) -> NDArray[np.float32]:
        """float32 [len(texts), dimensions]. Blocking, about 15 ms a sentence: call it in a thread."""


class SpeechDetector(Protocol):
    """Speech probability per 32 ms chunk for many calls at once; owns no call's state."""

    def look(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """All that can be said of each chunk by itself, [B, any]: ``chunks`` are float32 [B, 288] (32 samples
        of context, then 256 new, at 8 kHz), in any order, several of one call among them."""

    def listen(
        self, looks: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The next chunk of each call: what ``look`` said of it, and ``states`` float32 [2, B, 128] from the
        chunk before -> probabilities float32 [B] and the new states."""
