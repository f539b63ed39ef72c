"""Real models, loaded once for all tests of this folder, and speech to give them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from callbot.providers import mulaw
from callbot.providers.inference import InferencePool
from callbot.providers.ports import TextToSpeech
from callbot.providers.registry import Models
from callbot.providers.stt.moonshine import MoonshineModel
from callbot.providers.tts.hibari import HibariVoice
from callbot.providers.tts.hibari_model import HibariModel
from callbot.vendors import Accounts
from tests.doubles.plan import Plan
from tests.providers.vendor_voices import Speaking

SILENCE = b"\xff"
Say = Callable[[str], bytes]


@pytest.fixture(scope="session")
def pool() -> Iterator[InferencePool]:
    pool = InferencePool(2)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def models(pool: InferencePool, model_cache: Path) -> Models:
    """Without the espeak process: that one belongs to a loop, and so to one test."""
    return Models(pool, cache=model_cache)


@pytest.fixture(scope="session")
def moonshine(models: Models) -> MoonshineModel:
    return models.once("moonshine", MoonshineModel.load)


@pytest.fixture(scope="session")
def hibari(models: Models) -> HibariModel:
    return models.once("hibari", HibariModel.load)


@pytest.fixture(scope="session")
def say(hibari: HibariModel, pool: InferencePool) -> Say:
    """English speech as mu-law, with a quarter second of silence on either side."""
    voice = HibariVoice("hibari", hibari, pool)

    async def speak(text: str) -> bytes:
        return b"".join([speech.audio async for speech in voice.speak(text)])

    def say(text: str) -> bytes:
        with ThreadPoolExecutor(1) as thread:  # the test may have a loop running
            return SILENCE * 2000 + thread.submit(asyncio.run, speak(text)).result() + SILENCE * 2000

    return say


@pytest.fixture(scope="session")
def transcribe(moonshine: MoonshineModel) -> Callable[[bytes], str]:
    return lambda audio: moonshine.transcribe(mulaw.decode(audio, rate=16_000))


@pytest.fixture
def plan() -> Plan:
    """Of a vendor's double: what goes wrong, and what was asked."""
    return Plan()


@pytest.fixture
async def speaker(speaking: Speaking) -> AsyncIterator[TextToSpeech]:
    """For modules that say what ``speaking`` is: the usual voice."""
    async with speaking() as speaker:
        yield speaker


@pytest.fixture
async def openai_models(pool: InferencePool, tmp_path: Path) -> AsyncIterator[Models]:
    """With an account at a server that is not there: nothing may be asked of it."""
    accounts = Accounts.of({"openai": "sk-test"}, {"openai": "http://127.0.0.1:9/v1"})
    models = Models(pool, cache=tmp_path, accounts=accounts)
    yield models
    await models.aclose()


def tasks_of_ours() -> set[asyncio.Task[Any]]:
    """All but those of a vendor's double, which end when it has noticed that we went."""
    return {
        task
        for task in asyncio.all_tasks()
        if "aiohttp" not in _file(task) and not task.get_name().startswith("double")
    }


def _file(task: asyncio.Task[Any]) -> str:
    code = getattr(task.get_coro(), "cr_code", None)
    return code.co_filename if code is not None else ""
