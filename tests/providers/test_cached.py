import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from callbot.errors import ProviderError
from callbot.providers.ports import Speech
from callbot.providers.tts.cached import CachedVoice
from callbot.providers.tts.fake import FakeVoice

TEXT = "One moment, please. I am looking that up."


class CountingVoice(FakeVoice):
    """Counts what it rendered; fails after the first piece when told to."""

    def __init__(self, name: str = "fake") -> None:
        super().__init__(name)
        self.rendered: list[str] = []
        self.broken = False

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        self.rendered.append(text)
        async for speech in super().speak(text):
            yield speech
            if self.broken:
                raise ProviderError("the voice broke", retryable=True)


async def spoken(voice: CachedVoice, text: str = TEXT) -> list[Speech]:
    return [speech async for speech in voice.speak(text)]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def the_file(folder: Path) -> Path:
    (file,) = files(folder)
    return file


async def test_a_text_is_rendered_once_and_survives_a_restart(tmp_path: Path):
    voice = CountingVoice()
    first = await spoken(CachedVoice(voice, tmp_path))
    again = CachedVoice(voice, tmp_path)
    assert await spoken(again) == await spoken(again) == first
    assert voice.rendered == [TEXT]


async def test_warming_renders_what_is_not_there_yet(tmp_path: Path):
    voice = CountingVoice()
    await CachedVoice(voice, tmp_path).warm(["Hello.", "Goodbye."])
    await CachedVoice(voice, tmp_path).warm(["Hello.", "Goodbye.", "Sorry?"])
    assert voice.rendered == ["Hello.", "Goodbye.", "Sorry?"]


async def test_two_texts_are_rendered_ahead_at_once_and_a_failure_ends_both(tmp_path: Path):
    class Slow(FakeVoice):
        speaking = most = 0

        async def speak(self, text: str) -> AsyncGenerator[Speech]:
            Slow.speaking += 1
            Slow.most = max(Slow.most, Slow.speaking)
            try:
                await asyncio.sleep(0.01)
                if text == "refused":
                    raise ProviderError("no more", retryable=False)
                async for speech in super().speak(text):
                    yield speech
            finally:
                Slow.speaking -= 1

    await CachedVoice(Slow(), tmp_path).warm([f"text {number}" for number in range(5)])
    assert (Slow.most, Slow.speaking) == (2, 0)
    with pytest.raises(ProviderError):
        await CachedVoice(Slow(), tmp_path).warm(["refused", *(f"other {number}" for number in range(5))])
    assert Slow.speaking == 0


async def test_another_voice_has_its_own_rendering(tmp_path: Path):
    low = CountingVoice("low")
    await spoken(CachedVoice(CountingVoice("high"), tmp_path))
    await spoken(CachedVoice(low, tmp_path))
    assert low.rendered == [TEXT]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: data.index(b"\n")],
        lambda data: data[:-5] + b"\0" * 5,
        lambda data: b"[]" + data[data.index(b"\n") :],
        lambda data: b'{"format": 1}\n',
        lambda data: data.replace(b'"format": 1', b'"format": 0'),
        lambda data: data.replace(b'"pieces": [', b'"pieces": 5, "x": ['),
        lambda data: data.replace(b'"bytes": ', b'"bytes": 1'),
        lambda data: data.replace(b"[[", b"[[1, "),
        lambda data: b"\xff\xfe" + data,
    ],
)
async def test_a_damaged_file_is_rendered_anew_and_replaced(damage, tmp_path: Path):
    voice = CountingVoice()
    first = await spoken(CachedVoice(voice, tmp_path))
    whole = the_file(tmp_path).read_bytes()
    the_file(tmp_path).write_bytes(damage(whole))
    assert damage(whole) != whole
    assert await spoken(CachedVoice(voice, tmp_path)) == first
    assert voice.rendered == [TEXT, TEXT]
    assert the_file(tmp_path).read_bytes() == whole


async def test_a_rendering_that_broke_off_is_not_kept(tmp_path: Path):
    voice = CountingVoice()
    cached = CachedVoice(voice, tmp_path)
    voice.broken = True
    with pytest.raises(ProviderError):
        await spoken(cached)
    pieces = cached.speak(TEXT)
    voice.broken = False
    await anext(pieces)
    await pieces.aclose()
    assert not files(tmp_path)
    assert len(await spoken(cached)) == 2
    assert len(voice.rendered) == 3


async def test_a_disk_that_cannot_be_written_costs_no_word(tmp_path: Path):
    (tmp_path / "file").write_text("")
    voice = CountingVoice()
    cached = CachedVoice(voice, tmp_path / "file" / "below")
    assert len(await spoken(cached)) == len(await spoken(cached)) == 2
    assert voice.rendered == [TEXT]


async def test_memory_is_bounded_and_forgets_what_was_used_longest_ago(tmp_path: Path):
    voice = CountingVoice()
    size = len((await spoken(CachedVoice(voice, tmp_path), "Text 0."))[0].audio)
    cached = CachedVoice(voice, tmp_path, most_in_memory=2 * size)
    for number in (1, 2, 1, 3):
        await spoken(cached, f"Text {number}.")
    shutil.rmtree(tmp_path)  # what is not in memory must be rendered again
    voice.rendered.clear()
    for number in (1, 3, 2):
        await spoken(cached, f"Text {number}.")
    assert voice.rendered == ["Text 2."]


async def test_no_half_written_file_is_left(tmp_path: Path):
    await spoken(CachedVoice(CountingVoice(), tmp_path))
    assert [file.suffix for file in files(tmp_path)] == [".speech"]
