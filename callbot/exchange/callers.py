"""Who is on the telephone: a caller hears 20 ms and says 20 ms, over and over.

A caller's script is a generator: it yields what the caller says in the next 20 ms and is sent what the
caller hears in the same; when it returns, the caller hangs up. It needs no loop and no clock, and scripts
are built from smaller ones with ``yield from``.
"""

import itertools
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from callbot.exchange import dtmf, ear
from callbot.exchange.errors import ScenarioError
from callbot.exchange.scenario import (
    Clip,
    Cue,
    HangUp,
    Interrupt,
    PlayClip,
    PressKeys,
    Scenario,
    Sidecar,
    StaySilent,
    Step,
    WaitForSpeech,
    WaitForStop,
    read_scenario,
    read_sidecar,
)
from callbot.exchange.sounds import FRAME, FRAME_MS, QUIET_FRAME, RATE, SILENCE, level_db, read_wav


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a caller does in 20 ms: mu-law (160 bytes), a key that is pressed, a note for whoever watches."""

    audio: bytes = QUIET_FRAME
    digit: str = ""
    note: str = ""


Script = Generator[Spoken, bytes, None]


class Caller(Protocol):
    def script(self) -> Script:
        """A new call's script. Whoever drives it answers each value yielded with the frame heard."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a caller takes turns, in ms."""

    patience_ms: int = 900
    """Silence after which the bot is taken to have finished."""
    give_up_ms: int = 12_000
    """A bot that says nothing for so long is not waited for."""
    longest_wait_ms: int = 60_000
    """Nor is one that never stops."""
    farewell_ms: int = 2_500
    """How long the bot may take to hang up after its last words."""
    change_of_mind_ms: int = 1_000
    """How far into the last answer a caller hears who hangs up in the middle of it."""
    turn_gap_ms: int = 1_200
    """A gap in a recording from here on is the end of an utterance..."""
    silence_gap_ms: int = 4_000
    """...and from here on means that the caller really is silent for so long."""


MANNERS = Manners()

_AUDIBLE_DB = -48.0
_REPLY_GAP_MS = 300
"""Sound after so much silence is a new beginning."""


# --- one caller's ear ----------------------------------------------------------------------------


@dataclass(slots=True)
class Attention:
    """What a caller knows of the bot by listening; time is counted in frames heard, in ms."""

    now_ms: int = 0
    last_sound_ms: int | None = None
    onset_ms: int | None = None
    """When the bot last began after a gap."""

    def hear(self, frame: bytes) -> None:
        begins_ms = self.now_ms
        self.now_ms += FRAME_MS
        if level_db(frame) < _AUDIBLE_DB:
            return
        if self.last_sound_ms is None or begins_ms - self.last_sound_ms > _REPLY_GAP_MS:
            self.onset_ms = begins_ms
        self.last_sound_ms = self.now_ms

    def spoke_since(self, moment_ms: int) -> bool:
        return self.last_sound_ms is not None and self.last_sound_ms > moment_ms

    def began_since(self, moment_ms: int) -> bool:
        return self.onset_ms is not None and self.onset_ms >= moment_ms

    def silent_ms(self) -> int:
        return self.now_ms - (self.last_sound_ms or 0)


@dataclass(slots=True)
class Mouth:
    """The small scripts of which callers are made. ``room`` is the sound of where the caller sits."""

    attention: Attention = field(default_factory=Attention)
    room: Iterator[bytes] = field(default_factory=lambda: itertools.repeat(QUIET_FRAME))
    since_ms: int = 0
    """Bot audio from here on belongs to what the caller did last."""

    def frame(self, spoken: Spoken) -> Script:
        self.attention.hear((yield spoken))

    def idle(self) -> Script:
        yield from self.frame(Spoken(next(self.room)))

    def wait(self, milliseconds: float) -> Script:
        until = self.attention.now_ms + milliseconds
        while self.attention.now_ms < until:
            yield from self.idle()

    def speak(self, speech: "Speech", note: str = "") -> Script:
        """Say it. The answer counts from the end of the words, not of the silence recorded after them."""
        keys = deque(speech.keys)
        started_ms = self.attention.now_ms
        for at in range(0, len(speech.audio), FRAME):
            digit = keys.popleft().digit if keys and keys[0].end <= at + FRAME else ""
            yield from self.frame(Spoken(speech.audio[at : at + FRAME].ljust(FRAME, SILENCE), digit, note))
            note = ""
        for press in keys:
            yield from self.frame(Spoken(next(self.room), press.digit))
        self.since_ms = started_ms + speech.words_end_ms

    def press(self, digits: str) -> Script:
        for digit in digits:
            yield from self.wait(100)
            yield from self.frame(Spoken(next(self.room), digit, f"presses {digit}"))
            yield from self.wait(80)
        self.since_ms = self.attention.now_ms

    def until_bot_stops(self, manners: Manners) -> Script:
        """Until the bot has spoken and been silent for a while; not for ever."""
        begun_ms = self.attention.now_ms
        while self.attention.now_ms - begun_ms < manners.longest_wait_ms:
            if self.attention.spoke_since(self.since_ms):
                if self.attention.silent_ms() >= manners.patience_ms:
                    return
            elif self.attention.now_ms - self.since_ms >= manners.give_up_ms:
                return
            yield from self.idle()

    def until_bot_begins(self, manners: Manners) -> Script:
        """Until a reply has begun since the caller's last words."""
        begun_ms = self.attention.now_ms
        while not self.attention.began_since(self.since_ms):
            if self.attention.now_ms - begun_ms >= manners.give_up_ms:
                return
            yield from self.idle()

    def interrupt(self, after_ms: int, manners: Manners) -> Script:
        """Until ``after_ms`` into the bot's next reply."""
        yield from self.until_bot_begins(manners)
        if self.attention.began_since(self.since_ms) and self.attention.onset_ms is not None:
            yield from self.wait(self.attention.onset_ms + after_ms - self.attention.now_ms)

    def farewell(self, manners: Manners) -> Script:
        """Let the bot finish and give it the chance to hang up first."""
        yield from self.until_bot_stops(manners)
        yield from self.wait(manners.farewell_ms)


# --- recordings ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speech:
    """One utterance: audio without its touch-tones, and those as key presses at their places.

    The words are heard from ``words_start_ms`` to ``words_end_ms`` of ``audio``. ``silent_before_ms`` is
    how long the recorded caller was silent before, when that was long enough to mean something.
    """

    audio: bytes
    keys: tuple[dtmf.Press, ...] = ()
    words_start_ms: int = 0
    words_end_ms: int = 0
    silent_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class Recording:
    """A caller's recording, split at its silences.

    ``whole`` is the file as it is, ``trimmed`` all that is said in it, ``room`` what is heard between.
    """

    path: Path
    whole: Speech
    trimmed: Speech
    utterances: tuple[Speech, ...]
    room: bytes

    def background(self) -> Iterator[bytes]:
        """The room's sound in frames, for ever."""
        if len(self.room) < FRAME:
            return itertools.repeat(QUIET_FRAME)
        frames = [self.room[at : at + FRAME] for at in range(0, len(self.room) - FRAME + 1, FRAME)]
        # there and back again, so that the loop has no seam
        return itertools.cycle(frames + frames[::-1])


_LEAD_MS, _TAIL_MS = 100, 200
"""Kept before and after an utterance's words, so that no soft beginning or ending is cut."""


def read_recording(path: Path, manners: Manners = MANNERS) -> Recording:
    """Read and split ``path``; ``SoundError`` when it is no WAV file. Nobody need speak in it."""
    audio = read_wav(path)
    clean, keys = dtmf.separate(audio)
    segments = ear.utterances(ear.speech(audio), pause_ms=manners.turn_gap_ms)
    if not segments:
        return Recording(path, Speech(clean), Speech(clean), (), clean)
    whole = Speech(clean, keys, segments[0].start_ms, segments[-1].end_ms)
    trimmed = _cut(whole, ear.Segment(segments[0].start_ms, segments[-1].end_ms), silent_before_ms=0)
    utterances: list[Speech] = []
    end_ms = 0
    for segment in segments:
        gap_ms = segment.start_ms - end_ms if utterances else 0
        utterances.append(
            _cut(whole, segment, silent_before_ms=gap_ms if gap_ms >= manners.silence_gap_ms else 0)
        )
        end_ms = segment.end_ms
    return Recording(path, whole, trimmed, tuple(utterances), _room(clean, segments))


def _cut(whole: Speech, segment: ear.Segment, *, silent_before_ms: int) -> Speech:
    start = max(0, segment.start_ms - _LEAD_MS) * RATE // 1000
    end = (segment.end_ms + _TAIL_MS) * RATE // 1000
    keys = tuple(
        dtmf.Press(key.digit, key.start - start, key.end - start)
        for key in whole.keys
        if start <= (key.start + key.end) // 2 < end
    )
    start_ms = start * 1000 // RATE
    words = segment.start_ms - start_ms, segment.end_ms - start_ms
    return Speech(whole.audio[start:end], keys, *words, silent_before_ms)


def _room(audio: bytes, segments: tuple[ear.Segment, ...]) -> bytes:
    """The longest stretch in which nobody speaks, if it is at all long."""
    edges = [0, *(edge for segment in segments for edge in (segment.start_ms, segment.end_ms))]
    edges.append(len(audio) * 1000 // RATE)
    gaps = [(start + _TAIL_MS, end - _LEAD_MS) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    start, end = max(gaps, key=lambda gap: gap[1] - gap[0])
    return audio[start * RATE // 1000 : end * RATE // 1000] if end - start >= 300 else b""


# --- the callers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SilentCaller:
    """Rings, says nothing for ``seconds``, and hangs up."""

    seconds: float

    def script(self) -> Script:
        yield from Mouth().wait(self.seconds * 1000)


class RecordedCaller:
    """Plays a recording's utterances, each when its turn has come; with ``straight``, as it was recorded.

    Cues beside the recording (``NAME.yaml``) may say what each utterance is and when it begins, and that
    the caller hangs up in the middle of the last answer (``then: hang_up``). A caller who says nothing at
    all stays on the line as long as the recording lasts.
    """

    def __init__(self, path: Path, *, straight: bool = False, manners: Manners = MANNERS) -> None:
        self.recording = read_recording(path, manners)
        self.straight = straight
        self.manners = manners
        sidecar = path.with_suffix(".yaml")
        self.sidecar = read_sidecar(sidecar) if sidecar.is_file() else Sidecar(sidecar)
        found, told = len(self.recording.utterances), len(self.sidecar.cues)
        if told and told != found:
            raise ScenarioError(
                f"{sidecar}:{self.sidecar.utterances_line}: {told} utterances are listed, but {path.name} "
                f"has {found} (split at silences of {manners.turn_gap_ms} ms and more); list as many"
            )

    @property
    def cues(self) -> tuple[Cue, ...]:
        return self.sidecar.cues or tuple(Cue() for _ in self.recording.utterances)

    def script(self) -> Script:
        mouth = Mouth(room=self.recording.background())
        if not self.recording.utterances:
            yield from mouth.speak(self.recording.whole, note="says nothing")
            return
        if self.straight:
            yield from mouth.until_bot_begins(self.manners)
            yield from mouth.speak(self.recording.whole, note="plays the recording straight through")
        else:
            for speech, cue in zip(self.recording.utterances, self.cues, strict=True):
                yield from self._turn(mouth, speech, cue)
        if self.sidecar.hangs_up:
            yield from mouth.interrupt(self.manners.change_of_mind_ms, self.manners)
        else:
            yield from mouth.farewell(self.manners)

    def _turn(self, mouth: Mouth, speech: Speech, cue: Cue) -> Script:
        match cue:
            case Cue(interrupt_after_ms=int(after_ms)):
                yield from mouth.interrupt(after_ms - speech.words_start_ms, self.manners)
            case Cue(straight_after_ms=int(after_ms)):
                yield from mouth.wait(
                    mouth.since_ms + after_ms - speech.words_start_ms - mouth.attention.now_ms
                )
            case _:
                yield from mouth.until_bot_stops(self.manners)
                if speech.silent_before_ms:
                    yield from mouth.wait(speech.silent_before_ms)
                    yield from _let_it_finish(mouth, self.manners)
        yield from mouth.speak(speech, note=cue.text or "speaks")


def _let_it_finish(mouth: Mouth, manners: Manners) -> Script:
    """A long silence is over; a bot that is just prompting may finish first."""
    begun_ms = mouth.attention.now_ms
    while mouth.attention.silent_ms() < manners.patience_ms:
        if mouth.attention.now_ms - begun_ms >= manners.longest_wait_ms:
            return
        yield from mouth.idle()


class ScriptedCaller:
    """Does what a scenario says, step by step; after the last step it leaves as a recorded caller does."""

    def __init__(self, scenario: Scenario | Path, *, manners: Manners = MANNERS) -> None:
        self.scenario = read_scenario(scenario) if isinstance(scenario, Path) else scenario
        self.manners = manners
        clips = {step.clip for step in self.scenario.steps if isinstance(step, PlayClip | Interrupt)}
        self._recordings = {path: read_recording(path, manners) for path in {clip.path for clip in clips}}
        self._speech = {clip: self._find(clip) for clip in clips}

    def _find(self, clip: Clip) -> Speech:
        recording = self._recordings[clip.path]
        if clip.utterance is None:
            return recording.trimmed
        found = len(recording.utterances)
        if clip.utterance > found:
            raise ScenarioError(
                f"{self.scenario.path}: utterance {clip.utterance} of {clip.path.name} is asked for, "
                f"but it has {found}"
            )
        return recording.utterances[clip.utterance - 1]

    def script(self) -> Script:
        mouth = Mouth()
        for step in self.scenario.steps:
            if isinstance(step, HangUp):
                return
            yield from self._step(mouth, step)
        yield from mouth.farewell(self.manners)

    def _step(self, mouth: Mouth, step: Step) -> Script:
        match step:
            case PlayClip(clip):
                yield from mouth.speak(self._speech[clip], note=_name(clip))
            case WaitForStop():
                yield from mouth.until_bot_stops(self.manners)
            case WaitForSpeech():
                yield from mouth.until_bot_begins(self.manners)
            case StaySilent(seconds):
                yield from mouth.wait(seconds * 1000)
            case PressKeys(digits):
                yield from mouth.press(digits)
            case Interrupt(clip, after_ms):
                speech = self._speech[clip]
                yield from mouth.interrupt(after_ms - speech.words_start_ms, self.manners)
                yield from mouth.speak(speech, note=_name(clip))
            case HangUp():
                return


def _name(clip: Clip) -> str:
    return clip.path.stem if clip.utterance is None else f"{clip.path.stem}, utterance {clip.utterance}"
