"""Typed functions as models see them, and what models send back."""

import json
from datetime import date
from typing import Any, Literal, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.agents.tool_schema import BadArguments, signature
from callbot.agents.tools import ToolFailed, Tools
from callbot.errors import InvalidState


class Done(TypedDict):
    ok: bool


async def book(
    day: date,
    product: Literal["mini", "mesh"],
    quantity: int = 1,
    price: float | None = None,
    gift: bool = False,
    note: str | None = None,
) -> Done:
    """Book something
    for somebody.

    Args:
        day: when it is needed
        product: what is wanted
    """
    return Done(ok=(type(day), type(quantity)) == (date, int))


BOOK = signature(book)


def test_a_docstring_and_its_types_become_a_schema() -> None:
    assert BOOK.description == "Book something for somebody."
    assert BOOK.schema() == {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date", "description": "when it is needed"},
            "product": {"type": "string", "enum": ["mini", "mesh"], "description": "what is wanted"},
            "quantity": {"type": "integer"},
            "price": {"type": ["number", "null"]},
            "gift": {"type": "boolean"},
            "note": {"type": ["string", "null"]},
        },
        "required": ["day", "product"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"quantity": "2"}, {"quantity": 2}),
        ({"quantity": 2.0}, {"quantity": 2}),
        ({"price": "3.5"}, {"price": 3.5}),
        ({"price": None, "note": None}, {}),
        ({"gift": "true"}, {"gift": True}),
        ({"note": 7429}, {"note": "7429"}),
        ({"quantity": ""}, {}),
    ],
)
def test_values_of_the_wrong_kind_that_can_mean_only_one_thing_are_taken(
    given: dict[str, Any], read: dict[str, Any]
) -> None:
    base = {"day": "2026-11-23", "product": "mini"}
    assert BOOK.read(json.dumps(base | given)) == base | read


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"day": "tomorrow"}, "'day' must be a date"),
        ({"product": "max"}, '\'product\' must be one of "mini", "mesh"'),
        ({"quantity": 1.5}, "whole number"),
        ({"quantity": True}, "whole number"),
        ({"quantity": "many"}, "whole number"),
        ({"price": "NaN"}, "a number"),
        ({"gift": "perhaps"}, "true or false"),
        ({"note": {"a": 1}}, "a string"),
        ({"note": "x" * 2000}, "a string"),
        ({"quantitty": 1}, "did you mean 'quantity'"),
        ({"day": None}, "'day' is required"),
    ],
)
def test_what_is_wrong_is_said_so_that_a_model_can_put_it_right(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadArguments, match=told.replace("'", ".")):
        BOOK.read(json.dumps({"day": "2026-11-23", "product": "mini"} | given))


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(BadArguments, match=r"'day' is missing.*'product' is missing"):
        BOOK.read("{}")


@given(
    st.one_of(
        st.text(max_size=40),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
            ),
            max_leaves=9,
        ).map(json.dumps),
    )
)
def test_whatever_a_model_sends_is_read_or_explained(text: str) -> None:
    try:
        read = BOOK.read(text)
    except BadArguments:
        return
    assert {"day", "product"} <= set(read)


async def test_a_tool_gets_values_of_its_types_from_a_models_json_and_from_a_flows_text() -> None:
    tools = Tools()
    tools.add(book)
    for arguments in (
        {"day": "2026-11-23", "product": "mesh", "quantity": 2},
        {"day": "2026-11-23", "product": "mesh", "quantity": "2", "price": ""},
    ):
        assert await tools.run("book", arguments, "k") == {"ok": True}


async def test_a_flows_text_that_is_no_such_value_fails_the_tool() -> None:
    tools = Tools()
    tools.add(book)
    with pytest.raises(ToolFailed, match="'day' must be a date"):
        await tools.run("book", {"day": "Monday", "product": "mesh"}, "k")


def test_a_parameter_that_no_model_could_fill_in_is_refused() -> None:
    async def odd(what: list[str]) -> Done:
        return Done(ok=True)

    async def several(*what: str) -> Done:
        return Done(ok=True)

    async def either(what: str | int) -> Done:
        return Done(ok=True)

    for function in (odd, several, either):
        with pytest.raises(InvalidState, match="must be annotated"):
            Tools().add(function)
