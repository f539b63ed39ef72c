"""Cartesia's voices (Sonic) over its WebSocket: ``cartesia:sonic-3/VOICE/language``.

https://docs.cartesia.ai/api-reference/tts/websocket and https://docs.cartesia.ai/use-the-api/tts-websocket/contexts

One socket carries dozens of contexts. How many may speak at once depends on the plan of the account, and is
told by an error (429) of the context that is one too many; a cancelled context counts no more.
"""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from callbot.errors import ProviderError
from callbot.media_stream.audio import RATE
from callbot.providers.failures import from_status
from callbot.providers.registry import Models
from callbot.providers.sockets import secure
from callbot.providers.tts.context_dialect import Chunk, Received
from callbot.providers.tts.context_socket import Line
from callbot.providers.tts.context_sockets import Sockets
from callbot.providers.tts.context_voice import ContextVoice
from callbot.providers.tts.raw_audio import bad_format
from callbot.providers.tts.voice_names import model_voice_language
from callbot.providers.tts.word_borders import Character

VERSION: Final = "2026-08-14"
"""Of the interface: the one that the vendor's SDK 4.2 speaks."""
MODEL: Final = "sonic-3"
VOICE: Final = "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"
TIMES_WITHIN: Final = 0.6
"""Seconds of audio in which the first word's time should have come; some languages have none."""


class Contexts:
    """A ``Dialect``: one request is one context, whole (``continue: false``)."""

    most_contexts = 24
    """That the vendor's documentation calls dozens."""
    counts_to_the_end = False
    goodbye: Mapping[str, Any] | None = None

    def __init__(self, model: str, voice: str, language: str) -> None:
        self._always = {
            "model_id": model,
            "voice": {"mode": "id", "id": voice},
            "language": language,
            "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": RATE},
            "add_timestamps": True,
            "max_buffer_delay_ms": 0,  # nothing more is to come
            "continue": False,
        }

    def say(self, context: str, text: str) -> Sequence[Mapping[str, Any]]:
        return ({"context_id": context, "transcript": text, **self._always},)

    def sounds(self, context: str) -> None:
        return None

    def cancel(self, context: str, *, sounds: bool) -> Mapping[str, Any]:
        return {"context_id": context, "cancel": True}

    def received(self, provider: str, message: str | bytes) -> Received:
        """An error that names no context is one of the connection, and raised."""
        try:
            data = json.loads(message)
            context = str(data.get("context_id") or "")
            match data["type"]:
                case "chunk":
                    return Received(context, Chunk(base64.b64decode(data["data"], validate=True), ()))
                case "timestamps":
                    return Received(context, Chunk(b"", _words(data), of_text=True))
                case "done":
                    return Received(context, final=True)
                case "error":
                    error = _told(provider, data)
                case _:  # flush_done, and what may be added
                    return Received(context)
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            raise bad_format(provider, "a message that is none") from wrong
        if not context:
            raise error
        return Received(context, error=error)


def _words(data: Mapping[str, Any]) -> tuple[Character, ...]:
    """Word by word, with a space after each; seconds from the start of the context."""
    times = data.get("word_timestamps") or {"words": (), "start": (), "end": ()}
    return tuple(
        character
        for word, start, end in zip(times["words"], times["start"], times["end"], strict=True)
        for character in ((str(word), float(start), float(end)), (" ", float(end), float(end)))
    )


def _told(provider: str, data: Mapping[str, Any]) -> ProviderError:
    """``title`` and ``message`` stay behind: they may quote the text."""
    request = {"request-id": str(data.get("request_id") or "")}
    status, word = int(data.get("status_code") or 500), str(data.get("error_code") or "")
    return from_status(provider, status, word, headers=request)


def voice(name: str, models: Models) -> ContextVoice:
    """For the registry. Its sockets are opened when they are needed, and closed with ``models``.

    Raises ``Unconfigured``, and ``ConfigurationError`` for a name of too many parts.
    """
    model, spoken_by, language = model_voice_language(name, model=MODEL, voice=VOICE)
    account = models.accounts["cartesia"]
    url = f"{account.socket_url}/tts/websocket"
    headers = {"Authorization": f"Bearer {account.key}", "Cartesia-Version": VERSION}

    def sockets() -> Sockets:
        secure(url)
        line = Line(Contexts(model, spoken_by, language), name, url, headers)
        opened = Sockets(line, prefix=f"{uuid.uuid4().hex[:12]}-")
        models.on_close(opened.aclose)
        return opened

    return ContextVoice(name, models.once(name, sockets), language=language, times_within=TIMES_WITHIN)
