"""A model that is out of reach for good leaves the caller to the flow."""

from collections.abc import AsyncGenerator

import pytest

from callbot.agents.brain import Action, Answer, History, Nudge, OfferHuman, Request, Say
from callbot.agents.stand_in import StandInBrain
from callbot.call import Call
from callbot.errors import ProviderError, Trouble

HISTORY = History(Call("CA1", "+15550142", "+15550100"))
ASKED = Answer("What are your hours?")


class Scripted:
    """Says its lines, and then fails as it is told to."""

    def __init__(self, *lines: str, trouble: Trouble | None = None) -> None:
        self.lines = lines
        self.trouble = trouble
        self.asked: list[Request] = []
        self.forgotten = self.finished = 0

    async def reply(self, request: Request, history: History) -> AsyncGenerator[Action]:
        self.asked.append(request)
        for line in self.lines:
            yield Say(line)
        if self.trouble is not None:
            raise ProviderError("no", retryable=False, trouble=self.trouble)

    def forget(self) -> None:
        self.forgotten += 1

    async def finish(self) -> None:
        self.finished += 1


async def said(brain: StandInBrain) -> list[str]:
    return [action.text async for action in brain.reply(ASKED, HISTORY) if isinstance(action, Say)]


async def test_a_model_that_answers_is_the_only_one_asked() -> None:
    model, flow = Scripted("By model."), Scripted("By flow.")
    assert await said(StandInBrain(model, flow)) == ["By model."]
    assert flow.asked == []


@pytest.mark.parametrize("trouble", [Trouble.AUTH, Trouble.QUOTA])
async def test_what_asking_again_does_not_mend_is_answered_by_the_flow_from_then_on(trouble: Trouble) -> None:
    model, flow = Scripted(trouble=trouble), Scripted("By flow.")
    brain = StandInBrain(model, flow)
    assert [await said(brain), await said(brain)] == [["By flow."], ["By flow."]]
    assert len(model.asked) == 1
    brain.forget()
    await brain.finish()
    assert (model.forgotten, flow.forgotten) == (0, 1)
    assert (model.finished, flow.finished) == (1, 1)


@pytest.mark.parametrize(
    "model",
    [Scripted("Half of", trouble=Trouble.AUTH), Scripted(trouble=Trouble.SLOW)],
    ids=["begun", "slow"],
)
async def test_what_had_begun_and_what_may_be_over_soon_fails(model: Scripted) -> None:
    brain = StandInBrain(model, Scripted("By flow."))
    with pytest.raises(ProviderError):
        await said(brain)


async def test_who_is_offered_a_person_because_the_model_fails_is_heard_by_the_flow() -> None:
    model, flow = Scripted("By model."), Scripted("By flow.")
    brain = StandInBrain(model, flow)
    asked: list[Request] = [
        OfferHuman("no answer", broken=True),
        Nudge(1),
        Answer("Yes."),
        Answer("And then?"),
    ]
    for request in asked:
        async for _ in brain.reply(request, HISTORY):
            pass
    assert (flow.asked, model.asked) == (asked[:3], asked[3:])
