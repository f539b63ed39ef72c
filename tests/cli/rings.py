"""Finished calls made by hand: what the bot recorded, and what the exchange measured."""

from collections.abc import Sequence
from typing import Any

from callbot.cli.local import Rung
from callbot.exchange.ear import BargeIn, Hearing, Response
from callbot.exchange.result import CallResult, Warned
from callbot.exchange.twiml import EndedBy

RECORD: dict[str, Any] = {
    "call_sid": "CA1",
    "disposition": "resolved",
    "ended_by": "caller",
    "agents": ["support", "sales"],
    "turns": [
        {
            "turn": 1,
            "who": "agent",
            "agent": "support",
            "text": "Hello, how can I help?",
            "heard": "Hello, how",
            "interrupted": True,
            "response_ms": None,
        },
        {"turn": 2, "who": "caller", "text": "A Mesh kit, please."},
        {
            "turn": 3,
            "who": "agent",
            "agent": "sales",
            "text": "Your order is [red] L1001. Goodbye.",
            "heard": "Your order is [red] L1001. Goodbye.",
            "interrupted": False,
            "response_ms": 320,
        },
    ],
    "handoffs": [{"from": "support", "to": "sales", "reason": "you'd like to buy [/bold] something"}],
    "transfers": [],
    "slots": {"product": {"value": "mesh"}, "day": {"value": "2026-11-10"}},
    "failures": [
        {
            "at_ms": 4000,
            "turn": 3,
            "port": "tts",
            "provider": "elevenlabs:flash/abc",
            "trouble": "cut",
            "detail": "closed with 1006",
            "attempt": 1,
            "instead": "hibari",
        }
    ],
    "usage": [
        {
            "port": "tts",
            "provider": "elevenlabs:flash/abc",
            "unit": "characters_spoken",
            "amount": 120.0,
            "wasted": 0.0,
        }
    ],
    "cost": {
        "currency": "USD",
        "total": 0.0185,
        "per_minute": 0.0185,
        "by_port": {"tts": 0.006, "carrier": 0.0125},
        "wasted": 0.0,
        "estimate": True,
        "unpriced": [],
    },
    "tools": [
        {"tool": "find_product", "arguments": {}, "result": {"price": "$129.00"}, "changed": False},
        {"tool": "place_order", "arguments": {}, "result": {"order_number": "L1001"}, "changed": True},
    ],
    "cited": [],
    "recording": "calls/recordings/" + "a_long_name" * 9 + ".wav",
    "events": 12,
}


def rung(
    record: dict[str, Any] = RECORD,
    *,
    responses_ms: Sequence[int] = (),
    barge_ins_ms: Sequence[int] = (),
    warnings: Sequence[Warned] = (),
    status: str = "completed",
    detail: str = "",
) -> Rung:
    """A call of 61.4 seconds that left ``record``."""
    hearing = Hearing(
        caller=(),
        bot=(),
        responses=tuple(Response(1000, after) for after in responses_ms),
        barge_ins=tuple(BargeIn(2000, after, 900) for after in barge_ins_ms),
        unanswered=(),
        longest_silence_ms=900,
        overlap_ms=0,
        said_clipped=0.0,
        heard_clipped=0.0,
    )
    result = CallResult(
        call_sid="CA1",
        stream_sids=("MZ1",),
        status=status,
        ended_by=EndedBy.CALLER,
        detail=detail,
        said=b"",
        heard=b"",
        events=(),
        warnings=tuple(warnings),
        documents=(),
        marks=(),
        dtmf="",
        duration_ms=61_400,
        hearing=hearing,
    )
    return Rung(result, record)
