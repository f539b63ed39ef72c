"""What was heard, against what was meant: recognisers hear a word wrong now and then."""

from bench.words import errors, words
from tests.reliability.stage import BILL, FILLER_MS, HOURS, SLACK_MS, Told


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
