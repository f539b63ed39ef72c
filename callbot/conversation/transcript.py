"""The call as it was said and heard."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from callbot.agents.brain import Cited, Did, Remember, Tried
from callbot.call import Disposition, EndedBy, EndedReason
from callbot.providers.accounting import Amounts, Failed
from callbot.routing.handoff import ContextPacket, SlotValue


@dataclass(frozen=True, slots=True)
class Turn:
    """One holding of the floor.

    ``text`` is what was said or meant; ``heard`` what reached the caller's ear (an agent's turn only).
    ``response_ms`` runs from the end of the caller's speech to the first audio of ours sent.
    """

    number: int
    who: str
    text: str
    start: float
    end: float
    agent: str | None = None
    heard: str | None = None
    interrupted: bool = False
    response_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        shared = {
            "turn": self.number,
            "who": self.who,
            "text": self.text,
            "start_ms": round(self.start * 1000),
            "end_ms": round(self.end * 1000),
        }
        if self.who == "caller":
            return shared
        return shared | {
            "agent": self.agent,
            "heard": self.heard,
            "interrupted": self.interrupted,
            "response_ms": self.response_ms,
        }


@dataclass(frozen=True, slots=True)
class Handoff:
    """The call went from one agent to another, with this context, ``window`` seconds after that was decided:
    what was announced had to be heard first, and what the caller said meanwhile."""

    at: float
    packet: ContextPacket
    window: float = 0.0

    def as_json(self) -> dict[str, Any]:
        packet = self.packet
        return {
            "from": packet.from_agent,
            "to": packet.to_agent,
            "reason": packet.reason,
            "at_ms": round(self.at * 1000),
            "window_ms": round(self.window * 1000),
            "context": {
                "pending": packet.pending,
                "slots": slots_as_json(packet.slots),
                "tried": [{"step": step, "outcome": outcome} for step, outcome in packet.tried],
            },
        }


def slots_as_json(slots: Mapping[str, SlotValue]) -> dict[str, Any]:
    """Slots with who said them; dates and amounts become text."""
    return {
        name: {
            "value": slot.value
            if isinstance(slot.value, str | int | float | bool | None)
            else str(slot.value),
            "said_by": slot.said_by,
            "confirmed": slot.confirmed,
            "turn": slot.turn,
        }
        for name, slot in slots.items()
    }


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """A provider failed at ``at``; ``turn`` was the newest then."""

    at: float
    turn: int
    failed: Failed

    def as_json(self) -> dict[str, Any]:
        failed = self.failed
        return {
            "at_ms": round(self.at * 1000),
            "turn": self.turn,
            "port": failed.port,
            "provider": failed.provider,
            "trouble": failed.trouble,
            "detail": failed.detail,
            "attempt": failed.attempt,
            "instead": failed.instead,
            "left_alone_ms": round(failed.left_alone * 1000),
        }


@dataclass(frozen=True, slots=True)
class Noticing:
    """Something went wrong at ``at`` and was put right: ``what``, in which part of the bot, for the how
    manieth time in this turn, and what else there is to know of it (never a caller's words)."""

    at: float
    turn: int
    what: str
    component: str
    attempt: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "at_ms": round(self.at * 1000),
            "turn": self.turn,
            "component": self.component,
            "what": self.what,
            "attempt": self.attempt,
            "details": dict(self.details),
        }


@dataclass(slots=True)
class Transcript:
    """Everything of one call that its record needs, in the order in which it happened."""

    turns: list[Turn] = field(default_factory=list)
    handoffs: list[Handoff] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    slots: dict[str, SlotValue] = field(default_factory=dict)
    tried: list[tuple[str, str]] = field(default_factory=list)
    done: list[Did] = field(default_factory=list)
    cited: list[str] = field(default_factory=list)
    failures: list[ProviderFailure] = field(default_factory=list)
    noticed: list[Noticing] = field(default_factory=list)
    used: Amounts = field(default_factory=Amounts)
    wasted: Amounts = field(default_factory=Amounts)
    """What of it was for replies that nobody heard."""
    disposition: Disposition | None = None
    ended_by: EndedBy | None = None
    ended_reason: EndedReason | None = None

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Who said what, agents as heard."""
        return tuple(
            (turn.agent or turn.who, turn.text if turn.heard is None else turn.heard)
            for turn in self.turns
            if turn.text
        )

    def interrupted(self) -> frozenset[int]:
        """The places in ``lines`` of what the caller did not hear to its end."""
        said = [turn for turn in self.turns if turn.text]
        return frozenset(at for at, turn in enumerate(said) if turn.interrupted)

    def keep(self, action: Did | Remember | Tried | Cited, turn: int) -> None:
        """What a brain did in this turn."""
        match action:
            case Did():
                self.done.append(action)
            case Remember(slot):
                self.slots[slot.name] = slot if slot.turn else replace(slot, turn=turn)
            case Tried(step, outcome):
                self.tried.append((step, outcome))
            case Cited(document, passage):
                self.cited.append(f"{document}: {passage}")

    def failed(self, failed: Failed, at: float, turn: int) -> ProviderFailure:
        """A provider failed."""
        self.failures.append(ProviderFailure(at, turn, failed))
        return self.failures[-1]

    def notice(self, what: str, component: str, details: Mapping[str, Any], at: float, turn: int) -> Noticing:
        """Something went wrong and was put right."""
        attempt = 1 + sum((noticing.what, noticing.turn) == (what, turn) for noticing in self.noticed)
        self.noticed.append(Noticing(at, turn, what, component, attempt, details))
        return self.noticed[-1]

    def hand_off(
        self, from_agent: str, to_agent: str, *, reason: str, pending: str, at: float, window: float = 0.0
    ) -> Handoff:
        """The call goes from one agent to another, with all that is known."""
        packet = ContextPacket(
            from_agent=from_agent,
            to_agent=to_agent,
            reason=reason,
            pending=pending,
            slots=dict(self.slots),
            tried=tuple(self.tried),
            transcript=self.lines(),
        )
        handoff = Handoff(at, packet, window)
        self.handoffs.append(handoff)
        self.agents.append(to_agent)
        return handoff

    def extend(self, text: str, end: float) -> Turn:
        """The caller's last turn was not over: it goes on with this."""
        at = max(i for i, turn in enumerate(self.turns) if turn.who == "caller")
        turn = self.turns[at]
        self.turns[at] = Turn(turn.number, turn.who, f"{turn.text} {text}".strip(), turn.start, end)
        return self.turns[at]

    def merge_late(self, number: int, text: str) -> Turn | None:
        """A final that came after its turn was answered: the turn with its text, or None when there is no
        such turn or nothing new in it."""
        for i, turn in enumerate(self.turns):
            if turn.number == number and turn.who == "caller" and turn.text != text:
                self.turns[i] = Turn(number, turn.who, text, turn.start, turn.end)
                return self.turns[i]
        return None

    def as_json(self, call_sid: str) -> dict[str, Any]:
        """The call record of DESIGN.md; the driver adds ``recording`` and ``events``."""
        return {
            "call_sid": call_sid,
            "disposition": self.disposition,
            "ended_by": self.ended_by,
            "ended_reason": self.ended_reason,
            "agents": self.agents,
            "turns": [turn.as_json() for turn in sorted(self.turns, key=lambda turn: turn.number)],
            "handoffs": [handoff.as_json() for handoff in self.handoffs],
            "transfers": [],
            "slots": slots_as_json(self.slots),
            "tools": [
                {"tool": did.tool, "arguments": did.arguments, "result": did.result, "changed": did.changed}
                for did in self.done
            ],
            "cited": self.cited,
            "failures": [failure.as_json() for failure in self.failures],
            "noticed": [noticing.as_json() for noticing in self.noticed],
            "usage": [
                {
                    "port": port,
                    "provider": provider,
                    "unit": unit,
                    "amount": round(amount, 3),
                    "wasted": round(self.wasted.of(port, provider, unit), 3),
                }
                for (port, provider, unit), amount in self.used.items()
            ],
        }
