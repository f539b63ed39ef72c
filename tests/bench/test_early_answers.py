"""What the latency bench measures of slow providers, on virtual time: recorded callers, a line that plays at
their pace, the real detector, and every wait exactly as long as it is set to be."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.breakdown import Breakdown
from bench.latency import NEVER, SLOW, Stack, stack
from bench.recorded import RecordedEars, Recordings
from bench.server import rules
from bench.standins import StandInBrain, StandInVoice
from callbot.call import Call, EndedBy
from callbot.conversation.effects import Phrase
from callbot.conversation.lateness import Lateness
from callbot.conversation.rules import TurnRules
from callbot.detection import Detection
from callbot.exchange.callers import RecordedCaller
from callbot.exchange.line import Echo, Line
from callbot.media_stream.messages import Mark, Media
from callbot.media_stream.vad import SmootherRules
from callbot.providers.vad.silero import SileroDetector
from callbot.session import Equipment, Observer, Session, Voices

pytestmark = pytest.mark.virtual_time

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"
FIRST = "support_bill"
NAMES = ("sales_order", "technical_visit", "numbers_spelled")
AT_SILENCE = SmootherRules(pause_chunks=SmootherRules().stop_chunks)


class LoopLine:
    """The exchange's line, without the network."""

    stream_sid = "MZ1"

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.line = Line(self.stream_sid)
        self.session: Session | None = None

    def send(self, message: bytes) -> None:
        self._return(self.line.receive(message, self.loop.time()))

    def attend(self, closely: bool) -> None:
        pass

    def hang_up(self) -> None:
        pass

    def play(self) -> bytes:
        played = self.line.tick(self.loop.time())
        self._return(played.effects)
        return played.audio

    def _return(self, effects: Sequence[object]) -> None:
        for effect in effects:
            if isinstance(effect, Echo):
                self.loop.call_soon(self._marked, effect.name)

    def _marked(self, name: str) -> None:
        assert self.session is not None
        self.session.received(Mark(self.stream_sid, name, 0))


async def ring(caller: RecordedCaller, equipment: Equipment, *observers: Observer) -> None:
    line = LoopLine()
    session = line.session = Session(
        Call("CA1", "+15550142", "+15550100"), line, equipment, observers=observers
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run())
        script, heard, frame = caller.script(), None, 0
        while True:
            try:
                spoken = next(script) if heard is None else script.send(heard)
            except StopIteration:
                break
            await asyncio.sleep(0.02)
            frame += 1
            session.received(Media(line.stream_sid, 0, frame, (frame - 1) * 20, spoken.audio))
            heard = line.play()
        session.hung_up(EndedBy.CALLER)


async def measured(turns: TurnRules, smoothing: SmootherRules | None = None, *, cuts: bool = True) -> Stack:
    """A process that has had one call takes those of the others."""
    callers = [RecordedCaller(AUDIO / f"{name}.wav") for name in (FIRST, *NAMES)]
    recordings = Recordings(callers)
    equipment = Equipment(
        rules=turns,
        detection=Detection(SileroDetector.load(), smoothing),
        ears=lambda report: RecordedEars(recordings, SLOW.stt, cuts=cuts),
        brain=lambda agent, report: StandInBrain(SLOW.brain),
        voices=lambda report: Voices({"support": StandInVoice(SLOW.tts)}, {"support": StandInVoice(0.0)}),
        phrases={"en": dict.fromkeys(Phrase, "Okay.")},
        first_agent="support",
        language="en",
        speakers={},
        lateness=Lateness(),
    )
    await ring(callers[0], equipment)
    breakdown = Breakdown(turns)
    for caller in callers[1:]:
        await ring(caller, equipment, breakdown.observe)
    return stack("measured", breakdown.responses, [], discarded=breakdown.discarded)


def p50(found: float | None) -> float:
    assert found is not None
    return found


@pytest.mark.parametrize(("cuts", "within_ms"), [(True, 350), (False, 310)])
async def test_with_everything_on_callers_who_finish_their_sentences_hear_us_within_350_ms(
    cuts: bool, within_ms: float
) -> None:
    found = await measured(rules(), cuts=cuts)
    assert found.first_if_finished.count > 10
    assert p50(found.first_if_finished.p50) <= within_ms
    assert p50(found.answer_if_finished.p50) <= 700, "the answer itself comes no later than without"
    assert found.acknowledged < len(found.responses), "nobody says okay to a thank-you"
    assert found.discarded <= 2


async def test_thinking_ahead_takes_150_ms_off_the_answer_itself_and_little_is_thought_in_vain() -> None:
    silent = replace(rules(), acknowledge_if_later_than=NEVER)
    waiting = await measured(replace(silent, most_discarded=0.0), AT_SILENCE)
    ahead = await measured(silent)
    assert waiting.discarded == 0
    assert ahead.discarded <= 2
    assert p50(ahead.answer.p50) <= p50(waiting.answer.p50) - 150


@pytest.mark.parametrize(("cuts", "sooner_ms"), [(True, 30), (False, 50)])
async def test_the_first_signs_of_silence_bring_the_end_of_the_turn_nearer(
    cuts: bool, sooner_ms: float
) -> None:
    turns = replace(rules(), most_discarded=0.0)
    late, early = await measured(turns, AT_SILENCE, cuts=cuts), await measured(turns, cuts=cuts)
    assert p50(early.first_if_finished.p50) <= p50(late.first_if_finished.p50) - sooner_ms
