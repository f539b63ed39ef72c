"""Slots: from what a caller said to a value.

``parse`` finds the value that a question asked for in the recogniser's text, ``problem`` says why
there is none, ``alike`` which known ids may have been said instead, ``expecting`` tells endpointing
what to wait for. Everything here is a pure function.
"""

from callbot.agents.slots.alike import alike
from callbot.agents.slots.corrections import is_correction
from callbot.agents.slots.kinds import Kind, Parsed, expecting, to_json
from callbot.agents.slots.parsing import Options, agreement, begins_anew, completed, parse
from callbot.agents.slots.problems import problem
from callbot.agents.slots.replies import Agreement
from callbot.agents.slots.symbols import compact

__all__ = [
    "Agreement",
    "Kind",
    "Options",
    "Parsed",
    "agreement",
    "alike",
    "begins_anew",
    "compact",
    "completed",
    "expecting",
    "is_correction",
    "parse",
    "problem",
    "to_json",
]
