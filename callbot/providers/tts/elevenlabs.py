"""ElevenLabs' voices over its WebSocket for many contexts: with words' times, on sockets that calls share.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from ssl import create_default_context
from typing import Final
from urllib.parse import quote, urlencode

from callbot.errors import ConfigurationError, ProviderError, Trouble
from callbot.media_stream.audio import FRAME_BYTES, SILENCE, seconds
from callbot.providers.ports import Speech, WordTime
from callbot.providers.registry import Models
from callbot.providers.tts.elevenlabs_messages import Chunk
from callbot.providers.tts.elevenlabs_socket import Line
from callbot.providers.tts.elevenlabs_sockets import Sockets
from callbot.providers.tts.word_borders import Cutter, cutter

FORMAT: Final = "ulaw_8000"
INACTIVITY_TIMEOUT: Final = 180
"""Seconds: the longest that the vendor allows."""
MODEL: Final = "eleven_flash_v2_5"
VOICE: Final = "JBFqnCBsd6RMkjVDRZzb"
_TOLD_THE_LANGUAGE: Final = ("eleven_flash_v2_5", "eleven_turbo_v2_5")
"""Other models find it out by themselves, or speak English alone."""
_CONTAINERS: Final = (b"RIFF", b"ID3", b"OggS", b"fLaC")
_TOO_LONG: Final = (1.5, 0.25)
"""Audio that lasts so many times longer than its characters, and so many seconds, is of another rate."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a name in the settings chooses: ``elevenlabs:model/voice/language``, each of which may be left
    out. ``name`` is as it was set."""

    name: str
    model: str
    voice: str
    language: str

    @classmethod
    def of(cls, name: str) -> "Choice":
        """Raises ``ConfigurationError``."""
        given = name.partition(":")[2].split("/")
        if len(given) > 3:
            raise ConfigurationError(
                f"the voice {name!r} has too many parts; write {name.partition(':')[0]}:model/voice/language"
            )
        model, voice, language = (*given, *[""] * (3 - len(given)))
        return cls(name, model or MODEL, voice or VOICE, language or "en")

    @property
    def language_code(self) -> dict[str, str]:
        """The parameter of a request, for the models that take it."""
        return {"language_code": self.language} if self.model in _TOLD_THE_LANGUAGE else {}


def unspoken(text: str) -> Speech | None:
    """For a text in which there is nothing to say: the vendor answers it with nothing, or a noise."""
    words = text.split()
    if any(character.isalnum() for character in text):
        return None
    audio = SILENCE * FRAME_BYTES if words else b""
    return Speech(" ".join(words), audio, tuple(WordTime(word, 0.0, 0.0) for word in words))


def check_first(provider: str, audio: bytes) -> None:
    """Raises ``ProviderError`` if audio begins as a file would: then it is not raw mu-law."""
    if audio.startswith(_CONTAINERS):
        raise bad_format(provider, "a file where raw audio was asked for")


def bad_format(provider: str, detail: str) -> ProviderError:
    return ProviderError(
        f"{provider}: {detail}", retryable=True, trouble=Trouble.BAD_FORMAT, provider=provider
    )


def empty(provider: str) -> ProviderError:
    return ProviderError(f"{provider}: no audio", retryable=True, trouble=Trouble.EMPTY, provider=provider)


class ElevenLabsVoice:
    """A ``TextToSpeech``. Each text is a context of its own on a socket that others may share."""

    def __init__(self, choice: Choice, sockets: Sockets) -> None:
        self.name = choice.name
        self.language = choice.language
        self._sockets = sockets

    async def connect(self) -> None:
        """Opens a socket ahead of the first text. Raises ``ProviderError``."""
        await self._sockets.connect()

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        nothing = unspoken(text)
        if nothing is not None:
            if nothing.text:
                yield nothing
            return
        context = self._sockets.speak(" ".join(text.split()))
        try:
            cutting: Cutter | None = None
            length = _Length(self.name)
            while (chunk := await context.next()) is not None:
                if cutting is None:
                    check_first(self.name, chunk.audio)
                    cutting = cutter(text, chunk.characters)
                length.check(chunk)
                for speech in cutting.feed(chunk.audio, chunk.characters):
                    yield speech
            if cutting is None:
                raise empty(self.name)
            for speech in cutting.finish():
                yield speech
        except ProviderError:
            context.distrust()
            raise
        finally:
            context.leave()


class _Length:
    """Compares how long the audio is with how long its characters are said to last."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._heard = self._told = 0.0

    def check(self, chunk: Chunk) -> None:
        """Raises ``ProviderError``."""
        if not chunk.characters:
            return
        self._heard += seconds(chunk.audio)
        self._told += max(end for _, _, end in chunk.characters)
        times, more = _TOO_LONG
        if self._heard > times * self._told + more:
            raise bad_format(self._provider, "audio of another rate than was asked for")


def voice(name: str, models: Models) -> ElevenLabsVoice:
    """For the registry. Its sockets are opened when they are needed, and closed with ``models``."""
    choice = Choice.of(name)
    account = models.accounts["elevenlabs"]
    query = {
        "model_id": choice.model,
        "output_format": FORMAT,
        "auto_mode": "true",
        "sync_alignment": "true",
        "apply_text_normalization": "off",  # the text is in words already
        "inactivity_timeout": str(INACTIVITY_TIMEOUT),
    } | choice.language_code
    url = f"{account.socket_url}/v1/text-to-speech/{quote(choice.voice, safe='')}/multi-stream-input"

    def sockets() -> Sockets:
        secure = create_default_context() if url.startswith("wss") else None
        headers = {"xi-api-key": account.key}
        opened = Sockets(Line(choice.name, f"{url}?{urlencode(query)}", headers, secure))
        models.on_close(opened.aclose)
        return opened

    return ElevenLabsVoice(choice, models.once(name, sockets))
