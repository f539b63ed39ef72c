"""The caller's telephone: every 20 ms it gives the caller something to hear and takes what the caller says.

It keeps the call's clock. The clock is absolute: a tick that came late does not push back the next.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from callbot.exchange.callers import Script, Spoken
from callbot.exchange.result import Log
from callbot.exchange.sounds import FRAME, FRAME_MS, QUIET_FRAME, RATE, SILENCE

TICK = FRAME_MS / 1000


class Party(Protocol):
    """Whoever the carrier has connected to the caller."""

    def play(self, now: float) -> bytes:
        """The 20 ms that begin ``now``, for the caller's ear."""

    def take(self, spoken: Spoken) -> None:
        """What the caller said in the 20 ms that have just ended."""


@dataclass(slots=True)
class Nobody:
    """Silence, and nobody listens."""

    def play(self, now: float) -> bytes:
        return QUIET_FRAME

    def take(self, spoken: Spoken) -> None:
        pass


@dataclass(slots=True)
class Announcement:
    """Audio of the carrier's own: ``<Say>``, ``<Play>``, ``<Pause>``. ``times`` 0 plays it for ever."""

    audio: bytes
    times: int = 1
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    _at: int = 0
    _rounds: int = 0

    def play(self, now: float) -> bytes:
        if self._at >= len(self.audio):
            self._rounds, self._at = self._rounds + 1, 0
        if not self.audio or (self.times and self._rounds >= self.times):
            self.finished.set()
            return QUIET_FRAME
        frame = self.audio[self._at : self._at + FRAME]
        self._at += FRAME
        return frame.ljust(FRAME, SILENCE)

    def take(self, spoken: Spoken) -> None:
        pass


@dataclass(slots=True)
class Telephone:
    """One caller's, from the answer to the end. ``party`` may be exchanged at any moment.

    ``over`` is set when the caller hangs up or, with ``time_up``, when ``longest`` seconds have passed.
    """

    script: Script
    log: Log
    longest: float
    party: Party = field(default_factory=Nobody)
    said: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    time_up: bool = False
    _streaming: bool = False

    async def run(self) -> None:
        """Tick until the caller hangs up."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        frame = 0
        try:
            spoken = next(self.script)
            while not self._time_is_up(frame):
                party = self.party  # who comes in the middle of a frame gets the next one
                heard = party.play(began + frame * TICK)
                self.said += spoken.audio
                self.heard += heard
                if spoken.note:
                    self.log.add("caller", note=spoken.note)
                frame += 1
                await asyncio.sleep(began + frame * TICK - loop.time())
                self.log.now_ms = len(self.said) * 1000 // RATE
                party.take(spoken)
                spoken = self.script.send(heard)
        except StopIteration:
            pass
        finally:
            self.over.set()

    def stream_began(self) -> None:
        """The tracks and the time begin with the first media stream."""
        if self._streaming:
            return
        self._streaming = True
        self.said.clear()
        self.heard.clear()
        self.log.begin_anew()

    def _time_is_up(self, frame: int) -> bool:
        self.time_up = frame * TICK >= self.longest
        return self.time_up
