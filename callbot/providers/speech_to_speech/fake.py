"""A model that hears and says what it was told to, for tests of everything behind it."""

from collections.abc import AsyncGenerator, Callable, Sequence

from callbot.providers.llm.fake import FakeModel, Said
from callbot.providers.ports import Piece, Prompt, SpeechToText, Words
from callbot.providers.registry import Models
from callbot.providers.stt.fake import FakeEars
from callbot.providers.tts.fake import FakeVoice


class FakeSpeechToSpeech:
    """A ``SpeechToSpeech``: the nth utterance is the nth of ``heard``, and the nth request gets the nth of
    ``answers``, in the fake voice's tone."""

    def __init__(self, heard: Sequence[str], answers: Sequence[Said | str], *, name: str = "fake") -> None:
        self.name = name
        self._heard = tuple(heard)
        self._model = FakeModel(answers, name=name)
        self._voice = FakeVoice()

    @property
    def prompts(self) -> list[Prompt]:
        """Those that it was given, the oldest first."""
        return self._model.prompts

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        return FakeEars(self._heard)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        async for piece in self._model.stream(prompt):
            if not isinstance(piece, Words):
                yield piece
                continue
            async for speech in self._voice.speak(piece.text):
                yield speech


def speech_to_speech(name: str, models: Models) -> Callable[[], FakeSpeechToSpeech]:
    """For the registry: ``fake:Are you open?=Until six.|Thanks.=Goodbye.`` hears and answers these two."""
    turns = [turn.partition("=") for turn in name.partition(":")[2].split("|")]
    heard, answers = [turn[0] for turn in turns], [turn[2] for turn in turns]
    return lambda: FakeSpeechToSpeech(heard, answers, name=name)
