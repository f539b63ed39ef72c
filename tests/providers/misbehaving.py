"""Providers that do what they were told to, and wrong: scripted, without a socket.

A script is what one request gives, in order; each request takes the next script, and the last is used for
ever. A number is so many seconds of waiting, ``FOR_EVER`` a wait without an end, an error is raised.
"""

import asyncio
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Failed, Mended, News, Port, Report, Used
from callbot.providers.ports import (
    Ending,
    Finished,
    Message,
    Piece,
    Prompt,
    Role,
    Speech,
    ToolCall,
    Transcribed,
    Words,
    WordTime,
)

FOR_EVER: Final = math.inf
LETTER: Final = 0.07
"""Seconds of audio for each letter."""


def trouble(
    trouble: Trouble, *, retryable: bool | None = None, retry_after: float | None = None
) -> ProviderError:
    fatal = (Trouble.AUTH, Trouble.QUOTA, Trouble.REJECTED, Trouble.TOO_LONG, Trouble.BAD_FORMAT)
    again = trouble not in fatal if retryable is None else retryable
    return ProviderError(f"told to: {trouble}", retryable=again, trouble=trouble, retry_after=retry_after)


CUT: Final = trouble(Trouble.CUT)


@dataclass
class Told:
    """What a call was told, by the ``Report`` that this is."""

    news: list[News] = field(default_factory=list)

    def __call__(self, news: News) -> None:
        self.news.append(news)

    @property
    def failed(self) -> list[tuple[str, str, Trouble]]:
        """Who, for what, and who went on."""
        return [(n.provider, n.instead, n.trouble) for n in self.news if isinstance(n, Failed)]

    @property
    def used(self) -> dict[tuple[str, str], float]:
        sums: dict[tuple[str, str], float] = {}
        for news in self.news:
            if isinstance(news, Used):
                key = (news.provider, str(news.unit))
                sums[key] = sums.get(key, 0.0) + news.amount
        return sums

    @property
    def mended(self) -> list[tuple[str, str, dict[str, int]]]:
        """What was put right, and who went on."""
        return [(n.what, n.provider, dict(n.details)) for n in self.news if isinstance(n, Mended)]

    def ports(self) -> set[Port]:
        return {news.port for news in self.news}


def is_a_report(told: Told) -> Report:
    return told


async def _wait(seconds: float) -> None:
    if math.isinf(seconds):
        await asyncio.Event().wait()
    await asyncio.sleep(seconds)


# --- voices ------------------------------------------------------------------------------------------


def tone(seconds: float) -> bytes:
    """Audible mu-law, neither clipped nor random."""
    return (b"\x9e\x9c\x9b\x9c\x9e\x1e\x1c\x1b\x1c\x1e" * (round(seconds * 800) + 1))[: round(seconds * 8000)]


def spoken(text: str, *, timed: bool = True, audio: bytes | None = None) -> Speech:
    """As a good voice speaks it."""
    words, at = [], 0.0
    for word in text.split():
        words.append(WordTime(word, at, at + LETTER * len(word)))
        at += LETTER * len(word)
    sound = tone(at) if audio is None else audio
    return Speech(text, sound, tuple(words) if timed else ())


@dataclass
class ScriptedVoice:
    """A ``TextToSpeech``. A whole number in a script is so many words of the text, as one piece of audio;
    at the end of a script without an error comes the rest of the text."""

    name: str
    scripts: Sequence[Sequence[int | float | Speech | ProviderError | Exception | None]] = ((),)
    language: str = "en"
    timed: bool = True
    asked: list[str] = field(default_factory=list)
    closed: int = 0

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
        self.asked.append(text)
        left = text.split()
        try:
            for step in script:
                if step is None:
                    return
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Speech):
                    yield step
                elif isinstance(step, int):
                    said, left = left[:step], left[step:]
                    if said:
                        yield spoken(" ".join(said), timed=self.timed)
                else:
                    await _wait(step)
            if left:
                yield spoken(" ".join(left), timed=self.timed)
        finally:
            self.closed += 1


# --- models ------------------------------------------------------------------------------------------


@dataclass
class ScriptedModel:
    """A ``LanguageModel``. It means to say ``text``; a whole number in a script is so many characters of it,
    and at the end of a script without an error comes the rest, and ``Finished``. Asked to go on, it goes on
    after what it is told was said, or says all again if it is ``stubborn``."""

    name: str
    text: str = ""
    scripts: Sequence[Sequence[int | float | Piece | ProviderError | Exception | None]] = ((),)
    stubborn: bool = False
    asked: list[Prompt] = field(default_factory=list)
    closed: int = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
        self.asked.append(prompt)
        left = self.text[0 if self.stubborn else self._said(prompt.messages) :]
        called, said = False, ""
        try:
            for step in script:
                if step is None:
                    return
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, ToolCall) and said.strip() and left:
                    word, space, left = left.partition(" ")  # no model calls in the middle of a word
                    yield Words(word + space)
                    said = ""
                if isinstance(step, Words | Speech | ToolCall | Finished):
                    called |= isinstance(step, ToolCall)
                    yield step
                    if isinstance(step, Finished):
                        return
                elif isinstance(step, int):
                    said, left = left[:step], left[step:]
                    if said:
                        yield Words(said)
                else:
                    await _wait(step)
            if left:
                yield Words(left)
            yield Finished(Ending.TOOL_CALLS if called else Ending.STOP)
        finally:
            self.closed += 1

    def _said(self, messages: tuple[Message, ...]) -> int:
        """Characters of ``text`` that the prompt says have been said."""
        if len(messages) < 2 or messages[-1].role is not Role.NOTE or messages[-2].role is not Role.AGENT:
            return 0
        assert self.text.startswith(messages[-2].text), "it is told to have said what it did not"
        return len(messages[-2].text)


# --- ears --------------------------------------------------------------------------------------------


def said(words: Sequence[str], seconds: float = 0.3) -> bytes:
    """Speech that ``ScriptedEars`` understand: each word is a loud stretch of its own code."""
    return b"".join(bytes([_code(word)]) * round(seconds * 8000) for word in words)


_CODES: dict[str, int] = {}


def _code(word: str) -> int:
    if word not in _CODES:
        _CODES[word] = 0x90 + len(_CODES)  # loud, as mu-law
        assert _CODES[word] < 0xB0, "too many words in one test run"
    return _CODES[word]


def understood(audio: bytes) -> str:
    words = {code: word for word, code in _CODES.items()}
    stretches = re.sub(rb"(?s)(.)\1+", rb"\1", audio)
    return " ".join(words[code] for code in stretches if code in words)


@dataclass
class Bad:
    """How one recogniser, once opened, misbehaves."""

    refuse: ProviderError | None = None
    """Raised when it is opened."""
    fail_after: float | None = None
    """Seconds of audio after which ``error`` is raised; 0: at once."""
    fail_at: float | None = None
    """The same in seconds of time."""
    fail_on_flush: bool = False
    error: Exception = CUT
    partials: bool = True
    finals: bool = True
    deaf: bool = False
    """Takes everything and tells nothing."""
    empty: bool = False
    """Tells finals that are empty."""
    twice: bool = False
    late: float = 0.0
    cuts: bool = False


class ScriptedEars:
    """A ``SpeechToText`` that understands what ``said`` made, as ``bad`` lets it."""

    def __init__(self, bad: Bad) -> None:
        self.bad = bad
        self.starts: list[int] = []
        self.flushes = 0
        self.closed = False
        self.audio = bytearray()
        self._utterance = 0
        self._heard = 0
        self._news: asyncio.Queue[Transcribed | Exception | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self._timers: list[asyncio.TimerHandle] = []
        if bad.fail_at is not None:
            self._timers.append(loop.call_later(bad.fail_at, self._news.put_nowait, bad.error))

    @property
    def cuts(self) -> bool:
        return self.bad.cuts

    def start(self, utterance: int) -> None:
        self._utterance = utterance
        self.starts.append(utterance)
        self.audio.clear()

    def send(self, audio: bytes) -> None:
        bad = self.bad
        before = understood(bytes(self.audio))
        self.audio += audio
        self._heard += len(audio)
        if bad.fail_after is not None and self._heard > bad.fail_after * 8000:
            self._news.put_nowait(bad.error)
            return
        text = understood(bytes(self.audio))
        if bad.partials and not bad.deaf and text != before:
            self._news.put_nowait(Transcribed(self._utterance, text, False))

    def flush(self) -> None:
        self.flushes += 1
        bad = self.bad
        if bad.fail_on_flush:
            self._news.put_nowait(bad.error)
        elif bad.finals and not bad.deaf:
            text = "" if bad.empty else understood(bytes(self.audio))
            final = Transcribed(self._utterance, text, True)
            for _ in range(2 if bad.twice else 1):
                if bad.late:
                    loop = asyncio.get_running_loop()
                    self._timers.append(loop.call_later(bad.late, self._news.put_nowait, final))
                else:
                    self._news.put_nowait(final)

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self.closed:
            event = await self._news.get()
            if isinstance(event, Exception):
                raise event
            if event is not None:
                yield event

    async def aclose(self) -> None:
        self.closed = True
        for timer in self._timers:
            timer.cancel()
        self._news.put_nowait(None)


@dataclass
class ScriptedHearing:
    """A ``Hearing``: the nth that is opened is bad like the nth of ``bads``, and the rest like the last."""

    bads: Sequence[Bad] = (Bad(),)
    opened: list[ScriptedEars] = field(default_factory=list)
    refused: int = 0

    def for_call(self, languages: Sequence[str]) -> ScriptedEars:
        bad = self.bads[min(len(self.opened) + self.refused, len(self.bads) - 1)]
        if bad.refuse is not None:
            self.refused += 1
            raise bad.refuse
        ears = ScriptedEars(bad)
        self.opened.append(ears)
        return ears
