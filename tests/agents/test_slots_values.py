"""What callers say, and the value it means."""

from datetime import date, datetime, time
from decimal import Decimal

import pytest

from callbot.agents.slots import Kind, Parsed, parse

WEDNESDAY = date(2026, 11, 18)
TUESDAY = date(2026, 11, 24)


def value(kind: Kind, text: str, language: str = "en", **more: object) -> object:
    parsed = parse(kind, text, language=language, today=WEDNESDAY, **more)  # type: ignore[arg-type]
    return None if parsed is None else parsed.value


@pytest.mark.parametrize(
    "text",
    [
        "B7429",
        "b seven four two nine",
        "B as in bravo, 7 4 2 9",
        "bee seventy-four twenty-nine",
        "yeah it's B seven four two nine please",
        "be 7429",
        "It's be, seven for to nine.",
        "bravo seven four two nine",
        "Bee for bravo. 7429.",
        "B seven thousand four hundred and twenty nine",
        "Its B-7-4-2-9.",
        "B 7,429",
        "It's B, that's bravo, 7429.",
        "B 7 4 2 8, no, 9",
        "B7428, no sorry, B7429",
        "C as in Charlie 7429 sorry B as in Bravo 7429",
        "not K1836, B7429",
        "B7429, not K1836",
        "Your order be, Seven, four, two, nine is on its way",
    ],
)
def test_an_order_id_is_found_however_it_is_said(text: str) -> None:
    assert value(Kind.ORDER_ID, text) == "B7429"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see 5520", "C5520"),
        ("C double five two oh", "C5520"),
        ("K eighteen thirty-six", "K1836"),
        ("Kay one ate three six.", "K1836"),
        ("L one oh oh one", "L1001"),
        ("L one thousand and one", "L1001"),
        ("O 1 2 3 4", "O1234"),
        ("double u one two three four", "W1234"),
        ("It's Acts fifty two fifty four.", "X5254"),
        ("Yes, it's age two, nine, two, six, please.", "H2926"),
    ],
)
def test_letters_and_digits_may_be_spelled_as_they_sound(text: str, expected: str) -> None:
    assert value(Kind.ORDER_ID, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I have an order",
        "I have 7429",
        "I'm looking for 7429",
        "B742",
        "B74291",
        "I see",
        "to be or not to be",
        "",
    ],
)
def test_an_order_id_is_not_invented(text: str) -> None:
    assert value(Kind.ORDER_ID, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "555-0142",
        "five five five oh one four two",
        "five five five, oh one four two.",
        "triple five oh one four two",
        "triple 5 0142",
        "five five five, 01 42",
        "five five five oh one for two",
        "+1 555 0142",
        "my number is 5550142",
        "five five five zero one forty-two",
        "555 0177, no wait, 555 0142",
        "555 0177, no, 0142",
        "five five five, sorry, it's 0142",
        "five five five oh one seven, sorry, oh one four two",
        "Five, five, five. 0142",
    ],
)
def test_a_seven_digit_number_is_found_however_it_is_said(text: str) -> None:
    assert parse(Kind.PHONE, text, today=WEDNESDAY) == Parsed("+15550142", "555-0142")


@pytest.mark.parametrize(
    "text",
    [
        "212 555 0142",
        "(212) 555-0142",
        "one two one two five five five oh one four two",
        "+1 212 555 0142",
    ],
)
def test_an_area_code_is_kept(text: str) -> None:
    assert parse(Kind.PHONE, text, today=WEDNESDAY) == Parsed("+12125550142", "212-555-0142")


def test_eight_hundred_is_read_out_as_digits() -> None:
    assert value(Kind.PHONE, "eight hundred five five five oh one four two") == "+18005550142"


@pytest.mark.parametrize("text", ["five five five", "I don't have one", "5550142 99", "no"])
def test_a_phone_number_is_not_invented(text: str) -> None:
    assert value(Kind.PHONE, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jo dot smith at example dot com", "jo.smith@example.com"),
        ("Joe.Smith@example.com", "joe.smith@example.com"),
        ("Peter at example dotnet.", "peter@example.net"),
        ("Joe Dot Smith at example dot com.", "joe.smith@example.com"),
        ("Jo. Smith at example. Com.", "jo.smith@example.com"),
        ("Send it to jo.smith at example.com please.", "jo.smith@example.com"),
        ("my email is joe smith at example dot com", "joesmith@example.com"),
        ("it's j o at example dot com thanks", "jo@example.com"),
        ("sure it's jo underscore smith 22 at mail dot example dot org", "jo_smith22@mail.example.org"),
        ("jo at example dot com, no, sam at example dot com", "sam@example.com"),
        ("jo.smith@example.com sorry I meant jo.smyth@example.com", "jo.smyth@example.com"),
        ("w dash double l at example dot co dot uk", "w-ll@example.co.uk"),
    ],
)
def test_an_email_address_is_read_written_or_said(text: str, expected: str) -> None:
    assert value(Kind.EMAIL, text) == expected


@pytest.mark.parametrize("text", ["look at the dot", "no thanks", "I'm at home", "jo at example"])
def test_an_email_address_is_not_invented(text: str) -> None:
    assert value(Kind.EMAIL, text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tuesday", TUESDAY),
        ("next Tuesday at three", TUESDAY),
        ("Wednesday", date(2026, 11, 25)),
        ("this Friday", date(2026, 11, 20)),
        ("last Monday", date(2026, 11, 16)),
        ("Thursday", date(2026, 11, 19)),
        ("next Thursday", date(2026, 11, 26)),
        ("today", WEDNESDAY),
        ("tomorrow morning", date(2026, 11, 19)),
        ("the day after tomorrow", date(2026, 11, 20)),
        ("The day after to-morrow at eleven.", date(2026, 11, 20)),
        ("in three days", date(2026, 11, 21)),
        ("in two weeks", date(2026, 12, 2)),
        ("a week from Tuesday", date(2026, 12, 1)),
        ("Tuesday next week", TUESDAY),
        ("next week on Tuesday", TUESDAY),
        ("November 24", TUESDAY),
        ("Nov 24th", TUESDAY),
        ("November the twenty-fourth", TUESDAY),
        ("the 24th", TUESDAY),
        ("Tuesday the 24th", TUESDAY),
        ("the second of November", date(2027, 11, 2)),
        ("24 November 2027", date(2027, 11, 24)),
        ("11/24", TUESDAY),
        ("2026-11-24", TUESDAY),
        ("on the first", date(2026, 12, 1)),
        ("February 29", date(2028, 2, 29)),
        ("Monday, no, I meant Tuesday", TUESDAY),
        ("Monday. Actually, Tuesday works better.", TUESDAY),
        ("not Monday, Tuesday", TUESDAY),
        ("Tuesday, not Monday", TUESDAY),
    ],
)
def test_a_day_is_found_however_it_is_said(text: str, expected: date) -> None:
    assert value(Kind.DATE, text) == expected


@pytest.mark.parametrize(
    "text", ["I need a second", "one second", "may I come in", "February 30", "I have two", "whenever"]
)
def test_a_day_is_not_invented(text: str) -> None:
    assert value(Kind.DATE, text) is None


def test_next_tuesday_said_on_a_monday_is_not_tomorrow() -> None:
    monday = date(2026, 11, 23)
    said = parse(Kind.DATE, "next Tuesday", today=monday)
    assert said is not None
    assert said.value == date(2026, 12, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("three", time(15)),
        ("at three", time(15)),
        ("nine", time(9)),
        ("at noon", time(12)),
        ("three thirty", time(15, 30)),
        ("three oh five", time(15, 5)),
        ("at 330", time(15, 30)),
        ("half past three", time(15, 30)),
        ("quarter to four", time(15, 45)),
        ("ten past nine", time(9, 10)),
        ("3:30 p.m.", time(15, 30)),
        ("15:30", time(15, 30)),
        ("eight in the evening", time(20)),
        ("in the morning at seven", time(7)),
        ("12 am", time(0)),
        ("three o'clock", time(15)),
        ("two, no, at four", time(16)),
    ],
)
def test_a_time_is_found_and_bare_hours_are_office_hours(text: str, expected: time) -> None:
    assert value(Kind.TIME, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tuesday at three in the afternoon", datetime(2026, 11, 24, 15)),
        ("Thursday morning at nine", datetime(2026, 11, 19, 9)),
        ("the 24th at half past nine", datetime(2026, 11, 24, 9, 30)),
        ("November 24 at 3:30 pm", datetime(2026, 11, 24, 15, 30)),
        ("Monday at three, no, Tuesday", datetime(2026, 11, 24, 15)),
        ("Friday the 20th at two, no, at three", datetime(2026, 11, 20, 15)),
    ],
)
def test_a_day_and_a_time_come_together_and_are_corrected_apart(text: str, expected: datetime) -> None:
    assert value(Kind.DATETIME, text) == expected


def test_a_day_without_a_time_is_a_part_of_the_answer() -> None:
    assert parse(Kind.DATETIME, "Tuesday", today=WEDNESDAY) == Parsed(
        TUESDAY, "Tuesday, November 24", partial=True
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$62.50", "62.50"),
        ("sixty two fifty", "62.50"),
        ("sixty-two dollars and fifty cents", "62.50"),
        ("sixty two point five", "62.50"),
        ("62 dollars", "62.00"),
        ("fifty cents", "0.50"),
        ("a hundred dollars", "100.00"),
        ("a dollar fifty", "1.50"),
        ("twelve hundred", "1200.00"),
        ("$1,250.75", "1250.75"),
        ("six oh five", "6.05"),
        ("45, no, 60 dollars", "60.00"),
    ],
)
def test_an_amount_is_found_however_it_is_said(text: str, expected: str) -> None:
    assert value(Kind.AMOUNT, text) == Decimal(expected)


def test_an_amount_keeps_its_currency_for_reading_back() -> None:
    said = parse(Kind.AMOUNT, "twenty euros", today=WEDNESDAY)
    assert said == Parsed(Decimal("20.00"), "€20.00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two", 2),
        ("a couple", 2),
        ("just one", 1),
        ("I'd like one please", 1),
        ("half a dozen", 6),
        ("twenty-one", 21),
        ("two, no, three", 3),
        ("to", 2),
        ("the big one", None),
        ("a few", None),
        ("no", None),
    ],
)
def test_a_number_of_things(text: str, expected: int | None) -> None:
    assert value(Kind.NUMBER, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "yeah sure",
        "Yes.",
        "um yes please",
        "no problem",
        "Sure, why not?",
        "Uh-huh.",
        "That's correct.",
        "Yes, but not Tuesday.",
        "No, I mean yes.",
        "it worked",
        "I guess so",
    ],
)
def test_a_yes_is_a_yes(text: str) -> None:
    assert value(Kind.YES_NO, text) is True


@pytest.mark.parametrize(
    "text",
    [
        "no thanks",
        "I don't think so",
        "Nope.",
        "not yet",
        "that's not right",
        "No, that's all.",
        "yeah no",
        "It's still not working",
        "it did not",
        "yes, no wait, no",
    ],
)
def test_a_no_is_a_no(text: str) -> None:
    assert value(Kind.YES_NO, text) is False


@pytest.mark.parametrize(
    "text",
    ["I don't know", "maybe", "there is no internet", "No internet.", "What?", "I have an okay router", ""],
)
def test_neither_yes_nor_no_is_not_forced_into_one(text: str) -> None:
    assert value(Kind.YES_NO, text) is None


OPTIONS = {
    "lark_mini": ["Lark Mini", "small one"],
    "lark_mesh": ["Lark Mesh kit", "mesh"],
    "lark_pro": ["Pro"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the lark mini", "lark_mini"),
        ("the small one please", "lark_mini"),
        ("Lark mesh kit", "lark_mesh"),
        ("Lark Minnie", "lark_mini"),
        ("not the mesh, the pro", "lark_pro"),
        ("mesh, no, pro", "lark_pro"),
        ("the second one", "lark_mesh"),
        ("the last one", "lark_pro"),
        ("mesh or pro", None),
        ("neither", None),
    ],
)
def test_one_of_the_options_is_chosen_by_name_by_place_or_not_at_all(text: str, expected: str | None) -> None:
    assert value(Kind.CHOICE, text, options=OPTIONS) == expected


def test_text_is_whatever_was_said() -> None:
    assert value(Kind.TEXT, "  It blinks. ") == "It blinks."
    assert value(Kind.TEXT, "  ") is None


@pytest.mark.parametrize(
    ("kind", "text", "digits", "expected"),
    [
        (Kind.PHONE, "", "5550142#", "+15550142"),
        (Kind.PHONE, "um", "15550142", "+15550142"),
        (Kind.ORDER_ID, "B", "7429#", "B7429"),
        (Kind.ORDER_ID, "", "7429#", None),
        (Kind.YES_NO, "", "1", True),
        (Kind.YES_NO, "", "2#", False),
        (Kind.YES_NO, "", "5", None),
        (Kind.CHOICE, "", "2#", "lark_mesh"),
        (Kind.CHOICE, "", "9", None),
        (Kind.DATE, "", "1124", TUESDAY),
        (Kind.DATE, "", "11242027", date(2027, 11, 24)),
        (Kind.DATE, "", "9999", None),
        (Kind.AMOUNT, "", "62*50#", Decimal("62.50")),
        (Kind.AMOUNT, "", "**", None),
        (Kind.NUMBER, "", "3#", 3),
        (Kind.TEXT, "", "42#", "42"),
    ],
)
def test_keys_on_the_phone_answer_too(kind: Kind, text: str, digits: str, expected: object) -> None:
    assert value(kind, text, digits=digits, options=OPTIONS) == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Kind.YES_NO, "sí, claro", True),
        (Kind.YES_NO, "No, gracias.", False),
        (Kind.YES_NO, "claro que no", False),
        (Kind.YES_NO, "no sé", None),
        (Kind.YES_NO, "No hay internet.", None),
        (Kind.PHONE, "cinco cinco cinco cero uno cuatro dos", "+15550142"),
        (Kind.PHONE, "triple cinco cero uno cuarenta y dos", "+15550142"),
        (Kind.ORDER_ID, "be siete cuatro dos nueve", "B7429"),
        (Kind.ORDER_ID, "B de Barcelona, setenta y cuatro veintinueve", "B7429"),
        (Kind.ORDER_ID, "tengo un pedido", None),
        (Kind.DATE, "el martes", TUESDAY),
        (Kind.DATE, "el martes que viene", TUESDAY),
        (Kind.DATE, "el 24 de noviembre", TUESDAY),
        (Kind.DATE, "el lunes, no, perdón, el martes", TUESDAY),
        (Kind.DATE, "no el lunes, el martes", TUESDAY),
        (Kind.DATE, "pasado mañana", date(2026, 11, 20)),
        (Kind.DATE, "mañana por la mañana", date(2026, 11, 19)),
        (Kind.DATE, "en tres días", date(2026, 11, 21)),
        (Kind.DATETIME, "el martes a las tres de la tarde", datetime(2026, 11, 24, 15)),
        (Kind.DATETIME, "mañana a las nueve y media", datetime(2026, 11, 19, 9, 30)),
        (Kind.TIME, "a las cuatro menos cuarto", time(15, 45)),
        (Kind.TIME, "a las tres y diez", time(15, 10)),
        (Kind.TIME, "a las ocho de la noche", time(20)),
        (Kind.AMOUNT, "sesenta y dos con cincuenta", Decimal("62.50")),
        (Kind.AMOUNT, "62,50 €", Decimal("62.50")),
        (Kind.AMOUNT, "cuarenta y cinco dólares", Decimal("45.00")),
        (Kind.NUMBER, "un par", 2),
        (Kind.NUMBER, "mil doscientos treinta y cuatro", 1234),
        (Kind.EMAIL, "jo punto smith arroba example punto com", "jo.smith@example.com"),
    ],
)
def test_spanish_answers(kind: Kind, text: str, expected: object) -> None:
    assert value(kind, text, language="es-MX") == expected
