"""Number words and numerals as integers."""

import re
from collections.abc import Sequence

from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, at

_NUMERAL = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")


def cardinal_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, int] | None:
    """The longest number in words at ``place`` ("seventy-four", "two thousand and ten") and where it ends."""
    total, current = 0, 0
    room = 1000  # a part fits when it is smaller than the last part's lowest place
    end = place
    while True:
        start = _after_joiner(words, end, vocabulary) if end > place else end
        word = at(words, start)
        part = _part(word, vocabulary)
        if part is not None and part < room and (part > 0 or end == place):
            current += part
            room = _room_after(part)
        elif word in vocabulary.hundred and 0 < current < 100:
            current, room = max(current, 1) * 100, 100
        elif word in vocabulary.thousand and (current or vocabulary.hundreds) and total == 0:
            total, current, room = max(current, 1) * 1000, 0, 1000
        elif end == place and _article_counts(words, place, vocabulary):
            current, room = 1, 0
        elif end > place and room > 1 and word in vocabulary.compound_digits:
            current, room = current + vocabulary.compound_digits[word], 0
        else:
            break
        end = start + 1
        if part == 0:
            break
    return (total + current, end) if end > place else None


def _after_joiner(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> int:
    """Past "and" in "two hundred and ten", past "y" in "setenta y cuatro"."""
    if at(words, place) != vocabulary.number_joiner:
        return place
    previous, following = at(words, place - 1), at(words, place + 1)
    joins = (
        previous in vocabulary.tens and following in {*vocabulary.digits, *vocabulary.compound_digits}
        if vocabulary.hundreds
        else previous in vocabulary.hundred | vocabulary.thousand and _part(following, vocabulary) is not None
    )
    return place + 1 if joins else place


def _article_counts(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    """The article is a number in "a hundred", "a dollar", "un centavo"."""
    following = at(words, place + 1)
    multiplied = following in vocabulary.hundred | vocabulary.thousand
    money = following in vocabulary.currencies or following in vocabulary.cents
    return at(words, place) in vocabulary.article_one and (multiplied or money)


def _part(word: str, vocabulary: Vocabulary) -> int | None:
    for table in (vocabulary.digits, vocabulary.teens, vocabulary.tens, vocabulary.hundreds):
        if word in table:
            return table[word]
    return None


def _room_after(part: int) -> int:
    if part >= 100:
        return 100
    return 10 if part >= 20 and part % 10 == 0 else 0


def whole_number_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, int] | None:
    """A whole number in words or as a numeral, and where it ends."""
    if _NUMERAL.fullmatch(at(words, place)):
        return int(words[place].text.replace(",", "")), place + 1
    return cardinal_at(words, place, vocabulary)


def ordinal_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, int] | None:
    """The number of "24th", "second", "twenty-fourth", and where it ends."""
    word = at(words, place)
    if match := _ORDINAL.fullmatch(word):
        return int(match[1]), place + 1
    following = vocabulary.ordinals.get(at(words, place + 1), 99)
    if word in vocabulary.tens and following < 10:
        return vocabulary.tens[word] + following, place + 2
    if word in vocabulary.ordinals:
        return vocabulary.ordinals[word], place + 1
    return None


def digits_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[str, int] | None:
    """A number as a caller reads digits out: "seventy-four twenty-nine" begins with 74.

    "Eight hundred five five five" begins with 800: two bare digits never follow a hundred in a number.
    """
    found = cardinal_at(words, place, vocabulary)
    if found is None:
        return None
    value, end = found
    lone_digit = at(words, end - 1) in vocabulary.digits
    more_digits = at(words, end) in vocabulary.digits or at(words, end) in vocabulary.unsure_digits
    if end - place > 2 and lone_digit and more_digits and at(words, end - 2) in vocabulary.hundred:
        value, end = value - vocabulary.digits[at(words, end - 1)], end - 1
    return str(value), end
