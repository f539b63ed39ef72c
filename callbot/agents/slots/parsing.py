"""From what a caller said to the value that was asked for, or to why there is none."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import assert_never

from callbot.agents.slots.amounts import find_amounts, find_numbers, keyed_amount, spoken_amount
from callbot.agents.slots.corrections import choose
from callbot.agents.slots.dates import find_dates, keyed_date, spoken_date
from callbot.agents.slots.emails import email
from callbot.agents.slots.identifiers import given, order_id, phone, with_letter
from callbot.agents.slots.kinds import Kind, Parsed
from callbot.agents.slots.languages import primary
from callbot.agents.slots.languages import vocabulary as words_of
from callbot.agents.slots.replies import Agreement, choices, yes_no
from callbot.agents.slots.replies import agreement as agreement_in
from callbot.agents.slots.times import find_times, spoken_time
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, split_words

Options = Mapping[str, Sequence[str]]
"""Each option's value, and the words callers use for it."""


def parse(
    kind: Kind,
    text: str,
    *,
    language: str = "en",
    today: date,
    options: Options | None = None,
    digits: str = "",
) -> Parsed | None:
    """The value of ``kind`` in ``text``, as the caller corrected it; ``None`` when there is none.

    ``digits`` are keys pressed on the phone and count before words; ``#`` ends them. For an order id
    they follow the letter that was said.
    """
    words = split_words(text)
    vocabulary = words_of(language)
    spanish = primary(language) == "es"
    keyed = digits.partition("#")[0]
    match kind:
        case Kind.ORDER_ID:
            return order_id(words, vocabulary, keyed=keyed)
        case Kind.PHONE:
            return phone(words, vocabulary, keyed=keyed)
        case Kind.EMAIL:
            return email(text, words, vocabulary)
        case Kind.DATE | Kind.TIME | Kind.DATETIME:
            day = _day(words, vocabulary, today, keyed)
            hour = _hour(words, vocabulary, today)
            return _when(kind, day, hour, today, spanish=spanish)
        case Kind.AMOUNT:
            return _amount(words, vocabulary, keyed)
        case Kind.NUMBER:
            return _number(words, vocabulary, keyed)
        case Kind.YES_NO:
            return _yes_no(words, vocabulary, keyed, spanish=spanish)
        case Kind.CHOICE:
            return _choice(words, vocabulary, options or {}, keyed)
        case Kind.TEXT:
            given = text.strip() or keyed
            return Parsed(given, given) if given else None
        case _:
            assert_never(kind)


def completed(kind: Kind, before: str, text: str, *, language: str = "en") -> Parsed | None:
    """The value whose end was given ``before`` and whose beginning alone ``text`` gives: the letter of an
    order id after its digits. ``None`` for other kinds, and when ``text`` says anything else."""
    if kind is not Kind.ORDER_ID:
        return None
    return with_letter(split_words(before), text, words_of(language))


def begins_anew(kind: Kind, text: str, *, language: str = "en") -> bool:
    """Whether ``text`` gives so much of a value that it does not go on with what was given before."""
    return kind is Kind.ORDER_ID and len(given(split_words(text), words_of(language)).digits) >= 4


def agreement(text: str, language: str = "en") -> Agreement | None:
    """The yes that ``text`` begins with, and what follows it."""
    return agreement_in(text, split_words(text), words_of(language))


def _day(words: Sequence[Word], vocabulary: Vocabulary, today: date, keyed: str) -> date | None:
    if keyed:
        return keyed_date(keyed, vocabulary, today)
    found = choose(find_dates(words, vocabulary, today), words, vocabulary)
    return found.value if found else None


def _hour(words: Sequence[Word], vocabulary: Vocabulary, today: date) -> time | None:
    taken = {place for day in find_dates(words, vocabulary, today) for place in range(day.start, day.end)}
    found = choose(find_times(words, vocabulary, taken), words, vocabulary)
    return found.value if found else None


def _when(kind: Kind, day: date | None, hour: time | None, today: date, *, spanish: bool) -> Parsed | None:
    spoken_day = spoken_date(day, today, spanish=spanish) if day else ""
    spoken_hour = spoken_time(hour, spanish=spanish) if hour is not None else ""
    if kind is Kind.DATE:
        return Parsed(day, spoken_day) if day else None
    if kind is Kind.TIME:
        return Parsed(hour, spoken_hour) if hour is not None else None
    if day and hour is not None:
        joined = f"{spoken_day} a las {spoken_hour}" if spanish else f"{spoken_day} at {spoken_hour}"
        return Parsed(datetime.combine(day, hour), joined)
    if day:
        return Parsed(day, spoken_day, partial=True)
    return Parsed(hour, spoken_hour, partial=True) if hour is not None else None


def _amount(words: Sequence[Word], vocabulary: Vocabulary, keyed: str) -> Parsed | None:
    if keyed:
        amount = keyed_amount(keyed)
    else:
        found = choose(find_amounts(words, vocabulary), words, vocabulary)
        amount = found.value if found else None
    return Parsed(amount[0], spoken_amount(amount)) if amount else None


def _number(words: Sequence[Word], vocabulary: Vocabulary, keyed: str) -> Parsed | None:
    if keyed:
        return Parsed(int(keyed), keyed) if keyed.isdecimal() else None
    found = choose(find_numbers(words, vocabulary), words, vocabulary)
    return Parsed(found.value, str(found.value)) if found else None


def _yes_no(words: Sequence[Word], vocabulary: Vocabulary, keyed: str, *, spanish: bool) -> Parsed | None:
    """The keys are 1 for yes and 2 for no."""
    value = {"1": True, "2": False}.get(keyed) if keyed else yes_no(words, vocabulary)
    if value is None:
        return None
    return Parsed(value, ("sí" if spanish else "yes") if value else "no")


def _choice(words: Sequence[Word], vocabulary: Vocabulary, options: Options, keyed: str) -> Parsed | None:
    """Key 1 is the first option."""
    if keyed:
        place = int(keyed) - 1 if keyed.isdecimal() else -1
        found = list(options)[place : place + 1] if place >= 0 else []
    else:
        found = choices(words, vocabulary, options)
    return Parsed(found[0], option_name(found[0], options)) if len(found) == 1 else None


def option_name(option: str, options: Options) -> str:
    """How an agent says an option: its first synonym, or its value."""
    return next(iter(options.get(option, ())), option.replace("_", " "))
