"""What OpenAI's realtime models do of their own, against a double; as ears and as a voice they are in the
suites."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.providers.ports import (
    Ending,
    Finished,
    Message,
    Piece,
    Prompt,
    Role,
    Speech,
    SpeechToSpeech,
    ToolCall,
    ToolSpec,
    Transcribed,
)
from callbot.providers.speech_to_speech.openai import OpenAiRealtime, without_transcriber
from callbot.providers.stt.socket_ears import SocketEars
from callbot.vendors import Account
from tests.doubles.openai_chat_wire import Answer, Call
from tests.doubles.openai_speech import KEY, OpenAiSpeechDouble
from tests.doubles.plan import Fault, Plan
from tests.doubles.spelling import hear, speak

NAME = "openai-realtime:gpt-realtime-2.1/marin"
SAID = "Your order has been shipped, and it will arrive on Thursday."
MAYA = Prompt(
    "You are Maya.",
    (Message(Role.NOTE, "Today is Monday."), Message(Role.AGENT, "Hello, this is Maya.")),
    (ToolSpec("find_order", "Finds it.", {"type": "object", "properties": {}}),),
)


class Desk:
    """One call's model, its double, and what the ears told."""

    def __init__(self, double: OpenAiSpeechDouble, *, renew_after: float = 3_000.0) -> None:
        self.double = double
        self.answers: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        account = Account("openai", double.url, KEY)
        self.model = OpenAiRealtime(
            NAME, account, model="gpt-realtime-2.1", voice="marin", renew_after=renew_after
        )
        self.prompt = MAYA
        self.finals: asyncio.Queue[Transcribed] = asyncio.Queue()
        self._utterance = 0
        self._listening: asyncio.Task[None] | None = None
        self.failure: ProviderError | None = None

    def think(self, request: dict[str, Any]) -> Answer:
        self.asked.append(request)
        return self.answers.pop(0) if self.answers else Answer(text=SAID)

    def open(self) -> SocketEars:
        self.ears = self.model.for_call(["en"])
        assert isinstance(self.ears, SocketEars)
        self._listening = asyncio.create_task(self._listen())
        return self.ears

    async def _listen(self) -> None:
        try:
            async for event in self.ears.events():
                if event.final:
                    self.finals.put_nowait(event)
        except ProviderError as error:
            self.failure = error

    async def caller(self, text: str, *, answered: bool = True) -> None:
        """The caller says it, and pauses; ``answered``: it is a turn."""
        self._utterance += 1
        self.ears.start(self._utterance)
        self.ears.send(speak(text))
        self.ears.flush()
        assert (await asyncio.wait_for(self.finals.get(), 5)).text == text
        if answered:
            self.note(Message(Role.CALLER, text))

    def note(self, *messages: Message) -> None:
        self.prompt = replace(self.prompt, messages=(*self.prompt.messages, *messages))

    async def answer(self) -> list[Piece]:
        async with asyncio.timeout(5):
            return [piece async for piece in self.model.stream(self.prompt)]

    @property
    def conversation(self) -> list[tuple[str, str]]:
        """As the model was last asked: without its instructions."""
        return [
            (message["role"], message["content"] or f"calls {message['tool_calls'][0]['function']['name']}")
            for message in self.asked[-1]["messages"][1:]
        ]

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.double.plan.of("realtime") if message.get("type") == kind]

    async def close(self) -> None:
        await self.ears.aclose()
        assert self._listening is not None
        await asyncio.wait_for(self._listening, 5)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with OpenAiSpeechDouble(
        Plan(), hear=hear, speak=speak, think=lambda request: desk.think(request)
    ) as double:
        desk = Desk(double)
        desk.open()
        yield desk
        await desk.close()
        await double.quiet()


def text(pieces: list[Piece]) -> str:
    return " ".join(piece.text for piece in pieces if isinstance(piece, Speech) and piece.text)


def audio(pieces: list[Piece]) -> bytes:
    return b"".join(piece.audio for piece in pieces if isinstance(piece, Speech))


async def test_it_is_what_the_port_asks_for(desk: Desk):
    assert isinstance(desk.model, SpeechToSpeech)


async def test_it_answers_what_it_heard_in_mu_law_with_its_words(desk: Desk):
    await desk.caller("Where is my order?")
    pieces = await desk.answer()
    assert text(pieces) == SAID
    assert hear(audio(pieces)) == SAID
    for piece in pieces[:-1]:
        assert isinstance(piece, Speech)
        assert [word.word for word in piece.words] == piece.text.split()
        times = [time for word in piece.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(0 <= time <= piece.seconds + 1e-6 for time in times)
    last = pieces[-1]
    assert isinstance(last, Finished)
    assert last.ending is Ending.STOP
    assert last.usage is not None
    assert (last.usage.audio_read, last.usage.audio_written) == (4, len(SAID) * 20 // 50)
    assert last.usage.cached == 64


async def test_what_it_heard_itself_is_not_told_again_and_what_others_said_is(desk: Desk):
    await desk.caller("Where is my order?")
    await desk.answer()
    assert desk.conversation == [
        ("system", "Today is Monday."),
        ("assistant", "Hello, this is Maya."),
        ("user", "Where is my order?"),
    ]
    desk.note(Message(Role.AGENT, SAID))
    await desk.caller("Thank you.")
    await desk.answer()
    assert desk.conversation[3:] == [("assistant", SAID), ("user", "Thank you.")]
    assert len(desk.sent("conversation.item.create")) == 2
    assert desk.sent("conversation.item.delete") == desk.sent("conversation.item.truncate") == []


async def test_keys_are_told_as_text(desk: Desk):
    desk.note(Message(Role.CALLER, "4711"))
    await desk.answer()
    assert desk.conversation[-1] == ("user", "4711")


async def test_another_agent_is_another_instruction_and_the_audio_stays_as_it_is(desk: Desk):
    await desk.caller("Where is my order?")
    await desk.answer()
    tom = ToolSpec("hand_over", "Gives the call away.", {"type": "object", "properties": {}})
    desk.prompt = replace(desk.prompt, instructions="You are Tom.", tools=(tom,))
    pieces = await desk.answer()
    assert hear(audio(pieces)) == SAID  # PCM would spell nothing
    assert desk.asked[-1]["messages"][0]["content"] == "You are Tom."
    assert [tool["function"]["name"] for tool in desk.asked[-1]["tools"]] == ["hand_over"]
    await desk.answer()
    updates = desk.sent("session.update")
    assert len(updates) == 3  # as it opens, for Maya, for Tom
    for update in updates:
        formats = [update["session"]["audio"][way]["format"] for way in ("input", "output")]
        assert formats == [{"type": "audio/pcmu"}] * 2
        assert update["session"]["audio"]["input"]["turn_detection"] is None


async def test_tools_are_called_and_their_results_are_told(desk: Desk):
    desk.answers = [Answer(text="One moment.", calls=(Call("find_order", '{"number": "A-17"}'),))]
    await desk.caller("Where is my order?")
    pieces = await desk.answer()
    (call,) = [piece for piece in pieces if isinstance(piece, ToolCall)]
    assert (call.name, call.arguments) == ("find_order", '{"number": "A-17"}')
    assert isinstance(pieces[-1], Finished)
    assert pieces[-1].ending is Ending.TOOL_CALLS
    desk.note(
        Message(Role.AGENT, "One moment.", (call,)), Message(Role.TOOL, '{"found": true}', call_id=call.id)
    )
    assert text(await desk.answer()) == SAID
    assert desk.conversation[3:] == [
        ("assistant", "One moment."),
        ("assistant", "calls find_order"),
        ("tool", '{"found": true}'),
    ]


@pytest.mark.parametrize(
    ("said", "expected"), [("length", Ending.LENGTH), ("content_filter", Ending.FILTERED)]
)
async def test_an_answer_that_was_stopped_says_why(desk: Desk, said: str, expected: Ending):
    desk.answers = [Answer(text="And so on", ending=said)]
    pieces = await desk.answer()
    assert text(pieces) == "And so on"
    assert isinstance(pieces[-1], Finished)
    assert pieces[-1].ending is expected


# --- what was heard of it ----------------------------------------------------------------------------


async def test_an_answer_is_cut_in_its_memory_to_what_was_heard(desk: Desk):
    await desk.caller("Where is my order?")
    pieces = [piece for piece in await desk.answer() if isinstance(piece, Speech)]
    words = [word for piece in pieces for word in piece.words]
    heard = " ".join(word.word for word in words[:4])
    assert heard == "Your order has been"
    desk.note(Message(Role.AGENT, heard), Message(Role.NOTE, "The caller interrupted you there."))
    await desk.caller("Wait, stop.")
    await desk.answer()
    (cut,) = desk.sent("conversation.item.truncate")
    ends = _ends(pieces)
    assert cut["audio_end_ms"] == int(ends[3] * 1000)
    assert ("assistant", SAID[: cut["audio_end_ms"] // 20]) in desk.conversation
    await desk.answer()
    assert len(desk.sent("conversation.item.truncate")) == 1


def _ends(pieces: list[Speech]) -> list[float]:
    ends, begins = [], 0.0
    for piece in pieces:
        ends += [begins + word.end for word in piece.words]
        begins += piece.seconds
    return ends


async def test_an_answer_that_is_given_up_stops_at_once_and_the_next_one_comes(desk: Desk):
    desk.double.between_chunks = 0.02
    desk.answers = [Answer(text=SAID), Answer(text="Certainly.")]
    await desk.caller("Where is my order?")
    async with aclosing(desk.model.stream(desk.prompt)) as stream:
        first = await anext(stream)
    assert isinstance(first, Speech)
    assert text(await desk.answer()) == "Certainly."
    (cancelled,) = desk.sent("response.cancel")
    assert cancelled["response_id"].startswith("resp_")
    assert ("assistant", SAID) not in desk.conversation  # nobody heard it


async def test_one_that_is_given_up_before_it_began_is_never_asked(desk: Desk):
    desk.double.first_audio = 0.05
    await desk.caller("Where is my order?")
    first = asyncio.create_task(desk.answer())
    second = asyncio.create_task(desk.answer())
    await asyncio.sleep(0)
    for task in (second, first):
        task.cancel()
        await asyncio.wait([task])
    assert text(await desk.answer()) == SAID
    assert len(desk.sent("response.create")) == 2


async def test_what_was_no_turn_is_taken_out(desk: Desk):
    await desk.caller("Mhm.", answered=False)
    await desk.caller("Where is my order?")
    await desk.answer()
    assert [text for role, text in desk.conversation if role == "user"] == ["Where is my order?"]


async def test_an_answer_may_be_asked_for_before_the_words_are_known(desk: Desk):
    desk.double.takes = lambda nth: 0.3
    desk.ears.start(1)
    desk.ears.send(speak("Where is my order?"))
    desk.ears.flush()
    desk.note(Message(Role.CALLER, "Where is my"))  # a partial
    assert text(await desk.answer()) == SAID
    assert [text for role, text in desk.conversation if role == "user"] == ["Where is my order?"]


# --- trouble -----------------------------------------------------------------------------------------


async def failed(desk: Desk) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await desk.answer()
    assert raised.value.provider == NAME
    return raised.value


@pytest.mark.parametrize(
    ("fault", "trouble", "retryable"),
    [
        (Fault(status=500, code="server_error"), Trouble.UNAVAILABLE, True),
        (Fault(status=400, code="rate_limit_exceeded"), Trouble.RATE_LIMITED, True),
        (Fault(status=400, code="insufficient_quota"), Trouble.QUOTA, False),
        (Fault(status=404, code="model_not_found"), Trouble.REJECTED, False),  # realtime-console#561
    ],
)
async def test_an_answer_that_fails_leaves_the_session_as_it_was(
    desk: Desk, fault: Fault, trouble: Trouble, retryable: bool
):
    desk.double.plan.add("answers", fault)
    error = await failed(desk)
    assert (error.trouble, error.retryable) == (trouble, retryable)
    assert text(await desk.answer()) == SAID
    assert desk.failure is None


@pytest.mark.parametrize("fault", [Fault(cut_after=2), Fault(close_after=2), Fault(garbage=True)])
async def test_a_session_that_breaks_is_told_to_who_listens_and_to_who_asks(desk: Desk, fault: Fault):
    await desk.caller("Where is my order?")
    desk.double.plan.add("answers", fault)
    error = await failed(desk)
    assert error.retryable
    assert desk.failure is not None
    assert (await failed(desk)).trouble is Trouble.CONNECT


async def test_a_new_session_knows_the_call_so_far(desk: Desk):
    await desk.caller("Where is my order?")
    await desk.answer()
    desk.note(Message(Role.AGENT, SAID))
    await desk.close()
    desk.open()
    await desk.caller("Thank you.")
    await desk.answer()
    assert desk.conversation == [
        ("system", "Today is Monday."),
        ("assistant", "Hello, this is Maya."),
        ("user", "Where is my order?"),
        ("assistant", SAID),
        ("user", "Thank you."),
    ]


async def test_without_ears_nothing_can_be_asked():
    model = OpenAiRealtime(NAME, Account("openai", "http://127.0.0.1:9/v1", KEY), model="m", voice="v")
    with pytest.raises(ProviderError) as raised:
        await anext(model.stream(MAYA))
    assert raised.value.trouble is Trouble.CONNECT


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault(status=401), Trouble.AUTH),
        (Fault(refuse=True), Trouble.CONNECT),
        (Fault(status=429), Trouble.RATE_LIMITED),
    ],
)
async def test_a_session_that_cannot_be_opened_fails_for_both(fault: Fault, trouble: Trouble):
    async with OpenAiSpeechDouble(Plan(), hear=hear, speak=speak) as double:
        double.plan.add("realtime", fault)
        desk = Desk(double)
        desk.open()
        asking = asyncio.create_task(desk.answer())
        with pytest.raises(ProviderError):
            await asyncio.wait_for(asking, 5)
        await desk.close()
        assert desk.failure is not None
        assert desk.failure.trouble is trouble


async def test_a_model_that_is_not_there_is_a_failure(desk: Desk):
    account = Account("openai", desk.double.url, KEY)
    model = OpenAiRealtime("openai-realtime:gpt-9", account, model="gpt-9", voice="marin")
    ears = model.for_call(["en"])
    with pytest.raises(ProviderError, match="model_not_found") as raised:
        async for _ in ears.events():
            pass
    assert (raised.value.trouble, raised.value.retryable) == (Trouble.REJECTED, False)
    await ears.aclose()


@pytest.mark.parametrize(
    ("code", "trouble"), [("model_not_found", Trouble.REJECTED), ("invalid_api_key", Trouble.AUTH)]
)
async def test_a_session_that_is_ended_says_why_in_its_last_word(desk: Desk, code: str, trouble: Trouble):
    """If it has not said so before: that is no cut, which would be worth another try."""
    desk.double.plan.add("realtime", Fault(code=code, silent=True))
    assert desk._listening is not None
    await asyncio.wait_for(desk._listening, 5)
    assert desk.failure is not None
    assert (desk.failure.trouble, desk.failure.retryable) == (trouble, False)
    assert code in str(desk.failure)
    assert (await failed(desk)).trouble is Trouble.CONNECT


async def test_a_session_that_refuses_its_instructions_is_told_them_again(desk: Desk):
    good, nameless = desk.prompt.tools, ToolSpec("", "", {})
    desk.prompt = replace(desk.prompt, tools=(nameless,))
    assert (await failed(desk)).trouble is Trouble.REJECTED
    assert (await failed(desk)).trouble is Trouble.REJECTED
    desk.prompt = replace(desk.prompt, tools=good)
    assert text(await desk.answer()) == SAID
    assert desk.asked[-1]["messages"][0]["content"] == "You are Maya."


async def test_what_the_vendor_says_of_a_part_of_the_conversation_ends_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    await desk.answer()
    desk.note(Message(Role.AGENT, "Your order"))
    monkeypatch.setattr(
        "callbot.providers.speech_to_speech.openai_session.int", lambda _: 99_999, raising=False
    )
    await desk.caller("Wait.")
    assert text(await desk.answer()) == SAID
    assert desk.failure is None


async def test_before_the_vendor_ends_a_session_another_takes_over():
    async with OpenAiSpeechDouble(
        Plan(), hear=hear, speak=speak, think=lambda request: desk.think(request)
    ) as double:
        desk = Desk(double, renew_after=0.2)
        desk.open()
        await desk.caller("Where is my order?")
        await desk.answer()
        desk.note(Message(Role.AGENT, SAID))
        async with asyncio.timeout(5):
            while len(double.plan.of("realtime connect")) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await desk.caller("Thank you.")
        assert text(await desk.answer()) == SAID
        assert desk.conversation[2:] == [
            ("user", "Where is my order?"),
            ("assistant", SAID),
            ("user", "Thank you."),
        ]
        assert desk.failure is None
        await desk.close()
        await double.quiet()


async def test_interrupted_at_random_moments_it_leaves_nothing_behind(desk: Desk):
    desk.double.between_chunks = 0.002
    await desk.caller("Where is my order?")
    for number in range(200):
        heard: list[Piece] = []
        async with aclosing(desk.model.stream(desk.prompt)) as stream:
            async for piece in stream:
                heard.append(piece)
                if len(heard) > number % 6:
                    break
        assert SAID.startswith(text(heard))
        assert SAID.startswith(hear(audio(heard)))
    assert text(await desk.answer()) == SAID
    assert [each for each in desk.conversation if each[0] == "assistant"] == [
        ("assistant", "Hello, this is Maya.")
    ]
    assert desk.failure is None


def test_the_transcriber_stands_behind_the_model():
    assert without_transcriber("gpt-realtime-2.1+gpt-transcribe") == "gpt-realtime-2.1"
    assert without_transcriber("gpt-realtime-2.1") == "gpt-realtime-2.1"
