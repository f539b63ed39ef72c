"""The rules of turn-taking, as a person wrote them (``rules.yaml``)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from callbot.agents.brain import Expecting
from callbot.conversation.completeness import Said
from callbot.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class WaitRow:
    """One row of the endpointing table; ``expecting`` None fits anything."""

    said: Said
    expecting: Expecting | None
    wait: float


@dataclass(frozen=True, slots=True)
class TurnRules:
    """See ``rules.yaml`` for what each number means."""

    endpointing: tuple[WaitRow, ...]
    forced_final_after: float
    surely_over: float
    surely_over_wait: float
    hardly_over: float
    hardly_over_wait: float
    hold_hum: float
    forgive_after: float
    first_prompt: float
    second_prompt: float
    goodbye: float
    going_on_within: float
    heard_within: float
    unheard_for: float
    wordless_speech: float
    ask_again_after: float
    half_heard: float
    least_confidence: float
    short_sound: float
    most_letters: float
    one_moment: float
    still_working: float
    still_here: float
    acknowledge_if_later_than: float
    acknowledge_unless_within: float
    most_discarded: float
    keys_end_after: float
    marks_overdue_after: float
    reply_overdue_after: float
    longest_call: float

    def for_calls_up_to(self, seconds: float) -> "TurnRules":
        """The same rules for calls that may last ``seconds`` at most."""
        return replace(self, longest_call=min(seconds, self.longest_call))

    def wait(self, said: Said, expecting: Expecting, turn_over: float | None = None) -> float:
        """Seconds from the caller's last sound to the end of the turn. ``turn_over`` is how sure the
        recogniser is of it, if it judges that (``Transcribed``)."""
        wait = self._by_words(said, expecting)
        if turn_over is None or said is Said.PARTIAL:
            return wait
        if turn_over >= self.surely_over:
            return min(wait, self.surely_over_wait)
        return max(wait, self.hardly_over_wait) if turn_over < self.hardly_over else wait

    def _by_words(self, said: Said, expecting: Expecting) -> float:
        for row in self.endpointing:
            if row.said is said and row.expecting in (None, expecting):
                return row.wait
        return self.forced_final_after


_GROUPS: Mapping[str, tuple[str, ...]] = {
    "judged_by_the_recogniser": ("surely_over_wait", "hardly_over_wait"),
    "listening": ("heard_within", "unheard_for", "wordless_speech", "ask_again_after", "half_heard"),
    "phantom": ("short_sound", "most_letters"),
    "late_replies": (
        "one_moment",
        "still_working",
        "still_here",
        "acknowledge_if_later_than",
        "acknowledge_unless_within",
    ),
    "thinking_ahead": ("most_discarded",),
    "barge_in": ("hold_hum", "forgive_after"),
    "silence": ("first_prompt", "second_prompt", "goodbye"),
}
_SHARES: Mapping[str, tuple[str, ...]] = {
    "judged_by_the_recogniser": ("surely_over", "hardly_over"),
    "phantom": ("least_confidence",),
}
_PLAIN = (
    "forced_final_after",
    "going_on_within",
    "keys_end_after",
    "marks_overdue_after",
    "reply_overdue_after",
    "longest_call",
)


def parse_rules(text: str, source: str = "rules.yaml") -> TurnRules:
    """The table from its YAML text. Raises ``ConfigurationError`` that names the entry."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: not YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{source}: expected a mapping with the key 'endpointing'")
    numbers = {name: _seconds(data, name, source) for name in _PLAIN}
    for group, names in _GROUPS.items():
        inner = data.get(group)
        if not isinstance(inner, dict):
            raise ConfigurationError(f"{source}: '{group}' must be a mapping with {', '.join(names)}")
        numbers |= {name: _seconds(inner, name, f"{source}: {group}") for name in names}
    for group, names in _SHARES.items():
        numbers |= {name: _share(data[group], name, f"{source}: {group}") for name in names}
    rows = data.get("endpointing")
    if not isinstance(rows, list) or not rows:
        raise ConfigurationError(f"{source}: 'endpointing' must be a list of rows")
    return TurnRules(
        endpointing=tuple(_row(row, f"{source}: endpointing row {n}") for n, row in enumerate(rows, 1)),
        **numbers,
    )


def _row(row: Any, where: str) -> WaitRow:
    if not isinstance(row, dict) or set(row) != {"said", "expecting", "wait"}:
        raise ConfigurationError(f"{where}: write {{said: ..., expecting: ..., wait: seconds}}")
    try:
        said = Said(row["said"])
    except ValueError:
        raise ConfigurationError(f"{where}: said: {row['said']!r} is not one of {', '.join(Said)}") from None
    try:
        expecting = None if row["expecting"] == "any" else Expecting(row["expecting"])
    except ValueError:
        raise ConfigurationError(
            f"{where}: expecting: {row['expecting']!r} is not one of any, {', '.join(Expecting)}"
        ) from None
    return WaitRow(said, expecting, _seconds(row, "wait", where))


def _share(data: Mapping[str, Any], name: str, where: str) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(f"{where}: '{name}' must be a number from 0 to 1, not {value!r}")
    return float(value)


def _seconds(data: Mapping[str, Any], name: str, where: str) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{where}: '{name}' must be a number of seconds above 0, not {value!r}")
    return float(value)
