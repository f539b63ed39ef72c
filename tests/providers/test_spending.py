"""A call with a limit does not spend over it, whatever it asks for: what costs nothing goes on in time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Failed, Port, Unit, Used
from callbot.providers.breaker import Breakers
from callbot.providers.budget import AgentsAllowance, CallPurse, Limits, Purse
from callbot.providers.llm.fallback import FallbackModel, most_used
from callbot.providers.ports import (
    Ending,
    Finished,
    Message,
    Piece,
    Prompt,
    Role,
    TokenUsage,
    ToolCall,
    ToolSpec,
    Words,
)
from callbot.providers.price_file import parse
from callbot.providers.prices import Prices
from callbot.providers.registry import Hearing
from callbot.providers.stt.fake import ScriptedHearing as FakeHearing
from callbot.providers.stt.fallback import AHEAD, FallbackHearing
from callbot.providers.stt.keeping import MOST_KEPT
from callbot.providers.tts.fallback import FallbackVoice
from tests.providers.misbehaving import CUT, Bad, ScriptedHearing, ScriptedModel, ScriptedVoice, Told, said
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time
TODAY = date(2026, 11, 26)
PRICES = Prices(
    (
        parse(
            "free: [free*]\n"
            "prices:\n"
            "  - {vendor: dear, model: '*', per: one, page: invented, dated: 2026-11-26,\n"
            "     characters_spoken: 0.01, tokens_read: 0.0001, tokens_written: 0.001}\n"
            "  - {vendor: dear, model: '*', per: second, page: invented, dated: 2026-11-26,\n"
            "     seconds_heard: 0.02}\n",
            "prices.yaml",
        ),
    )
)
SENTENCE = "Your order is on its way, and it should arrive on Thursday."
PROMPT = Prompt("Answer the caller.", (Message(Role.CALLER, "Where is my order?"),), most_tokens=40)
WORDS = ["my", "router", "loses", "the", "connection", "every", "single", "evening"]
SILENCE = b"\xff"


class Call:
    """With a dear and a free provider of each kind, and so much money."""

    def __init__(self, limit: str) -> None:
        self.limit = Decimal(limit)
        self.purse = CallPurse(Purse(PRICES, Limits(call=self.limit)))
        self.told = Told()
        self.allowance = AgentsAllowance(self.purse, "sales", lambda: TODAY)

    def report(self, news: Used | Failed) -> None:
        self.told(news)
        if isinstance(news, Used):
            self.purse.spend(news, "sales", TODAY)
            assert self.purse.spent <= self.limit

    def voice(self, *voices: ScriptedVoice) -> FallbackVoice:
        return FallbackVoice(
            voices or (ScriptedVoice("dear"), ScriptedVoice("free")),
            breakers=Breakers(),
            report=self.report,
            allowance=self.allowance,
        )

    def model(self, *models: ScriptedModel) -> FallbackModel:
        return FallbackModel(models, breakers=Breakers(), report=self.report, allowance=self.allowance)

    def hearing(self, dear: Hearing, *others: Hearing) -> FallbackHearing:
        return FallbackHearing(
            {"dear": dear, **dict(zip(("free", "spare"), others, strict=False))},
            breakers=Breakers(),
            report=self.report,
            allowance=self.allowance,
        )

    def used(self, provider: str, unit: Unit) -> float:
        return self.told.used.get((provider, unit), 0.0)


# --- speaking ----------------------------------------------------------------------------------------


async def spoken_by(voice: FallbackVoice, text: str = SENTENCE) -> str:
    return " ".join(" ".join([piece.text async for piece in voice.speak(text)]).split())


async def test_a_sentence_that_costs_more_than_is_left_is_spoken_by_the_free_voice() -> None:
    dear, free = ScriptedVoice("dear"), ScriptedVoice("free")
    call = Call("1.50")
    voice = call.voice(dear, free)
    for _ in range(4):
        assert await spoken_by(voice) == SENTENCE
    assert (len(dear.asked), len(free.asked)) == (2, 2), "59 cents a sentence"
    assert call.purse.spent == Decimal("1.18")


async def test_sentences_that_are_asked_for_at_once_do_not_spend_the_same_money() -> None:
    slow = ScriptedVoice("dear", [[0.5]])
    call = Call("1.50")
    voice = call.voice(slow, ScriptedVoice("free"))
    heard = await asyncio.gather(*(spoken_by(voice) for _ in range(10)))
    assert heard == [SENTENCE] * 10
    assert call.purse.spent == Decimal("1.18")


async def test_money_held_for_what_failed_or_was_interrupted_is_there_again() -> None:
    broken = ScriptedVoice("dear", [[CUT], [CUT], [5.0], []])
    call = Call("0.60")
    voice = call.voice(broken, ScriptedVoice("free"))
    assert await spoken_by(voice) == SENTENCE
    speaking = asyncio.create_task(spoken_by(voice))
    await asyncio.sleep(0.1)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert call.allowance.permits(Port.TTS, "dear", {Unit.CHARACTERS_SPOKEN: 60})


async def test_when_there_is_nobody_free_the_request_fails_as_over_budget() -> None:
    call = Call("0.10")
    with pytest.raises(ProviderError) as caught:
        await spoken_by(call.voice(ScriptedVoice("dear")))
    assert (caught.value.trouble, caught.value.retryable) == (Trouble.BUDGET, False)
    assert call.purse.spent == 0


# --- thinking ----------------------------------------------------------------------------------------


async def answered(model: FallbackModel, prompt: Prompt = PROMPT) -> str:
    pieces: list[Piece] = [piece async for piece in model.stream(prompt)]
    return "".join(piece.text for piece in pieces if isinstance(piece, Words))


async def test_a_model_is_asked_only_if_the_longest_answer_may_be_paid_for() -> None:
    longest: list[Piece] = [Words("word " * 40), Finished(Ending.LENGTH, TokenUsage(20, 0, 40))]
    dear, free = ScriptedModel("dear", scripts=[longest]), ScriptedModel("free", SENTENCE)
    call = Call("0.10")
    model = call.model(dear, free)
    for _ in range(4):
        assert await answered(model)
    assert (len(dear.asked), len(free.asked)) == (2, 2), "some four cents an answer"
    assert call.purse.spent == Decimal("0.084")


async def test_an_answer_that_broke_off_is_gone_on_with_by_whom_there_is_money_for() -> None:
    dear = ScriptedModel("dear:first", SENTENCE, [[30, CUT]])
    second = ScriptedModel("dear:second", SENTENCE)
    call = Call("0.05")
    assert await answered(call.model(dear, second, ScriptedModel("free", SENTENCE))) == SENTENCE
    assert (len(dear.asked), len(second.asked)) == (1, 0)


async def test_a_prompt_may_cost_more_than_the_estimate_that_stands_in_for_a_vendors_count() -> None:
    tool = ToolSpec("look_up_order", "Looks an order up.", {"type": "object", "properties": {"order": {}}})
    called = Message(Role.AGENT, "", calls=(ToolCall("1", "look_up_order", '{"order": "B7429"}'),))
    for prompt in (PROMPT, replace(PROMPT, tools=(tool,)), replace(PROMPT, messages=(called,))):
        cut = ScriptedModel("dear", scripts=[[Words("Your"), CUT]])
        call = Call("9.00")
        with pytest.raises(ProviderError):
            await answered(call.model(cut), prompt)
        estimate = call.used("dear", Unit.TOKENS_READ) / len(cut.asked)
        assert 0 < estimate < most_used(prompt)[Unit.TOKENS_READ]


def test_what_is_written_with_more_bytes_has_more_tokens() -> None:
    def read(text: str) -> float:
        return most_used(Prompt("", (Message(Role.CALLER, text),)))[Unit.TOKENS_READ]

    assert read("订单在哪里") - read("") == 5
    assert read("order") - read("") == pytest.approx(5 / 3)


def test_a_model_that_hears_and_speaks_by_itself_reads_the_sound_of_what_was_said() -> None:
    most = most_used(PROMPT)
    assert most[Unit.AUDIO_TOKENS_WRITTEN] == most[Unit.TOKENS_WRITTEN] == 40
    assert most[Unit.AUDIO_TOKENS_READ] == pytest.approx(0.7 * len("Where is my order?"))


# --- hearing -----------------------------------------------------------------------------------------


class Listening:
    """A call's side of its ears."""

    def __init__(self, hearing: FallbackHearing) -> None:
        self.ears = hearing.for_call(["en"])
        self.finals: list[str] = []
        self.errors: list[ProviderError] = []
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                async for event in self.ears.events():
                    if event.final:
                        self.finals.append(event.text)
                return
            except ProviderError as error:
                self.errors.append(error)

    async def utter(self, number: int, audio: bytes, *, piece: int = 480) -> None:
        self.ears.start(number)
        for at in range(0, len(audio), piece):
            self.ears.send(audio[at : at + piece])
            await asyncio.sleep(piece / 8000)
        self.ears.flush()
        await asyncio.sleep(1)

    async def close(self) -> None:
        await self.ears.aclose()
        await self._task


async def test_a_recogniser_gives_way_in_mid_utterance_and_the_free_one_hears_all_of_it() -> None:
    dear, free = ScriptedHearing(), ScriptedHearing()
    call = Call("0.30")
    listening = Listening(call.hearing(dear, free))
    await listening.utter(1, said(WORDS, seconds=2.5))  # 20 s, and there is money for 15
    assert listening.finals == [" ".join(WORDS)]
    assert call.used("dear", Unit.SECONDS_HEARD) == pytest.approx(15, abs=0.06)
    assert call.used("free", Unit.SECONDS_HEARD) == pytest.approx(20)
    assert call.told.failed == [("dear", "free", Trouble.BUDGET)]
    assert dear.opened[0].closed, "it does not stay open"
    await listening.utter(2, said(WORDS))
    assert (len(dear.opened), len(free.opened)) == (1, 1)
    assert listening.finals[1] == " ".join(WORDS)
    await listening.close()


async def test_a_recogniser_that_is_open_is_left_at_the_next_utterance_when_others_spent_the_money() -> None:
    dear, free = ScriptedHearing(), ScriptedHearing()
    call = Call("1.00")
    listening = Listening(call.hearing(dear, free))
    await listening.utter(1, said(WORDS))
    call.report(Used(Port.TTS, "dear", Unit.CHARACTERS_SPOKEN, 94))
    before = call.purse.spent
    await listening.utter(2, said(WORDS))
    assert listening.finals == [" ".join(WORDS)] * 2
    assert call.purse.spent == before
    assert (dear.opened[0].starts, dear.opened[0].closed) == ([1], True)
    assert call.told.failed == [], "nobody has failed"
    await listening.close()


async def test_a_recogniser_without_a_free_one_beside_it_is_closed_when_others_spent_the_money() -> None:
    dear = ScriptedHearing()
    call = Call("1.00")
    listening = Listening(call.hearing(dear))
    await listening.utter(1, said(WORDS))
    call.report(Used(Port.TTS, "dear", Unit.CHARACTERS_SPOKEN, 94))
    listening.ears.start(2)
    await asyncio.sleep(1)
    assert dear.opened[0].closed
    assert [error.trouble for error in listening.errors] == [Trouble.BUDGET]
    await listening.close()


async def test_a_recogniser_that_hears_for_an_hour_without_a_pause_costs_what_the_call_may_cost() -> None:
    call = Call("2.00")
    listening = Listening(call.hearing(FakeHearing(("Hello.",)), FakeHearing(("Hello.",))))
    await listening.utter(1, SILENCE * 8000 * 3600, piece=8000)
    assert call.used("dear", Unit.SECONDS_HEARD) == 100
    assert call.used("free", Unit.SECONDS_HEARD) == 3600 - 101 + MOST_KEPT / 8000, "and the end of that again"
    assert listening.finals == ["Hello."]
    await listening.close()


async def test_without_money_and_without_a_free_recogniser_hearing_fails_and_nothing_is_spent() -> None:
    dear = ScriptedHearing()
    call = Call("0.30")
    listening = Listening(call.hearing(dear))
    await listening.utter(1, said(WORDS, seconds=2.5))
    assert [error.trouble for error in listening.errors] == [Trouble.BUDGET]
    spent = call.purse.spent
    await listening.utter(2, said(WORDS))
    assert [error.trouble for error in listening.errors] == [Trouble.BUDGET] * 2
    assert call.purse.spent == spent
    assert all(ears.closed for ears in dear.opened)
    await listening.close()


async def test_what_is_heard_again_after_a_failure_is_paid_for_again_within_the_limit() -> None:
    dear = ScriptedHearing([Bad(fail_after=8.0), Bad()])
    free = ScriptedHearing()
    call = Call("0.25")  # 12.5 s
    listening = Listening(call.hearing(dear, free))
    await listening.utter(1, said(WORDS, seconds=1.25))
    assert listening.finals == [" ".join(WORDS)]
    assert len(dear.opened) == 1, "to hear 8 s again and 5 s more would cost too much"
    await listening.close()


async def test_money_is_set_aside_for_a_few_seconds_at_a_time_and_not_between_utterances() -> None:
    call = Call("1.00")
    listening = Listening(call.hearing(ScriptedHearing(), ScriptedHearing()))
    await listening.utter(1, said(WORDS))
    spent = Decimal("0.02") * Decimal("2.4")
    assert call.purse.spent == spent
    left = (Decimal(1) - spent) / Decimal("0.01")
    assert call.allowance.permits(Port.TTS, "dear", {Unit.CHARACTERS_SPOKEN: float(left)})
    listening.ears.start(2)
    listening.ears.send(SILENCE * 480)
    held = Decimal("0.02") * Decimal(AHEAD)
    assert not call.allowance.permits(
        Port.TTS, "dear", {Unit.CHARACTERS_SPOKEN: float(left - held / Decimal("0.01")) + 0.01}
    )
    await listening.close()


# --- all at once -------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    st.integers(1, 400),
    st.lists(
        st.tuples(st.sampled_from(["speak", "think", "hear"]), st.floats(0, 3)), min_size=1, max_size=12
    ),
)
def test_a_call_never_spends_over_its_limit_whatever_it_does_at_once(
    cents: int, doings: Sequence[tuple[str, float]]
) -> None:
    async def main() -> None:
        call = Call(str(Decimal(cents) / 100))
        voice = call.voice(
            ScriptedVoice("dear", [[0.3, 4], [CUT], [2, CUT], [1, 0.5, 3]]), ScriptedVoice("free")
        )
        model = call.model(
            ScriptedModel("dear", SENTENCE, [[0.2, 20], [10, CUT], [0.4, CUT]]),
            ScriptedModel("free", SENTENCE),
        )
        heard = FakeHearing(("Hello.",) * 12)
        listening = Listening(call.hearing(heard, heard))
        utterances: list[float] = []

        async def do(what: str, after: float) -> None:
            await asyncio.sleep(after)
            if what == "speak":
                assert await spoken_by(voice) == SENTENCE
            else:
                assert await answered(model) == SENTENCE

        async def hear() -> None:
            for number, seconds in enumerate(utterances, 1):
                await listening.utter(number, said(WORDS[:1], seconds=seconds))

        utterances += [after + 0.5 for what, after in doings if what == "hear"]
        others = [do(what, after) for what, after in doings if what != "hear"]
        await asyncio.gather(hear(), *others)  # each report asserts it: see ``Call.report``
        assert listening.finals == ["Hello."] * len(utterances)
        await listening.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as loop:
        loop.run(main())
