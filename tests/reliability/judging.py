"""What was heard, against what was meant: recognisers hear a word wrong now and then."""

from collections import Counter

from bench.words import errors, words
from tests.reliability.stage import BILL, FILLER_MS, HOURS, SILENCE_MS, SLACK_MS, Told


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


def gap_ms(call: Told) -> int:
    """The longest silence within what we said in one go."""
    hearing = call.rung.result.hearing
    gaps = [0]
    for one, other in zip(hearing.bot, hearing.bot[1:], strict=False):
        if not any(said.start_ms <= other.start_ms and one.end_ms <= said.end_ms for said in hearing.caller):
            gaps.append(other.start_ms - one.end_ms)
    return max(gaps)
