"""What was heard, against what was meant: recognisers hear a word wrong now and then."""

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.words import errors, words
from callbot.agents.sentences import sentences
from callbot.conversation.spoken import spoken, text_for_voice
from callbot.media_stream.audio import samples
from callbot.providers.ports import TextToSpeech
from tests.reliability.stage import BILL, FILLER_MS, HOURS, SILENCE_MS, SLACK_MS, Told

_STEP: Final = 80
"""Bytes: 10 ms."""


def recorded(call: Told) -> None:
    """Whatever the call is about: all that went wrong in it stands in its record, in its log and on the
    metrics, with its component, turn, time and attempt, and so does why it ended."""
    record = call.record
    log = [(event.kind, {"at_ms": event.at_ms, **event.data}) for event in call.log]
    assert [data for kind, data in log if kind == "ProviderFailed"] == record["failures"]
    assert [data for kind, data in log if kind == "Noticed"] == record["noticed"]
    for entry in [*record["failures"], *record["noticed"]]:
        assert entry.get("component") or entry["port"]
        assert entry["turn"] >= 0
        assert entry["at_ms"] >= 0
        assert entry["attempt"] >= 1
    failed = Counter((each["port"], each["provider"], each["trouble"]) for each in record["failures"])
    assert call.counted("callbot_provider_failures_total") == failed
    switched = [each for each in record["failures"] if each["instead"] not in ("", each["provider"])]
    assert call.counted("callbot_provider_switches_total") == Counter(
        (each["port"], each["provider"]) for each in switched
    )
    assert call.counted("callbot_noticed_total") == Counter((each["what"],) for each in record["noticed"])
    assert call.counted("callbot_calls_ended_reason_total") == {(record["ended_reason"],): 1}
    assert call.counted("callbot_calls_ended_total") == {(record["disposition"],): 1}
    (ended,) = (data for kind, data in log if kind == "Ended")
    assert {name: ended[name] for name in ("disposition", "ended_by", "reason")} == {
        "disposition": record["disposition"],
        "ended_by": record["ended_by"],
        "reason": record["ended_reason"],
    }
    assert max(call.responses_ms, default=0) < SILENCE_MS


def onsets_ms(call: Told, end_ms: int) -> list[int]:
    """When we were heard anew after the caller's ``end_ms``, counted from there."""
    bot = call.rung.result.hearing.bot
    return [segment.start_ms - end_ms for segment in bot if segment.start_ms >= end_ms]


def answered(call: Told) -> bool:
    """The two questions, each once, in words that reached the ear."""
    return call.caller == [BILL, HOURS] and call.heard().lower().count("thursday") == 2


def soon(call: Told) -> bool:
    """No answer began later than we say that we are there."""
    return max(call.responses_ms) <= FILLER_MS + SLACK_MS


def plain(text: str) -> str:
    """The words alone, numbers and amounts as they are said."""
    return " ".join(words(text))


def misheard(heard: str, meant: str) -> float:
    """The share of words that are missing, twice, or others."""
    return errors(words(meant), words(heard)) / max(1, len(words(meant)))


async def brought(call: Told, voice: TextToSpeech) -> float:
    """How like a voice's own sentences what reached the ear is: of the least like one, the correlation of its
    loudness over time. For a voice that recognisers hardly understand."""
    ear = _loudness(call.rung.result.heard)
    least = 1.0
    for sentence in sentences(call.said):
        audio = [
            speech.audio async for speech in voice.speak(text_for_voice(spoken(sentence, voice.language)))
        ]
        made = _loudness(b"".join(audio))
        places = np.lib.stride_tricks.sliding_window_view(ear, len(made))
        likeness = _standard(places) @ _standard(made) / len(made)
        least = min(least, float(likeness.max()))
    return least


def _loudness(audio: bytes) -> NDArray[np.float32]:
    """Of each 10 ms, in dB over that of silence."""
    sound = samples(audio)[: len(audio) // _STEP * _STEP].reshape(-1, _STEP)
    return np.log10(np.maximum(np.sqrt((sound**2).mean(axis=1)), 1e-3)) * 20 + 60


def _standard(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """With a mean of 0 and a deviation of 1."""
    varied = np.maximum(values.std(axis=-1, keepdims=True), 1e-3)
    return (values - values.mean(axis=-1, keepdims=True)) / varied


def gap_ms(call: Told) -> int:
    """The longest silence within what we said in one go."""
    hearing = call.rung.result.hearing
    gaps = [0]
    for one, other in zip(hearing.bot, hearing.bot[1:], strict=False):
        if not any(said.start_ms <= other.start_ms and one.end_ms <= said.end_ms for said in hearing.caller):
            gaps.append(other.start_ms - one.end_ms)
    return max(gaps)
