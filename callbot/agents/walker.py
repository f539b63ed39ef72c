"""Walks one call through a flow: a request in, actions and needs out. Awaits nothing, reads no clock."""

from datetime import date
from typing import assert_never

from callbot.agents.agent import Agent
from callbot.agents.answers import answer, rank
from callbot.agents.brain import (
    Answer,
    EndCall,
    Greet,
    History,
    Nudge,
    OfferHuman,
    Request,
    TakeOver,
)
from callbot.agents.diversions import answer_from
from callbot.agents.filling import LASTING, task_slots
from callbot.agents.flow_state import State, Wait
from callbot.agents.flows import Flow, GiveTo
from callbot.agents.ranking import Candidate, Topic
from callbot.agents.stepping import Stepping, adopt
from callbot.agents.templates import fill
from callbot.agents.walk import Lost, Walk
from callbot.call import Disposition
from callbot.routing.handoff import ContextPacket

CALLER = "caller"
"""Who said a line of the transcript, when it was not an agent."""


def fresh(flow: Flow) -> State:
    """Where every call begins."""
    return State(Wait("listen", flow.start))


def walk(
    agent: Agent, flow: Flow, state: State, request: Request, history: History, *, today: date
) -> Walk[None]:
    """Answer one request. Changes ``state``: keep a copy to be able to take the reply back."""
    steps = Stepping(agent, flow, state, history, today=today)
    state.tried = {**dict(history.tried), **state.tried}
    if not isinstance(request, Answer):
        adopt(steps, history.slots)
    match request:
        case Greet():
            state.said = []
            said = yield from steps.say(agent.greeting)
            state.question = said[-1:]
            yield from steps.go(flow.start)
        case TakeOver(packet):
            state.said = []
            yield from _take_over(steps, packet)
        case Answer(text, digits):
            yield from answer(steps, text, digits)
        case Nudge(step):
            yield from _nudge(steps, step)
        case OfferHuman():
            state.said = []
            yield from steps.phrase(request.phrase)
            yield from steps.offer_human()
        case _ as unreachable:
            assert_never(unreachable)


def back(agent: Agent, flow: Flow, state: State, history: History, *, today: date) -> Walk[None]:
    """Ask the open question again, after somebody else has answered."""
    yield from Stepping(agent, flow, state, history, today=today).back()


def _take_over(steps: Stepping, packet: ContextPacket) -> Walk[None]:
    """Say who speaks and what is known, then go straight into what the caller wants."""
    state, flow = steps.state, steps.flow
    adopt(steps, packet.slots)
    state.tried = {**dict(packet.tried), **state.tried}
    state.wait = Wait("listen", flow.start)
    state.task = ""
    state.paused = []
    state.question = []
    ranking = yield from rank(packet.pending)
    best = next((item for item in ranking.candidates if _served_here(flow, item)), ranking.best)
    wanted = best.name if best.topic is Topic.INTENT and (ranking.fits or best.phrase) else ""
    if wanted:
        slots = task_slots(flow, flow.intents[wanted].next)
        lasting = [name for name in slots if flow.slots[name].kind in LASTING]
        for who, text in packet.transcript:
            if who == CALLER:
                yield from steps.take_early(lasting, text)
        yield from steps.take_early(slots, packet.pending)
    state.reason = _reason(steps, wanted, packet)
    yield from steps.say(flow.take_over)
    if wanted:
        yield from steps.begin(wanted, packet.pending)
    elif best.topic is Topic.DOCUMENT and ranking.fits:
        yield from answer_from(steps, best, packet.pending)
        yield from steps.back()
    else:
        if packet.pending.strip():
            yield Lost(packet.pending)
        said = yield from steps.phrase("open_question")
        state.question = said
        yield from steps.go(flow.start)


def _served_here(flow: Flow, candidate: Candidate) -> bool:
    """Not a wish that this agent would pass on at once: the caller was just passed on."""
    if candidate.topic is not Topic.INTENT:
        return candidate.topic is Topic.DOCUMENT
    return not isinstance(flow.nodes[flow.intents[candidate.name].next].step, GiveTo)


def _reason(steps: Stepping, intent: str, packet: ContextPacket) -> str:
    """What this agent has heard the caller wants, as "you'd like ..."; empty if there is nothing to say."""
    variants = steps.flow.intents[intent].heard if intent else ()
    filled = (fill(variant, steps.spoken) for variant in variants)
    return next((text for text in filled if text), "") or (
        packet.reason if packet.reason.startswith("you") else ""
    )


def _nudge(steps: Stepping, step: int) -> Walk[None]:
    """The caller is silent: prompt twice with the open question, then say goodbye."""
    state = steps.state
    if step >= 3:
        yield from steps.phrase("silent_goodbye")
        yield EndCall(Disposition.RESOLVED if state.finished and not state.task else Disposition.ABANDONED)
        return
    yield from steps.phrase("still_there" if step == 1 else "still_here")
    for sentence in state.question:
        yield from steps.repeat(sentence)
    yield steps.expected()
