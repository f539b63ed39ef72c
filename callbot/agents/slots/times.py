"""Times of day: "half past three", "3:30 pm", "at nine in the morning", "a las cuatro menos cuarto"."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import time

from callbot.agents.slots.cardinals import whole_number_at
from callbot.agents.slots.corrections import Found
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, at, longest_phrase_at

_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})")
_FIGURES = re.compile(r"(\d{1,2})(\d{2})")
OFFICE_OPENS = 8
"""A bare hour before this is in the afternoon: nobody books a visit for three at night."""


@dataclass(frozen=True, slots=True)
class _Clock:
    """What the clock's face shows. ``sure`` if the words can only be a time."""

    hour: int
    minute: int
    end: int
    sure: bool


def find_times(
    words: Sequence[Word], vocabulary: Vocabulary, taken: Collection[int] = ()
) -> list[Found[time]]:
    """Every time named in ``words``; the words at ``taken`` (a date's) are left alone.

    A bare number is a weak one.
    """
    return list(_find(words, vocabulary, taken))


def _find(words: Sequence[Word], vocabulary: Vocabulary, taken: Collection[int]) -> Iterator[Found[time]]:
    anywhere = next(filter(None, (_period_at(words, i, vocabulary) for i in range(len(words)))), None)
    place = 0
    while place < len(words):
        found = None if place in taken else _time_at(words, place, vocabulary, anywhere)
        if found is None:
            place += 1
            continue
        yield found
        place = found.end


def _time_at(
    words: Sequence[Word], place: int, vocabulary: Vocabulary, anywhere: tuple[str, int] | None
) -> Found[time] | None:
    if words[place].text in vocabulary.fixed_times:
        return Found(time(*vocabulary.fixed_times[words[place].text]), place, place + 1)
    lead = longest_phrase_at(words, place, vocabulary.at_time)
    start = place + len(lead) if lead else place
    clock = _clock_at(words, start, vocabulary)
    if clock is None:
        return None
    sure = clock.sure or (lead is not None and lead not in (("by",), ("la",), ("about",), ("from",)))
    end = clock.end
    if exact := longest_phrase_at(words, end, vocabulary.oclock):
        end, sure = end + len(exact), True
    period = _period_at(words, end, vocabulary)
    if period:
        end, sure = period[1], True
    name = (period or anywhere or ("", 0))[0]
    hour = _hour(clock.hour, name, exact=clock.hour == 0 or clock.hour > 12)
    if hour is None:
        return None
    return Found(time(hour, clock.minute), place, end, strong=sure)


def _period_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[str, int] | None:
    phrase = longest_phrase_at(words, place, vocabulary.periods)
    return (vocabulary.periods[phrase], place + len(phrase)) if phrase else None


def _hour(hour: int, period: str, *, exact: bool) -> int | None:
    """The hour of 24 that the clock's ``hour`` is in ``period``; a bare one is in office hours."""
    if not 0 <= hour <= 23:
        return None
    if exact:
        return hour
    match period:
        case "morning":
            return hour % 12
        case "afternoon":
            return hour % 12 + 12
        case "night":
            return hour % 12 + 12 if 5 <= hour < 12 else hour % 12
        case _:
            return hour + 12 if hour < OFFICE_OPENS else hour


def _clock_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> _Clock | None:
    if match := _CLOCK.fullmatch(at(words, place)):
        return _valid(_Clock(int(match[1]), int(match[2]), place + 1, sure=":" in match[0]))
    if vocabulary.hour_before_minutes:
        return _valid(_hour_then_minutes(words, place, vocabulary))
    return _valid(_minutes_then_hour(words, place, vocabulary) or _plain_hour(words, place, vocabulary))


def _valid(clock: _Clock | None) -> _Clock | None:
    return clock if clock and 0 <= clock.hour <= 23 and 0 <= clock.minute <= 59 else None


def _shifted(hour: int, minutes: int, end: int) -> _Clock:
    """``minutes`` after ``hour`` (before it, when negative), on a clock's face."""
    if minutes < 0:
        return _Clock((hour - 2) % 12 + 1, 60 + minutes, end, sure=True)
    return _Clock(hour, minutes, end, sure=True)


def _minutes_then_hour(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> _Clock | None:
    """As in "Half past three", "quarter to four", "ten past nine"."""
    if half := longest_phrase_at(words, place, vocabulary.half):
        hour = whole_number_at(words, place + len(half), vocabulary)
        return _shifted(hour[0], 30, hour[1]) if hour and hour[0] <= 12 else None
    start = place + 1 if at(words, place) == "a" else place
    if at(words, start) in vocabulary.quarter:
        minutes: tuple[int, int] | None = (15, start + 1)
    else:
        minutes = whole_number_at(words, start, vocabulary)
    if minutes is None or not 0 < minutes[0] < 60:
        return None
    between = minutes[1] + 1 if at(words, minutes[1]) in vocabulary.minutes else minutes[1]
    sign = 1 if at(words, between) in vocabulary.past else -1
    if at(words, between) not in vocabulary.past | vocabulary.to:
        return None
    if sign < 0 and minutes[0] not in (5, 10, 15, 20, 25):
        return None  # "two to three" is a range
    hour = whole_number_at(words, between + 1, vocabulary)
    return _shifted(hour[0], sign * minutes[0], hour[1]) if hour and 1 <= hour[0] <= 12 else None


def _plain_hour(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> _Clock | None:
    """As in "Three", "three thirty", "three oh five", "330"."""
    word = at(words, place)
    if len(word) > 2 and (match := _FIGURES.fullmatch(word)):
        return _Clock(int(match[1]), int(match[2]), place + 1, sure=False)
    hour = whole_number_at(words, place, vocabulary)
    if hour is None or hour[0] > 23:
        return None
    clock = _Clock(hour[0], 0, hour[1], sure=False)
    if words[hour[1] - 1].pause:
        return clock
    if vocabulary.unsure_digits.get(at(words, hour[1])) == "0":
        minutes = whole_number_at(words, hour[1] + 1, vocabulary)
        return _Clock(hour[0], minutes[0], minutes[1], sure=True) if minutes and minutes[0] < 10 else clock
    minutes = whole_number_at(words, hour[1], vocabulary)
    if minutes and 10 <= minutes[0] < 60:
        return replace(clock, minute=minutes[0], end=minutes[1], sure=minutes[0] % 5 == 0)
    return clock


def _hour_then_minutes(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> _Clock | None:
    """As in "Las tres y media", "las cuatro menos cuarto", "las tres y diez"."""
    hour = whole_number_at(words, place, vocabulary)
    if hour is None or hour[0] > 23:
        return None
    end = hour[1]
    if half := longest_phrase_at(words, end, vocabulary.half):
        return _shifted(hour[0], 30, end + len(half))
    sign = {True: 1, False: -1}[at(words, end) in vocabulary.past]
    if at(words, end) in vocabulary.past | vocabulary.to:
        if at(words, end + 1) in vocabulary.quarter:
            return _shifted(hour[0], sign * 15, end + 2)
        minutes = whole_number_at(words, end + 1, vocabulary)
        if minutes and 0 < minutes[0] < 60:
            return _shifted(hour[0], sign * minutes[0], minutes[1])
    minutes = whole_number_at(words, end, vocabulary)
    if minutes and 10 <= minutes[0] < 60 and not words[end - 1].pause:
        return _Clock(hour[0], minutes[0], minutes[1], sure=True)
    return _Clock(hour[0], 0, end, sure=False)


def spoken_time(value: time, *, spanish: bool) -> str:
    """As in "3:30 pm", "noon"; "3:30 de la tarde"."""
    hour = value.hour % 12 or 12
    clock = f"{hour}:{value.minute:02}" if value.minute else f"{hour}"
    if spanish:
        part = "mañana" if value.hour < 12 else "tarde" if value.hour < 20 else "noche"
        return f"{hour}:{value.minute:02} de la {part}"
    if value == time(12):
        return "noon"
    if value == time(0):
        return "midnight"
    return f"{clock} {'am' if value.hour < 12 else 'pm'}"
