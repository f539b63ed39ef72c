import asyncio
import ctypes.util
import io
import json
import os
import signal
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from callbot.errors import ConfigurationError, ProviderError
from callbot.providers.inference import InferencePool
from callbot.providers.registry import Models, voice
from callbot.providers.tts import espeak_process
from callbot.providers.tts.espeak import EspeakProcess, EspeakVoice, Spoken

pytestmark = pytest.mark.models


@pytest.fixture
async def process() -> AsyncIterator[EspeakProcess]:
    process = EspeakProcess()
    yield process
    await process.aclose()


def child(process: EspeakProcess) -> int:
    assert process._child
    return process._child.pid


def loaded_by(process: int) -> str:
    return Path(f"/proc/{process}/maps").read_text()


async def test_one_process_speaks_all_languages(process: EspeakProcess):
    spanish = await process.speak("Buenos días, señora.", "es")
    first = child(process)
    french = await process.speak("Bonjour madame.", "fr")
    assert child(process) == first
    assert spanish.rate == french.rate == 22_050
    assert [position for position, _ in spanish.words] == [0, 7, 13]
    assert np.abs(np.frombuffer(spanish.pcm, np.int16)).max() > 3000


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_our_process_does_not_load_the_library(process: EspeakProcess):
    await process.speak("Hola.", "es")
    assert "libespeak" in loaded_by(child(process))
    assert "libespeak" not in loaded_by(os.getpid())


async def test_a_language_it_does_not_know_is_an_error_and_no_reason_to_die(process: EspeakProcess):
    with pytest.raises(ProviderError, match="no voice for the language 'xx-none'") as caught:
        await process.speak("Hello.", "xx-none")
    assert not caught.value.retryable
    assert (await process.speak("Hello.", "en")).pcm


async def test_a_process_that_was_killed_is_started_again(process: EspeakProcess):
    await process.speak("Hola.", "es")
    first = child(process)
    os.kill(first, signal.SIGKILL)
    assert process._child
    await process._child.wait()
    assert (await process.speak("Hola.", "es")).pcm
    assert child(process) != first


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.stdin.readline()",
        "print('no json', flush=True)",
        'print(\'{"bytes": 100, "rate": 1, "words": []}\', \'too little\', flush=True)',
    ],
)
async def test_a_process_that_dies_in_mid_answer_is_an_error_worth_a_retry(program: str):
    process = EspeakProcess([sys.executable, "-c", program])
    with pytest.raises(ProviderError, match="died") as caught:
        await process.speak("Hola.", "es")
    assert caught.value.retryable
    await process.aclose()


async def test_a_process_that_hangs_is_an_error_within_the_deadline():
    process = EspeakProcess([sys.executable, "-c", "import time; time.sleep(60)"], deadline_seconds=0.2)
    async with asyncio.timeout(5):
        with pytest.raises(ProviderError, match="in time"):
            await process.speak("Hola.", "es")
    assert process._child is None


async def test_a_program_that_is_not_there_is_an_error():
    with pytest.raises(ProviderError, match="died"):
        await EspeakProcess(["/no/such/program"]).speak("Hola.", "es")


async def test_a_request_given_up_half_way_does_not_answer_the_next(process: EspeakProcess):
    alone = await process.speak("Uno.", "es")
    asking = asyncio.create_task(process.speak("Una frase mucho más larga que la otra. " * 20, "es"))
    await asyncio.sleep(0.002)
    asking.cancel()
    await asyncio.wait([asking])
    assert (await process.speak("Uno.", "es")).words == alone.words


async def test_a_word_lasts_until_the_next_begins(pool: InferencePool):
    class Scripted(EspeakProcess):
        async def speak(self, text: str, language: str) -> Spoken:
            tone = (9000 * np.sin(np.arange(22_050) * 0.2)).astype(np.int16)
            return Spoken(tone.tobytes(), 22_050, ((0, 0), (6, 5512), (12, 11_025)))

    (piece,) = [speech async for speech in EspeakVoice("es", Scripted(), pool).speak("uno — dos-y tres")]
    assert [(word.word, round(word.start, 2), round(word.end, 2)) for word in piece.words] == [
        ("uno", 0.0, 0.25),
        ("—", 0.25, 0.25),
        ("dos-y", 0.25, 0.5),
        ("tres", 0.5, 1.0),
    ]


def test_a_voice_without_a_language_is_refused(models: Models):
    with pytest.raises(ConfigurationError, match="espeak:es"):
        voice("espeak", models)


# --- the script itself, here with a library that is not espeak-ng's ----------------------------------


def run(monkeypatch: pytest.MonkeyPatch, requests: bytes) -> list[bytes]:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(requests)))
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=out))
    espeak_process.main()
    return out.getvalue().splitlines()


def test_the_script_says_so_when_there_is_no_espeak(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(espeak_process.importlib.util, "find_spec", lambda name: None)
    (answer,) = run(monkeypatch, b"")
    assert json.loads(answer) == {"error": "espeak-ng is not installed"}


def test_the_script_prefers_the_systems_library(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: f"lib{name}.so.1")
    assert espeak_process._library() == ("libespeak-ng.so.1", None)
