"""Slots: from what a caller said to a value.

``parse`` finds the value that a question asked for in the recogniser's text, ``problem`` says why
there is none, ``expecting`` tells endpointing what to wait for. Everything here is a pure function.
"""

from callbot.agents.slots.corrections import is_correction
from callbot.agents.slots.kinds import Kind, Parsed, expecting, to_json
from callbot.agents.slots.parsing import Options, parse
from callbot.agents.slots.problems import problem
from callbot.agents.slots.symbols import compact

__all__ = [
    "Kind",
    "Options",
    "Parsed",
    "compact",
    "expecting",
    "is_correction",
    "parse",
    "problem",
    "to_json",
]
