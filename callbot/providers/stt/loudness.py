"""Where in an utterance the speech is, by its energy alone: good enough to see where it paused."""

import audioop
from typing import Final

FRAME: Final = 160
"""Bytes, 20 ms."""

_NEVER_SPEECH = 30  # of 32,767, about -60 dBFS: a line with nobody on it
_SHARE_OF_LOUDEST = 0.08


class Loudness:
    """The level of each 20 ms of mu-law that was fed, from a byte position that rises only."""

    def __init__(self) -> None:
        self._levels: list[int] = []
        self._rest = b""
        self._loudest = 0
        self._loud_frames = 0
        self._speech_end = 0

    def feed(self, audio: bytes) -> None:
        data = self._rest + audio
        whole = len(data) - len(data) % FRAME
        for at in range(0, whole, FRAME):
            level = audioop.rms(audioop.ulaw2lin(data[at : at + FRAME], 2), 2)
            self._levels.append(level)
            self._loudest = max(self._loudest, level)
            if level > max(_NEVER_SPEECH, _SHARE_OF_LOUDEST * self._loudest):
                self._loud_frames += 1
                self._speech_end = len(self._levels) * FRAME
        self._rest = data[whole:]

    @property
    def speech_end(self) -> int:
        """The byte after the last frame that is not much quieter than the loudest; 0 before any."""
        return self._speech_end

    @property
    def speech_bytes(self) -> int:
        """How much of it was loud."""
        return self._loud_frames * FRAME

    def quietest(self, start: int, end: int) -> int:
        """The byte in the middle of the quietest 60 ms between two bytes: the place to cut."""
        first, last = start // FRAME + 1, end // FRAME - 1
        frame = min(range(first, last), key=lambda at: sum(self._levels[at - 1 : at + 2]))
        return frame * FRAME + FRAME // 2
