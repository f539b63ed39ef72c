"""Letters that sound alike on a telephone, which carries little above 3,400 Hz: B and D, M and N, S and F."""

from collections.abc import Iterable

from callbot.agents.slots.languages import vocabulary as words_of
from callbot.agents.slots.vocabulary import Vocabulary


def alike(heard: str, known: Iterable[str], *, language: str = "en") -> tuple[str, ...]:
    """Those of ``known`` that may have been said when ``heard`` was understood: all but one letter the
    same, and that one easily mistaken.

    >>> alike("V7429", ["B7429", "K1836", "B7428"])
    ('B7429',)
    """
    vocabulary = words_of(language)
    return tuple(each for each in known if _one_letter_apart(heard.lower(), each.lower(), vocabulary))


def sounds_like_a_letter(symbol: str, vocabulary: Vocabulary) -> bool:
    """Whether a digit is easily heard where a letter was said: "three" for "B"."""
    return any(symbol in group for group in vocabulary.alike)


def _one_letter_apart(heard: str, known: str, vocabulary: Vocabulary) -> bool:
    if len(heard) != len(known):
        return False
    apart = [(one, other) for one, other in zip(heard, known, strict=True) if one != other]
    if len(apart) != 1 or not apart[0][1].isalpha():
        return False
    return any(set(apart[0]) <= set(group) for group in vocabulary.alike)
