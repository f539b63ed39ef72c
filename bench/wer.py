"""Word error rate of the recogniser: ``python -m bench.wer [--human] [--stt NAME] [--json] [FOLDER]``.

Without ``--human``: the recorded callers in ``FOLDER`` (``fixtures/audio``), whose words stand in the
YAML beside each. With it: people. Those are Debian's recordings for Asterisk, 8 kHz, of one studio
voice, and the rule for which is: every prompt that has a transcript without stage directions (no
brackets of any kind), at least three words in it, and at most 30 seconds. That is 266 of them in
asterisk-core-sounds-en 1.6.1.

All audio is mu-law at 8 kHz, is cut into utterances as on a call (Silero, pauses of 0.7 s), and each
utterance goes through the adapter that a call would use. ``bench.words`` says how words are compared.
"""

import argparse
import asyncio
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from numpy.typing import NDArray

from bench.words import errors, words
from callbot.errors import CallbotError
from callbot.exchange.errors import SoundError
from callbot.exchange.sounds import read_wav
from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechDetector, SpeechToText
from callbot.providers.registry import Hearing, Models, hearing
from callbot.providers.vad.silero import SileroDetector

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "audio"
SOUNDS: Final = Path("/usr/share/asterisk/sounds/en")
TRANSCRIPTS: Final = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
INSTALL: Final = "apt-get install asterisk-core-sounds-en asterisk-core-sounds-en-wav"

_FEWEST_WORDS, _LONGEST_SECONDS = 3, 30.0
_PAUSE, _AROUND = 0.7, 0.3  # seconds that part utterances; seconds kept before and after one
_RATE, _CHUNK, _CONTEXT = 8000, 256, 32


@dataclass(frozen=True, slots=True)
class Sample:
    """Audio, and what is said in it."""

    name: str
    text: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class Score:
    name: str
    words: int
    errors: int
    text: str
    heard: str


class NothingToMeasure(CallbotError):
    """The recordings are not there; the text says how to get them."""


def recorded_callers(folder: Path) -> Iterator[Sample]:
    """English fixtures. Keys pressed are not words. Raises ``NothingToMeasure``."""
    found = False
    for sidecar in sorted(folder.glob("*.yaml")):
        about = yaml.safe_load(sidecar.read_text())
        if about.get("language", "en") != "en" or not sidecar.with_suffix(".wav").exists():
            continue
        found = True
        said = [utterance["text"] for utterance in about["utterances"] if "keys" not in utterance]
        yield Sample(sidecar.stem, " ".join(said), read_wav(sidecar.with_suffix(".wav")))
    if not found:
        raise NothingToMeasure(f"{folder} holds no recorded caller: NAME.wav with NAME.yaml beside it")


def human_prompts(sounds: Path, transcripts: Path) -> Iterator[Sample]:
    """Asterisk's English prompts, by the rule above. Raises ``NothingToMeasure``."""
    if not transcripts.exists() or not sounds.exists():
        raise NothingToMeasure(f"recordings of people are not installed; run: {INSTALL}")
    for line in gzip.decompress(transcripts.read_bytes()).decode().splitlines():
        name, _, text = line.strip().partition(": ")
        file = sounds / f"{name}.wav"
        if line.startswith(";") or re.search(r"[\[\](){}<>]", text) or not file.exists():
            continue
        audio = read_wav(file)
        if len(words(text)) >= _FEWEST_WORDS and len(audio) <= _LONGEST_SECONDS * _RATE:
            yield Sample(name, text, audio)


def utterances(audio: bytes, detector: SpeechDetector) -> Iterator[bytes]:
    """The stretches of speech, with a little of what is around them."""
    speaking = np.flatnonzero(_speech(audio, detector))
    spans = np.split(speaking, np.flatnonzero(np.diff(speaking) * _CHUNK > _PAUSE * _RATE) + 1)
    for span in spans:
        if span.size:
            around = round(_AROUND * _RATE)
            yield audio[max(0, int(span[0]) * _CHUNK - around) : (int(span[-1]) + 1) * _CHUNK + around]


def _speech(audio: bytes, detector: SpeechDetector) -> NDArray[np.bool_]:
    """For each 32 ms, whether somebody speaks."""
    samples = mulaw.decode(audio)
    samples = np.pad(samples, (_CONTEXT, -samples.size % _CHUNK))
    state = np.zeros((2, 1, 128), np.float32)
    found: list[bool] = []
    for at in range(0, samples.size - _CONTEXT, _CHUNK):
        probability, state = detector.listen(detector.look(samples[None, at : at + _CONTEXT + _CHUNK]), state)
        found.append(bool(probability[0] >= 0.4))
    return np.array(found, np.bool_)


async def transcribe(ears: SpeechToText, audio: bytes, utterance: int) -> str:
    """The final of one utterance, sent in frames as a call would."""
    ears.start(utterance)
    for at in range(0, len(audio), 160):
        ears.send(audio[at : at + 160])
    ears.flush()
    async for event in ears.events():
        if event.final and event.utterance == utterance:
            return event.text
    raise AssertionError("the recogniser closed before its final")


async def score(sample: Sample, ears: Hearing, detector: SpeechDetector) -> Score:
    mouth = ears.for_call(["en"])
    heard = [
        await transcribe(mouth, audio, number)
        for number, audio in enumerate(utterances(sample.audio, detector), 1)
    ]
    await mouth.aclose()
    text = " ".join(heard)
    reference = words(sample.text)
    return Score(sample.name, len(reference), errors(reference, words(text)), sample.text, text)


def table(scores: Sequence[Score]) -> Iterator[str]:
    """Whatever has errors, the worst last, and the sum."""
    width = max(len(one.name) for one in scores)
    yield f"{'recording':<{width}}  words  errors      %"
    for one in sorted(scores, key=lambda one: one.errors):
        if one.errors:
            yield f"{one.name:<{width}}  {one.words:5}  {one.errors:6}  {_percent([one]):5.1f}"
            yield f"{'':<{width}}  said:  {one.text}"
            yield f"{'':<{width}}  heard: {one.heard}"
    total, wrong = sum(one.words for one in scores), sum(one.errors for one in scores)
    flawless = sum(not one.errors for one in scores)
    yield f"{'all':<{width}}  {total:5}  {wrong:6}  {_percent(scores):5.1f}"
    yield f"{flawless} of {len(scores)} recordings have no error."


def _percent(scores: Sequence[Score]) -> float:
    return 100 * sum(one.errors for one in scores) / max(1, sum(one.words for one in scores))


async def measure(samples: Sequence[Sample], stt: str) -> list[Score]:
    pool = InferencePool(2)
    try:
        with tempfile.TemporaryDirectory() as cache:
            ears = await asyncio.to_thread(hearing, stt, Models(pool, cache=Path(cache)))
            detector = SileroDetector.load()
            return [await score(sample, ears, detector) for sample in samples]
    finally:
        pool.close()


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.wer", description="Word error rate.")
    parser.add_argument("folder", nargs="?", type=Path, default=FIXTURES, help="recorded callers")
    parser.add_argument("--human", action="store_true", help="recordings of people instead")
    parser.add_argument("--stt", default="moonshine", help="the recogniser, by its name in the settings")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    asked = parser.parse_args(argv)
    try:
        samples = list(human_prompts(SOUNDS, TRANSCRIPTS) if asked.human else recorded_callers(asked.folder))
        scores = asyncio.run(measure(samples, asked.stt))
    except (CallbotError, SoundError) as error:
        print(error, file=sys.stderr)
        return 1
    if asked.json:
        found = {"wer": _percent(scores) / 100, "recordings": [asdict(one) for one in scores]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n".join(table(scores)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
