"""FAULTS.md 1 to 9: recognisers that break, are deaf, late, hasty or wrong."""

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.plan import Fault
from tests.reliability.stage import Engines, Told, stage, steps

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

BILL = "Hello, I have a question about my bill."
HOURS = "What are your opening hours?"


async def cut(engines: Engines, folder: Path) -> Told:
    async with stage(engines, folder) as it:
        it.deepgram.plan.add("listen", Fault(cut_after=2))
        return await it.ring(*steps("support_bill 1", "barge_in 1"))


@pytest.mark.call(by=cut)
async def test_faults_01_of_an_utterance_in_which_the_recognisers_socket_is_lost_no_word_is(
    told: Told, report: Any
) -> None:
    assert told.caller == [BILL, HOURS]
    assert told.failures == [("stt", "deepgram:nova-3", "cut")]
    assert told.noticed == []
    assert [event.kind for event in told.log] == ["ProviderFailed"]
    report(
        1,
        "the recogniser's socket is lost in mid-utterance",
        told,
        injected="RST after two partials",
        heard="nothing of it: the utterance is sent again to a new connection",
        recorded="`failures`: stt cut, tried again",
    )
