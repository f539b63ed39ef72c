# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any, allow-untyped-decorators
"""A pipecat bot that answers Twilio Media Streams, for the benchmark to compare with.

    python server.py --port PORT --voice REPLY.ulaw

It is pipecat's own Twilio example (FastAPI, one ``/ws`` route, ``FastAPIWebsocketTransport`` with
``TwilioFrameSerializer``, Silero in the user aggregator, 8 kHz in and out) with the vendors replaced by
stand-ins that take no time. Where pipecat lets one choose, what is cheapest or fastest was chosen:

- Silero at 8 kHz, as the line has it, so nothing is resampled. ``start_secs`` and ``stop_secs`` stay at the
  0.2 s that its documentation recommends.
- The turn ends by ``SpeechTimeoutUserTurnStopStrategy`` with no time on top of those 0.2 s, not by the
  default Smart Turn model, which would cost 60 ms of CPU a turn. Interruptions are on, as by default.
- The transcript is final the moment the voice activity detector says that the caller stopped; the model
  answers with one sentence, in one piece; the voice hands over the whole recording at once.
- Audio goes out in pieces of 100 ms, not of 40: less CPU, and no slower to interrupt.
- No metrics, turn tracking, idle timeout, RTVI (the protocol of its browser clients) or forced garbage
  collection, which its example has on or leaves on; log level WARNING.
- uvloop, and of uvicorn's WebSocket protocols the fastest; one process; what was imported is frozen, so that
  garbage collection does not go through it again and again.
- Automatic hang-up is off: there is no Twilio to ask for it.

A program of its own, run by the interpreter of its own environment: it imports nothing of callbot.
"""

import argparse
import audioop
import gc
from collections.abc import AsyncGenerator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

RATE = 8000
HEARD = "I would like to know where my order is."
ANSWER = "Your order has left the warehouse and should be with you tomorrow."


class Ears(STTService):
    """Hears the same sentence in every utterance, as soon as the caller stops speaking."""

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=0.0, settings=STTSettings(model=None, language=None))

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        return
        yield

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self.request_finalize()
            self.confirm_finalize()
            await self.push_frame(TranscriptionFrame(HEARD, "", time_now_iso8601()))


class Model(LLMService):
    """Answers whatever it is asked with one sentence."""

    def __init__(self) -> None:
        super().__init__(
            settings=LLMSettings(
                model=None,
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=False,
                user_turn_completion_config=None,
            )
        )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(ANSWER))
        await self.push_frame(LLMFullResponseEndFrame())


class Voice(TTSService):
    """Speaks the same recording, whatever the text."""

    def __init__(self, recording: bytes) -> None:
        super().__init__(
            sample_rate=RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self._recording = recording

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        yield TTSAudioRawFrame(self._recording, RATE, 1, context_id=context_id)


def pipeline(transport: FastAPIWebsocketTransport, voice: bytes) -> PipelineWorker:
    context = LLMContext([{"role": "user", "content": "Greet the caller."}])
    user, assistant = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(sample_rate=RATE, params=VADParams(start_secs=0.2, stop_secs=0.2)),
            user_turn_strategies=UserTurnStrategies(
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)]
            ),
        ),
    )
    steps = [transport.input(), Ears(), user, Model(), Voice(voice), transport.output(), assistant]
    return PipelineWorker(
        Pipeline(steps),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
        check_dangling_tasks=False,
    )


def application(voice: bytes) -> FastAPI:
    app = FastAPI()

    @app.websocket("/ws")
    async def call(websocket: WebSocket) -> None:
        await websocket.accept()
        _, about = await parse_telephony_websocket(websocket)
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                audio_out_10ms_chunks=10,
                serializer=TwilioFrameSerializer(
                    about["stream_id"], params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
                ),
            ),
        )
        worker = pipeline(transport, voice)

        @transport.event_handler("on_client_connected")
        async def greet(_transport: FastAPIWebsocketTransport, _client: WebSocket) -> None:
            await worker.queue_frames([LLMRunFrame()])

        @transport.event_handler("on_client_disconnected")
        async def hang_up(_transport: FastAPIWebsocketTransport, _client: WebSocket) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await runner.add_workers(worker)
        await runner.run()

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
        application(audioop.ulaw2lin(asked.voice.read_bytes(), 2)),
        host="127.0.0.1",
        port=asked.port,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
