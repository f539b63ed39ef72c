"""Words as a listener compares them, and how many of them a recogniser got wrong.

Before two texts are compared, both are written the same way:

- lower case, without punctuation; apostrophes stay inside words; signs that are spoken become words
  (``$`` dollars, ``%`` percent, ``*`` star, ``#`` pound, ``@`` at, ``&`` and);
- numbers become digits, each digit one word, however they were written: "sixty-two", "62" and "six
  two" are the same, so are "28th" and "twenty eighth", "$62.50" and "sixty two dollars and fifty
  cents", and "$49.00" and "forty nine dollars"; "oh" is zero next to another digit;
- letters that stand next to digits are apart from them ("B7429"), "a.m." is "am",
  the point in "example.com" is "dot".

A compound written as one word or as two is the same ("voice mail", "log in"). Nothing else is
forgiven: not contractions, not spelling, not homophones.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_SIGNS: Final = {"%": " percent ", "*": " star ", "#": " pound ", "@": " at ", "&": " and "}
_MONEY: Final = re.compile(r"\$\s?(\d[\d,]*)(?:\.(\d\d))?(?!\d)")
_HALF_OF_DAY: Final = re.compile(r"\b([ap])\.?\s?m\b\.?")

_UP_TO_NINETEEN: Final = """zero one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen"""
_FROM_TWENTY: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS: Final = {word: value for value, word in enumerate(_UP_TO_NINETEEN.split())}
_TENS: Final = {word: 10 * value for value, word in enumerate(_FROM_TWENTY.split(), 2)}
_ORDINALS: Final = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fifth": 5,
    "eighth": 8,
    "ninth": 9,
    "twelfth": 12,
    **{f"{word}th": value for word, value in _UNITS.items()},
    **{f"{word[:-1]}ieth": value for word, value in _TENS.items()},
}
_SCALES: Final = {"hundred": 100, "thousand": 1000}


def words(text: str) -> list[str]:
    """The words of a text, in the way described above."""
    plain = text.lower().replace("’", "'")
    plain = _MONEY.sub(_money_in_words, plain)
    plain = _HALF_OF_DAY.sub(r"\1m", plain)
    for sign, word in _SIGNS.items():
        plain = plain.replace(sign, word)
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", plain)
    plain = re.sub(r"(?<=\d)\.(?=\d)", " point ", plain)
    plain = re.sub(r"(?<=\w\w)\.(?=[a-z]{2})", " dot ", plain)
    plain = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", plain)
    plain = re.sub(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)", " ", plain)
    found = [word.strip("'") for word in re.sub(r"[^\w']|_", " ", plain).split()]
    return list(_digits([word for word in found if word]))


def errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to change, drop or add; a compound in one word or two costs nothing."""
    table = [[max(i, j) for j in range(len(heard) + 1)] for i in range(len(reference) + 1)]
    for i in range(1, len(reference) + 1):
        for j in range(1, len(heard) + 1):
            cost = min(
                table[i - 1][j] + 1,
                table[i][j - 1] + 1,
                table[i - 1][j - 1] + (reference[i - 1] != heard[j - 1]),
            )
            if i > 1 and reference[i - 2] + reference[i - 1] == heard[j - 1]:
                cost = min(cost, table[i - 2][j - 1])
            if j > 1 and heard[j - 2] + heard[j - 1] == reference[i - 1]:
                cost = min(cost, table[i - 1][j - 2])
            table[i][j] = cost
    return table[-1][-1]


def _money_in_words(money: re.Match[str]) -> str:
    return f"{money[1]} dollars " + (f"{money[2]} cents" if money[2] not in (None, "00") else "")


def _digits(found: list[str]) -> Iterator[str]:
    """The words, with every number among them spelled digit by digit."""
    at = 0
    while at < len(found):
        number, length = _number(found[at:])
        if length:
            yield from number
            at += length
            if found[at : at + 1] == ["and"] and _number(found[at + 1 :])[1]:
                at += 1
            elif found[at : at + 2] == ["dollars", "and"]:
                yield "dollars"
                at += 2
        else:
            yield found[at]
            at += 1


def _number(found: list[str]) -> tuple[str, int]:
    """The digits of the number that the words begin with, and how many words it has: 0 if none."""
    first = found[0] if found else ""
    if first.isdecimal():
        return first, 1
    if first in ("oh", "o"):
        return ("0", 1) if len(found) > 1 and _number(found[1:])[1] else ("", 0)
    total = below_scale = length = 0
    room = 0  # what may still be added: a number below it
    for word in found:
        value = _UNITS.get(word, _TENS.get(word, _ORDINALS.get(word)))
        if word in _SCALES and length and 0 < below_scale < _SCALES[word]:
            total, below_scale, room = _scaled(total, below_scale, _SCALES[word])
        elif value is not None and (not length or 0 < value < room):
            below_scale += value
            room = 10 if word in _TENS else 0
        elif word == "and" and room >= 100 and length + 1 < len(found) and _is_number(found[length + 1]):
            pass
        else:
            break
        length += 1
    return (str(total + below_scale), length) if length else ("", 0)


def _scaled(total: int, below: int, scale: int) -> tuple[int, int, int]:
    if scale == 100:
        return total, below * 100, 100
    return total + below * scale, 0, scale


def _is_number(word: str) -> bool:
    return word in _UNITS or word in _TENS or word in _ORDINALS
