"""A yes, and what is said with it: its tail, which only repeats it, and what wants more."""

import re

from callbot.agents.filling import Filling
from callbot.agents.flow_state import State
from callbot.agents.flows import CommandKind, Flow
from callbot.agents.wording import after, words

_SENTENCE_ENDS = re.compile(r"(?<=[.!?;])\s+")


def beyond(filling: Filling, state: State, text: str) -> str:
    """``text``, said behind a yes to the open question, without the sentences at its beginning that
    only repeat the yes: "Please place the order." """
    sentences = _SENTENCE_ENDS.split(text)
    while sentences and _repeats_yes(filling, state, sentences[0]):
        del sentences[0]
    return " ".join(sentences)


def untold(filling: Filling, state: State, text: str) -> str:
    """What is new in ``text`` when the words that ``state.cause`` holds have been acted upon but the
    result was never heard: the caller may have said more to the same sentence, or a yes once again."""
    rest = after(text, state.cause) if state.cause else None
    if rest is None:
        agreed = filling.agreement(text)
        rest = agreed.rest if agreed else text
    return beyond(filling, state, rest)


def _repeats_yes(filling: Filling, state: State, sentence: str) -> bool:
    """Whether all words are a yes's, polite ones, or those of the question that was answered."""
    agreed = filling.agreement(sentence)
    said = words(agreed.rest if agreed else sentence)
    little = {word for text in (*_polite(filling.flow), *state.question[-1:]) for word in words(text)}
    return set(said) <= little


def _polite(flow: Flow) -> tuple[str, ...]:
    thanks = (each.phrases for each in flow.commands.values() if each.does is CommandKind.THANKS)
    return (*flow.fillers, *flow.function_words, *(phrase for phrases in thanks for phrase in phrases))
