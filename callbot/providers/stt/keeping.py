"""What is kept of an utterance, so that another recogniser can hear it from its beginning."""

from dataclasses import replace
from typing import Final

from callbot.providers.ports import Transcribed
from callbot.providers.stt.loudness import Loudness
from callbot.providers.stt.opened import Recogniser

MOST_KEPT: Final = 240_000
"""Bytes: 30 s, more than nearly all utterances last. Of a longer one the beginning is lost with the
recogniser that heard it."""
PIECE: Final = 800
"""Bytes, 100 ms: vendors limit how long a message is, and sockets how many wait."""


class KeptUtterance:
    """One utterance: its audio, what is known of its text, and how many finals of it are still to come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.audio = bytearray()
        self.known: Transcribed | None = None
        """The latest that was told."""
        self.owed = 0
        """Flushes whose finals have not come."""
        self.due: float | None = None
        """When the first of them should have."""
        self.excused = False
        """There is nobody better to hear it: it takes the time that it takes."""
        self._loudness = Loudness()
        self._speech_at_news = 0
        self._speech_at_flush = self._speech_at_final = 0
        self._catching_up = False

    def feed(self, audio: bytes) -> None:
        self.audio += audio
        self._loudness.feed(audio)
        if len(self.audio) > MOST_KEPT:
            del self.audio[:-MOST_KEPT]

    @property
    def speech(self) -> float:
        """Seconds of it that are loud."""
        return self._loudness.speech_bytes / 8000

    @property
    def unanswered(self) -> float:
        """Seconds of speech since there was any text, or another recogniser began."""
        return (self._loudness.speech_bytes - self._speech_at_news) / 8000

    @property
    def open(self) -> bool:
        """Something was said that is not in a final."""
        return self.owed > 0 or self._loudness.speech_bytes > self._speech_at_final

    @property
    def text(self) -> str:
        return self.known.text.strip() if self.known else ""

    def flushed(self, due: float) -> None:
        if not self.owed:
            self.due = due
        self.owed += 1
        self._speech_at_flush = self._loudness.speech_bytes

    def waive(self) -> None:
        """Nobody is left to hear it."""
        self.owed, self.due = 0, None

    def told(self, event: Transcribed) -> bool:
        """Takes in what the recogniser says; False when the call need not know: a final that came twice, or
        less than is known already from one that is still catching up. Its language may come after it, and so
        may the vendor's judgement whether the turn is over."""
        text = event.text.strip()
        if text:
            self._speech_at_news = self._loudness.speech_bytes
        if event.final:
            if not self.owed and self._is_known(event):
                return False
            self.owed = max(0, self.owed - 1)
            if not self.owed:
                self.due = None
            self._speech_at_final = self._speech_at_flush
            self._catching_up = False
        elif self._catching_up and len(text.split()) < len(self.text.split()):
            return False
        self.known = event
        return True

    def _is_known(self, final: Transcribed) -> bool:
        known = self.known
        if known is None or not known.final or self.text != final.text.strip():
            return False
        return final.language in (None, known.language) and final.turn_over in (None, known.turn_over)

    def forced(self) -> Transcribed | None:
        """What is known, as the final that does not come; None when nothing is."""
        if not self.text or self.known is None:
            return None
        final = replace(self.known, final=True)
        self.owed = min(self.owed, 1)
        self.told(final)
        return final

    def replay(self, recogniser: Recogniser) -> float:
        """Gives ``recogniser`` all of it; how many seconds it is."""
        recogniser.ears.start(self.number)
        for at in range(0, len(self.audio), PIECE):
            recogniser.send(bytes(self.audio[at : at + PIECE]))
        self._catching_up = True
        self._speech_at_news = self._loudness.speech_bytes
        if self.owed:
            self.owed = 1
            recogniser.ears.flush()
        return len(self.audio) / 8000
