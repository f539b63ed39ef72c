"""Models that fail, and the model that holds them: an answer is finished, and a call is made once."""

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Port
from callbot.providers.breaker import Breakers
from callbot.providers.llm.continuing import Continuation, WholeWords
from callbot.providers.llm.fallback import GO_ON, FallbackModel
from callbot.providers.ports import (
    Ending,
    Finished,
    LanguageModel,
    Message,
    Piece,
    Prompt,
    Role,
    Speech,
    TokenUsage,
    ToolCall,
    ToolSpec,
    Words,
)
from tests.providers.misbehaving import CUT, FOR_EVER, ScriptedModel, Told, trouble
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time
TEXT = "Your order is on its way, and it should arrive on Thursday."
PROMPT = Prompt("Answer the caller.", (Message(Role.CALLER, "Where is my order?"),))
LOOK_UP = ToolCall("call_1", "look_up_order", '{"order": "B7429"}')


class Answered:
    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.at: list[float] = []
        self.error: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces if isinstance(piece, Words))

    @property
    def calls(self) -> list[ToolCall]:
        return [piece for piece in self.pieces if isinstance(piece, ToolCall)]


async def ask(
    *models: LanguageModel, prompt: Prompt = PROMPT, breakers: Breakers | None = None
) -> tuple[Answered, Told]:
    told, result = Told(), Answered()
    clock = asyncio.get_running_loop().time
    begun = clock()
    model = FallbackModel(models, breakers=breakers or Breakers(), report=told)
    try:
        async for piece in model.stream(prompt):
            result.pieces.append(piece)
            result.at.append(clock() - begun)
    except ProviderError as error:
        result.error = error
    assert len(asyncio.all_tasks()) == 1
    for model in models:
        if isinstance(model, ScriptedModel):
            assert model.closed == len(model.asked)
    return result, told


def pair(*scripts: object) -> tuple[ScriptedModel, ScriptedModel]:
    return ScriptedModel("one", TEXT, scripts), ScriptedModel("two", TEXT)  # type: ignore[arg-type]


# --- what every language model does ------------------------------------------------------------------

MODELS = {
    "the first": lambda: [ScriptedModel("one", TEXT, [[4, 3, 9]])],
    "the second": lambda: [ScriptedModel("one", TEXT, [[CUT]]), ScriptedModel("two", TEXT)],
    "both": lambda: [ScriptedModel("one", TEXT, [[20, CUT]]), ScriptedModel("two", TEXT)],
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> FallbackModel:
    return FallbackModel(MODELS[request.param](), breakers=Breakers(), report=Told())


async def test_it_is_a_language_model(model: FallbackModel):
    assert isinstance(model, LanguageModel)
    assert model.name == "one"


async def test_the_words_come_in_order_and_the_ending_last_and_once(model: FallbackModel):
    pieces = [piece async for piece in model.stream(PROMPT)]
    assert pieces[-1] == Finished(Ending.STOP)
    assert all(isinstance(piece, Words) and piece.text for piece in pieces[:-1])
    assert "".join(piece.text for piece in pieces[:-1] if isinstance(piece, Words)) == TEXT


async def test_closing_it_half_way_leaves_no_task(model: FallbackModel):
    pieces = model.stream(PROMPT)
    await anext(pieces)
    await pieces.aclose()
    assert len(asyncio.all_tasks()) == 1


# --- before the first word ---------------------------------------------------------------------------


@pytest.mark.parametrize("why", [why for why in Trouble if why is not Trouble.TOO_LONG])
async def test_a_failure_before_the_first_word_asks_the_next_the_same(why: Trouble):
    one, two = pair([trouble(why)])
    result, told = await ask(one, two)
    assert (result.text, result.error, two.asked) == (TEXT, None, [PROMPT])
    assert told.failed == [("one", "two", why)]
    assert told.ports() == {Port.LLM}


async def test_without_a_first_word_the_second_model_is_asked_after_three_seconds():
    one, two = pair([FOR_EVER])
    result, told = await ask(one, two)
    assert (result.text, result.at[0]) == (TEXT, 3.0)
    assert told.failed == [("one", "two", Trouble.SLOW)]


async def test_what_is_too_long_is_for_the_asker_to_make_shorter():
    one, two = pair([trouble(Trouble.TOO_LONG)])
    breakers = Breakers()
    for _ in range(5):
        result, told = await ask(one, two, breakers=breakers)
        assert result.error is not None
        assert result.error.trouble is Trouble.TOO_LONG
    assert (len(one.asked), two.asked, told.news) == (5, [], [])


@pytest.mark.parametrize(
    "nothing", [Finished(Ending.STOP), Finished(Ending.LENGTH), Finished(Ending.FILTERED), None]
)
async def test_an_answer_without_words_and_calls_is_a_failure(nothing: Piece | None):
    one, two = pair([Words(" \n"), nothing])
    result, told = await ask(one, two)
    assert result.text.strip() == TEXT
    assert [failure[2] for failure in told.failed] == [Trouble.EMPTY if nothing else Trouble.CUT]


async def test_alone_it_is_asked_once_again():
    one = ScriptedModel("one", TEXT, [[CUT], []])
    result, told = await ask(one)
    assert (result.text, told.failed) == (TEXT, [("one", "one", Trouble.CUT)])


async def test_when_all_fail_the_last_failure_is_raised():
    one, two = pair([CUT])
    two.scripts = [[trouble(Trouble.REJECTED)]]
    result, told = await ask(one, two)
    assert result.error is not None
    assert result.error.trouble is Trouble.REJECTED
    assert told.failed == [("one", "two", Trouble.CUT), ("two", "", Trouble.REJECTED)]


# --- in mid-answer -----------------------------------------------------------------------------------


async def test_a_stream_that_breaks_is_gone_on_with_by_the_next():
    one, two = pair([18, CUT])  # "Your order is on i"
    result, told = await ask(one, two)
    assert result.text == TEXT
    assert result.pieces[-1] == Finished(Ending.STOP)
    assert told.failed == [("one", "two", Trouble.CUT)]
    assert told.mended == [("llm_resumed", "two", {"gap_ms": 0, "from_word": 5})]
    (asked,) = two.asked
    assert asked.messages == (
        *PROMPT.messages,
        Message(Role.AGENT, "Your order is on"),
        Message(Role.NOTE, GO_ON),
    )
    assert (asked.instructions, asked.tools) == (PROMPT.instructions, PROMPT.tools)


async def test_a_model_that_speaks_itself_is_gone_on_with_by_one_that_writes():
    spoken = [Speech("Your order is", b"\x80" * 800), Speech("on", b"\x80" * 800)]
    one, two = ScriptedModel("one", "", [[*spoken, CUT]]), ScriptedModel("two", TEXT)
    result, told = await ask(one, two)
    assert result.pieces[:2] == spoken
    assert result.text == " its way, and it should arrive on Thursday."
    assert two.asked[0].messages[-2] == Message(Role.AGENT, "Your order is on")
    assert told.failed == [("one", "two", Trouble.CUT)]


async def test_tokens_of_audio_are_counted_apart():
    usage = TokenUsage(100, 60, 20, audio_read=50, audio_cached=10, audio_written=200)
    _, told = await ask(
        ScriptedModel("one", "", [[Speech("Hello.", b"\x80" * 800), Finished(Ending.STOP, usage)]])
    )
    assert told.used == {
        ("one", "tokens_read"): 40,
        ("one", "tokens_cached"): 60,
        ("one", "tokens_written"): 20,
        ("one", "audio_tokens_read"): 40,
        ("one", "audio_tokens_cached"): 10,
        ("one", "audio_tokens_written"): 200,
    }


async def test_a_stall_is_a_break_after_two_seconds():
    one, two = pair([18, FOR_EVER])
    result, told = await ask(one, two)
    assert (result.text, result.at[-1]) == (TEXT, 2.0)
    assert told.failed == [("one", "two", Trouble.STALLED)]


async def test_one_word_a_second_is_slow_and_not_dead():
    one, two = pair([step for _ in range(12) for step in (5, 1.0)])
    result, told = await ask(one, two)
    assert (result.text, told.failed) == (TEXT, [])


async def test_a_model_that_says_all_again_is_heard_from_where_it_was():
    one, two = pair([30, CUT])
    two.stubborn = True
    result, _ = await ask(one, two)
    assert result.text == TEXT


async def test_who_has_nothing_to_add_has_finished_the_answer():
    one, two = pair([Words(TEXT + " "), CUT])
    result, told = await ask(one, two)
    assert (result.text.strip(), result.error) == (TEXT, None)
    assert result.pieces[-1] == Finished(Ending.STOP)
    assert [failure[:2] for failure in told.failed] == [("one", "two")]


# --- calls -------------------------------------------------------------------------------------------


async def test_a_call_that_was_made_is_never_made_again():
    one, two = pair([Words("One moment. "), LOOK_UP, CUT])
    two.scripts = [[LOOK_UP]]
    result, told = await ask(one, two)
    assert result.pieces == [Words("One moment. "), LOOK_UP, Finished(Ending.TOOL_CALLS)]
    assert two.asked == []
    assert told.failed == [("one", "", Trouble.CUT)]


async def test_half_a_word_before_a_call_is_a_whole_word():
    result, _ = await ask(ScriptedModel("one", "", [[Words("One mo"), Words("ment"), LOOK_UP]]))
    assert result.pieces == [Words("One "), Words("moment"), LOOK_UP, Finished(Ending.TOOL_CALLS)]


async def test_the_next_may_call_what_the_first_did_not_come_to():
    one, two = pair([Words("One moment. "), CUT])
    two.text, two.scripts = "One moment. ", [[LOOK_UP]]
    result, _ = await ask(one, two)
    assert (result.text.strip(), result.calls) == ("One moment.", [LOOK_UP])


async def test_a_repetition_after_a_call_is_one_too():
    one, two = pair([12, CUT])
    two.stubborn, two.scripts = True, [[LOOK_UP]]
    result, _ = await ask(one, two)
    assert (result.text, result.calls) == (TEXT, [LOOK_UP])


# --- what it costs -----------------------------------------------------------------------------------


async def test_tokens_are_as_the_vendor_counts_them():
    usage = TokenUsage(read=900, cached=700, written=30)
    _, told = await ask(ScriptedModel("one", "", [[Words(TEXT), Finished(Ending.STOP, usage)]]))
    assert told.used == {
        ("one", "tokens_read"): 200,
        ("one", "tokens_cached"): 700,
        ("one", "tokens_written"): 30,
    }


async def test_of_a_stream_that_was_cut_they_are_estimated():
    prompt = Prompt(
        "x" * 400,
        (Message(Role.AGENT, "y" * 40, (LOOK_UP,)), Message(Role.TOOL, "z" * 49)),
        (ToolSpec("look_up_order", "Find it.", {"type": "object"}),),
    )
    one, two = pair([40, CUT])
    _, told = await ask(one, two, prompt=prompt)
    assert told.used["one", "tokens_written"] == 10
    assert told.used["one", "tokens_read"] == (400 + 40 + 31 + 49 + 21 + 18) // 4
    assert told.used["two", "tokens_written"] == pytest.approx((len(TEXT) - 40) / 4, abs=3)


async def test_what_was_refused_costs_nothing_and_what_was_waited_for_in_vain_does():
    one, two = pair([trouble(Trouble.RATE_LIMITED)])
    _, told = await ask(one, two)
    assert {name for name, _ in told.used} == {"two"}
    one, two = pair([FOR_EVER])
    _, told = await ask(one, two)
    assert told.used["one", "tokens_read"] > 0
    assert ("one", "tokens_written") not in told.used


async def test_what_a_caller_interrupted_is_paid_for():
    told = Told()
    one = ScriptedModel("one", TEXT, [[20, FOR_EVER]])
    async with aclosing(FallbackModel([one], breakers=Breakers(), report=told).stream(PROMPT)) as pieces:
        await anext(pieces)
    assert one.closed == 1
    assert told.used["one", "tokens_written"] == 5
    assert told.failed == []


# --- whatever fails when -----------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.integers(1, 30),
        st.sampled_from([0.1, 1.0, 2.5, FOR_EVER, None, LOOK_UP]),
        st.sampled_from([trouble(t) for t in Trouble if t is not Trouble.TOO_LONG]),
    ),
    max_size=6,
)


@given(STEPS, STEPS, STEPS, st.tuples(st.booleans(), st.booleans()))
def test_no_word_is_lost_or_said_twice_and_no_call_made_twice_after_a_break(
    first: list[object], second: list[object], third: list[object], stubborn: tuple[bool, bool]
):
    async def run() -> None:
        models = [
            ScriptedModel(name, TEXT, [script])  # type: ignore[list-item]
            for name, script in (("one", first), ("two", second), ("three", third))
        ]
        models[1].stubborn, models[2].stubborn = stubborn
        result, _ = await ask(*models)
        if result.error is None and not result.calls:
            assert result.text == TEXT
        else:
            assert TEXT.startswith(result.text.strip())
        assert len(result.calls) <= max(script.count(LOOK_UP) for script in (first, second, third))
        endings = [piece for piece in result.pieces if isinstance(piece, Finished)]
        assert len(endings) == (0 if result.error else 1)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


# --- the parts ---------------------------------------------------------------------------------------


@given(st.lists(st.text("ab \n", max_size=5)))
def test_whole_words_are_all_of_the_text_and_never_half_a_word(pieces: list[str]):
    words = WholeWords()
    due = [words.feed(piece) for piece in pieces]
    assert all(not text or text[-1].isspace() for text in due)
    assert "".join(due) + words.finish() == "".join(pieces)


@pytest.mark.parametrize(
    ("said", "more", "left"),
    [
        ("It is on its way", "and arrives on Thursday.", "and arrives on Thursday."),
        ("It is on its way", "it is on its way, and arrives.", "and arrives."),
        ("It is on its way", "on its way and arrives.", "and arrives."),
        ("It is on its way", "way too late.", "way too late."),
        ("It is on its way", "It is late.", "It is late."),
        ("It is on its way", "It is on its way", ""),
        ("Yes", "Yes, of course.", "of course."),
        ("", "Yes, of course.", "Yes, of course."),
        ("It is —", "It is — well — late.", "well — late."),
    ],
)
def test_a_repetition_is_taken_from_a_continuation(said: str, more: str, left: str):
    for size in (1, 2, 5, 100):
        words, continuation = WholeWords(), Continuation(said)
        found = "".join(
            continuation.feed(words.feed(more[at : at + size])) for at in range(0, len(more), size)
        )
        assert found + continuation.feed(words.finish()) + continuation.finish() == left
