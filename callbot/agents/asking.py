"""One stream of the model's, spoken as it comes. Awaits nothing, reads no clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from callbot.agents.brain import Noticed
from callbot.agents.guardrails import Guard
from callbot.agents.phrasing import Phrasing
from callbot.agents.thought import AskModel, Broke, Came, NextPiece, Notice, Quiet, Thought
from callbot.agents.wording import words
from callbot.errors import InvalidState, ProviderError
from callbot.providers.ports import Ending, Finished, Prompt, Speech, ToolCall, Words


class Speaker(Protocol):
    """Says one sentence, or a piece of what the model has spoken itself."""

    def __call__(self, sentence: str, *, speech: Speech | None = None) -> Thought[None]: ...


@dataclass(slots=True)
class Asked:
    """What came of it. ``cut`` says that it broke off in mid-answer; ``error`` is why."""

    said: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    ending: Ending | None = None
    error: ProviderError | None = None
    cut: bool = False

    @property
    def over(self) -> bool:
        return self.cut or self.ending is not None or self.error is not None


def ask(prompt: Prompt, guard: Guard, speaker: Speaker) -> Thought[Asked]:
    """Ask, and say each sentence as soon as it is there."""
    asked = Asked()
    phrasing = Phrasing()
    begun = False
    yield AskModel(prompt)
    while not asked.over:
        given = yield NextPiece(phrasing.due)
        match given:
            case Came(Words(text), now):
                begun = begun or bool(text.strip())
                yield from _speak(asked, phrasing.feed(text, now), guard, speaker)
            case Came(Speech(text) as speech):
                begun = begun or bool(text.strip())
                if words(text) and not guard.clean(text):  # what was spoken cannot be taken apart
                    asked.ending = Ending.FILTERED
                else:
                    yield from _pass_on(asked, speech, speaker)
            case Came(ToolCall() as call):
                asked.calls.append(call)
            case Came(Finished(ending)):
                asked.ending = ending
            case Quiet(now):
                yield Noticed(Notice.SLOW)
                yield from _speak(asked, phrasing.flush(now), guard, speaker)
            case Broke(None):  # some servers end without saying so
                asked.cut = begun and not phrasing.complete
                asked.ending = Ending.STOP
            case Broke(error):
                asked.error = error
                asked.cut = begun and error is not None and error.retryable
            case _:
                raise InvalidState(f"a piece of the model's answer was answered with {given!r}")
    rest = phrasing.finish()
    if asked.cut or asked.error or (asked.ending is Ending.LENGTH and asked.said):
        rest = [sentence for sentence in rest if sentence.endswith((".", "?", "!"))]  # the others broke off
    yield from _speak(asked, rest, guard, speaker)
    return asked


def _pass_on(asked: Asked, speech: Speech, speaker: Speaker) -> Thought[None]:
    if speech.text:
        asked.said.append(speech.text)
    yield from speaker(speech.text, speech=speech)


def _speak(asked: Asked, pieces: Sequence[str], guard: Guard, speaker: Speaker) -> Thought[None]:
    for piece in pieces:
        sentence = guard.clean(piece)
        if sentence:
            asked.said.append(sentence)
            yield from speaker(sentence)
