"""What a vendor must say of its sockets for many contexts. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from callbot.errors import ProviderError
from callbot.providers.tts.word_borders import Character


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio of a context, and its characters if the voice told.

    Their times are from the start of the chunk, or ``of_text`` from the start of the text; then they may come
    without audio, before or after that which they are of. If after, a piece may end with the beginning of a
    word that counts as the next one's: a little more is heard than counts, never less.
    """

    audio: bytes
    characters: tuple[Character, ...]
    of_text: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """News of one context; ``final`` is its last, and so is an ``error``, which ends the context alone."""

    context: str
    chunk: Chunk = Chunk(b"", ())
    final: bool = False
    error: ProviderError | None = None


class Dialect(Protocol):
    """What a vendor's messages mean. No I/O."""

    most_contexts: int
    """That the vendor takes on one socket."""
    counts_to_the_end: bool
    """A context takes its place until its last message has come, also if it was cancelled."""
    goodbye: Mapping[str, Any] | None
    """To be sent before a socket is closed."""

    def say(self, context: str, text: str) -> Sequence[Mapping[str, Any]]:
        """All that it takes to have ``text`` spoken in a new context."""

    def sounds(self, context: str) -> Mapping[str, Any] | None:
        """Its first audio has come: what is to be sent then, so that its last message comes."""

    def cancel(self, context: str, *, sounds: bool) -> Mapping[str, Any] | None:
        """Ends a context at once, if the vendor can. ``sounds``: some audio of it has come."""

    def received(self, provider: str, message: str | bytes) -> Received:
        """Raises ``ProviderError`` for what ends the connection, and for what is no message."""
