"""Recognisers that fail, and the ears that hold them: what was said is heard, and answered once."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Port
from callbot.providers.breaker import Breakers, State
from callbot.providers.deadlines import STT
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.stt.fallback import FallbackHearing
from callbot.providers.stt.keeping import MOST_KEPT, KeptUtterance
from tests.providers.misbehaving import CUT, Bad, ScriptedEars, ScriptedHearing, Told, said, trouble
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time
WORDS = ["my", "router", "loses", "the", "connection", "every", "single", "evening"]
TEXT = " ".join(WORDS)
FRAME = 480  # as the session sends it: 60 ms
SILENCE = b"\xff"


@dataclass
class Call:
    """A call's side of the ears."""

    hearings: Sequence[ScriptedHearing]
    breakers: Breakers = field(default_factory=Breakers)
    only_finals: Collection[str] = ()
    told: Told = field(default_factory=Told)
    events: list[Transcribed] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    errors: list[ProviderError] = field(default_factory=list)

    async def __aenter__(self) -> "Call":
        names = dict(zip(("one", "two", "three"), self.hearings, strict=False))
        hearing = FallbackHearing(
            names, breakers=self.breakers, report=self.told, only_finals=self.only_finals
        )
        self.ears = hearing.for_call(["en"])
        self._task = asyncio.create_task(self._listen())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.ears.aclose()
        await self._task
        assert len(asyncio.all_tasks()) == 1
        assert all(ears.closed for hearing in self.hearings for ears in hearing.opened)

    async def _listen(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async for event in self.ears.events():
                    self.events.append(event)
                    self.at.append(clock())
                return
            except ProviderError as error:
                self.errors.append(error)

    async def speak(self, audio: bytes) -> None:
        """At the pace of speech."""
        for at in range(0, len(audio), FRAME):
            self.ears.send(audio[at : at + FRAME])
            await asyncio.sleep(0.06)

    async def utter(self, number: int = 1, words: Iterable[str] = WORDS, wait: float = 3.0) -> None:
        """One utterance, and what comes of it."""
        self.ears.start(number)
        await self.speak(said(list(words)))
        self.flushed_at = asyncio.get_running_loop().time()
        self.ears.flush()
        await asyncio.sleep(wait)

    def finals(self, number: int = 1) -> list[str]:
        return [event.text for event in self.events if event.final and event.utterance == number]

    @property
    def waited(self) -> float:
        """From the last flush to the last event."""
        return self.at[-1] - self.flushed_at


def bad(*bads: Bad) -> ScriptedHearing:
    return ScriptedHearing(bads or (Bad(),))


async def test_a_recogniser_that_does_well_is_the_only_one_opened():
    one, two = bad(), bad()
    async with Call([one, two]) as call:
        assert isinstance(call.ears, SpeechToText)
        assert (len(one.opened), len(two.opened)) == (1, 0)
        for number in (1, 2, 3):
            await call.utter(number)
    assert [call.finals(number) for number in (1, 2, 3)] == [[TEXT]] * 3
    assert (len(one.opened), len(two.opened), call.told.failed, call.errors) == (1, 0, [], [])
    seconds = call.told.used["one", "seconds_heard"]
    assert seconds == pytest.approx(3 * len(said(WORDS)) / 8000)
    assert call.told.ports() == {Port.STT}


# --- FAULTS 1: lost in mid-utterance -----------------------------------------------------------------


async def test_a_socket_that_is_lost_in_mid_utterance_is_opened_again_and_loses_nothing():
    one, two = bad(Bad(fail_after=1.2), Bad()), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert call.finals() == [TEXT]
    assert call.told.failed == [("one", "one", Trouble.CUT)]
    ((what, who, figures),) = call.told.mended
    assert (what, who) == ("stt_resumed", "one")
    assert 1_000 <= figures["replayed_ms"] <= 1_400  # from its beginning to the cut
    assert figures["gap_ms"] <= 500
    assert (len(one.opened), len(two.opened)) == (2, 0)
    assert one.opened[0].closed
    heard = len(said(WORDS)) / 8000
    assert heard + 1.1 < call.told.used["one", "seconds_heard"] < heard + 1.4


async def test_lost_again_the_next_recogniser_catches_up():
    one, two = bad(Bad(fail_after=1.2)), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert call.finals() == [TEXT]
    assert call.told.failed == [("one", "one", Trouble.CUT), ("one", "two", Trouble.CUT)]
    assert call.waited == 0


async def test_a_final_that_was_due_when_it_was_lost_comes_from_the_next():
    one, two = bad(Bad(fail_on_flush=True)), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert call.finals() == [TEXT]
    assert (two.opened[0].flushes, call.waited) == (1, 0)


async def test_at_least_the_last_half_minute_is_kept():
    long = [WORDS[0]] * 30 + ["last", "words"]
    one, two = bad(Bad(fail_on_flush=True)), bad()
    async with Call([one, two]) as call:
        call.ears.start(1)
        call.ears.send(said(long, 1.1))
        call.ears.flush()
        await asyncio.sleep(1)
    assert len(two.opened[0].audio) == MOST_KEPT == 30 * 8000
    assert call.finals() == [f"{WORDS[0]} last words"]


async def test_what_is_known_already_is_not_unsaid_while_the_next_catches_up():
    one, two = bad(Bad(fail_after=1.2, error=trouble(Trouble.UNAVAILABLE))), bad()
    async with Call([one, two]) as call:
        await call.utter()
    lengths = [len(event.text.split()) for event in call.events]
    assert lengths == sorted(lengths)


async def test_finals_of_several_utterances_that_are_still_due_all_come():
    one, two = bad(Bad(finals=False, partials=False, fail_at=0.5, error=trouble(Trouble.UNAVAILABLE))), bad()
    async with Call([one, two]) as call:
        for number in (1, 2, 3):
            call.ears.start(number)
            call.ears.send(said(WORDS[: number + 1]))
            call.ears.flush()
        await asyncio.sleep(2)
    assert [call.finals(number) for number in (1, 2, 3)] == [[" ".join(WORDS[: n + 1])] for n in (1, 2, 3)]


# --- FAULTS 2: cut for being idle --------------------------------------------------------------------


async def test_a_connection_cut_while_nobody_speaks_is_opened_when_somebody_does():
    one, two = bad(Bad(fail_at=10), Bad()), bad()
    breakers = Breakers()
    async with Call([one, two], breakers) as call:
        await asyncio.sleep(20)
        assert len(one.opened) == 1
        await call.utter()
        assert call.finals() == [TEXT]
    assert call.told.failed == [("one", "one", Trouble.CUT)]
    assert (len(one.opened), len(two.opened)) == (2, 0)


async def test_a_connection_that_is_cut_at_once_is_not_opened_for_ever():
    one = bad(Bad(fail_at=0.01))
    async with Call([one]) as call:
        await asyncio.sleep(60)
    assert (len(one.opened), len(call.errors)) == (2, 1)


# --- FAULTS 3: refused at the start ------------------------------------------------------------------


@pytest.mark.parametrize("why", [Trouble.AUTH, Trouble.RATE_LIMITED, Trouble.CONNECT])
async def test_refused_at_the_start_the_next_is_ready_before_anybody_speaks(why: Trouble):
    one, two = bad(Bad(fail_at=0.2, error=trouble(why, retry_after=30))), bad()
    async with Call([one, two]) as call:
        await asyncio.sleep(1)
        assert len(two.opened) == 1
        await call.utter()
        assert call.finals() == [TEXT]
    assert call.told.failed == [("one", "two", why)]
    assert len(one.opened) == 1


async def test_one_that_cannot_even_be_made_is_passed_over():
    one, two = bad(Bad(refuse=trouble(Trouble.REJECTED))), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert (call.finals(), call.told.failed) == ([TEXT], [("one", "two", Trouble.REJECTED)])


# --- FAULTS 4: deaf ----------------------------------------------------------------------------------


async def test_after_four_seconds_of_speech_without_text_the_next_hears_all_of_it():
    one, two = bad(Bad(deaf=True)), bad()
    breakers = Breakers()
    async with Call([one, two], breakers) as call:
        call.ears.start(1)
        await call.speak(said(WORDS, 0.7))
        assert len(two.opened) == 1
        call.ears.flush()
        await asyncio.sleep(1)
    assert call.finals() == [TEXT]
    assert call.told.failed == [("one", "two", Trouble.DEAF)]
    assert call.at[0] == pytest.approx(STT.deaf, abs=0.2)


async def test_a_final_without_a_word_where_there_was_speech_is_not_believed():
    one, two = bad(Bad(partials=False, empty=True)), bad()
    async with Call([one, two]) as call:
        call.ears.start(1)
        await call.speak(said(WORDS[:4]))
        call.ears.flush()
        await asyncio.sleep(0.5)
    assert call.finals() == [" ".join(WORDS[:4])]
    assert call.told.failed == [("one", "two", Trouble.DEAF)]


async def test_one_that_goes_deaf_in_mid_utterance_has_stalled():
    one, two = bad(), bad()
    async with Call([one, two]) as call:
        call.ears.start(1)
        await call.speak(said(WORDS[:2]))
        one.opened[0].bad = Bad(deaf=True)
        await call.speak(said(WORDS[2:], 0.9))
        call.ears.flush()
        await asyncio.sleep(1)
    assert (call.finals(), call.told.failed) == ([TEXT], [("one", "two", Trouble.STALLED)])


async def test_noise_that_nobody_understands_is_held_against_nobody():
    one, two = bad(Bad(deaf=True)), bad(Bad(deaf=True))
    breakers = Breakers()
    async with Call([one, two], breakers) as call:
        for number in range(1, 6):
            call.ears.start(number)
            await call.speak(said(WORDS, 1.5))
    assert {standing.state for standing in breakers.standings(60)} == {State.CLOSED}
    assert call.errors == []


async def test_silence_is_no_deafness():
    one, two = bad(Bad(deaf=True)), bad()
    async with Call([one, two]) as call:
        call.ears.start(1)
        await call.speak(SILENCE * 80_000)
    assert (two.opened, call.told.failed) == ([], [])


async def test_one_that_tells_nothing_before_a_flush_is_not_deaf_for_that():
    one, two = bad(Bad(partials=False)), bad()
    async with Call([one, two], only_finals=["one"]) as call:
        call.ears.start(1)
        await call.speak(said(WORDS, 0.8))
        call.ears.flush()
        await asyncio.sleep(1)
    assert (call.finals(), call.told.failed) == ([TEXT], [])


async def test_an_empty_final_of_much_speech_is_heard_again_by_the_next():
    one, two = bad(Bad(partials=False, empty=True)), bad()
    async with Call([one, two], only_finals=["one"]) as call:
        call.ears.start(1)
        await call.speak(said(WORDS, 0.8))
        call.ears.flush()
        await asyncio.sleep(1)
    assert (call.finals(), call.told.failed) == ([TEXT], [("one", "two", Trouble.DEAF)])


# --- FAULTS 5, 6, 7: finals --------------------------------------------------------------------------


async def test_a_final_that_does_not_come_is_made_of_the_last_partial():
    one, two = bad(Bad(finals=False)), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert (call.finals(), two.opened) == ([TEXT], [])
    assert call.waited == STT.final
    assert call.told.failed == [("one", "one", Trouble.SLOW)]


async def test_the_next_is_asked_when_there_is_no_partial():
    one, two = bad(Bad(finals=False, partials=False)), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert (call.finals(), call.waited) == ([TEXT], STT.final)
    assert call.told.failed == [("one", "two", Trouble.SLOW)]


async def test_a_late_final_of_other_words_comes_through_and_one_of_the_same_does_not():
    one = bad(Bad(late=2.5))
    async with Call([one]) as call:
        await call.utter()
        assert call.finals() == [TEXT]
        call.ears.start(2)
        await call.speak(said(WORDS[:3]))
        one.opened[0].bad = Bad(late=2.5, partials=False)
        await call.speak(said(WORDS[3:]))
        call.ears.flush()
        await asyncio.sleep(3)
    assert call.finals(2) == [" ".join(WORDS[:3]), TEXT]


def test_the_language_of_a_final_may_come_after_it():
    """As Scribe's does, which does not keep the text waiting for it."""
    kept = KeptUtterance(1)
    kept.flushed(1.0)
    assert kept.told(Transcribed(1, "buenas tardes", True))
    assert kept.told(Transcribed(1, "buenas tardes", True, "es"))
    assert not kept.told(Transcribed(1, "buenas tardes", True, "es"))
    assert not kept.told(Transcribed(1, "buenas tardes", True))


def test_a_vendors_judgement_of_the_turn_may_come_after_its_final_and_change():
    """As Flux's does: first that it may be over, then that it is; or that the caller goes on."""
    kept = KeptUtterance(1)
    kept.flushed(1.0)
    assert [
        kept.told(Transcribed(1, "four", True, turn_over=over)) for over in (0.3, 0.5, 0.5, 0.7, 0.2)
    ] == [*(True, True, False, True, True)]
    assert not kept.told(Transcribed(1, "four", True))


async def test_a_final_that_comes_twice_is_told_once():
    async with Call([bad(Bad(twice=True))]) as call:
        await call.utter(1)
        await call.utter(2)
    assert (call.finals(1), call.finals(2)) == ([TEXT], [TEXT])
    assert call.told.mended == [("dup_final_dropped", "one", {})] * 2


async def test_another_flush_of_the_same_utterance_gets_a_final_of_its_own():
    async with Call([bad(Bad(twice=True))]) as call:
        await call.utter(1)
        call.ears.send(SILENCE * 1600)
        call.ears.flush()
        await asyncio.sleep(1)
    assert call.finals(1) == [TEXT, TEXT]


async def test_alone_a_slow_one_gets_the_time_it_takes():
    one = bad(Bad(partials=False, late=3.5))
    async with Call([one]) as call:
        await call.utter(wait=10)
    assert call.finals() == [TEXT]
    assert call.errors == []


# --- when all have failed, and afterwards ------------------------------------------------------------


async def test_when_all_fail_what_is_known_is_told_and_then_the_failure():
    one = bad(Bad(fail_on_flush=True))
    async with Call([one, bad(Bad(refuse=trouble(Trouble.AUTH)))]) as call:
        await call.utter()
        assert (call.finals(), [error.trouble for error in call.errors]) == ([TEXT], [Trouble.AUTH])


async def test_the_next_utterance_is_tried_again():
    one = bad(Bad(fail_on_flush=True), Bad(fail_on_flush=True), Bad())
    async with Call([one]) as call:
        await call.utter(1)
        assert len(call.errors) == 1
        await call.utter(2)
    assert call.finals(2) == [TEXT]


async def test_the_next_utterance_goes_back_to_the_first_when_its_breaker_allows():
    one, two = bad(Bad(fail_after=0.5, error=trouble(Trouble.UNAVAILABLE)), Bad()), bad()
    breakers = Breakers()
    async with Call([one, two], breakers) as call:
        await call.utter(1)
        await call.utter(2)
        assert (len(one.opened), len(two.opened)) == (1, 1)
        await asyncio.sleep(10)
        await call.utter(3)
    assert (len(one.opened), len(two.opened)) == (2, 1)
    assert two.opened[0].closed
    assert [call.finals(number) for number in (1, 2, 3)] == [[TEXT]] * 3


async def test_it_stays_with_the_next_while_the_breaker_is_open():
    breakers = Breakers()
    one, two = bad(Bad(fail_after=0.5, error=trouble(Trouble.QUOTA))), bad()
    async with Call([one, two], breakers) as call:
        for number in (1, 2, 3):
            await call.utter(number)
    assert (len(one.opened), len(two.opened)) == (1, 1)
    async with Call([one, two], breakers) as call:  # another call
        assert (len(one.opened), len(two.opened)) == (1, 2)


async def test_a_bug_in_one_recogniser_is_survived_by_the_next():
    one, two = bad(Bad(fail_on_flush=True, error=KeyError("text"))), bad()
    async with Call([one, two]) as call:
        await call.utter()
    assert (call.finals(), call.told.failed) == ([TEXT], [("one", "two", Trouble.FAILED)])


async def test_closing_it_while_it_opens_another_leaves_nothing():
    one = bad(Bad(fail_after=0.1))
    async with Call([one, bad()]) as call:
        call.ears.start(1)
        call.ears.send(said(WORDS))
    call.ears.start(2)
    call.ears.send(said(WORDS))
    call.ears.flush()
    await call.ears.aclose()


# --- whatever fails when -----------------------------------------------------------------------------

BAD = st.builds(
    Bad,
    refuse=st.sampled_from([None, None, None, trouble(Trouble.CONNECT)]),
    fail_after=st.sampled_from([None, None, 0.0, 0.4, 1.0, 2.0]),
    fail_on_flush=st.booleans(),
    error=st.sampled_from([CUT, trouble(Trouble.AUTH), trouble(Trouble.UNAVAILABLE)]),
    partials=st.booleans(),
    finals=st.booleans(),
    deaf=st.booleans(),
    twice=st.booleans(),
    late=st.sampled_from([0.0, 0.0, 0.3, 2.0]),
)


@given(st.lists(BAD, min_size=1, max_size=3), st.lists(BAD, min_size=1, max_size=3))
def test_with_a_good_recogniser_at_the_end_every_utterance_is_heard(first: list[Bad], second: list[Bad]):
    async def run() -> None:
        async with Call([bad(*first), bad(*second), bad()]) as call:
            for number in (1, 2):
                await call.utter(number, WORDS[:4], wait=6)
        for number in (1, 2):
            finals = call.finals(number)
            assert finals
            assert " ".join(WORDS[:4]).startswith(finals[-1])  # a forced final may lack the end
            assert len(finals) == len(set(finals))
        assert call.errors == []

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


@given(st.lists(BAD, min_size=1, max_size=4))
def test_with_none_that_is_good_it_says_so_or_goes_on(bads: list[Bad]):
    async def run() -> None:
        async with Call([bad(*bads)]) as call:
            await call.utter(1, WORDS[:4])
            await call.utter(2, WORDS[:4])

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def test_the_scripted_ears_understand_what_was_said():
    async def run() -> None:
        ears = ScriptedEars(Bad())
        ears.start(1)
        ears.send(said(WORDS))
        ears.flush()
        events = ears.events()
        assert await anext(events) == Transcribed(1, TEXT, False)
        assert await anext(events) == Transcribed(1, TEXT, True)
        await ears.aclose()

    asyncio.run(run())
