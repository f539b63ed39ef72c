"""What comes on the socket of an ElevenLabs voice (PROTOCOLS D4). No I/O."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_status
from callbot.providers.tts.context_dialect import Chunk, Received
from callbot.providers.tts.word_borders import Character

_STATUS: Final[Mapping[str, int]] = {
    "invalid_api_key": 401,
    "missing_permissions": 401,
    "quota_exceeded": 402,
    "max_active_conversations": 429,
    "too_many_concurrent_requests": 429,
    "rate_limit_exceeded": 429,
    "system_busy": 429,
    "input_timeout_exceeded": 408,
    "internal_server_error": 500,
}
"""What HTTP would say instead of the words that the socket has for its errors."""


class Contexts:
    """A ``Dialect``. The vendor takes five contexts on a socket, and counts each until it has sent its last
    message, also when it was closed before. That comes only for a context that was closed."""

    most_contexts = 5
    counts_to_the_end = True
    goodbye: Mapping[str, Any] | None = {"close_socket": True}

    def say(self, context: str, text: str) -> Sequence[Mapping[str, Any]]:
        return (
            {"text": " ", "context_id": context},
            {"text": f"{text} ", "context_id": context, "flush": True},
        )

    def sounds(self, context: str) -> Mapping[str, Any]:
        """From now on what was flushed is spoken all the same when it is closed, and the last message comes
        behind the last audio, whether somebody still listens or not. A close that overtakes the beginning of
        the audio ends the context without any (pipecat#4681, #5271)."""
        return {"context_id": context, "close_context": True}

    def cancel(self, context: str, *, sounds: bool) -> Mapping[str, Any] | None:
        return None if sounds else {"context_id": context, "close_context": True}

    def received(self, provider: str, message: str | bytes) -> Received:
        """Both spellings of the documentation are understood. Raises ``ProviderError`` for an error that is
        told, and for what is no message."""
        try:
            data = json.loads(message)
            context = str(data.get("contextId") or data.get("context_id"))
            chunk = Chunk(base64.b64decode(data.get("audio") or "", validate=True), _characters(data))
            final = bool(data.get("isFinal") or data.get("is_final"))
            word = str(data.get("error") or "")
        except (ValueError, TypeError, AttributeError) as error:
            raise ProviderError(
                f"{provider}: a message that is none",
                retryable=True,
                trouble=Trouble.BAD_FORMAT,
                provider=provider,
            ) from error
        if word:
            raise from_status(provider, _STATUS.get(word, 400), word)
        return Received(context, chunk, final)


def _characters(data: Mapping[str, Any]) -> tuple[Character, ...]:
    """Of the text as it was given, else as the vendor read it."""
    alignment = data.get("alignment") or data.get("normalizedAlignment")
    if not alignment:
        return ()
    characters = alignment.get("chars") or []
    starts = alignment.get("charStartTimesMs") or []
    lasting = alignment.get("charDurationsMs") or alignment.get("charsDurationsMs") or [0] * len(starts)
    return tuple(
        (str(character), start / 1000, (start + duration) / 1000)
        for character, start, duration in zip(characters, starts, lasting, strict=True)
    )
