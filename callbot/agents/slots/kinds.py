"""The kinds of value a caller can be asked for."""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from callbot.agents.brain import Expecting


class Kind(StrEnum):
    """``order_id`` is one letter and four digits; ``phone`` is North American."""

    ORDER_ID = "order_id"
    PHONE = "phone"
    EMAIL = "email"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    AMOUNT = "amount"
    NUMBER = "number"
    YES_NO = "yes_no"
    CHOICE = "choice"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value, and how an agent should write it to read it back.

    ``partial``: only a part is known. A ``datetime`` of which the caller gave the day has a ``date``
    for its value, one of which they gave the hour a ``time``.
    """

    value: Any
    spoken: str
    partial: bool = False


_EXPECTING: dict[Kind, tuple[Expecting, str | None]] = {
    Kind.ORDER_ID: (Expecting.SPELLING, r"[a-z]\d{4}"),
    Kind.PHONE: (Expecting.DIGITS, r"\d{7}|\d{10,11}"),
    Kind.EMAIL: (Expecting.EMAIL, None),
    Kind.DATE: (Expecting.DATE, None),
    Kind.TIME: (Expecting.DATE, None),
    Kind.DATETIME: (Expecting.DATE, None),
    Kind.AMOUNT: (Expecting.AMOUNT, None),
    Kind.NUMBER: (Expecting.AMOUNT, None),
    Kind.YES_NO: (Expecting.YES_NO, None),
    Kind.CHOICE: (Expecting.CHOICE, None),
    Kind.TEXT: (Expecting.ANYTHING, None),
}


def expecting(kind: Kind) -> tuple[Expecting, str | None]:
    """What endpointing should wait for, and what ``compact`` text of a whole answer matches."""
    return _EXPECTING[kind]


def to_json(value: Any) -> Any:
    """``value`` of a ``Parsed`` as JSON can hold it: dates and times in ISO 8601, amounts as strings."""
    match value:
        case datetime.datetime() | datetime.time():
            return value.isoformat(timespec="minutes")
        case datetime.date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            return value
