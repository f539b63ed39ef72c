"""Stand-ins for what a call needs, where a test is about the call and not about models.

The detector judges by level; ears and voice are the fakes that ship with the ports.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from callbot.agents.brain import Action, Answer, Brain, History, Request
from callbot.call import Call
from callbot.conversation.effects import Phrase
from callbot.detection import Detection
from callbot.providers.ports import SpeechToText, TextToSpeech
from callbot.reception import Reception
from callbot.session import Equipment, Line, Session, Voices
from tests.conversation.script import RULES

PHRASES = {
    "en": {
        Phrase.REPAIR: "Sorry, again please?",
        Phrase.APOLOGY: "Sorry.",
        Phrase.TIME_IS_UP: "Time.",
        Phrase.OKAY: "Okay.",
        Phrase.RIGHT: "Right.",
        Phrase.LET_ME_SEE: "Let me see.",
        Phrase.ONE_MOMENT: "One moment.",
        Phrase.STILL_WORKING: "Sorry, it takes longer.",
        Phrase.STILL_HERE: "I am still here.",
    }
}


class LevelDetector:
    """Anything louder than a whisper is speech."""

    def look(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.abs(chunks).max(axis=1, keepdims=True)

    def listen(
        self, looks: NDArray[np.float32], states: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return (looks[:, 0] > 0.02).astype(np.float32), states


class ScriptedBrain:
    """Answers each request from a table; ``asked`` remembers them. An ``Answer`` takes ``seconds``."""

    def __init__(self, answer: Callable[[Request], Sequence[Action]], *, seconds: float = 0.0) -> None:
        self.asked: list[Request] = []
        self.forgotten = 0
        self._answer = answer
        self._seconds = seconds

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        self.asked.append(request)
        if isinstance(request, Answer):
            await asyncio.sleep(self._seconds)
        for action in self._answer(request):
            yield action
            await asyncio.sleep(0)

    def forget(self) -> None:
        self.forgotten += 1

    async def finish(self) -> None:
        pass


def equipment(
    brains: Mapping[str, Brain],
    ears: Callable[[], SpeechToText],
    voice: TextToSpeech,
    *,
    first: str = "support",
    speakers: Mapping[str, str] | None = None,
) -> Equipment:
    return Equipment(
        rules=RULES,
        detection=Detection(LevelDetector()),
        ears=lambda report: ears(),
        brain=lambda agent, report: brains[agent],
        voices=lambda report: Voices(dict.fromkeys(brains, voice), dict.fromkeys(brains, voice)),
        phrases=PHRASES,
        first_agent=first,
        language="en",
        speakers=speakers or {},
    )


@asynccontextmanager
async def attended(
    reception: Reception, call: Call, line: Line, *, stream: int = 1
) -> AsyncIterator[Session]:
    """A call that the reception has taken, until it has ended it."""
    session = reception.take(call, line, stream=stream)
    try:
        yield session
    finally:
        await reception.end(session)
