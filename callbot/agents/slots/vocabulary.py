"""What a language must bring for its speakers' answers to be understood. One module per language."""

from collections.abc import Mapping
from dataclasses import dataclass

Phrases = frozenset[tuple[str, ...]]


def phrases(text: str) -> Phrases:
    """Phrases, one per line or separated by ``|``, as tuples of words."""
    lines = text.replace("|", "\n").splitlines()
    return frozenset(tuple(line.split()) for line in lines if line.split())


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One language's words; all folded (lower case, no accents).

    ``unsure_*`` words are digits or letters only beside sure ones: "to", "for", "be", "bravo".
    ``alike`` are groups of letters (and digits heard for them) whose names sound alike on a telephone.
    ``weak_yes`` are those of ``yes`` that may only say that the caller listens.
    """

    # numbers
    digits: Mapping[str, int]
    teens: Mapping[str, int]
    tens: Mapping[str, int]
    hundreds: Mapping[str, int]
    hundred: frozenset[str]
    thousand: frozenset[str]
    article_one: frozenset[str]
    compound_digits: Mapping[str, int]
    number_joiner: str
    ordinals: Mapping[str, int]
    repeats: Mapping[str, int]
    quantities: Mapping[tuple[str, ...], int]
    pronoun_one: frozenset[str]
    not_counting: frozenset[str]
    # spelling
    unsure_digits: Mapping[str, str]
    letter_names: Mapping[tuple[str, ...], str]
    unsure_letters: frozenset[str]
    spelling_alphabet: Mapping[str, str]
    alike: tuple[str, ...]
    as_in: Phrases
    run_fillers: frozenset[str]
    run_leads: frozenset[str]
    # e-mail
    email_at: Phrases
    email_marks: Mapping[tuple[str, ...], str]
    email_leads: frozenset[str]
    # dates and times
    day_first: bool
    weekdays: Mapping[str, int]
    months: Mapping[str, int]
    relative_days: Mapping[tuple[str, ...], int]
    next_words: Phrases
    this_words: Phrases
    last_words: Phrases
    next_after: Phrases
    next_week: Phrases
    week_later: Phrases
    in_words: Phrases
    day_units: Mapping[str, int]
    from_now: Phrases
    from_day: frozenset[str]
    articles: frozenset[str]
    of: frozenset[str]
    at_time: Phrases
    oclock: Phrases
    periods: Mapping[tuple[str, ...], str]
    fixed_times: Mapping[str, tuple[int, int]]
    half: Phrases
    quarter: frozenset[str]
    past: frozenset[str]
    to: frozenset[str]
    minutes: frozenset[str]
    hour_before_minutes: bool
    # money
    currencies: Mapping[str, str]
    cents: frozenset[str]
    decimal_words: frozenset[str]
    and_cents: frozenset[str]
    decimal_comma: bool
    # yes, no and corrections
    yes: Phrases
    no: Phrases
    weak_yes: Phrases
    undecided: Phrases
    fillers: frozenset[str]
    after_no: frozenset[str]
    corrections: Phrases
    strong_corrections: Phrases
    negations: Phrases
    choice_ordinals: Mapping[tuple[str, ...], int]
    last_choice: Phrases
