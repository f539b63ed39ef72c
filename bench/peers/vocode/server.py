# ruff: noqa: E402
# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any, allow-untyped-decorators
"""A vocode bot that answers Twilio Media Streams, for the benchmark to compare with.

    python server.py --port PORT --voice REPLY.ulaw

It is vocode's ``TelephonyServer`` router on FastAPI, as in its telephony example, with its configuration kept
in memory (it offers that beside Redis) and the vendors replaced by stand-ins that take no time. It listens at
``/connect_call/ANYTHING``: the webhook that would name the call answers with a ``wss`` address of one's own
domain, and the benchmark has none. What was chosen where vocode lets one choose:

- vocode leaves voice activity and the end of a turn to the vendor that transcribes, so its stand-in has an
  energy gate (-50 dBFS) and no neural detector. 200 ms of sound are an interim transcript, which interrupts
  the bot: vocode waits for a word, and words are no shorter. 200 ms of quiet are the final transcript, which
  is answered at once. When a barge-in is noticed is therefore this stand-in's doing; how soon after that the
  audio is cleared is vocode's own.
- ``interrupt_sensitivity`` is "high", or it would take the first three words for a backchannel.
- The agent answers with one sentence; the voice hands over the whole recording, in the pieces of 0.1 s that
  vocode asks its voices for, at once. Its cache of audio in Redis is not asked. The second of silence that
  vocode puts before the answer to an interruption is left out, or every such answer would come in two parts
  with a gap between them, and count as an underrun.
- No idle timeout, no events, no Sentry; log level WARNING.
- Two things that vocode does at import are kept from it: fetching a tokenizer from the network (only vendors'
  voices use it), and loading PortAudio (only its desktop speaker uses it, and servers have none).
- uvloop, and of the WebSocket protocols that its uvicorn has the faster; one process; what was imported is
  frozen, so that garbage collection, which stops all calls, has less to go through.

A program of its own, run by the interpreter of its own environment: it imports nothing of callbot.
"""

import argparse
import asyncio
import audioop
import gc
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from types import ModuleType

import nltk

nltk.download = lambda *_asked, **_how: True
sys.modules["sounddevice"] = ModuleType("sounddevice")

import uvicorn
from fastapi import FastAPI
from loguru import logger
from vocode.streaming.agent.abstract_factory import AbstractAgentFactory
from vocode.streaming.agent.base_agent import GeneratedResponse, RespondAgent
from vocode.streaming.models.agent import AgentConfig
from vocode.streaming.models.message import BaseMessage, SilenceMessage
from vocode.streaming.models.synthesizer import SynthesizerConfig
from vocode.streaming.models.telephony import BaseCallConfig, TwilioCallConfig, TwilioConfig
from vocode.streaming.models.transcriber import TranscriberConfig, Transcription
from vocode.streaming.synthesizer.abstract_factory import AbstractSynthesizerFactory
from vocode.streaming.synthesizer.base_synthesizer import BaseSynthesizer, CachedAudio, SynthesisResult
from vocode.streaming.telephony.config_manager.in_memory_config_manager import InMemoryConfigManager
from vocode.streaming.telephony.server.base import TelephonyServer
from vocode.streaming.transcriber.abstract_factory import AbstractTranscriberFactory
from vocode.streaming.transcriber.base_transcriber import BaseAsyncTranscriber

HEARD = "I would like to know where my order is."
ANSWER = "Your order has left the warehouse and should be with you tomorrow."
LOUD = 104
"""The root mean square that is sound: -50 dBFS."""
STARTS_AFTER, ENDS_AFTER = 10, 10
"""Frames of 20 ms, with sound and without."""


class EarsConfig(TranscriberConfig, type="transcriber_stand_in"):  # type: ignore[call-arg]
    pass


class ModelConfig(AgentConfig, type="agent_stand_in"):  # type: ignore[call-arg]
    pass


class VoiceConfig(SynthesizerConfig, type="synthesizer_stand_in"):  # type: ignore[call-arg]
    pass


class Ears(BaseAsyncTranscriber[EarsConfig]):
    """Hears the same sentence in every utterance."""

    async def _run_loop(self) -> None:
        speaking, loud, quiet = False, 0, 0
        while True:
            try:
                frame = await self._input_queue.get()
            except asyncio.CancelledError:
                return
            if audioop.rms(audioop.ulaw2lin(frame, 2), 2) >= LOUD:
                loud, quiet = loud + 1, 0
                if not speaking and loud >= STARTS_AFTER:
                    speaking = True
                    self._say(is_final=False)
            else:
                quiet += 1
                if quiet >= ENDS_AFTER:
                    if speaking:
                        self._say(is_final=True)
                    speaking, loud = False, 0

    def _say(self, *, is_final: bool) -> None:
        self.produce_nonblocking(Transcription(message=HEARD, confidence=1.0, is_final=is_final))


class Model(RespondAgent[ModelConfig]):
    """Answers whatever it is asked with one sentence."""

    async def generate_response(
        self,
        human_input: str,
        conversation_id: str,
        is_interrupt: bool = False,
        bot_was_in_medias_res: bool = False,
    ) -> AsyncGenerator[GeneratedResponse, None]:
        yield GeneratedResponse(message=BaseMessage(text=ANSWER), is_interruptible=True)


class Voice(BaseSynthesizer[VoiceConfig]):
    """Speaks the same recording, whatever the text."""

    def __init__(self, config: VoiceConfig, recording: bytes) -> None:
        super().__init__(config)
        self._recording = recording

    async def get_cached_audio(self, message: BaseMessage) -> CachedAudio | None:
        return None

    async def create_speech(
        self,
        message: BaseMessage,
        chunk_size: int,
        is_first_text_chunk: bool = False,
        is_sole_text_chunk: bool = False,
    ) -> SynthesisResult | None:
        if isinstance(message, SilenceMessage):
            return None
        return await super().create_speech(message, chunk_size, is_first_text_chunk, is_sole_text_chunk)

    async def create_speech_uncached(
        self,
        message: BaseMessage,
        chunk_size: int,
        is_first_text_chunk: bool = False,
        is_sole_text_chunk: bool = False,
    ) -> SynthesisResult:
        async def pieces() -> AsyncGenerator[SynthesisResult.ChunkResult, None]:
            for at in range(0, len(self._recording), chunk_size):
                last = at + chunk_size >= len(self._recording)
                yield SynthesisResult.ChunkResult(self._recording[at : at + chunk_size], last)

        def said_until(seconds: float | None) -> str:
            if seconds is None:
                return ANSWER
            text: str = self.get_message_cutoff_from_total_response_length(
                self.synthesizer_config, message, seconds, len(self._recording)
            )
            return text

        return SynthesisResult(pieces(), said_until)


class StandIns(AbstractTranscriberFactory, AbstractAgentFactory, AbstractSynthesizerFactory):
    """Makes the three for each call."""

    def __init__(self, recording: bytes) -> None:
        self._recording = recording

    def create_transcriber(self, transcriber_config: EarsConfig) -> Ears:
        return Ears(transcriber_config)

    def create_agent(self, agent_config: ModelConfig) -> Model:
        return Model(agent_config)

    def create_synthesizer(self, synthesizer_config: VoiceConfig) -> Voice:
        return Voice(synthesizer_config, self._recording)


class SameForAll(InMemoryConfigManager):
    """Every call is configured alike, so none has to be announced by a webhook."""

    async def get_config(self, conversation_id: str) -> BaseCallConfig:
        return TwilioCallConfig(
            transcriber_config=EarsConfig.from_telephone_input_device(),
            agent_config=ModelConfig(
                initial_message=BaseMessage(text=ANSWER),
                interrupt_sensitivity="high",
                allowed_idle_time_seconds=24 * 3600,
            ),
            synthesizer_config=VoiceConfig.from_telephone_output_device(),
            twilio_config=TwilioConfig(account_sid="AC" + 32 * "0", auth_token="none"),
            twilio_sid="CA" + 32 * "0",
            from_phone="+15550142",
            to_phone="+15550100",
            direction="inbound",
        )


def application(voice: bytes) -> FastAPI:
    stand_ins = StandIns(voice)
    server = TelephonyServer(
        base_url="example.com",
        config_manager=SameForAll(),
        transcriber_factory=stand_ins,
        agent_factory=stand_ins,
        synthesizer_factory=stand_ins,
    )
    app = FastAPI()
    app.include_router(server.get_router())
    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--voice", type=Path, required=True, help="what it says: mu-law, 8 kHz, no header")
    asked = parser.parse_args()
    logger.remove()
    logger.add(lambda line: print(line, end=""), level="WARNING")
    gc.collect()
    gc.freeze()
    uvicorn.run(
        application(asked.voice.read_bytes()),
        host="127.0.0.1",
        port=asked.port,
        loop="uvloop",
        ws="websockets",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
