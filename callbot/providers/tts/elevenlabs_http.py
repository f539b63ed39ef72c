"""ElevenLabs' voices over HTTP: a request for each text, and no words' times.

https://elevenlabs.io/docs/api-reference/text-to-speech/stream
"""

from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import quote

import httpx

from callbot.errors import ProviderError, Trouble
from callbot.providers.failures import from_status, word_of
from callbot.providers.ports import Speech
from callbot.providers.registry import Models
from callbot.providers.tts.elevenlabs import FORMAT, Choice
from callbot.providers.tts.raw_audio import check_first, empty, unspoken
from callbot.providers.tts.word_borders import Guessed

CONNECT_WITHIN: Final = 2.0
_TIMEOUT: Final = httpx.Timeout(None, connect=CONNECT_WITHIN)
_LIMITS: Final = httpx.Limits(max_connections=None, keepalive_expiry=60.0)


class ElevenLabsHttpVoice:
    """A ``TextToSpeech``. Closing the iterator closes the vendor's stream."""

    def __init__(self, choice: Choice, url: str, client: httpx.AsyncClient) -> None:
        self.name = choice.name
        self.language = choice.language
        self._choice = choice
        self._url = url
        self._client = client

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        nothing = unspoken(text)
        if nothing is not None:
            if nothing.text:
                yield nothing
            return
        cutting = Guessed(text)
        answered = heard = False
        try:
            async with self._client.stream("POST", self._url, json=self._asked(text)) as response:
                answered = True
                if response.status_code >= 400:
                    raise from_status(
                        self.name,
                        response.status_code,
                        word_of(await response.aread()),
                        headers=response.headers,
                    )
                async for audio in response.aiter_bytes():
                    if not heard:
                        check_first(self.name, audio)
                        heard = True
                    for speech in cutting.feed(audio, ()):
                        yield speech
        except httpx.HTTPError as error:
            raise ProviderError(
                f"{self.name}: {type(error).__name__}",
                retryable=True,
                trouble=Trouble.CUT if answered else Trouble.CONNECT,
                provider=self.name,
            ) from error
        if not heard:
            raise empty(self.name)
        for speech in cutting.finish():
            yield speech

    def _asked(self, text: str) -> dict[str, str]:
        return {
            "text": " ".join(text.split()),
            "model_id": self._choice.model,
            "apply_text_normalization": "off",  # the text is in words already
        } | self._choice.language_code


def voice(name: str, models: Models) -> ElevenLabsHttpVoice:
    """For the registry."""
    choice = Choice.of(name)
    account = models.accounts["elevenlabs"]
    url = f"{account.url}/v1/text-to-speech/{quote(choice.voice, safe='')}/stream"

    def client() -> httpx.AsyncClient:
        opened = httpx.AsyncClient(
            headers={"xi-api-key": account.key},
            params={"output_format": FORMAT},
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
        )
        models.on_close(opened.aclose)
        return opened

    return ElevenLabsHttpVoice(choice, url, models.once("elevenlabs-http", client))
