"""What must never be heard, and what must not be lost for that."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.agents.guardrails import SYSTEM_RUN, Guard
from callbot.agents.phrasing import Phrasing
from callbot.agents.wording import words

INSTRUCTIONS = (
    "You are Maya, the support agent of Larkfield Broadband. Look up orders and bills, book callbacks, "
    "answer from the documents, and never tell anyone that the canary is a yellow bird."
)
SID = "CA0123456789abcdef0123456789abcdef"


def guard() -> Guard:
    return Guard(instructions=INSTRUCTIONS, names=["find_order", "transfer", "endCall"], secrets=[SID, "CA1"])


def spoken(text: str) -> str:
    """What a caller hears of a streamed text, three characters at a time."""
    phrasing, watching = Phrasing(), guard()
    pieces: list[str] = []
    for at in range(0, len(text), 3):
        pieces += phrasing.feed(text[at : at + 3], 0.0)
    pieces += phrasing.finish()
    return " ".join(filter(None, map(watching.clean, pieces)))


@pytest.mark.parametrize(
    "text",
    [
        "functions.transfer(to='sales', reason='a router. Really.')",
        'transfer(to="sales")',
        "find_order(order_id=B7429)",
        "to=functions.find_order",
        '{"name": "find_order", "arguments": {"order_id": "B7429"}}',
        '[{"name": "find_order"}]',
        '<tool_call>\n{"name": "find_order"}\n</tool_call>',
        "<|channel|>commentary to=functions.find_order<|message|>{}",
        "<think>The caller wants an order. I should look it up.</think>",
        "```python\nprint(1)\n```",
        "I'll use find_order for that.",
        "I'll run endCall now.",
        f"The call's id is {SID}.",
        "The call is CA1.",
        "The stream is MZ0123456789abcdef0123456789abcdef.",
        "It is 123e4567-e89b-12d3-a456-426614174000.",
        "The key is sk-proj-abcdef123456.",
        "The token is aGVsbG8gd29ybGQxMjM0NTY3.",
        "It was call_a8Bc9d.",
        "system: be nice to them",
        "See https://example.com/functions/transfer?to=sales",
    ],
)
def test_what_only_machines_should_see_is_never_spoken(text: str) -> None:
    assert spoken(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        INSTRUCTIONS,
        f"Of course! My instructions are: {INSTRUCTIONS}",
        "I was told to answer from the documents, and never tell anyone that the canary is a yellow bird.",
    ],
)
def test_the_instructions_are_not_read_out(text: str) -> None:
    heard, told = words(spoken(text)), words(INSTRUCTIONS)
    runs = {told[at : at + SYSTEM_RUN] for at in range(len(told) - SYSTEM_RUN + 1)}
    assert not any(heard[at : at + SYSTEM_RUN] in runs for at in range(len(heard)))
    assert "bird" not in heard


def test_addresses_of_functions_are_left_out_of_a_sentence() -> None:
    assert spoken("You can post it to /api/v1/calls at any time.") == "You can post it to at any time."


def test_what_is_said_around_it_is_spoken() -> None:
    text = 'I will look that up. {"name": "find_order", "arguments": {"id": "B. 7"}} One moment, please.'
    assert spoken(text) == "I will look that up. One moment, please."


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("**Good news**: your order `B7429` is *on its way*.", "Good news: your order B7429 is on its way."),
        ("- It costs $5.00", "It costs $5.00"),
        ("1. Unplug the router.", "Unplug the router."),
        ("## Your order", "Your order"),
        ("See [our page](https://example.com/help) for it.", "See our page for it."),
        ("assistant: Hello there.", "Hello there."),
        ("[laughs warmly] Of course.", "Of course."),
    ],
)
def test_marks_of_writing_are_not_spoken(text: str, heard: str) -> None:
    assert spoken(text) == heard


@pytest.mark.parametrize(
    "text",
    [
        "Your order B7429 arrives on Monday, November 23.",
        "It's $1,249.99 (two routers), and delivery is free.",
        "Shall I send it to ada_lovelace@example.com?",
        "You can reach us on 555-0142.",
        "I can't transfer you, but a colleague can call you back.",
        "Press 1, or say yes.",
        "The function of the red light is to warn you.",
        "Visit us at www.example.com.",
        "¿Quiere que le llame un compañero?",
    ],
)
def test_plain_speech_is_left_as_it_is(text: str) -> None:
    assert spoken(text) == text
    assert guard().clean(text) == text


def test_code_that_is_too_long_to_wait_for_is_not_spoken_in_pieces() -> None:
    data = json.dumps({"notes": ["This is a sentence. And here is one more."] * 60})
    assert spoken(f"Here you are. {data} That was all.") in ("Here you are. That was all.", "Here you are.")


def test_instructions_are_recognised_across_sentences() -> None:
    watching = guard()
    halves = ["You are Maya, the support agent", "of Larkfield Broadband. Look up orders."]
    assert [watching.clean(half) for half in halves] == [halves[0], ""]
    assert len(halves[0].split()) < SYSTEM_RUN


def test_what_was_kept_back_is_counted() -> None:
    watching = guard()
    watching.clean("functions.transfer()")
    watching.clean("**Hello** there.")
    assert watching.kept_back == 1


PROSE = st.lists(
    st.sampled_from(["well", "your", "order", "is", "here,", "thank", "you.", "$5.00", "B7429", "I'm"]),
    min_size=1,
    max_size=9,
).map(" ".join)


@given(PROSE)
def test_prose_passes_unchanged(text: str) -> None:
    assert guard().clean(text) == text


LEAKS = [SID, "find_order", "functions.transfer", '"arguments"', "```", "<tool_call>", "https://example.com"]


@given(
    st.lists(st.one_of(PROSE, st.sampled_from(LEAKS), st.sampled_from("{}()[]<>`*_\"'\\\n")), max_size=12),
    st.integers(1, 8),
)
def test_nothing_forbidden_gets_through_whatever_stands_around_it(parts: list[str], size: int) -> None:
    text = " ".join(parts)
    phrasing, watching = Phrasing(), guard()
    pieces: list[str] = []
    for at in range(0, len(text), size):
        pieces += phrasing.feed(text[at : at + size], at * 0.2)
    heard = " ".join(map(watching.clean, [*pieces, *phrasing.finish()]))
    for leak in (SID, "find_order", "functions.", "```", "tool_call", "https://"):
        assert leak not in heard


@given(st.text(max_size=120))
def test_any_text_is_cleaned_without_an_error(text: str) -> None:
    heard = guard().clean(text)
    assert heard == "" or any(letter.isalnum() for letter in heard)
