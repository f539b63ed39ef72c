"""What every ``SpeechToSpeech`` does; as ears it is in test_speech_to_text.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from callbot.errors import ConfigurationError
from callbot.providers.inference import InferencePool
from callbot.providers.ports import (
    Ending,
    Finished,
    Message,
    Piece,
    Prompt,
    Role,
    Speech,
    SpeechToSpeech,
    SpeechToText,
    Transcribed,
)
from callbot.providers.registry import Models, speech_to_speech
from callbot.vendors import Account, Accounts
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.openai_speech import KEY, OpenAiSpeechDouble
from tests.doubles.plan import Plan
from tests.doubles.spelling import hear, speak
from tests.providers.conftest import tasks_of_ours

SAID = "Where is my order?"
ANSWER = "Your order has been shipped, and it will arrive on Thursday."
PROMPT = Prompt("You are Maya.", (Message(Role.CALLER, SAID),))
ADAPTERS = {
    "fake": f"fake:{SAID}={ANSWER}",
    "openai-realtime": "openai-realtime:gpt-realtime-2.1/marin",
}


class Opened:
    """One call's, with its ears."""

    def __init__(self, model: SpeechToSpeech) -> None:
        self.model = model
        self.ears: SpeechToText = model.for_call(["en"])


@pytest.fixture(params=ADAPTERS)
async def call(request: pytest.FixtureRequest, pool: InferencePool, models: Models) -> AsyncIterator[Opened]:
    async with OpenAiSpeechDouble(
        Plan(), hear=hear, speak=speak, think=lambda request: Answer(text=ANSWER), between_chunks=0.005
    ) as double:
        accounts = Accounts({"openai": Account("openai", double.url, KEY)})
        own = Models(pool, cache=models.cache, accounts=accounts)
        opened = Opened(speech_to_speech(ADAPTERS[request.param], own)())
        yield opened
        await opened.ears.aclose()
        await own.aclose()


async def told(call: Opened) -> list[Piece]:
    async with asyncio.timeout(5):
        return [piece async for piece in call.model.stream(PROMPT)]


def text(pieces: list[Piece]) -> str:
    return " ".join(piece.text for piece in pieces if isinstance(piece, Speech) and piece.text)


async def heard(call: Opened) -> Transcribed:
    call.ears.start(1)
    call.ears.send(speak(SAID))
    call.ears.flush()
    async with asyncio.timeout(5):
        async for event in call.ears.events():
            if event.final:
                return event
    raise AssertionError("its ears have closed")


async def test_it_is_one(call: Opened):
    assert isinstance(call.model, SpeechToSpeech)
    assert isinstance(call.ears, SpeechToText)


async def test_it_hears_and_answers_in_its_own_voice(call: Opened):
    assert (await heard(call)).text == SAID
    pieces = await told(call)
    assert text(pieces) == ANSWER
    *spoken, last = pieces
    assert isinstance(last, Finished)
    assert last.ending is Ending.STOP
    for piece in spoken:
        assert isinstance(piece, Speech)
        assert [word.word for word in piece.words] == piece.text.split()
    assert sum(piece.seconds for piece in spoken if isinstance(piece, Speech)) > 1


async def test_an_answer_may_be_given_up_at_any_moment_and_the_next_one_is_whole(call: Opened):
    await told(call)
    before = tasks_of_ours()
    for pieces in range(1, 4):
        async with aclosing(call.model.stream(PROMPT)) as stream:
            for _ in range(pieces):
                assert isinstance(await anext(stream), Speech)
    assert text(await told(call)) == ANSWER
    assert tasks_of_ours() <= before | {asyncio.current_task()}


async def test_new_ears_take_the_place_of_the_old(call: Opened):
    old, call.ears = call.ears, call.model.for_call(["en"])
    await old.aclose()
    assert (await heard(call)).text == SAID
    assert text(await told(call)) == ANSWER


def test_a_name_that_is_not_quite_one_is_refused(models: Models):
    with pytest.raises(ConfigurationError, match="did you mean openai-realtime"):
        speech_to_speech("openai-realtim", models)
