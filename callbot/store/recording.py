"""The recording of a call: a stereo WAV, caller left and bot right, on the call's media clock.

Each side says at what time its audio was (or will be) at the caller's phone, and it is put there: the
sides cannot drift apart, whatever the network did. The audio path only appends to memory. What the
clock has passed goes to the disk every few seconds, in the order given, on the executor's one thread.

The file is a playable WAV at any moment: its header is brought up to date after each piece. Mu-law is
kept as it came (format 7): nothing is decoded, and an hour is 58 MB.
"""

import asyncio
import os
import struct
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from io import FileIO
from pathlib import Path
from typing import Final

import structlog

SAMPLES_PER_MS: Final = 8
_SILENCE: Final = b"\xff"
_LEFT: Final = 0
_RIGHT: Final = 1

_PIECE: Final = 16_000
"""Samples written at a time: two seconds."""
_LATENESS: Final = 4_000
"""Samples kept in memory behind the caller's clock, where audio may still come out of order."""
_MOST_AHEAD: Final = 12 * 60 * 8_000
"""Samples that may wait in memory ahead of the caller's clock: the carrier buffers ten minutes of ours."""
_FARTHEST: Final = 15 * 60 * 8_000
"""Audio that far beyond all other has a wrong time."""
_MOST_PENDING: Final = 30
"""Pieces that may wait for the disk before we give up on it."""
_CLOSING_LIMIT: Final = 10.0

_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")

log = structlog.get_logger(__name__)


def wav_header(samples: int) -> bytes:
    """The header of a mu-law stereo WAV at 8 kHz with ``samples`` per channel."""
    data = 2 * samples
    return _HEADER.pack(
        *(b"RIFF", _HEADER.size - 8 + data, b"WAVE"),
        *(b"fmt ", 18, 7, 2, 8000, 16000, 2, 8, 0),
        *(b"fact", 4, samples),
        *(b"data", data),
    )


class StereoRecording:
    """One call's. Use it from the event loop's thread; ``executor`` must have exactly one thread.

    When the disk fails, the recording is disabled with a log line and every method does nothing: the
    call goes on. What was written until then stays, and plays.
    """

    def __init__(self, path: Path, *, executor: Executor) -> None:
        self.misplaced = 0
        """Pieces of audio whose time could not be true; they are not in the recording."""
        self.enabled = True
        self._executor = executor
        self._file = _WavFile(path)
        self._pending: deque[Future[None]] = deque()
        self._written = 0  # samples of both sides given to the disk; the tracks begin there
        self._due = _PIECE + _LATENESS  # where the caller's clock makes the next piece
        self._caller = _Track()
        self._agent = _Track()
        self._submit(self._file.open)

    def caller(self, at_ms: float, audio: bytes) -> None:
        """Mu-law that the caller said, beginning ``at_ms`` on the media clock."""
        track = self._caller
        end = track.end
        if at_ms * SAMPLES_PER_MS == end == self._written + len(track.audio) and self.enabled:
            track.audio += audio  # what nearly every frame is: the next one
            track.end = end = end + len(audio)
            if end >= self._due:
                self._write_what_is_due()
        else:
            self._place(track, _LEFT, at_ms, audio)

    def agent(self, at_ms: float, audio: bytes) -> None:
        """Mu-law that the caller hears from us, beginning ``at_ms``; it may be in the future."""
        self._place(self._agent, _RIGHT, at_ms, audio)

    def cut_agent(self, at_ms: float) -> None:
        """What was to be heard from ``at_ms`` on was cleared, and never reached the ear."""
        start, end = max(0, round(at_ms * SAMPLES_PER_MS)), self._agent.end
        if not self.enabled or start >= end:
            return
        del self._agent.audio[max(0, start - self._written) :]
        self._agent.end = start
        if start < self._written:  # rare: it is on the disk already
            silence = _SILENCE * (min(end, self._written) - start)
            self._submit(lambda: self._file.patch(_RIGHT, start, silence))

    async def close(self) -> Path | None:
        """Write the rest. The file, or ``None`` if it does not hold the whole call."""
        end = max(self._caller.end, self._agent.end)
        if self.enabled:
            self._write_until(end)
        last = self._executor.submit(self._file.close, end if self.enabled else None)
        self._pending.append(last)
        await asyncio.wait([asyncio.wrap_future(last)], timeout=_CLOSING_LIMIT)
        self._collect()
        if self._pending:
            self._disable(TimeoutError("the disk is too slow"))
        return self._file.path if self.enabled else None

    def _place(self, track: "_Track", side: int, at_ms: float, audio: bytes) -> None:
        if not self.enabled:
            return
        start = round(at_ms * SAMPLES_PER_MS)
        if start < 0 or start > max(self._written, self._caller.end, self._agent.end) + _FARTHEST:
            self.misplaced += 1
            return
        track.end = max(track.end, start + len(audio))
        if start < self._written:  # rare: its place is on the disk already
            at, late, audio = start, audio[: self._written - start], audio[self._written - start :]
            start = self._written
            self._submit(lambda: self._file.patch(side, at, late))
        track.put(start - self._written, audio)
        self._write_what_is_due()

    def _write_what_is_due(self) -> None:
        end = max(self._caller.end, self._agent.end)
        due = max(self._caller.end - _LATENESS, end - _MOST_AHEAD)
        if due - self._written >= _PIECE:
            self._write_until(due)
        self._due = self._written + _PIECE + _LATENESS

    def _write_until(self, end: int) -> None:
        length = end - self._written
        if length <= 0:
            return
        left, right = self._caller.take(length), self._agent.take(length)
        self._written = end
        self._submit(lambda: self._file.append(left, right))

    def _submit(self, job: Callable[[], None]) -> None:
        self._collect()
        if len(self._pending) >= _MOST_PENDING:
            self._disable(TimeoutError("the disk is too slow"))
        elif self.enabled:
            self._pending.append(self._executor.submit(job))

    def _collect(self) -> None:
        while self._pending and self._pending[0].done():
            if error := self._pending.popleft().exception():
                self._disable(error)

    def _disable(self, error: BaseException) -> None:
        if self.enabled:
            log.error("the recording is disabled; the call goes on", error=str(error) or type(error).__name__)
        self.enabled = False
        self._caller, self._agent = _Track(), _Track()


class _Track:
    """One side's audio that is not written yet, from where writing stopped; ``end`` counts from 0."""

    __slots__ = ("audio", "end")

    def __init__(self) -> None:
        self.audio = bytearray()
        self.end = 0

    def put(self, offset: int, audio: bytes) -> None:
        if audio and offset > len(self.audio):
            self.audio += _SILENCE * (offset - len(self.audio))
        self.audio[offset : offset + len(audio)] = audio

    def take(self, length: int) -> bytes:
        """``length`` samples, silence where there is nothing. The memory is let go of, too."""
        taken, self.audio = bytes(self.audio[:length]), self.audio[length:]
        return taken.ljust(length, _SILENCE)


class _WavFile:
    """The file; used by the executor's thread alone. Raises ``OSError`` once, and stays playable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._samples = 0
        self._failed = False

    def open(self) -> None:
        """A call that was resumed has a recording already: then ``CA..-2.wav``, and so on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stem, number = self.path.stem, 1
        while self._file is None:
            try:
                self._file = FileIO(self.path, "x+", opener=_private)
            except FileExistsError:
                number += 1
                self.path = self.path.with_stem(f"{stem}-{number}")
        self._write(0, wav_header(0))

    def append(self, left: bytes, right: bytes) -> None:
        both = bytearray(2 * len(left))
        both[_LEFT::2], both[_RIGHT::2] = left, right
        if self._write(_HEADER.size + 2 * self._samples, both):
            self._samples += len(both) // 2
            self._write(0, wav_header(self._samples))

    def patch(self, side: int, start: int, audio: bytes) -> None:
        """Replace what one side says from sample ``start`` on."""
        if self._file is None or self._failed:
            return
        at = _HEADER.size + 2 * start
        both = bytearray(os.pread(self._file.fileno(), 2 * len(audio), at))
        both[side::2] = audio
        self._write(at, both)

    def close(self, samples: int | None) -> None:
        """End the file after ``samples``: a cut may have shortened the call. ``None``: leave it as it is."""
        if self._file is None:
            return
        with self._file:
            if samples is not None and not self._failed:
                self._write(0, wav_header(samples))
                self._file.truncate(_HEADER.size + 2 * samples)

    def _write(self, at: int, audio: bytes | bytearray) -> bool:
        """False when a write has failed before: what comes after a gap would be in the wrong place."""
        if self._file is None or self._failed:
            return False
        try:
            rest = memoryview(audio)
            while rest:
                written = os.pwrite(self._file.fileno(), rest, at)
                rest, at = rest[written:], at + written
        except OSError:
            self._failed = True
            raise
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
