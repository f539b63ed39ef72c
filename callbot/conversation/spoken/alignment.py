"""From the times of spoken words back to the written words they were said for."""

from collections.abc import Sequence

from callbot.conversation.spoken.reading import Token
from callbot.providers.ports import WordTime


def align(
    tokens: Sequence[Token], words: Sequence[WordTime], *, duration: float = 0.0
) -> tuple[WordTime, ...]:
    """When each written word of ``tokens`` was said, in seconds.

    ``words`` are the times of ``text_for_voice(tokens)``'s words. A written word begins with the first
    and ends with the last of its spoken words; a silent one takes no time where it stands. When the
    voice gave no times, or for other words, ``duration`` (or else the time up to the last word) is
    shared out by the length of what is said.
    """
    counts = [len(token.spoken.split()) for token in tokens]
    if not words or len(words) != sum(counts):
        return _shared(tokens, duration or (words[-1].end if words else 0.0))
    times: list[WordTime] = []
    place = 0
    now = words[0].start
    for token, count in zip(tokens, counts, strict=True):
        if count:
            start, now = words[place].start, words[place + count - 1].end
            times.append(WordTime(token.written, start, now))
        else:
            times.append(WordTime(token.written, now, now))
        place += count
    return tuple(times)


def _shared(tokens: Sequence[Token], duration: float) -> tuple[WordTime, ...]:
    lengths = [len(token.spoken) + 1 if token.spoken else 0 for token in tokens]
    total = sum(lengths) or 1
    times: list[WordTime] = []
    done = 0
    for token, length in zip(tokens, lengths, strict=True):
        start, end = duration * done / total, duration * (done + length) / total
        times.append(WordTime(token.written, start, end))
        done += length
    return tuple(times)
