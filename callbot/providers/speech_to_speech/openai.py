"""OpenAI's realtime models: each call has a session, which is its ears and its voice, and thinks."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from callbot.errors import InvalidState, ProviderError, Trouble
from callbot.providers.ports import Finished, Piece, Prompt, SpeechToSpeech, SpeechToText
from callbot.providers.registry import Models
from callbot.providers.sockets import secure
from callbot.providers.speech_to_speech.openai_session import Manner, RealtimeSession
from callbot.providers.stt.openai import RENEW_AFTER
from callbot.providers.stt.socket_ears import SocketEars
from callbot.providers.tts.voice_names import model_voice_language
from callbot.vendors import Account

MODEL: Final = "gpt-realtime-2.1"
VOICE: Final = "marin"
TRANSCRIBER: Final = "gpt-live-transcribe"
"""Hears the caller for our transcript, in the same session."""


class OpenAiRealtime:
    """A ``SpeechToSpeech``: one call's."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        model: str,
        voice: str,
        transcriber: str = TRANSCRIBER,
        renew_after: float = RENEW_AFTER,
    ) -> None:
        self.name = name
        self._account = account
        self._model = model
        self._voice = voice
        self._transcriber = transcriber
        self._renew_after = renew_after
        self._ears: SocketEars | None = None

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        manner = Manner(
            self.name,
            self._account,
            model=self._model,
            voice=self._voice,
            transcriber=self._transcriber,
            languages=tuple(languages),
            renew_after=self._renew_after,
        )
        self._ears = SocketEars(RealtimeSession(manner))
        return self._ears

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        """See ``LanguageModel``. An answer that is cut stays in the session's memory until the next prompt
        tells what was heard of it."""
        ears = self._ears
        if ears is None or not ears.working:
            raise ProviderError(
                f"{self.name}: no session is open",
                retryable=True,
                trouble=Trouble.CONNECT,
                provider=self.name,
            )
        session = ears.dialect
        if not isinstance(session, RealtimeSession):
            raise InvalidState(f"{self.name} hears with {type(session).__name__}")
        pieces: asyncio.Queue[Piece | ProviderError] = asyncio.Queue()
        answer, said = session.ask(prompt, pieces.put_nowait)
        ears.perform(said)
        try:
            while True:
                piece = await pieces.get()
                if isinstance(piece, ProviderError):
                    raise piece
                yield piece
                if isinstance(piece, Finished):
                    return
        finally:
            ears.perform(session.drop(answer))


def speech_to_speech(name: str, models: Models) -> Callable[[], SpeechToSpeech]:
    """For the registry: ``openai-realtime:model+transcriber/voice``, each of which may be left out."""
    model, voice, _ = model_voice_language(name, model=MODEL, voice=VOICE)
    account = models.accounts["openai"]
    secure(account.socket_url)
    transcriber = model.partition("+")[2] or TRANSCRIBER
    return lambda: OpenAiRealtime(
        name, account, model=without_transcriber(model), voice=voice, transcriber=transcriber
    )


def without_transcriber(model: str) -> str:
    """The model of ``model+transcriber``."""
    return model.partition("+")[0] or MODEL
