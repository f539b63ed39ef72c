import json
from datetime import date
from decimal import Decimal

import pytest

from callbot.agents.brain import Did
from callbot.call import Disposition, EndedBy
from callbot.conversation.transcript import Handoff, Transcript, Turn, slots_as_json
from callbot.routing.handoff import ContextPacket, SlotValue


def caller(number: int, text: str, start: float = 1.0, end: float = 2.0) -> Turn:
    return Turn(number, "caller", text, start, end)


def agent(number: int, text: str, heard: str | None = None, name: str = "support") -> Turn:
    return Turn(number, "agent", text, 3.0, 4.25, agent=name, heard=text if heard is None else heard)


# --- turns ---------------------------------------------------------------------------------------


def test_a_callers_turn_has_no_agents_fields() -> None:
    assert caller(2, "Hello.", 1.2345, 2.9996).as_json() == {
        "turn": 2,
        "who": "caller",
        "text": "Hello.",
        "start_ms": 1234,
        "end_ms": 3000,
    }


def test_an_agents_turn_says_what_was_heard_of_it() -> None:
    turn = Turn(3, "agent", "Hello there.", 3.0, 4.25, "sales", "Hello", interrupted=True, response_ms=240)
    assert turn.as_json() == {
        "turn": 3,
        "who": "agent",
        "text": "Hello there.",
        "start_ms": 3000,
        "end_ms": 4250,
        "agent": "sales",
        "heard": "Hello",
        "interrupted": True,
        "response_ms": 240,
    }


def test_lines_are_what_was_heard_and_leave_out_who_said_nothing() -> None:
    transcript = Transcript([agent(1, "Hello, how can I help?", "Hello"), caller(2, "Bill."), caller(3, "")])
    transcript.turns.append(Turn(4, "agent", "Yes.", 5.0, 5.0, agent="sales"))
    assert transcript.lines() == (("support", "Hello"), ("caller", "Bill."), ("sales", "Yes."))


# --- a caller who goes on ------------------------------------------------------------------------


def test_lines_that_the_caller_interrupted_are_known_by_their_places() -> None:
    transcript = Transcript()
    cut = Turn(3, "agent", "Hello there.", 3.0, 4.25, "sales", "Hello", interrupted=True)
    transcript.turns += [caller(1, ""), caller(2, "Hi"), cut, caller(4, "Wait"), agent(5, "Yes?")]
    assert [transcript.lines()[at] for at in transcript.interrupted()] == [("sales", "Hello")]


def test_a_caller_who_goes_on_extends_their_last_turn() -> None:
    transcript = Transcript([caller(1, "No."), caller(2, "My number is", 5.0, 6.0), agent(3, "Yes?", "")])
    turn = transcript.extend("five five five.", 8.0)
    assert turn == caller(2, "My number is five five five.", 5.0, 8.0)
    assert transcript.turns[1] == turn
    assert [each.number for each in transcript.turns] == [1, 2, 3]


def test_going_on_after_nothing_leaves_no_space() -> None:
    transcript = Transcript([caller(2, "")])
    assert transcript.extend("Hello.", 3.0).text == "Hello."
    assert transcript.extend("", 4.0).text == "Hello."


def test_a_final_that_comes_late_replaces_what_was_taken_for_it() -> None:
    transcript = Transcript([caller(1, "No."), caller(2, "I want a", 5.0, 6.0), agent(3, "Yes?")])
    assert transcript.merge_late(2, "I want a router.")
    assert transcript.turns[1] == caller(2, "I want a router.", 5.0, 6.0)


@pytest.mark.parametrize(("number", "text"), [(2, "Hello."), (9, "Hello."), (3, "Hello.")])
def test_a_late_final_that_changes_nothing_says_so(number: int, text: str) -> None:
    """The same words, an unknown turn, and an agent's turn."""
    transcript = Transcript([caller(2, "Hello."), agent(3, "Yes?")])
    assert not transcript.merge_late(number, text)
    assert transcript.turns == [caller(2, "Hello."), agent(3, "Yes?")]


# --- the record ----------------------------------------------------------------------------------


def test_slots_say_who_said_them_and_dates_and_amounts_become_text() -> None:
    slots = {
        "day": SlotValue("day", date(2026, 11, 10), "caller", confirmed=True, turn=4),
        "total": SlotValue("total", Decimal("62.50"), "lookup"),
        "quantity": SlotValue("quantity", 2, "agent"),
        "express": SlotValue("express", True, "caller"),
        "email": SlotValue("email", None, "caller"),
    }
    told = slots_as_json(slots)
    assert {name: slot["value"] for name, slot in told.items()} == {
        "day": "2026-11-10",
        "total": "62.50",
        "quantity": 2,
        "express": True,
        "email": None,
    }
    assert told["day"] == {"value": "2026-11-10", "said_by": "caller", "confirmed": True, "turn": 4}


def test_a_handoff_tells_what_travelled_with_the_caller() -> None:
    packet = ContextPacket(
        "support",
        "sales",
        "wants to buy",
        pending="a Mesh kit",
        slots={"home": SlotValue("home", "house", "caller", turn=2)},
        tried=(("unplug", "no"),),
        transcript=(("caller", "I want a Mesh kit."),),
    )
    assert Handoff(12.3456, packet, window=0.8).as_json() == {
        "from": "support",
        "to": "sales",
        "reason": "wants to buy",
        "at_ms": 12346,
        "window_ms": 800,
        "context": {
            "pending": "a Mesh kit",
            "slots": {"home": {"value": "house", "said_by": "caller", "confirmed": False, "turn": 2}},
            "tried": [{"step": "unplug", "outcome": "no"}],
        },
    }


def test_the_record_has_every_turn_in_order_and_all_that_was_done() -> None:
    transcript = Transcript(
        turns=[caller(2, "Hello."), agent(1, "Acme."), agent(3, "Goodbye.")],
        handoffs=[Handoff(1.0, ContextPacket("support", "sales", "x"))],
        agents=["support", "sales"],
        slots={"product": SlotValue("product", "mesh", "caller")},
        done=[Did("place_order", {"product": "mesh"}, {"order": "L1001"}, changed=True)],
        cited=["hours"],
        disposition=Disposition.RESOLVED,
        ended_by=EndedBy.AGENT,
    )
    record = transcript.as_json("CA1")
    assert [turn["turn"] for turn in record["turns"]] == [1, 2, 3]
    assert record["tools"] == [
        {
            "tool": "place_order",
            "arguments": {"product": "mesh"},
            "result": {"order": "L1001"},
            "changed": True,
        }
    ]
    assert [handoff["to"] for handoff in record["handoffs"]] == ["sales"]
    assert {name: record[name] for name in ("call_sid", "disposition", "ended_by", "agents", "cited")} == {
        "call_sid": "CA1",
        "disposition": "resolved",
        "ended_by": "agent",
        "agents": ["support", "sales"],
        "cited": ["hours"],
    }
    assert json.loads(json.dumps(record)) == record


def test_the_record_of_a_call_that_never_was_is_empty() -> None:
    assert Transcript().as_json("CA1") == {
        "call_sid": "CA1",
        "disposition": None,
        "ended_by": None,
        "ended_reason": None,
        "agents": [],
        "turns": [],
        "handoffs": [],
        "transfers": [],
        "slots": {},
        "tools": [],
        "cited": [],
        "failures": [],
        "noticed": [],
        "usage": [],
    }
