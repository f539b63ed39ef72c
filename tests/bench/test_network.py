"""The ways to be faster, over vendors' protocols: a real call with none of them, and one with all."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from bench import latency
from bench.latency import Stack, measure_all
from bench.network import LADDER, LATE_MODEL, ROUND_TRIP, SLOW, hears, stages
from bench.recorded import Recordings
from callbot.cli.simulate import read
from callbot.exchange.callers import RecordedCaller

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"
NOTHING, *_, ALL = LADDER


def test_each_stage_has_one_way_more_than_the_one_before_it() -> None:
    ways = list(LADDER.values())
    for fewer, more in pairwise(ways):
        gained = [name for name in more.__slots__ if getattr(more, name) and not getattr(fewer, name)]
        assert len(gained) == 1
        assert not [name for name in more.__slots__ if getattr(fewer, name) and not getattr(more, name)]
    without, fillers = LATE_MODEL.values()
    assert (without.fillers, fillers.fillers) == (False, True)


def test_they_are_stages_of_the_latency_bench() -> None:
    assert [name for name in latency.stages([]) if name.startswith(latency.FAR_WORDS)] == [
        *LADDER,
        *LATE_MODEL,
    ]


def test_the_doubles_hear_what_was_said_up_to_there() -> None:
    caller = RecordedCaller(AUDIO / "support_bill.wav")
    hear = hears(Recordings([caller]))
    audio = caller.recording.utterances[0].audio
    assert hear(audio) == caller.sidecar.cues[0].text
    assert caller.sidecar.cues[0].text.startswith(hear(audio[: len(audio) // 320 * 160]))
    assert hear(b"\xff" * 8_000) == ""


@pytest.fixture(scope="module")
def rung(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    caller = read(AUDIO / "hangup.wav")
    assert isinstance(caller.caller, RecordedCaller)
    wanted = {name: stage for name, stage in stages(Recordings([caller.caller])) if name in (NOTHING, ALL)}
    folder = tmp_path_factory.mktemp("network")
    stacks = asyncio.run(measure_all(wanted, [caller], folder, lambda text: None))
    return {stack.name: stack for stack in stacks}


@pytest.mark.realtime
def test_every_stage_is_a_call_over_the_vendors_protocols(rung: dict[str, Stack]) -> None:
    for stack in rung.values():
        assert len(stack.responses) == 1, stack.name
        assert stack.greeting.count == 1


@pytest.mark.realtime
def test_what_is_kept_is_not_waited_for(rung: dict[str, Stack]) -> None:
    nothing, everything = rung[NOTHING], rung[ALL]
    for slow, fast, ms in (
        (nothing.greeting.p50, everything.greeting.p50, (SLOW.tts + 2 * ROUND_TRIP) * 1000),
        (nothing.parts["voice"].p50, everything.parts["voice"].p50, 2 * ROUND_TRIP * 1000),
        (nothing.parts["brain"].p50, everything.parts["brain"].p50, 2 * ROUND_TRIP * 1000),
    ):
        assert slow is not None
        assert fast is not None
        assert slow - fast >= ms * 0.8
