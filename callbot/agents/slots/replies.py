"""Short replies: yes or no, and one of several options."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callbot.agents.slots.corrections import denied, segments
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, at, longest_phrase_at, phrase_at, split_words

_LIKENESS = 0.8  # of two words, at which one is taken for the recogniser's spelling of the other
_SHORTEST_ALIKE = 4


@dataclass(frozen=True, slots=True)
class _Reply:
    """``value`` is ``None`` for "I don't know"."""

    value: bool | None
    start: int
    end: int


def yes_no(words: Sequence[Word], vocabulary: Vocabulary) -> bool | None:
    """What the caller answered; ``None`` when it was neither.

    A reply counts only where a clause begins: "there is **no** light" answers nothing.
    """
    replies = _replies(words, vocabulary)
    if not replies or replies[0].value is None:
        return None
    first = replies[0]
    for following in replies[1:]:
        takes_back = any(
            longest_phrase_at(words, place, vocabulary.strong_corrections)
            for place in range(first.start, following.start)
        )
        adjacent = following.start == first.end and len(replies) == 2
        if following.value is not None and (takes_back or adjacent):
            return following.value
    return first.value


@dataclass(frozen=True, slots=True)
class Agreement:
    """A reply that begins with a yes. ``firm`` when it can mean nothing else; ``rest`` is what was said
    after it, as it was said."""

    yes: str
    rest: str
    firm: bool


def agreement(text: str, words: Sequence[Word], vocabulary: Vocabulary) -> Agreement | None:
    """The yes that ``text`` (``words``) begins with, in all its forms: "Yes, that's right, go ahead."."""
    end = place = 0
    firm = False
    while place < len(words):
        reply = _reply_at(words, place, vocabulary)
        if reply is not None and reply.value:
            said = tuple(word.text for word in words[reply.start : reply.end])
            firm |= said not in vocabulary.weak_yes
            end = place = reply.end
        elif words[place].text in vocabulary.fillers:
            place += 1
        else:
            break
    if not end:
        return None
    cut = words[end].start if end < len(words) else len(text)
    return Agreement(text[:cut].strip(), text[cut:].strip(), firm)


def _replies(words: Sequence[Word], vocabulary: Vocabulary) -> list[_Reply]:
    replies: list[_Reply] = []
    place = 0
    opens = True
    while place < len(words):
        reply = _reply_at(words, place, vocabulary) if opens else None
        if reply:
            replies.append(reply)
            place = reply.end
            continue
        correction = longest_phrase_at(words, place, vocabulary.strong_corrections)
        if correction:
            place += len(correction)
            opens = True
            continue
        opens = words[place].pause or (opens and words[place].text in vocabulary.fillers)
        place += 1
    return replies


def _reply_at(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> _Reply | None:
    found: list[tuple[int, bool | None]] = []
    for table, value in ((vocabulary.yes, True), (vocabulary.no, False), (vocabulary.undecided, None)):
        phrase = longest_phrase_at(words, place, table)
        if phrase and (value is not False or _negates(words, place, phrase, vocabulary)):
            found.append((len(phrase), value))
    if not found:
        return None
    length, value = max(found, key=lambda each: each[0])
    return _Reply(value, place, place + length)


def _negates(words: Sequence[Word], place: int, phrase: tuple[str, ...], vocabulary: Vocabulary) -> bool:
    """Both "no." and "no thanks" do; "no internet" tells of a trouble."""
    if phrase != ("no",) or words[place].pause:
        return True
    return at(words, place + 1) in vocabulary.after_no


def choices(words: Sequence[Word], vocabulary: Vocabulary, options: Mapping[str, Sequence[str]]) -> list[str]:
    """The options that the caller may mean, none twice. One is an answer, more are a question."""
    named = _spans(words, vocabulary, options)
    inside = {place for start, end, _ in named if _unbroken(words, start, end) for place in range(start, end)}
    for start, end in reversed(segments(words, vocabulary, inside=inside)):
        piece = words[start:end]
        matches = _named(piece, vocabulary, options) or _counted(piece, vocabulary, options)
        if matches:
            return matches
    return []


def _named(words: Sequence[Word], vocabulary: Vocabulary, options: Mapping[str, Sequence[str]]) -> list[str]:
    """Options whose name or synonym is in ``words``: the longest where several overlap."""
    spans = _spans(words, vocabulary, options)
    widest = [
        span
        for span in spans
        if not any(
            other[0] <= span[0] and span[1] <= other[1] and other[1] - other[0] > span[1] - span[0]
            for other in spans
        )
    ]
    return list(dict.fromkeys(option for _, _, option in sorted(widest)))


def _spans(
    words: Sequence[Word], vocabulary: Vocabulary, options: Mapping[str, Sequence[str]]
) -> list[tuple[int, int, str]]:
    """Where the names of options stand, with the options."""
    spans: list[tuple[int, int, str]] = []
    for option, synonyms in options.items():
        for name in (option.replace("_", " "), *synonyms):
            parts = tuple(word.text for word in split_words(name))
            spans += [
                (place, place + len(parts), option)
                for place in range(len(words))
                if parts
                and (phrase_at(words, place, parts) or _sounds_like(words, place, parts))
                and not denied(words, place, vocabulary)
            ]
    return spans


def _unbroken(words: Sequence[Word], start: int, end: int) -> bool:
    """Whether several words are said in one breath: "no light", not "no, light"."""
    return end - start > 1 and not any(word.pause for word in words[start : end - 1])


def _sounds_like(words: Sequence[Word], place: int, parts: Sequence[str]) -> bool:
    if place + len(parts) > len(words):
        return False
    return all(
        heard.text == part
        or (
            len(part) >= _SHORTEST_ALIKE
            and difflib.SequenceMatcher(None, heard.text, part).ratio() >= _LIKENESS
        )
        for heard, part in zip(words[place : place + len(parts)], parts, strict=True)
    )


def _counted(
    words: Sequence[Word], vocabulary: Vocabulary, options: Mapping[str, Sequence[str]]
) -> list[str]:
    """As in "The second one", "option two", "the last one"."""
    names = list(options)
    for place in range(len(words)):
        if longest_phrase_at(words, place, vocabulary.last_choice) and names:
            return [names[-1]]
        phrase = longest_phrase_at(words, place, vocabulary.choice_ordinals)
        if phrase and vocabulary.choice_ordinals[phrase] < len(names):
            return [names[vocabulary.choice_ordinals[phrase]]]
    return []
