"""What every ``SpeechToText`` does."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from callbot.errors import Trouble
from callbot.providers.breaker import Breakers, Limits
from callbot.providers.chains import vendor_of
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Hearing, Models, hearing, speech_to_speech
from callbot.providers.stt.fallback import FallbackHearing
from tests.providers.conftest import Say, tasks_of_ours
from tests.providers.doubled import doubled
from tests.providers.misbehaving import Bad, ScriptedHearing, Told, trouble

SAID = "I have a question about my bill."
ADAPTERS = {
    "fake": f"fake:{SAID}|{SAID}|{SAID}",
    "moonshine": "moonshine",
    "whisper": "whisper",
    "detecting": "moonshine+whisper",
    "deepgram": "deepgram:nova-3",
    "deepgram-flux": "deepgram-flux:flux-general-en",
    "elevenlabs": "elevenlabs:scribe_v2_realtime",
    "openai": "openai:gpt-live-transcribe",
    "openai-file": "openai-file",
    "openai-realtime": "openai-realtime:gpt-realtime-2.1/marin",
}
WITHOUT_PARTIALS = {"openai-file"}

FALLBACKS = {
    "fallback": [],
    "fallback to the second": [Bad(refuse=trouble(Trouble.UNAVAILABLE))],
    "fallback in mid-utterance": [Bad(fail_after=0.5, partials=False)],
}
"""How the recogniser before the good one fails."""

pytestmark = pytest.mark.models
Open = Callable[[], SpeechToText]


def heard_by_a_vendor(audio: bytes) -> str:
    """More than a click: half a second is not silence."""
    return SAID if len(audio) - audio.count(b"\xff") - audio.count(b"\x7f") > 4_000 else ""


def fallback(bads: list[Bad], models: Models) -> Hearing:
    broken = {"broken": ScriptedHearing(bads)} if bads else {}
    return FallbackHearing(
        {**broken, "fake": hearing(ADAPTERS["fake"], models)},
        breakers=Breakers(Limits(failures=1000)),
        report=Told(),
    )


@pytest.fixture(params=[*ADAPTERS, *FALLBACKS])
async def ears(request: pytest.FixtureRequest, models: Models) -> AsyncIterator[Open]:
    if request.param in FALLBACKS:
        chain = fallback(FALLBACKS[request.param], models)
        yield lambda: chain.for_call(["en"])
        return
    languages = ["en", "es"] if request.param == "detecting" else ["en"]
    name = ADAPTERS[request.param]
    if vendor_of(name) is None:
        heard = hearing(name, models)
        yield lambda: heard.for_call(languages)
        return
    async with doubled(models, hear=heard_by_a_vendor) as own:
        heard = speech_to_speech(name, own)() if name.startswith("openai-realtime") else hearing(name, own)
        yield lambda: heard.for_call(languages)


@pytest.fixture(scope="session")
def speech(say: Say) -> bytes:
    return say(SAID)


@asynccontextmanager
async def listening(ears: SpeechToText) -> AsyncIterator[Callable[[], "asyncio.Future[Transcribed]"]]:
    """Gives a function that awaits the next final."""
    finals: asyncio.Queue[Transcribed] = asyncio.Queue()

    async def listen() -> None:
        async for event in ears.events():
            if event.final:
                finals.put_nowait(event)

    task = asyncio.create_task(listen())
    yield lambda: asyncio.ensure_future(asyncio.wait_for(finals.get(), 20))
    await ears.aclose()
    async with asyncio.timeout(5):
        await task


def plain(text: str) -> str:
    return text.lower().strip(" .?!")


def send(ears: SpeechToText, audio: bytes) -> None:
    for at in range(0, len(audio), 160):
        ears.send(audio[at : at + 160])


def threads_of_ours() -> list[threading.Thread]:
    """But those in which a vendor's double hears."""
    return [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]


async def test_it_is_a_speech_to_text(ears: Open):
    opened = ears()
    assert isinstance(opened, SpeechToText)
    await opened.aclose()


async def test_what_was_said_is_the_final_after_the_flush(ears: Open, speech: bytes):
    opened = ears()
    async with listening(opened) as final:
        opened.start(7)
        send(opened, speech)
        opened.flush()
        event = await final()
    assert (event.utterance, event.final) == (7, True)
    assert plain(event.text) == plain(SAID)


@pytest.mark.parametrize("ears", ADAPTERS.keys() - WITHOUT_PARTIALS, indirect=True)
async def test_partials_come_before_the_final_and_belong_to_the_utterance(ears: Open, speech: bytes):
    opened = ears()
    opened.start(3)
    send(opened, speech)
    events = []
    async with asyncio.timeout(20):
        async for event in opened.events():
            events.append(event)
            if event.final:
                break
            opened.flush()
    await opened.aclose()
    assert [event.final for event in events[:1]] == [False]
    assert {event.utterance for event in events} == {3}


async def test_another_flush_replaces_the_final_whole(ears: Open, speech: bytes):
    opened = ears()
    async with listening(opened) as final:
        opened.start(1)
        send(opened, speech)
        opened.flush()
        first = await final()
        send(opened, b"\xff" * 1600)
        opened.flush()
        second = await final()
    assert plain(second.text) == plain(first.text)
    assert second.utterance == first.utterance


async def test_utterances_are_told_apart(ears: Open, speech: bytes):
    opened = ears()
    async with listening(opened) as final:
        for number in (1, 2, 3):
            opened.start(number)
            send(opened, speech)
            opened.flush()
        events = [await final() for _ in range(3)]
    assert [event.utterance for event in events] == [1, 2, 3]
    assert {plain(event.text) for event in events} == {plain(SAID)}


async def test_no_audio_gives_an_empty_final(ears: Open):
    opened = ears()
    async with listening(opened) as final:
        opened.start(1)
        opened.flush()
        event = await final()
    assert event == Transcribed(1, "", True, event.language)


async def test_audio_of_any_length_is_taken(ears: Open, speech: bytes):
    opened = ears()
    async with listening(opened) as final:
        opened.start(1)
        opened.send(speech[:1])
        opened.send(b"")
        opened.send(speech[1:777])
        opened.send(speech[777:])
        opened.flush()
        assert plain((await final()).text) == plain(SAID)


async def test_closing_while_it_decodes_leaves_no_task_and_no_thread(ears: Open, speech: bytes):
    tasks, threads = tasks_of_ours(), threading.active_count()
    opened = ears()
    opened.start(1)
    send(opened, speech)
    opened.flush()
    await opened.aclose()
    async for event in opened.events():
        pytest.fail(f"{event} after the close")
    assert tasks_of_ours() == tasks
    assert len(threads_of_ours()) <= max(threads, 4)


async def test_what_is_called_after_the_close_does_nothing(ears: Open, speech: bytes):
    opened = ears()
    await opened.aclose()
    opened.start(1)
    opened.send(speech)
    opened.flush()
    await opened.aclose()


def test_the_joined_model_is_where_the_setting_says(models: Models, model_cache: Path):
    hearing("whisper", models)
    assert [path.name for path in model_cache.iterdir()] == ["whisper-base-d01c3014"]
