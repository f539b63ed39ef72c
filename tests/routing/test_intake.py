"""The first agent: by the number dialled, then by the first words where the number says so."""

import pytest

from callbot.demo import larkfield
from callbot.routing.intake import Choice, LanguageRoute, Number, by_first_words, number_dialled

NUMBERS = larkfield().numbers
MAIN = NUMBERS["+15550100"]
TWO_LANGUAGES = NUMBERS["+15550104"]


@pytest.mark.parametrize(
    ("dialled", "agent"),
    [
        ("+15550100", "support"),
        ("+15550101", "sales"),
        ("+15550102", "support"),
        ("+15550103", "technical"),
        ("+15550104", "support"),
        ("15550101", "sales"),
    ],
)
def test_the_number_dialled_picks_the_agent(dialled: str, agent: str) -> None:
    assert number_dialled(NUMBERS, dialled).agent == agent


@pytest.mark.parametrize("dialled", ["+15550199", "", "anonymous", "sip:desk@example.com", "client:ann"])
def test_a_call_to_a_number_nobody_configured_is_answered_all_the_same(dialled: str) -> None:
    assert number_dialled(NUMBERS, dialled) == MAIN


@pytest.mark.parametrize(
    ("said", "agent"),
    [
        ("Hi, I'd like to buy a router.", "sales"),
        ("My internet is down!", "technical"),
        ("Sales, please.", "sales"),
    ],
)
def test_the_first_words_on_the_main_line_may_pick_another(said: str, agent: str) -> None:
    choice = by_first_words(MAIN, said)
    assert choice is not None
    assert choice.agent == agent
    assert choice.reason.startswith("the caller said ")


@pytest.mark.parametrize("said", ["Where is my order?", "", "I buyed buyers", "Hello?"])
def test_other_words_stay_with_the_numbers_own_agent(said: str) -> None:
    assert by_first_words(MAIN, said) is None


def test_words_for_two_agents_leave_it_to_the_first() -> None:
    assert by_first_words(MAIN, "I want to buy a new router because there's no internet") is None


def test_a_number_without_words_never_changes_agent() -> None:
    assert by_first_words(NUMBERS["+15550102"], "I want to buy a router, my wifi is dead") is None


@pytest.mark.parametrize(
    "said",
    ["Hola, quiero saber dónde está mi pedido.", "buenos días", "Hola.", "necesito un técnico por favor"],
)
def test_a_spanish_speaker_is_known_by_common_words(said: str) -> None:
    assert by_first_words(TWO_LANGUAGES, said) == Choice("recepcion", "the caller speaks es")


def test_a_spanish_speaker_is_known_by_the_recognisers_word_for_it() -> None:
    choice = by_first_words(TWO_LANGUAGES, "tal vez", language="es")
    assert choice == Choice("recepcion", "the caller speaks es")


@pytest.mark.parametrize("said", ["Where is my order?", "I bought it from Una Gracias", "My bill, please"])
def test_one_word_that_could_be_a_name_does_not_make_a_spaniard(said: str) -> None:
    assert by_first_words(TWO_LANGUAGES, said, language="en") is None


def test_the_language_goes_before_the_words() -> None:
    number = Number(
        "+15550100",
        "Main",
        "desk",
        by_words={"sales": ("comprar",)},
        by_language={"es": LanguageRoute("spanish", ("quiero",))},
    )
    choice = by_first_words(number, "quiero comprar", language="es")
    assert choice is not None
    assert choice.agent == "spanish"
