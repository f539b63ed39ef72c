"""A voice made of voices: when one fails, the next says what is left.

A word is never said twice and never lost, as far as the voices keep to their port: a piece's words are those
in its audio. A voice that knows no word times may have attached its text to the wrong pieces; where its audio
is too short or too long for the words that it says are in it, what was said is reckoned by its length.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Mending, Port, Report, Unit, Used
from callbot.providers.breaker import Breakers
from callbot.providers.budget import UNLIMITED, Allowance
from callbot.providers.chain import Attempts, Chain
from callbot.providers.deadlines import TTS, Deadlines, in_time
from callbot.providers.ports import Speech, TextToSpeech
from callbot.providers.tts.checking import SoundCheck, sounds, too_fast

LETTER: Final = 0.07
"""Seconds that speech takes for one."""
_FASTEST, _SLOWEST, _BESIDES = 0.045, 0.13, 0.7
"""Seconds for a letter, and for pauses: outside of these, audio and words do not belong together."""


class FallbackVoice:
    """A ``TextToSpeech`` that holds some, the preferred one first; all speak the same language.

    Made for each call, which is told by ``report``; ``breakers`` are the process's, and ``allowance`` is
    asked before each request, for the characters to be spoken. ``name`` is that of the first voice, which is
    why a ``CachedVoice`` goes around each of the voices and not around this: else what another voice had to
    say once would be kept as the first one's.

    ``Used`` is told with a text's first piece of audio, for all of the text: vendors charge for what they are
    given to say, and what the caller interrupts is not paid back. It cannot know what came from a cache.
    """

    def __init__(
        self,
        voices: Sequence[TextToSpeech],
        *,
        breakers: Breakers,
        report: Report,
        allowance: Allowance = UNLIMITED,
        deadlines: Deadlines = TTS,
    ) -> None:
        self.name = voices[0].name
        self.language = voices[0].language
        self._deadlines = deadlines
        self._report = report
        self._chain: Chain[TextToSpeech] = Chain(
            Port.TTS,
            {voice.name: voice for voice in voices},
            breakers=breakers,
            report=report,
            allowance=allowance,
        )

    async def speak(self, text: str) -> AsyncGenerator[Speech]:
        clock = asyncio.get_running_loop().time
        attempts = Attempts(self._chain, clock(), {Unit.CHARACTERS_SPOKEN: len(text)})
        words = len(text.split())
        failed_at: float | None = None
        while True:
            saying = _Saying(text, attempts.name)
            try:
                async with aclosing(self._ask(attempts, saying)) as pieces:
                    async for speech in pieces:
                        if failed_at is not None:
                            from_word = words - len(text.split()) + 1
                            attempts.mended(Mending.TTS_RESUMED, clock() - failed_at, from_word=from_word)
                            failed_at = None
                        yield speech
                return
            except ProviderError as error:
                text = saying.left()
                said = saying.begun and not text
                attempts.most = {Unit.CHARACTERS_SPOKEN: len(text)}
                failed_at = clock() if failed_at is None else failed_at
                if not attempts.failed(error, clock(), over=said) and not said:
                    raise
                if said:
                    return  # it broke after its last word

    async def _ask(self, attempts: Attempts[TextToSpeech], saying: "_Saying") -> AsyncGenerator[Speech]:
        clock = asyncio.get_running_loop().time
        told = False
        with attempts.hold() as hold:
            asked = attempts.provider.speak(saying.text)
            in_turn = in_time(asked, self._deadlines, provider=attempts.name, plays=_plays)
            async with aclosing(in_turn) as pieces:
                async for speech in pieces:
                    if not told:
                        told = True
                        hold.release()
                        characters = len(saying.text)
                        self._report(Used(Port.TTS, attempts.name, Unit.CHARACTERS_SPOKEN, characters))
                    for due in saying.checked(speech):
                        attempts.goes_on(clock())
                        yield due
        for due in saying.finished():
            yield due
        attempts.answered()


def _plays(speech: Speech) -> float:
    """Silence does not keep a caller waiting any longer."""
    return speech.seconds if sounds(speech.audio) else 0.0


class _Saying:
    """One voice and what it was given to say: how far it has come, and whether it is all right."""

    def __init__(self, text: str, provider: str) -> None:
        self.text = text
        self._provider = provider
        self.begun = False
        """Something that can be heard was given out."""
        self._check = SoundCheck(text, provider)
        self._words = text.split()
        self._given = 0
        self._sounding = 0.0
        self._timed = True
        self._held: list[Speech] = []
        """The silence before the first sound: if no sound follows, nothing was given out."""

    def checked(self, speech: Speech) -> list[Speech]:
        """What may be given out now that ``speech`` has come. Raises ``ProviderError``."""
        self._check.feed(speech)
        self._held.append(speech)
        return self._release() if self._check.sounding else []

    def finished(self) -> list[Speech]:
        """It says that it has said all. Raises ``ProviderError``: also when words are missing, for a stream
        that ends too early may look like one that ends well."""
        self._check.finish()
        due = self._release()
        missing = "".join(self._words[self._given :])
        if any(letter.isalnum() for letter in missing) and not self._may_be_all():
            raise ProviderError(
                f"{self._provider}: ended before its last word",
                retryable=True,
                trouble=Trouble.CUT,
                provider=self._provider,
            )
        return due

    def _may_be_all(self) -> bool:
        """A voice without word times has said all if its audio is long enough, whatever it says of it."""
        return not self._timed and self._sounding >= _FASTEST * len("".join(self._words))

    def _release(self) -> list[Speech]:
        due, self._held = self._held, []
        for speech in due:
            words = len(speech.text.split())
            self._given += words
            self._timed &= len(speech.words) == words
            self.begun = True
        self._sounding = self._check.sounding
        return due

    def left(self) -> str:
        """The words that were not given out whole."""
        return " ".join(self._words[self._said() :])

    def _said(self) -> int:
        if not self.begun:
            return 0
        seconds, letters = self._sounding, len("".join(self._words[: self._given]))
        if self._timed:
            believable = not too_fast(letters, seconds)
        else:
            believable = _FASTEST * letters <= seconds <= _SLOWEST * letters + _BESIDES
        return self._given if believable else self._reckoned(seconds)

    def _reckoned(self, seconds: float) -> int:
        said = 0
        for word in self._words:
            seconds -= LETTER * len(word)
            if seconds < 0:
                break
            said += 1
        return said
