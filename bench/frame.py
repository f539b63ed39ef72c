"""What one frame of a caller's costs, step by step, in microseconds, so that a regression shows its place.

    python -m bench.frame [--json PATH]

Each step is the product's own code, called as a call calls it. The best of several rounds counts: what
is slower than that was the machine. What the socket itself costs is seen in ``capacity`` alone.
"""

import argparse
import asyncio
import base64
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.clips import clips
from callbot.media_stream import messages
from callbot.media_stream.gate import Gate, loudness
from callbot.media_stream.pace import Pace
from callbot.media_stream.vad import CHUNK, CONTEXT, VoiceActivity
from callbot.providers.vad.silero import SileroDetector
from callbot.store.recording import StereoRecording

FRAMES: Final = 5_000
ROUNDS: Final = 7
FRAMES_PER_CHUNK: Final = CHUNK / 160


@dataclass(frozen=True, slots=True)
class Step:
    """``microseconds`` of one frame of 20 ms."""

    name: str
    microseconds: float


def _best(work: Callable[[], None], *, per: int) -> float:
    """Microseconds of one of the ``per`` frames that ``work`` handles."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds) / per * 1e6


def _wire() -> tuple[list[memoryview], list[bytes]]:
    """Frames of somebody who speaks, as they come in, and their audio."""
    payloads = [frame for clip in clips() for frame in clip.frames]
    frames = []
    for n in range(FRAMES):
        body = {
            "track": "inbound",
            "chunk": str(n + 1),
            "timestamp": str(n * 20),
            "payload": payloads[n % len(payloads)].decode(),
        }
        text = {"event": "media", "sequenceNumber": str(n + 2), "streamSid": "MZ" + "0" * 32, "media": body}
        frames.append(memoryview(json.dumps(text).encode()))
    return frames, [base64.b64decode(payloads[n % len(payloads)]) for n in range(FRAMES)]


def measure() -> list[Step]:
    """Every step from the bytes of the socket to the detector's answer, and back to the wire."""
    frames, audio = _wire()
    steps: list[Step] = []

    def step(name: str, work: Callable[[], None], *, per: float = FRAMES) -> None:
        steps.append(Step(name, _best(work, per=1) / per))

    def decode() -> None:
        for frame in frames:
            messages.decode(frame)

    def judge() -> None:
        pace = Pace()
        for n in range(FRAMES):
            pace.judge(n + 1, 0.02, n * 0.02)

    def cut() -> None:
        activity = VoiceActivity()
        for n in range(FRAMES):
            activity.feed(audio[n], n * 0.02)

    def gate() -> None:
        one = Gate()
        for n in range(FRAMES):
            one.opens(loudness(audio[n]), speaking=False)

    step("decode the message", decode)
    step("judge its pace and order", judge)
    step("cut it into chunks, and the energy gate", cut)
    step("  of which the gate", gate, per=FRAMES * FRAMES_PER_CHUNK)
    step("record it", lambda: _record(audio))
    for batch in (1, 8, 64):
        step(f"detect speech, {batch} at once", _detecting(batch), per=200 * batch * FRAMES_PER_CHUNK)
    sent = b"".join(audio[:20])

    def send() -> None:
        for _ in range(1000):
            messages.media("MZ", sent)
            messages.mark("MZ", "1.1")

    step("send our own audio and its mark (400 ms at a time)", send, per=1000 * 20)
    return steps


def _record(audio: list[bytes]) -> None:
    async def call() -> None:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
            recording = StereoRecording(Path(folder) / "call.wav", executor=executor)
            for n, frame in enumerate(audio):
                recording.caller(n * 20, frame)
                if n % 500 == 0:
                    await asyncio.wrap_future(executor.submit(lambda: None))

    asyncio.run(call())


def _detecting(batch: int) -> Callable[[], None]:
    detector = SileroDetector.load()
    chunks = np.random.default_rng(0).normal(0, 0.1, (batch, CONTEXT + CHUNK)).astype(np.float32)
    states = np.zeros((2, batch, 128), np.float32)

    def run() -> None:
        for _ in range(200):
            detector.run(chunks, states)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.frame", description="microseconds per frame per step")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    steps = measure()
    table = Table("step", "µs a frame")
    for one in steps:
        table.add_row(one.name, f"{one.microseconds:.2f}")
    Console().print(table)
    if given.json is not None:
        given.json.write_bytes(msgspec.json.encode(steps))


if __name__ == "__main__":
    main()
