"""The voice of OpenAI's realtime models, for words that are given: greetings, and what flows and the call
say.

So an agent that such a model speaks for has one voice in all that it says. A model is asked to read aloud and
may do something else; so what it says it has said is compared with the text before anything of it is given
out.
"""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncGenerator
from difflib import SequenceMatcher
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_socket
from callbot.providers.ports import Speech
from callbot.providers.registry import Models
from callbot.providers.sockets import close, connect, secure
from callbot.providers.speech_to_speech.items import plain_words
from callbot.providers.speech_to_speech.openai import MODEL, VOICE, without_transcriber
from callbot.providers.speech_to_speech.openai_session import MULAW
from callbot.providers.stt.openai import Error, no_event, session_failure
from callbot.providers.tts.openai import Parts
from callbot.providers.tts.pieces import pieces
from callbot.providers.tts.voice_names import model_voice_language
from callbot.vendors import Account

CONNECT_WITHIN: Final = 2.0
NEXT_WITHIN: Final = 2.0
CLOSE_WITHIN: Final = 1.0
TRIES: Final = 2
ALIKE: Final = 0.8
"""The share of words that must be those of the text: "$5" may be told as "five dollars"."""
_PART: Final = 4_000  # bytes that are given out at a time

_READ: Final = (
    "You lend your voice to a text. Read aloud what stands between the quotation marks, word for word, in "
    "the manner of a friendly person on the telephone. Add nothing, leave nothing out, and do not answer it."
)


class _Details(msgspec.Struct):
    error: Error | None = None


class _Response(msgspec.Struct):
    status: str = ""
    status_details: _Details | None = None


class _Event(msgspec.Struct):
    type: str
    delta: str = ""
    error: Error | None = None
    response: _Response | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)


class OpenAiRealtimeVoice:
    """A ``TextToSpeech``."""

    def __init__(self, name: str, account: Account, *, model: str, voice: str, language: str) -> None:
        self.name = name
        self.language = language
        self._url = f"{account.socket_url}/realtime?model={model}"
        self._headers = {"Authorization": f"Bearer {account.key}"}
        self._voice = voice
        secure(self._url)

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        for piece in pieces(text):
            if not any(letter.isalnum() for letter in piece.text):
                yield Speech(piece.text, b"")
                continue
            parts, audio = Parts(piece.text), await self._read_aloud(piece.text)
            for at in range(0, len(audio), _PART):
                for part in parts.feed(audio[at : at + _PART]):
                    yield part
            yield parts.finish()

    async def _read_aloud(self, text: str) -> bytes:
        """All of it, and nothing else. Raises ``ProviderError``."""
        for _ in range(TRIES):
            audio, said = await self._session(text)
            if audio and _alike(said, text):
                return audio
        trouble = Trouble.BAD_FORMAT if audio else Trouble.EMPTY
        told = f"{self.name}: it does not read what it is given"
        raise ProviderError(told, retryable=True, trouble=trouble, provider=self.name)

    async def _session(self, text: str) -> tuple[bytes, str]:
        """Audio and transcript."""
        socket: ClientConnection | None = None
        try:
            socket = await connect(
                self._url, self._headers, within=CONNECT_WITHIN, close_within=CLOSE_WITHIN, largest=None
            )
            for message in self._messages(text):
                await socket.send(json.dumps(message))
            return await self._collect(socket)
        except (WebSocketException, OSError, TimeoutError) as error:
            raise from_socket(self.name, error, connected=socket is not None) from error
        finally:
            if socket is not None:
                await close(socket, within=CLOSE_WITHIN)

    def _messages(self, text: str) -> list[dict[str, Any]]:
        session = {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": _READ,
            "audio": {
                "input": {"format": MULAW, "turn_detection": None},
                "output": {"format": MULAW, "voice": self._voice},
            },
        }
        content = [{"type": "input_text", "text": f'"{text}"'}]
        item = {"type": "message", "role": "user", "content": content}
        return [
            {"type": "session.update", "session": session},
            {"type": "conversation.item.create", "item": item},
            {"type": "response.create"},
        ]

    async def _collect(self, socket: ClientConnection) -> tuple[bytes, str]:
        audio, said = bytearray(), ""
        while True:
            async with asyncio.timeout(NEXT_WITHIN):
                message = await socket.recv()
            try:
                event = _DECODER.decode(message)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise no_event(self.name) from error
            match event.type:
                case "response.output_audio.delta":
                    audio += b64decode(event.delta)
                case "response.output_audio_transcript.delta":
                    said += event.delta
                case "error":
                    raise session_failure(self.name, event.error or Error())
                case "response.done" if event.response is not None and event.response.status == "failed":
                    details = event.response.status_details or _Details()
                    raise session_failure(self.name, details.error or Error(type="server_error"))
                case "response.done":
                    return bytes(audio), said


def _alike(said: str, text: str) -> bool:
    return SequenceMatcher(None, plain_words(said), plain_words(text), autojunk=False).ratio() >= ALIKE


def voice(name: str, models: Models) -> OpenAiRealtimeVoice:
    """For the registry: ``openai-realtime:model/voice/language``, each of which may be left out."""
    model, spoken_by, language = model_voice_language(name, model=MODEL, voice=VOICE)
    return OpenAiRealtimeVoice(
        name,
        models.accounts["openai"],
        model=without_transcriber(model),
        voice=spoken_by,
        language=language,
    )
