"""What a finished call sounded like: measured on its two tracks, by nobody's clock but the audio's.

``said`` is what the caller said and ``heard`` what reached the caller's ear: mu-law at 8 kHz, on one clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbot.exchange.sounds import QUIETEST_DB, RATE, levels_db, to_samples

_STEP_MS = 10
_STEP = RATE * _STEP_MS // 1000


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as speech, and as its end. Levels in dB: below full scale, or above the noise."""

    faintest: float = -50.0
    onset_above_noise: float = 11.0
    offset_above_noise: float = 7.0
    loudest_noise: float = -36.0
    gap_ms: int = 200
    """A shorter gap is inside speech (a stop consonant, a breath)."""
    shortest_ms: int = 60
    """Less than this is a click."""
    pause_ms: int = 1200
    """A caller's pause that is shorter, and is followed by more of the caller, is no end."""
    breath_ms: int = 500
    """A caller who goes on after a shorter pause has not barged in a second time."""
    cut_ms: int = 200
    """Silence that long after a barge-in: the bot has stopped."""


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Segment:
    """Speech from ``start_ms`` to ``end_ms``."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Response:
    """The caller stopped at ``caller_end_ms``, and ``after_ms`` later the bot was heard."""

    caller_end_ms: int
    after_ms: int


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller began at ``onset_ms`` while the bot spoke; ``after_ms`` later the ear was silent.

    ``caller_ms`` is how long the caller spoke: a short one may have been a backchannel, over which the
    bot was right to go on.
    """

    onset_ms: int
    after_ms: int
    caller_ms: int


@dataclass(frozen=True, slots=True)
class Hearing:
    """The whole measurement. Fractions are of samples."""

    caller: tuple[Segment, ...]
    bot: tuple[Segment, ...]
    responses: tuple[Response, ...]
    barge_ins: tuple[BargeIn, ...]
    unanswered: tuple[int, ...]
    """Ends of the caller's utterances after which the bot said nothing before the caller spoke again."""
    longest_silence_ms: int
    """The longest time in which neither spoke."""
    overlap_ms: int
    """How long both spoke."""
    said_clipped: float
    heard_clipped: float


def measure(said: bytes, heard: bytes, rules: Rules = RULES) -> Hearing:
    """Judge a call by its audio."""
    caller, bot = speech(said, rules), speech(heard, rules)
    responses, unanswered = _responses(caller, bot, rules)
    length_ms = max(len(said), len(heard)) * 1000 // RATE
    return Hearing(
        caller=caller,
        bot=bot,
        responses=responses,
        barge_ins=_barge_ins(caller, bot, rules),
        unanswered=unanswered,
        longest_silence_ms=_longest_silence([*caller, *bot], length_ms),
        overlap_ms=_overlap(caller, bot),
        said_clipped=clipped(said),
        heard_clipped=clipped(heard),
    )


def speech(track: bytes, rules: Rules = RULES) -> tuple[Segment, ...]:
    """The stretches of speech, by energy above the track's own noise, to 10 ms."""
    levels = levels_db(track, step=_STEP)
    noise = noise_floor(levels, rules)
    loud = levels > max(rules.faintest + 4, noise + rules.onset_above_noise)
    audible = levels > max(rules.faintest, noise + rules.offset_above_noise)
    runs = [(start, end) for start, end in _runs(audible) if loud[start:end].any()]
    merged: list[tuple[int, int]] = []
    for start, end in runs:
        if merged and (start - merged[-1][1]) * _STEP_MS < rules.gap_ms:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(
        Segment(start * _STEP_MS, end * _STEP_MS)
        for start, end in merged
        if (end - start) * _STEP_MS >= rules.shortest_ms
    )


def noise_floor(levels: NDArray[np.float64], rules: Rules = RULES) -> float:
    """The level of the background: what the quietest twentieth reaches where there is any sound at all.

    Digital silence is left out: a line that is muted between utterances tells nothing about their noise.
    """
    sounding = levels[levels > rules.faintest - 20]
    if not len(sounding):
        return QUIETEST_DB
    return min(float(np.percentile(sounding, 5)), rules.loudest_noise)


def clipped(track: bytes) -> float:
    """The fraction of samples that stand at full scale with a neighbour that does, too."""
    if len(track) < 2:
        return 0.0
    full = np.abs(to_samples(track).astype(np.int32)) >= 32124
    return float((full[1:] & full[:-1]).mean())


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def utterances(caller: Sequence[Segment], *, pause_ms: int) -> tuple[Segment, ...]:
    """Segments joined over pauses shorter than ``pause_ms``."""
    joined: list[Segment] = []
    for segment in caller:
        if joined and segment.start_ms - joined[-1].end_ms < pause_ms:
            joined[-1] = Segment(joined[-1].start_ms, segment.end_ms)
        else:
            joined.append(segment)
    return tuple(joined)


def _responses(
    caller: Sequence[Segment], bot: Sequence[Segment], rules: Rules
) -> tuple[tuple[Response, ...], tuple[int, ...]]:
    answered: list[Response] = []
    unanswered: list[int] = []
    spoken = utterances(caller, pause_ms=rules.pause_ms)
    for index, utterance in enumerate(spoken):
        end = utterance.end_ms
        if any(segment.start_ms < end < segment.end_ms + rules.cut_ms for segment in bot):
            continue
        until = spoken[index + 1].start_ms if index + 1 < len(spoken) else None
        onset = next((segment.start_ms for segment in bot if segment.start_ms >= end), None)
        if onset is not None and (until is None or onset < until):
            answered.append(Response(end, onset - end))
        else:
            unanswered.append(end)
    return tuple(answered), tuple(unanswered)


def _barge_ins(caller: Sequence[Segment], bot: Sequence[Segment], rules: Rules) -> tuple[BargeIn, ...]:
    talk = utterances(bot, pause_ms=rules.cut_ms)
    return tuple(
        BargeIn(segment.start_ms, reply.end_ms - segment.start_ms, segment.end_ms - segment.start_ms)
        for segment in utterances(caller, pause_ms=rules.breath_ms)
        for reply in talk
        if reply.start_ms < segment.start_ms < reply.end_ms
    )


def _longest_silence(segments: Sequence[Segment], length_ms: int) -> int:
    longest, at = 0, 0
    for segment in sorted(segments, key=lambda segment: segment.start_ms):
        longest = max(longest, segment.start_ms - at)
        at = max(at, segment.end_ms)
    return max(longest, length_ms - at)


def _overlap(caller: Sequence[Segment], bot: Sequence[Segment]) -> int:
    return sum(
        max(0, min(mine.end_ms, theirs.end_ms) - max(mine.start_ms, theirs.start_ms))
        for mine in caller
        for theirs in bot
    )
