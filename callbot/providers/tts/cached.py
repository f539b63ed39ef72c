"""A voice that renders each text once and keeps it on disk, for phrases that calls have in common.

What a caller alone is told is not for this: it would stay on the disk.
"""

import asyncio
import hashlib
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Final

from callbot.providers.ports import Speech, TextToSpeech, WordTime

AT_ONCE: Final = 2
"""Texts that are rendered ahead: the smallest plans of vendors take no more at once."""
_FORMAT: Final = 1
_MOST_IN_MEMORY: Final = 16_000_000  # bytes of audio: half an hour


class CachedVoice:
    """A ``TextToSpeech`` that holds one. A file is one line of JSON, then the pieces' mu-law.

    A file that is damaged, or of another format or voice, is rendered anew. A disk that cannot be
    written costs the time to render again, never a call.
    """

    def __init__(self, voice: TextToSpeech, folder: Path, *, most_in_memory: int = _MOST_IN_MEMORY) -> None:
        self.name = voice.name
        self.language = voice.language
        self._voice = voice
        self._folder = folder
        self._most_in_memory = most_in_memory
        self._in_memory: OrderedDict[str, tuple[Speech, ...]] = OrderedDict()
        self._bytes_in_memory = 0

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        spoken = self._recalled(text)
        if spoken is None:
            spoken = await asyncio.to_thread(self._read, text)
            if spoken is not None:
                self._remember(text, spoken)
        if spoken is not None:
            for speech in spoken:
                yield speech
            return
        rendered: list[Speech] = []
        async with aclosing(self._voice.speak(text)) as pieces:
            async for speech in pieces:
                rendered.append(speech)
                yield speech
        self._remember(text, tuple(rendered))
        await asyncio.to_thread(self._write, text, tuple(rendered))

    async def warm(self, texts: Iterable[str]) -> None:
        """Renders what is not kept yet, two texts at a time, and recalls all of it. Raises
        ``ProviderError``."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def render(text: str) -> None:
            async with turns:
                async for _ in self.speak(text):
                    pass

        rendering = [asyncio.create_task(render(text), name="render ahead") for text in texts]
        try:
            await asyncio.gather(*rendering)
        finally:
            for task in rendering:
                task.cancel()
            if rendering:
                await asyncio.wait(rendering)

    def _recalled(self, text: str) -> tuple[Speech, ...] | None:
        spoken = self._in_memory.get(text)
        if spoken is not None:
            self._in_memory.move_to_end(text)
        return spoken

    def _remember(self, text: str, spoken: tuple[Speech, ...]) -> None:
        if text in self._in_memory:
            return
        self._in_memory[text] = spoken
        self._bytes_in_memory += _size(spoken)
        while self._bytes_in_memory > self._most_in_memory and len(self._in_memory) > 1:
            _, dropped = self._in_memory.popitem(last=False)
            self._bytes_in_memory -= _size(dropped)

    def _file(self, text: str) -> Path:
        key = hashlib.sha256(f"{self.name}\0{text}".encode()).hexdigest()
        return self._folder / key[:2] / f"{key}.speech"

    def _read(self, text: str) -> tuple[Speech, ...] | None:
        try:
            head, _, audio = self._file(text).read_bytes().partition(b"\n")
            return _parsed(json.loads(head), audio, text, self.name)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, text: str, spoken: tuple[Speech, ...]) -> None:
        file = self._file(text)
        audio = b"".join(speech.audio for speech in spoken)
        head = {
            "format": _FORMAT,
            "voice": self.name,
            "text": text,
            "sha256": hashlib.sha256(audio).hexdigest(),
            "pieces": [
                {
                    "text": speech.text,
                    "bytes": len(speech.audio),
                    "words": [[word.word, word.start, word.end] for word in speech.words],
                }
                for speech in spoken
            ],
        }
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f"{file.stem}.", suffix=".part", dir=file.parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(json.dumps(head).encode() + b"\n" + audio)
                Path(name).replace(file)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError:
            return


def _size(spoken: tuple[Speech, ...]) -> int:
    return sum(len(speech.audio) for speech in spoken)


def _parsed(head: dict[str, object], audio: bytes, text: str, voice: str) -> tuple[Speech, ...]:
    """Raises ``ValueError``, ``KeyError`` or ``TypeError`` when the file is not what was written."""
    expected = {"format": _FORMAT, "voice": voice, "text": text, "sha256": hashlib.sha256(audio).hexdigest()}
    if {key: head[key] for key in expected} != expected:
        raise ValueError("damaged, or somebody else's")
    pieces = head["pieces"]
    if not isinstance(pieces, list):
        raise TypeError("no pieces")
    spoken: list[Speech] = []
    at = 0
    for piece in pieces:
        end = at + int(piece["bytes"])
        words = tuple(WordTime(str(word), float(start), float(stop)) for word, start, stop in piece["words"])
        spoken.append(Speech(str(piece["text"]), audio[at:end], words))
        at = end
    if at != len(audio):
        raise ValueError("the pieces do not add up")
    return tuple(spoken)
