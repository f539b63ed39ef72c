"""What surrounds a value: reading it back, what was missing, corrections, and what hypothesis finds."""

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbot.agents.brain import Expecting
from callbot.agents.slots import (
    Kind,
    Parsed,
    agreement,
    alike,
    compact,
    completed,
    expecting,
    is_correction,
    parse,
    problem,
    to_json,
)
from callbot.conversation.spoken import spoken, text_for_voice

WEDNESDAY = date(2026, 11, 18)
KINDS = st.sampled_from(list(Kind))
VOCABULARY = """
    a b be for to two oh five hundred thousand and double point dot at no sorry not i meant tuesday the 24th
    november half past quarter three pm next week in days yes $62.50 555-0142 7,429 first one couple y de el
    mil cien un veintiuno . , ? arroba punto como doble lunes manana
"""
CALLER_WORDS = st.lists(st.sampled_from(VOCABULARY.split()), max_size=14).map(" ".join)


@given(kind=KINDS, text=st.text(max_size=60) | CALLER_WORDS, language=st.sampled_from(["en", "es", "fr"]))
def test_anything_at_all_is_parsed_or_refused_with_a_reason(kind: Kind, text: str, language: str) -> None:
    options = {"one": ["first"], "two": []}
    parsed = parse(kind, text, language=language, today=WEDNESDAY, options=options)
    reason = problem(kind, text, language=language, today=WEDNESDAY, options=options)
    if parsed is None:
        assert reason is not None
    else:
        json.dumps(to_json(parsed.value))
        assert (reason is None) is not parsed.partial


def read_aloud(parsed: Parsed, language: str = "en") -> str:
    return text_for_voice(spoken(parsed.spoken, language))


@given(letter=st.sampled_from("BCDEFGHJKLMNPQRSTUVWXYZ"), number=st.integers(0, 9999))
def test_an_order_id_read_aloud_means_itself(letter: str, number: int) -> None:
    order = f"{letter}{number:04}"
    written = parse(Kind.ORDER_ID, order, today=WEDNESDAY)
    assert written is not None
    assert written.value == order
    assert parse(Kind.ORDER_ID, read_aloud(written), today=WEDNESDAY) == written


@given(
    digits=st.from_regex(r"[2-9][0-9]{6}|[2-9][0-9]{9}", fullmatch=True),
    language=st.sampled_from(["en", "es"]),
)
def test_a_phone_number_read_aloud_means_itself(digits: str, language: str) -> None:
    written = parse(Kind.PHONE, digits, language=language, today=WEDNESDAY)
    assert written is not None
    assert written.value == f"+1{digits}"
    again = parse(Kind.PHONE, read_aloud(written, language), language=language, today=WEDNESDAY)
    assert again == written


@given(cents=st.integers(1, 99_999_99), language=st.sampled_from(["en", "es"]))
def test_an_amount_read_aloud_means_itself(cents: int, language: str) -> None:
    written = Parsed(Decimal(cents).scaleb(-2), f"${cents // 100:,}.{cents % 100:02}")
    if language == "es":
        written = Parsed(written.value, written.spoken.replace(",", ""))
    again = parse(Kind.AMOUNT, read_aloud(written, language), language=language, today=WEDNESDAY)
    assert again is not None
    assert again.value == written.value


@given(ahead=st.integers(0, 700), language=st.sampled_from(["en", "es"]))
def test_a_date_read_aloud_means_itself(ahead: int, language: str) -> None:
    day = WEDNESDAY + timedelta(days=ahead)
    written = parse(Kind.DATE, day.isoformat(), language=language, today=WEDNESDAY)
    assert written is not None
    assert written.value == day
    for text in (written.spoken, read_aloud(written, language)):
        again = parse(Kind.DATE, text, language=language, today=WEDNESDAY)
        assert again is not None
        assert again.value == day


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_time_read_aloud_means_itself(hour: int, minute: int) -> None:
    text = f"{hour % 12 or 12}:{minute:02} {'am' if hour < 12 else 'pm'}"
    written = parse(Kind.TIME, text, today=WEDNESDAY)
    assert written is not None
    assert written.value == time(hour, minute)
    assert parse(Kind.TIME, read_aloud(written), today=WEDNESDAY) == written


@given(hour=st.integers(6, 23), minute=st.integers(0, 59))
def test_a_spanish_time_read_aloud_means_itself(hour: int, minute: int) -> None:
    part = "mañana" if hour < 12 else "tarde" if hour < 20 else "noche"
    text = f"{hour % 12 or 12}:{minute:02} de la {part}"
    written = parse(Kind.TIME, text, language="es", today=WEDNESDAY)
    assert written is not None
    assert written.value == time(hour, minute)
    assert parse(Kind.TIME, read_aloud(written, "es"), language="es", today=WEDNESDAY) == written


@given(number=st.integers(0, 999_999), language=st.sampled_from(["en", "es"]))
def test_a_count_read_aloud_means_itself(number: int, language: str) -> None:
    figures = f"{number:,}" if language == "en" else f"{number:,}".replace(",", ".")
    text = text_for_voice(spoken(figures, language))
    again = parse(Kind.NUMBER, text, language=language, today=WEDNESDAY)
    assert again is not None
    assert again.value == number


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (Kind.PHONE, "five five five", "I got only three digits, 5 5 5."),
        (Kind.PHONE, "555 0142 9", "I got eight digits, which is too many."),
        (Kind.PHONE, "I don't have one", ""),
        (Kind.ORDER_ID, "7429", "I got the digits 7 4 2 9, but not the letter before them."),
        (Kind.ORDER_ID, "B", "I got the letter B, but not the four digits after it."),
        (Kind.ORDER_ID, "B 7 4 2", "I got B and three digits; there should be four."),
        (Kind.ORDER_ID, "B 7", "I got B and one digit; there should be four."),
        (Kind.ORDER_ID, "what", ""),
        (Kind.EMAIL, "jo", "I didn't get the whole address, with the part after the at sign."),
        (Kind.DATE, "soon", "I didn't catch the day."),
        (Kind.TIME, "soon", "I didn't catch the time."),
        (Kind.DATETIME, "Tuesday", "I got Tuesday, November 24, but not the time."),
        (Kind.DATETIME, "at three", "I got 3 pm, but not the day."),
        (Kind.CHOICE, "tea or coffee", "I wasn't sure whether you meant tea or coffee."),
        (Kind.YES_NO, "maybe", ""),
        (Kind.YES_NO, "yes", None),
    ],
)
def test_the_reason_says_what_is_missing(kind: Kind, text: str, reason: str | None) -> None:
    options: dict[str, list[str]] = {"tea": [], "coffee": []}
    assert problem(kind, text, today=WEDNESDAY, options=options) == reason


def test_the_reason_is_given_in_the_callers_language() -> None:
    reason = problem(Kind.PHONE, "cinco cinco cinco", language="es", today=WEDNESDAY)
    assert reason == "Solo entendí tres cifras, 5 5 5."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yeah, it's B seven four twenty-nine, please.", "b7429"),
        ("my number is five five five, oh one four two.", "5550142"),
        ("triple five", "555"),
        ("I have 7429", "7429"),
        ("B as in bravo", "b"),
        ("I'm looking for it", ""),
        ("the", ""),
    ],
)
def test_compact_text_is_the_letters_and_digits_given(text: str, expected: str) -> None:
    assert compact(text) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no, I meant Tuesday", "en"),
        ("sorry, I said Tuesday", "en"),
        ("Actually, make that two.", "en"),
        ("not Monday, Tuesday", "en"),
        ("No, it's B7429.", "en"),
        ("perdón, quise decir el martes", "es"),
        ("digo, el martes", "es"),
    ],
)
def test_a_correction_is_recognised(text: str, language: str) -> None:
    assert is_correction(text, language)


@pytest.mark.parametrize(
    "text", ["no thanks", "Sorry?", "not really, no", "Tuesday", "no", "", "I'm not sure"]
)
def test_what_corrects_nothing_is_no_correction(text: str) -> None:
    assert not is_correction(text)


def test_endpointing_is_told_what_a_whole_answer_looks_like() -> None:
    assert expecting(Kind.ORDER_ID) == (Expecting.SPELLING, r"[a-z]\d{4}")
    assert expecting(Kind.PHONE) == (Expecting.DIGITS, r"\d{7}|\d{10,11}")
    assert {expecting(kind)[0] for kind in Kind} <= set(Expecting)


def test_values_travel_as_json() -> None:
    assert to_json(datetime(2026, 11, 24, 15)) == "2026-11-24T15:00"
    assert to_json(date(2026, 11, 24)) == "2026-11-24"
    assert to_json(time(15, 30)) == "15:30"
    assert to_json(Decimal("62.50")) == "62.50"
    assert to_json(True) is True


# --- letters that sound alike ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "known", "meant"),
    [
        ("V7429", ["B7429", "K1836"], ("B7429",)),
        ("e5520", ["C5520"], ("C5520",)),
        ("N1234", ["M1234", "S1234"], ("M1234",)),
        ("81836", ["K1836"], ("K1836",)),
        ("V7429", ["B7429", "D7429"], ("B7429", "D7429")),
        ("B7429", ["B7429"], ()),
        ("M7429", ["B7429"], ()),
        ("V7428", ["B7429"], ()),
        ("B7423", ["B742B", "B7428"], ("B742B",)),
        ("B742", ["B7429"], ()),
    ],
)
def test_ids_are_alike_when_one_letter_is_easily_mistaken(
    heard: str, known: list[str], meant: tuple[str, ...]
) -> None:
    assert alike(heard, known) == meant


@given(st.text(max_size=6), st.lists(st.text(max_size=6)), st.sampled_from(["en", "es"]))
def test_what_is_alike_is_known_and_differs_in_one_place(heard: str, known: list[str], language: str) -> None:
    for each in alike(heard, known, language=language):
        assert each in known
        assert sum(a != b for a, b in zip(heard.lower(), each.lower(), strict=True)) == 1


@pytest.mark.parametrize(
    ("before", "text", "value"),
    [
        ("7 4 2 9", "B.", "B7429"),
        ("I think 7429", "it's a B", "B7429"),
        ("3 7 4 2 9", "B as in boy, B", "B7429"),
        ("7 4 2 9", "bravo", "B7429"),
        ("7 4 2 9", "Why?", None),
        ("7 4 2 9", "you see", None),
        ("7 4 2 9", "no idea", None),
        ("7 4 2", "B", None),
        ("7 4 2 9 5", "B", None),
        ("", "", None),
    ],
)
def test_a_letter_alone_completes_the_four_digits_before_it(
    before: str, text: str, value: str | None
) -> None:
    parsed = completed(Kind.ORDER_ID, before, text)
    assert (parsed.value if parsed else None) == value
    assert completed(Kind.PHONE, before, text) is None


# --- a yes and the rest ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "yes", "rest", "firm"),
    [
        ("Yes. And when will it arrive?", "Yes.", "And when will it arrive?", True),
        ("Um, yes please, that's right.", "Um, yes please, that's right.", "", True),
        ("Okay, how much?", "Okay,", "how much?", False),
        ("Okay, yes. How much?", "Okay, yes.", "How much?", True),
    ],
)
def test_a_yes_is_told_from_what_follows_it(text: str, yes: str, rest: str, firm: bool) -> None:
    agreed = agreement(text)
    assert agreed is not None
    assert (agreed.yes, agreed.rest, agreed.firm) == (yes, rest, firm)


@pytest.mark.parametrize("text", ["No.", "And when?", "", "Not yes.", "I don't know, yes"])
def test_what_begins_otherwise_is_no_agreement(text: str) -> None:
    assert agreement(text) is None


@given(CALLER_WORDS, st.sampled_from(["en", "es"]))
def test_a_yes_and_its_rest_are_all_that_was_said(text: str, language: str) -> None:
    agreed = agreement(f"yes {text}", language)
    if agreed is not None:
        assert f"{agreed.yes} {agreed.rest}".split() == f"yes {text}".split()
