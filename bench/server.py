"""The server that is measured: callbot's own, with everything on but real speech and language providers.

    python -m bench.server [--port 0] [--workers 1] [--folder FOLDER] [--stt 0] [--brain 0] [--tts 0]

Signatures, tokens, seats, turn-taking, ledger, transcript, recordings, records and metrics are the product's.
Prints one line of JSON when every worker takes calls: where the webhook is, and what it takes to be let in.
"""

import argparse
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psutil
import yaml

import callbot.conversation
from bench.recorded import RecordedEars, Recordings
from bench.scraping import look
from bench.standins import Latencies, StandInBrain, StandInEars, StandInVoice
from callbot import logs
from callbot.accepting import listen, url_of
from callbot.assembly import watched
from callbot.call import Call
from callbot.carriers.twilio.signatures import Signatures
from callbot.config import Settings, load
from callbot.conversation.effects import Phrase
from callbot.conversation.lateness import Lateness
from callbot.conversation.rules import TurnRules, parse_rules
from callbot.detection import Detection
from callbot.media_stream.vad import SmootherRules
from callbot.metrics.calls import CallMeter
from callbot.metrics.exposition import Exposition
from callbot.metrics.instruments import Metrics
from callbot.metrics.sampler import Sampler
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechToText
from callbot.providers.vad.silero import SileroDetector
from callbot.reception import Finished, Reception
from callbot.server import serve
from callbot.services import Services
from callbot.session import Equipment, Observer, Voices
from callbot.store.recorder import Recorder
from callbot.workers import supervise

AUTH_TOKEN: Final = "benchmark0f1e2d3c4b5a69788796a5b4"
MOST_CALLS: Final = 4000
READY_WITHIN: Final = 60.0
_RULES: Final = Path(callbot.conversation.__file__).parent / "rules.yaml"
_AGENT: Final = "support"
_LATENCIES: Final = "BENCH_LATENCIES"


def rules() -> TurnRules:
    """The product's own."""
    return parse_rules(_RULES.read_text(encoding="utf-8"))


def _phrases() -> dict[Phrase, str]:
    """The product's own, in English; they are rendered ahead, so saying one takes no time."""
    lines = yaml.safe_load((_RULES.parent / "phrases.yaml").read_text(encoding="utf-8"))["en"]
    return {Phrase(name): line for name, line in lines.items()}


@asynccontextmanager
async def services(
    settings: Settings,
    *,
    observers: tuple[Observer, ...] = (),
    finished: Finished = lambda record: None,
    latencies: Latencies | None = None,
    turns: TurnRules | None = None,
    recordings: Recordings | None = None,
    cuts: bool = False,
    smoothing: SmootherRules | None = None,
) -> AsyncIterator[Services]:
    """What a process of the benchmark shares. How slow its providers are, the environment says, if nobody
    else does. Of ``recordings`` it hears the words, and a flush ``cuts`` them as it does most vendors'; else
    it hears the same in every utterance."""
    if latencies is None:
        latencies = msgspec.json.decode(os.environ.get(_LATENCIES, "{}"), type=Latencies)
    turns = (turns or rules()).for_calls_up_to(settings.max_call_seconds)
    detection = Detection(SileroDetector.load(), smoothing)
    voices = Voices({_AGENT: StandInVoice(latencies.tts)}, {_AGENT: StandInVoice(0.0)})
    phrases = {"en": _phrases()}

    def ears() -> SpeechToText:
        if recordings is None:
            return StandInEars(latencies.stt)
        return RecordedEars(recordings, latencies.stt, cuts=cuts)

    lateness = Lateness()

    def equip(call: Call) -> Equipment:
        return Equipment(
            rules=turns,
            detection=detection,
            ears=lambda report: ears(),
            brain=lambda agent, report: StandInBrain(latencies.brain),
            voices=lambda report: voices,
            phrases=phrases,
            first_agent=_AGENT,
            language="en",
            speakers={},
            lateness=lateness,
        )

    async with serving(settings, equip, detection, observers=observers, finished=finished) as served:
        yield served


@asynccontextmanager
async def serving(
    settings: Settings,
    equip: Callable[[Call], Equipment],
    detection: Detection,
    *,
    observers: tuple[Observer, ...] = (),
    finished: Finished = lambda record: None,
    ringing: Callable[[], None] = lambda: None,
) -> AsyncIterator[Services]:
    """What a process that equips its calls so shares besides."""
    async with AsyncExitStack() as leaving:
        recorder = Recorder(settings.database_url, spool=settings.spool)
        await recorder.start()
        leaving.push_async_callback(recorder.aclose)
        metrics = Metrics()
        meter = CallMeter(metrics)
        reception = Reception(
            equip, recorder, settings.recordings, observers=(meter.observe, *observers), finished=finished
        )
        leaving.push_async_callback(reception.aclose)
        inference = InferencePool(1)
        leaving.callback(inference.close)
        served = Services(
            exposition=Exposition(metrics),
            settings=settings,
            recorder=recorder,
            reception=reception,
            missing=lambda: (),
            signatures=Signatures.of(settings),
            ringing=ringing,
        )
        sampler = Sampler(metrics, meter, watched(served, detection, inference))
        await leaving.enter_async_context(sampler.running())
        yield served


@dataclass(frozen=True, slots=True)
class Ready:
    """The line that is printed. ``pids``: the processes that take calls, and the one that keeps them."""

    webhook: str
    public_url: str
    auth_token: str
    pids: tuple[int, ...]


def _say_when_ready(url: str, workers: int) -> None:
    """Print the line once every worker takes calls, which ``/metrics`` tells of all of them together."""
    until = time.monotonic() + READY_WITHIN
    process = psutil.Process()
    while time.monotonic() < until:
        page = look(f"{url}/metrics")
        if page is not None and page.whole("callbot_workers") == workers:
            pids = (process.pid, *(child.pid for child in process.children()))
            ready = Ready(f"{url}/twilio/voice", url, AUTH_TOKEN, pids)
            print(msgspec.json.encode(ready).decode(), flush=True)
            return
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for recordings and records; else one that is removed")
    for name in ("stt", "brain", "tts"):
        parser.add_argument(f"--{name}", type=float, default=0.0, metavar="SECONDS", help="its latency")
    given = parser.parse_args()
    with contextlib.ExitStack() as leaving:
        folder = given.folder or Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        listener = listen("127.0.0.1", given.port)
        url = url_of(listener)
        os.environ |= {  # workers read their settings from it
            "CALLBOT_DATA": str(folder),
            "CALLBOT_MAX_CALLS": str(MOST_CALLS),
            "LOG_LEVEL": "warning",
            "PUBLIC_URL": url,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            _LATENCIES: msgspec.json.encode(Latencies(given.stt, given.brain, given.tts)).decode(),
        }
        settings = load(None)
        logs.configure(settings)
        threading.Thread(target=_say_when_ready, args=(url, given.workers), daemon=True).start()
        if given.workers == 1:
            serve(settings, services=services, listener=listener)
        else:
            supervise(settings, services="bench.server:services", workers=given.workers, listener=listener)


if __name__ == "__main__":
    main()
