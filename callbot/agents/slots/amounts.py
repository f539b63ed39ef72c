"""Amounts of money and counts of things."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from callbot.agents.slots.cardinals import cardinal_at, whole_number_at
from callbot.agents.slots.corrections import Found
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, at, before, longest_phrase_at

_FIGURES = re.compile(r"(?P<sign>[$€£]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<cents>\d{1,2}))?")
_FIGURES_COMMA = re.compile(r"(?P<sign>[$€£]?)(?P<whole>\d{1,3}(?:\.\d{3})+|\d+)(?:[,.](?P<cents>\d{1,2}))?")
Amount = tuple[Decimal, str]
"""The sum and its currency's sign."""


def find_amounts(words: Sequence[Word], vocabulary: Vocabulary) -> list[Found[Amount]]:
    """Every sum in ``words``. A number without currency or cents is a weak one."""
    return list(_find(words, vocabulary))


def _find(words: Sequence[Word], vocabulary: Vocabulary) -> Iterator[Found[Amount]]:
    place = 0
    while place < len(words):
        found = _sum_at(words, place, vocabulary)
        if found is None:
            place += 1
            continue
        yield found
        place = found.end


def keyed_amount(digits: str) -> Amount | None:
    """Keys pressed: ``62`` or, with the star for a point, ``62*50``."""
    match = re.fullmatch(r"(\d+)(?:\*(\d{1,2}))?", digits)
    if match is None:
        return None
    return _money(int(match[1]), int((match[2] or "0").ljust(2, "0"))), "$"


def _money(whole: int, cents: int) -> Decimal:
    return Decimal(whole * 100 + cents).scaleb(-2)


def spoken_amount(amount: Amount) -> str:
    value, sign = amount
    return f"{sign}{value:,.2f}"


def _sum_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Found[Amount] | None:
    figures = _figures_at(words, place, vocabulary)
    if figures is not None:
        return figures
    whole = whole_number_at(words, place, vocabulary)
    if whole is None or _is_pronoun(words, place, vocabulary):
        return None
    return _with_units(words, place, whole, vocabulary)


def _figures_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Found[Amount] | None:
    """As in "$62.50", "62.50 dollars"."""
    pattern = _FIGURES_COMMA if vocabulary.decimal_comma else _FIGURES
    match = pattern.fullmatch(at(words, place))
    if match is None or not (match["sign"] or match["cents"]):
        return None
    value = _money(int(re.sub(r"\D", "", match["whole"])), int((match["cents"] or "0").ljust(2, "0")))
    sign, end = match["sign"], place + 1
    if not sign and at(words, end) in vocabulary.currencies:
        sign, end = vocabulary.currencies[at(words, end)], end + 1
    return Found((value, sign or "$"), place, end)


def _with_units(
    words: Sequence[Word], place: int, whole: tuple[int, int], vocabulary: Vocabulary
) -> Found[Amount]:
    """As in "Sixty-two dollars and fifty cents", "sixty-two fifty", "fifty cents", "forty-five"."""
    value, end = whole
    if at(words, end) in vocabulary.cents:
        return Found((_money(0, value), "$"), place, end + 1)
    currency = vocabulary.currencies.get(at(words, end))
    if currency:
        end += 1
    cents, cents_end = _cents_at(words, end, vocabulary, after_currency=currency is not None)
    total = _money(value, cents)
    if cents_end > end and at(words, cents_end) in vocabulary.currencies:
        currency, cents_end = vocabulary.currencies[at(words, cents_end)], cents_end + 1
    strong = currency is not None or cents_end > end
    return Found((total, currency or "$"), place, cents_end, strong)


def _cents_at(
    words: Sequence[Word], place: int, vocabulary: Vocabulary, *, after_currency: bool
) -> tuple[int, int]:
    """The cents after a whole number, and where they end; ``place`` itself when there are none."""
    none = (0, place)
    word = at(words, place)
    if words[place - 1].pause and not after_currency:
        return none
    if word in vocabulary.decimal_words:
        return _decimals_at(words, place + 1, vocabulary) or none
    start = place + 1 if word in vocabulary.and_cents else place
    if vocabulary.unsure_digits.get(at(words, start)) == "0":
        small = cardinal_at(words, start + 1, vocabulary)
        return small if small and small[0] < 10 else none
    cents = whole_number_at(words, start, vocabulary)
    if cents is None or not 0 < cents[0] < 100:
        return none
    if at(words, cents[1]) in vocabulary.cents:
        return cents[0], cents[1] + 1
    if start > place and not after_currency and not vocabulary.decimal_comma:
        return none
    return cents if cents[0] >= 10 else none


def _decimals_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> tuple[int, int] | None:
    """The cents: "point five" is fifty cents, "point five zero" and "point fifty" too."""
    first = whole_number_at(words, place, vocabulary)
    if first is None or first[0] > 99:
        return None
    if first[0] >= 10:
        return first
    second = vocabulary.digits.get(at(words, first[1]))
    return (first[0] * 10, first[1]) if second is None else (first[0] * 10 + second, first[1] + 1)


def find_numbers(words: Sequence[Word], vocabulary: Vocabulary) -> list[Found[int]]:
    """Every count in ``words``: "two", "a couple", "just one"; not the "one" of "the big one"."""
    found: list[Found[int]] = []
    place = 0
    while place < len(words):
        quantity = longest_phrase_at(words, place, vocabulary.quantities)
        number = whole_number_at(words, place, vocabulary)
        if quantity:
            weak = quantity == ("un",)
            end = place + len(quantity)
            found.append(Found(vocabulary.quantities[quantity], place, end, strong=not weak))
            place = end
        elif number and not _is_pronoun(words, place, vocabulary):
            found.append(Found(number[0], place, number[1]))
            place = number[1]
        else:
            place += 1
    if not found and len(words) <= 2 and words and words[0].text in vocabulary.unsure_digits:
        return [Found(int(vocabulary.unsure_digits[words[0].text]), 0, 1)]
    return found


def _is_pronoun(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> bool:
    return words[place].text in vocabulary.pronoun_one and before(words, place) in vocabulary.not_counting
