"""Letters and digits read out: "bee seventy-four, double two", "B as in bravo, 7 4 2 9".

The recogniser spells letters and digits as the words they sound like, so a word such as "for" or
"be" is a symbol only in the company of sure ones.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from callbot.agents.slots.cardinals import digits_at
from callbot.agents.slots.languages import vocabulary as words_of
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, at, before, longest_phrase_at, split_words

_NUMERAL = re.compile(r"\d+(?:[.,:/-]\d+)*")


@dataclass(frozen=True, slots=True)
class Symbols:
    """Letters and digits from words ``start`` to ``end``; ``sure`` if they can be nothing else."""

    text: str
    start: int
    end: int
    sure: bool
    written: bool = True


Run = tuple[Symbols, ...]


def compact(text: str, language: str = "en") -> str:
    """The letters and digits in ``text``, lower case, without the words around them.

    >>> compact("Yeah, it's B seven four twenty-nine, please.")
    'b7429'
    """
    words = split_words(text)
    vocabulary = words_of(language)
    return "".join(run_text(run) for run in runs(words, vocabulary))


def run_text(run: Run) -> str:
    """A run's symbols; a first "O" before exactly four digits is the letter, any other is a zero."""
    text = "".join(symbols.text for symbols in run)
    if run and run[0].text == "0" and run[0].written and len(text) == 5 and text.isdigit():
        return "o" + text[1:]
    return text


def runs(words: Sequence[Word], vocabulary: Vocabulary) -> list[Run]:
    """The stretches of letters and digits in ``words``, each with at least one sure symbol."""
    found: list[Run] = []
    run: list[Symbols] = []
    place = 0
    while place < len(words):
        symbols = _symbols_at(words, place, vocabulary)
        if symbols is not None:
            run.append(symbols)
            place = symbols.end
        elif run and words[place].text in vocabulary.run_fillers:
            place += 1
        else:
            found += _trimmed(run, words, vocabulary)
            run = []
            place += 1
    return found + list(_trimmed(run, words, vocabulary))


def _trimmed(run: list[Symbols], words: Sequence[Word], vocabulary: Vocabulary) -> Iterator[Run]:
    """``run`` without words at its ends that are rather words: "looking **for** 7429"."""
    if not any(symbols.sure for symbols in run):
        return
    while not run[0].sure and not _may_lead(run[0], words, vocabulary):
        run = run[1:]
    while not run[-1].sure and not words[run[-1].end - 1].pause:
        run = run[:-1]
    yield tuple(run)


def _may_lead(symbols: Symbols, words: Sequence[Word], vocabulary: Vocabulary) -> bool:
    previous = before(words, symbols.start)
    if not previous or previous in vocabulary.run_leads or previous in vocabulary.run_fillers:
        return True
    return words[symbols.start - 1].pause


def _symbols_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Symbols | None:
    word = at(words, place)
    if _NUMERAL.fullmatch(word):
        return Symbols(re.sub(r"\D", "", word), place, place + 1, sure=True)
    return (
        _explained_letter_at(words, place, vocabulary)
        or _repeated_at(words, place, vocabulary)
        or _number_at(words, place, vocabulary)
        or _letter_at(words, place, vocabulary)
    )


def _number_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Symbols | None:
    if number := digits_at(words, place, vocabulary):
        return Symbols(number[0], place, number[1], sure=True)
    word = words[place].text
    if word in vocabulary.unsure_digits:
        # the letter O is a zero among digits, and sure only there
        return Symbols(vocabulary.unsure_digits[word], place, place + 1, sure=False, written=word == "o")
    return None


def _letter_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Symbols | None:
    """A letter, its name, or a word of the spelling alphabet."""
    word = words[place].text
    if len(word) == 1 and word.isalpha():
        return Symbols(word, place, place + 1, sure=word not in vocabulary.unsure_letters)
    if name := longest_phrase_at(words, place, vocabulary.letter_names):
        return Symbols(vocabulary.letter_names[name], place, place + len(name), sure=len(name) > 1)
    if word in vocabulary.spelling_alphabet:
        return Symbols(vocabulary.spelling_alphabet[word], place, place + 1, sure=False)
    return None


def _explained_letter_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Symbols | None:
    """As in "B as in bravo", "bee for bravo", "be de Barcelona"."""
    letter = _letter_at(words, place, vocabulary)
    if letter is None and words[place].text == "o":
        letter = Symbols("o", place, place + 1, sure=False)
    if letter is None:
        return None
    joined = longest_phrase_at(words, letter.end, vocabulary.as_in)
    if joined is None:
        return None
    example = letter.end + len(joined)
    word = at(words, example)
    if len(word) > 1 and word[0] == letter.text and word not in vocabulary.digits:
        return Symbols(letter.text, place, example + 1, sure=True)
    return None


def _repeated_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Symbols | None:
    """As in "Double one", "triple five"."""
    times = vocabulary.repeats.get(words[place].text)
    if times is None or longest_phrase_at(words, place, vocabulary.letter_names):
        return None
    following = place + 1
    if following >= len(words):
        return None
    symbols = _number_at(words, following, vocabulary) or _letter_at(words, following, vocabulary)
    if symbols is None and words[following].text.isdigit():
        symbols = Symbols(words[following].text, following, following + 1, sure=True)
    if symbols is None or len(symbols.text) != 1:
        return None
    return Symbols(symbols.text * times, place, symbols.end, sure=True)
