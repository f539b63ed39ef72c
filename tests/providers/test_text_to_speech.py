"""What every ``TextToSpeech`` does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from callbot.providers import mulaw
from callbot.providers.breaker import Breakers, Limits
from callbot.providers.chains import vendor_of
from callbot.providers.inference import InferencePool
from callbot.providers.ports import Speech, TextToSpeech
from callbot.providers.registry import Models, voice
from callbot.providers.stt.moonshine import MoonshineModel
from callbot.providers.tts.cached import CachedVoice
from callbot.providers.tts.fake import FakeVoice
from callbot.providers.tts.fallback import FallbackVoice
from callbot.providers.tts.hibari import CHARACTERS
from callbot.providers.tts.hibari_model import HibariModel
from tests.providers.conftest import tasks_of_ours
from tests.providers.doubled import doubled
from tests.providers.misbehaving import CUT, ScriptedVoice, Told

FALLBACKS = {
    "fallback": [],
    "fallback to the second": [[CUT]],
    "fallback in mid-sentence": [[7, CUT]],
    "fallback from silence": [[Speech("", b"\xff" * 9000)]],
}
"""How the voice before the good one fails."""

pytestmark = pytest.mark.models

TEXT = (
    "Thanks, Tom. Your order is on its way, and it should arrive on Thursday; if it does not, please call us "
    "again, because then we would like to look into it — at once. Is there anything else?"
)


BY_KEY = ("cartesia", "deepgram", "elevenlabs", "elevenlabs-http", "openai", "openai-realtime")
WITHOUT_WORD_TIMES = ("deepgram", "elevenlabs-http", "openai", "openai-realtime")


@pytest.fixture(
    params=[*CHARACTERS, "espeak:es", "espeak:en-us", "fake", "cached", "cached again", *BY_KEY, *FALLBACKS]
)
async def speaker(
    request: pytest.FixtureRequest, models: Models, hibari: HibariModel, pool: InferencePool, tmp_path: Path
) -> AsyncIterator[TextToSpeech]:
    if request.param.startswith("cached"):
        cached = CachedVoice(FakeVoice(), tmp_path)
        if request.param == "cached again":
            await cached.warm([TEXT, "Hello there."])
        yield cached
        return
    if request.param in FALLBACKS:
        broken = [ScriptedVoice("broken", FALLBACKS[request.param])] if FALLBACKS[request.param] else []
        breakers = Breakers(Limits(failures=1000))
        yield FallbackVoice([*broken, FakeVoice()], breakers=breakers, report=Told())
        return
    if vendor_of(request.param) is not None:
        async with doubled(models) as own:
            yield voice(request.param, own)
        return
    own = Models(pool, cache=tmp_path)  # its espeak process belongs to this test's loop
    own.once("hibari", lambda: hibari)
    yield voice(request.param, own)
    await own.aclose()


async def spoken(speaker: TextToSpeech, text: str) -> list[Speech]:
    async with asyncio.timeout(20):
        return [speech async for speech in speaker.speak(text)]


async def test_it_is_a_text_to_speech(speaker: TextToSpeech):
    assert isinstance(speaker, TextToSpeech)
    assert speaker.name
    assert speaker.language


async def test_the_pieces_joined_have_the_words_of_the_text(speaker: TextToSpeech):
    pieces = await spoken(speaker, TEXT)
    assert len(pieces) > 2
    assert " ".join(piece.text for piece in pieces).split() == TEXT.split()


async def test_the_words_of_a_piece_cover_its_text_in_order_and_in_time(speaker: TextToSpeech):
    for piece in await spoken(speaker, TEXT):
        if speaker.name in WITHOUT_WORD_TIMES:
            assert piece.words == ()
            continue
        assert [word.word for word in piece.words] == piece.text.split()
        moments = [moment for word in piece.words for moment in (word.start, word.end)]
        assert moments == sorted(moments)
        if not moments:
            continue  # the silence after the last word
        assert moments[0] >= 0
        assert moments[-1] <= piece.seconds + 0.001


async def test_the_audio_lasts_as_long_as_people_need_to_say_it(speaker: TextToSpeech):
    pieces = await spoken(speaker, TEXT)
    seconds = sum(len(piece.audio) for piece in pieces) / 8000
    assert 0.04 < seconds / len(TEXT) < 0.11


async def test_the_first_sound_comes_at_once_and_is_neither_faint_nor_clipped(speaker: TextToSpeech):
    for piece in await spoken(speaker, TEXT):
        samples = np.abs(mulaw.decode(piece.audio))
        assert samples[:400].max() > 0.005
        assert 0.2 < samples.max() < 0.98


def alike(one: list[Speech], other: list[Speech]) -> bool:
    """The same but for the flutter in espeak's voice, which goes on from one text to the next."""
    return [piece.text for piece in one] == [piece.text for piece in other] and all(
        abs(piece.seconds - same.seconds) < 0.03 for piece, same in zip(one, other, strict=True)
    )


async def test_the_same_text_gives_the_same_speech(speaker: TextToSpeech):
    first, second = await spoken(speaker, TEXT), await spoken(speaker, TEXT)
    assert alike(first, second)
    if not speaker.name.startswith("espeak"):
        assert first == second


async def test_closing_it_half_way_leaves_no_task_and_the_voice_goes_on_speaking(speaker: TextToSpeech):
    await spoken(speaker, "Hello there.")  # what is kept between sentences is there
    tasks = tasks_of_ours()
    pieces = speaker.speak(TEXT)
    first = await anext(pieces)
    await pieces.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(2):  # a socket may be replaced, and the old one say goodbye
        while len(tasks_of_ours()) > len(tasks):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert alike((await spoken(speaker, TEXT))[:1], [first])


async def test_cancelling_it_in_mid_piece_leaves_the_voice_as_it_was(speaker: TextToSpeech):
    expected = await spoken(speaker, "Hello there.")

    async def speak() -> None:
        await spoken(speaker, TEXT)

    speaking = asyncio.create_task(speak())
    await asyncio.sleep(0.005)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert alike(await spoken(speaker, "Hello there."), expected)


async def test_many_calls_speak_at_once_and_each_hears_its_own(speaker: TextToSpeech):
    texts = [
        f"You are number {number} in the line." for number in ("one", "seven", "thirteen", "ninety four")
    ]
    alone = [await spoken(speaker, text) for text in texts]
    together = await asyncio.gather(*(spoken(speaker, text) for text in texts))
    assert all(alike(one, other) for one, other in zip(together, alone, strict=True))


@pytest.mark.parametrize("text", ["", "   ", "—", "...", "?!", "Hm.", "\0", "Ωμέγα 日本"])
async def test_any_text_is_survived(speaker: TextToSpeech, text: str):
    pieces = await spoken(speaker, text)
    assert " ".join(piece.text for piece in pieces).split() == text.split()


@pytest.mark.parametrize("name", CHARACTERS)
async def test_a_voice_is_understood_over_the_telephone(
    name: str, models: Models, hibari: HibariModel, moonshine: MoonshineModel
):
    pieces = await spoken(voice(name, models), "I have found your account. What day would suit you best?")
    heard = [moonshine.transcribe(mulaw.decode(piece.audio, rate=16_000)) for piece in pieces]
    assert heard == ["I have found your account.", "What day would suit you best?"]
