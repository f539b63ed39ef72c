"""ElevenLabs' voices over its WebSocket for many contexts: with words' times, on sockets that calls share.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from callbot.providers.registry import Models
from callbot.providers.sockets import secure
from callbot.providers.tts.context_socket import Line
from callbot.providers.tts.context_sockets import Sockets
from callbot.providers.tts.context_voice import ContextVoice
from callbot.providers.tts.elevenlabs_messages import Contexts
from callbot.providers.tts.voice_names import model_voice_language

FORMAT: Final = "ulaw_8000"
INACTIVITY_TIMEOUT: Final = 180
"""Seconds: the longest that the vendor allows."""
MODEL: Final = "eleven_flash_v2_5"
VOICE: Final = "JBFqnCBsd6RMkjVDRZzb"
_TOLD_THE_LANGUAGE: Final = ("eleven_flash_v2_5", "eleven_turbo_v2_5")
"""Other models find it out by themselves, or speak English alone."""


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
        return cls(name, *model_voice_language(name, model=MODEL, voice=VOICE))

    @property
    def language_code(self) -> dict[str, str]:
        """The parameter of a request, for the models that take it."""
        return {"language_code": self.language} if self.model in _TOLD_THE_LANGUAGE else {}


def voice(name: str, models: Models) -> ContextVoice:
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
        secure(url)
        headers = {"xi-api-key": account.key}
        opened = Sockets(Line(Contexts(), choice.name, f"{url}?{urlencode(query)}", headers))
        models.on_close(opened.aclose)
        return opened

    return ContextVoice(choice.name, models.once(name, sockets), language=choice.language)
