import pytest

from callbot.conversation.farewell import is_farewell


@pytest.mark.parametrize(
    "text",
    [
        "Bye.",
        "Goodbye!",
        "Thank you.",
        "Okay, thank you very much, bye bye.",
        "Alright, have a nice day!",
        "You too, take care.",
        "Same to you.",
        "Thanks. See you later.",
        "GREAT, THANKS",
    ],
)
def test_goodbyes_and_thanks_are_farewells(text: str) -> None:
    assert is_farewell(text)


@pytest.mark.parametrize(
    "text",
    [
        "Goodbye, but wait.",
        "Thank you, and what about Saturday?",
        "No, thank you, one more thing.",
        "Can you see my order?",
        "Bye the way",
        "bye-law",
        "thanks 5550142",
    ],
)
def test_one_word_of_something_else_makes_it_none(text: str) -> None:
    assert not is_farewell(text)


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "—"])
def test_nothing_is_no_farewell(text: str) -> None:
    assert not is_farewell(text)
    assert not is_farewell(text, "es")


@pytest.mark.parametrize(
    "text",
    [
        "Adiós.",
        "Muchas gracias, hasta luego.",
        "Gracias, igualmente.",
        "Que tenga un buen día.",
        "Hasta mañana",
    ],
)
def test_spanish_callers_take_their_leave_in_spanish(text: str) -> None:
    assert is_farewell(text, "es")


def test_each_language_knows_its_own_words_and_an_unknown_one_the_english() -> None:
    assert not is_farewell("Muchas gracias.", "en")
    assert not is_farewell("Have a nice day.", "es")
    assert is_farewell("Bye.", "xx")
    assert not is_farewell("Gracias, una cosa más.", "es")
