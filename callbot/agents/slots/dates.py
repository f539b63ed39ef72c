"""Days as callers say them: "next Tuesday", "the 24th", "in three days", "el martes que viene"."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

from callbot.agents.slots.cardinals import ordinal_at, whole_number_at
from callbot.agents.slots.corrections import Found
from callbot.agents.slots.vocabulary import Phrases, Vocabulary
from callbot.agents.slots.words import Word, at, before, longest_phrase_at

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}|\d{2}))?")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MESES = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
_DIAS = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"]

Ending = tuple[date, int]
Form = Callable[[Sequence[Word], int, Vocabulary, date], Ending | None]


def find_dates(words: Sequence[Word], vocabulary: Vocabulary, today: date) -> list[Found[date]]:
    """Every day named in ``words``, in order; a weekday beside a day of the month is one day."""
    return list(_find(words, vocabulary, today))


def _find(words: Sequence[Word], vocabulary: Vocabulary, today: date) -> Iterator[Found[date]]:
    place = 0
    while place < len(words):
        endings = [form(words, place, vocabulary, today) for form in _FORMS]
        best = max(filter(None, endings), key=lambda ending: ending[1], default=None)
        if best is None:
            place += 1
            continue
        yield Found(best[0], place, best[1])
        place = best[1]


def keyed_date(digits: str, vocabulary: Vocabulary, today: date) -> date | None:
    """Four keys (month and day, in the language's order), or eight with the year."""
    if len(digits) not in (4, 8) or not digits.isdigit():
        return None
    first, second, year = int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0)
    month, day = (second, first) if vocabulary.day_first else (first, second)
    return resolve(year or None, month, day, today)


def resolve(year: int | None, month: int, day: int, today: date) -> date | None:
    """The date; without a year, the next such day from ``today`` on. ``None`` if there is none."""
    years = (year,) if year else range(today.year, today.year + 5)
    for candidate in years:
        try:
            found = date(candidate, month, day)
        except ValueError:
            continue
        if year or found >= today:
            return found
    return None


def spoken_date(day: date, today: date, *, spanish: bool) -> str:
    """As in "Tuesday, November 24"; with the year when it is not within eleven months."""
    far = not -31 <= (day - today).days <= 334
    if spanish:
        text = f"{_DIAS[day.weekday()]} {day.day} de {_MESES[day.month - 1]}"
        return f"{text} de {day.year}" if far else text
    text = f"{_WEEKDAYS[day.weekday()]}, {_MONTHS[day.month - 1]} {day.day}"
    return f"{text}, {day.year}" if far else text


# --- the forms: each says what day stands at a place, and where it ends -----------------------------


def _written(words: Sequence[Word], place: int, vocabulary: Vocabulary, today: date) -> Ending | None:
    word = at(words, place)
    if match := _ISO.fullmatch(word):
        found = resolve(int(match[1]), int(match[2]), int(match[3]), today)
    elif match := _SLASHED.fullmatch(word):
        first, second = int(match[1]), int(match[2])
        month, day = (second, first) if vocabulary.day_first else (first, second)
        if "/" not in word and match[3] is None:
            return None
        found = resolve(_full_year(match[3]), month, day, today)
    else:
        return None
    return (found, place + 1) if found else None


def _full_year(year: str | None) -> int | None:
    if year is None:
        return None
    return int(year) if len(year) == 4 else 2000 + int(year)


def _relative(words: Sequence[Word], place: int, vocabulary: Vocabulary, today: date) -> Ending | None:
    phrase = longest_phrase_at(words, place, vocabulary.relative_days)
    if phrase is None or _names_a_period(words, place, vocabulary):
        return None
    return today + timedelta(days=vocabulary.relative_days[phrase]), place + len(phrase)


def _names_a_period(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    """The word "mañana" in "de la mañana" is the morning, not tomorrow."""
    return any(
        len(period) > 1 and longest_phrase_at(words, place - len(period) + 1, [period])
        for period in vocabulary.periods
        if period[-1] == words[place].text
    )


def _counted(words: Sequence[Word], place: int, vocabulary: Vocabulary, today: date) -> Ending | None:
    """As in "In three days", "two weeks from now", "a week from Tuesday"."""
    lead = longest_phrase_at(words, place, vocabulary.in_words)
    start = place + len(lead) if lead else place
    count = whole_number_at(words, start, vocabulary)
    if count is None and at(words, start) in ("a", "un", "una"):
        count = 1, start + 1
    if count is None or at(words, count[1]) not in vocabulary.day_units:
        return None
    days = count[0] * vocabulary.day_units[at(words, count[1])]
    end = count[1] + 1
    if days > 731:
        return None
    if since := longest_phrase_at(words, end, vocabulary.from_now):
        return today + timedelta(days=days), end + len(since)
    if at(words, end) in vocabulary.from_day:
        origin = _relative(words, end + 1, vocabulary, today) or _weekday(words, end + 1, vocabulary, today)
        return (origin[0] + timedelta(days=days), origin[1]) if origin else None
    return (today + timedelta(days=days), end) if lead else None


def _weekday(words: Sequence[Word], place: int, vocabulary: Vocabulary, today: date) -> Ending | None:
    """As in "Tuesday", "next Tuesday", "Tuesday next week", "Tuesday, the 24th".

    "Next Tuesday" is the coming one, but said on a Monday the one after: tomorrow has its own word.
    """
    start, modifier = _modifier(words, place, vocabulary)
    if at(words, start) not in vocabulary.weekdays:
        return None
    weekday = vocabulary.weekdays[words[start].text]
    end = start + 1
    ahead = (weekday - today.weekday()) % 7
    monday = today - timedelta(days=today.weekday())
    if modifier == "next week" or (after := longest_phrase_at(words, end, vocabulary.next_after)):
        end += 0 if modifier == "next week" else len(after or ())
        found = monday + timedelta(days=7 + weekday)
    elif modifier == "last":
        found = today - timedelta(days=(today.weekday() - weekday) % 7 or 7)
    elif modifier == "this":
        found = today + timedelta(days=ahead)
    else:
        shortest = 2 if modifier == "next" else 1
        found = today + timedelta(days=ahead if ahead >= shortest else ahead + 7)
    if later := longest_phrase_at(words, end, vocabulary.week_later):
        found, end = found + timedelta(days=7), end + len(later)
    exact = _day_of_month(words, end, vocabulary, today) or _month_day(words, end, vocabulary, today)
    return exact or (found, end)


def _modifier(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, str]:
    tables: tuple[tuple[str, Phrases], ...] = (
        ("next week", vocabulary.next_week),
        ("next", vocabulary.next_words),
        ("this", vocabulary.this_words),
        ("last", vocabulary.last_words),
    )
    for name, table in tables:
        if phrase := longest_phrase_at(words, place, table):
            return place + len(phrase), name
    return place, ""


def _month_day(words: Sequence[Word], place: int, vocabulary: Vocabulary, today: date) -> Ending | None:
    """As in "November 24", "November the twenty-fourth, 2026"."""
    month = vocabulary.months.get(at(words, place))
    if month is None:
        return None
    start = place + 2 if at(words, place + 1) == "the" else place + 1
    day = ordinal_at(words, start, vocabulary) or whole_number_at(words, start, vocabulary)
    return _dated(words, day, month, vocabulary, today)


def _day_of_month(words: Sequence[Word], place: int, vocabulary: Vocabulary, today: date) -> Ending | None:
    """As in "The 24th", "the second of November", "el 24 de noviembre"."""
    start = place
    while at(words, start) in vocabulary.articles:
        start += 1
    day = ordinal_at(words, start, vocabulary) or whole_number_at(words, start, vocabulary)
    if day is None:
        return None
    after = day[1] + 1 if at(words, day[1]) in vocabulary.of else day[1]
    month = vocabulary.months.get(at(words, after))
    if month is not None:
        return _dated(words, (day[0], after + 1), month, vocabulary, today)
    if not _stands_alone(words, start, day[1], vocabulary) or not 1 <= day[0] <= 31:
        return None
    for ahead in range(13):
        year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
        found = resolve(year, month + 1, day[0], today)
        if found and found >= today:
            return found, day[1]
    return None


def _stands_alone(words: Sequence[Word], start: int, end: int, vocabulary: Vocabulary) -> bool:
    """Whether a bare number is a day: an ordinal ("the 24th"), in Spanish after its article ("el 24")."""
    if vocabulary.day_first:
        return before(words, start) in ("el", "dia") and at(words, end) not in vocabulary.not_counting
    ordinal = ordinal_at(words, start, vocabulary)
    if ordinal is None:
        return False
    has_figure = words[start].text[0].isdigit() or words[start].text in vocabulary.tens
    return has_figure or (before(words, start) == "the" and (words[end - 1].pause or ordinal[0] > 4))


def _dated(
    words: Sequence[Word], day: tuple[int, int] | None, month: int, vocabulary: Vocabulary, today: date
) -> Ending | None:
    if day is None:
        return None
    number, end = day
    year = _year_at(words, end + 1 if at(words, end) in vocabulary.of else end, vocabulary)
    if year:
        end = year[1]
    found = resolve(year[0] if year else None, month, number, today)
    return (found, end) if found else None


def _year_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, int] | None:
    """As in "2026", "two thousand twenty-six", "twenty twenty-six"."""
    number = whole_number_at(words, place, vocabulary)
    if number and 2000 <= number[0] < 2100:
        return number
    rest = whole_number_at(words, number[1], vocabulary) if number and number[0] == 20 else None
    return (2000 + rest[0], rest[1]) if rest and 10 <= rest[0] < 100 else None


_FORMS: tuple[Form, ...] = (_written, _relative, _counted, _weekday, _month_day, _day_of_month)
