"""What a voice is given for what was written."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callbot.conversation.spoken import Token, spoken, text_for_voice


def say(text: str, language: str = "en") -> str:
    return text_for_voice(spoken(text, language))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$62.50", "sixty-two dollars and fifty cents"),
        ("$45.00", "forty-five dollars"),
        ("$1.01", "one dollar and one cent"),
        ("$0.99", "ninety-nine cents"),
        ("-$5", "minus five dollars"),
        ("$1,299.99.", "one thousand two hundred ninety-nine dollars and ninety-nine cents."),
        ("$5 million", "five million dollars"),
        ("$1.5 million", "one point five million dollars"),
        ("$5k", "five thousand dollars"),
        ("€20 or £1.01", "twenty euros or one pound and one penny"),
        ("USD 50 or 45 USD", "fifty dollars or forty-five dollars"),
        ("$30/month and $5/mo", "thirty dollars per month and five dollars per month"),
        ("$30-$40", "thirty dollars to forty dollars"),
    ],
)
def test_money_is_said_in_words(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-11-24", "November twenty-fourth, twenty twenty-six"),
        ("2026-11-24T15:00:00Z", "November twenty-fourth, twenty twenty-six at three PM"),
        ("Nov 24", "November twenty-fourth"),
        ("Nov. 24th, 2026,", "November twenty-fourth, twenty twenty-six,"),
        ("November 24", "November twenty-fourth"),
        ("24 November 2005", "the twenty-fourth of November two thousand five"),
        ("the 24 November", "the twenty-fourth of November"),
        ("in May 2026", "in May twenty twenty-six"),
        ("11/24", "November twenty-fourth"),
        ("11/2/26", "November second, twenty twenty-six"),
        ("Mon-Fri", "Monday to Friday"),
        ("Sat 9-5", "Saturday nine to five"),
        ("Sat here.", "Sat here."),
        ("the 28th", "the twenty-eighth"),
        ("2026-13-45", "twenty twenty-six thirteen forty-five"),
    ],
)
def test_dates_are_said_in_words(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("3:30 pm", "three thirty PM"),
        ("3 p.m. on Monday", "three PM on Monday"),
        ("3pm.", "three PM."),
        ("08:00", "eight AM"),
        ("8:00", "eight o'clock"),
        ("15:30", "three thirty PM"),
        ("00:05", "twelve oh five AM"),
        ("3:05", "three oh five"),
        ("9am–5pm", "nine AM to five PM"),
        ("8:00-20:00", "eight AM to eight PM"),
        ("10 - 20 minutes", "ten to twenty minutes"),
        ("It closes at 5 p.m. Then we go.", "It closes at five PM. Then we go."),
    ],
)
def test_times_are_said_in_words(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    "written", ["555-0142", "+15550142", "555 0142", "+1 555 0142", "5550142", "+1-555-0142", "555.0142"]
)
def test_a_phone_number_is_said_digit_by_digit(written: str) -> None:
    assert say(written) == "five five five, zero one four two"


@pytest.mark.parametrize("written", ["(212) 555-0142", "212-555-0142", "+12125550142", "212 555 0142"])
def test_an_area_code_stands_apart(written: str) -> None:
    assert say(written) == "two one two, five five five, zero one four two"


def test_a_foreign_number_keeps_its_country() -> None:
    assert say("+44-20-7946-0958") == "plus four four, two zero, seven nine four six, zero nine five eight"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("B7429", "B, seven four two nine"),
        ("B 7 4 2 9, right?", "B, seven four two nine, right?"),
        ("A 7 4 2 9.", "A, seven four two nine."),
        ("L1001.", "L, one zero zero one."),
        ("AB12CD", "A, B, one two, C, D"),
        ("MP3 and 5G", "M, P, three and five G"),
        ("0142", "zero one four two"),
        ("account 12345678", "account one two three, four five six, seven eight"),
        ("Your code is 4821.", "Your code is four eight two one."),
        ("#5 and No. 5", "number five and number five"),
        ("A 5 star hotel", "A five star hotel"),
        ("plan B is", "plan B is"),
    ],
)
def test_ids_are_spelled(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("jo.smith@example.com.", "jo dot smith at example dot com."),
        ("jo_s-22@example.com", "jo underscore s dash twenty-two at example dot com"),
        ("https://www.example.com/help?x=1", "example dot com slash help"),
        ("example.com", "example dot com"),
    ],
)
def test_addresses_are_read_out(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1,250", "one thousand two hundred fifty"),
        ("2026", "twenty twenty-six"),
        ("1900", "nineteen hundred"),
        ("1905", "nineteen oh five"),
        ("1000000", "one million"),
        ("100000", "one hundred thousand"),
        (
            "1234567890123456000",
            "one two three four five six seven eight nine zero one two three four five six zero zero zero",
        ),
        ("-5", "minus five"),
        ("3.14", "three point one four"),
        ("12.5%", "twelve point five percent"),
        ("5-10% or 50 %", "five to ten percent or fifty percent"),
        ("500 Mbps", "five hundred megabits per second"),
        ("1 GB and 16GB", "one gigabyte and sixteen gigabytes"),
        ("5km, 20°C", "five kilometers, twenty degrees Celsius"),
        ("1st 2nd 3rd 12th 20th 100th", "first second third twelfth twentieth one hundredth"),
        ("1/2 or 3/4 or 2/3", "one half or three quarters or two thirds"),
        ("1½ hours", "one and a half hours"),
        ("24/7", "twenty-four seven"),
        ("24-hour", "twenty-four hour"),
        ("2 x $49.00 = $98.00", "two times forty-nine dollars equals ninety-eight dollars"),
        ("2.0.1", "two point zero point one"),
    ],
)
def test_numbers_and_measures_are_said_in_words(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Dr. Smith", "Doctor Smith"),
        ("12 Main St. near St. James", "twelve Main Street near Saint James"),
        ("e.g. this, approx. 5, etc.", "for example this, approximately five, et cetera."),
        ("tea, cakes, etc. We do.", "tea, cakes, et cetera. We do."),
        ("DSL", "D, S, L"),
        ("IDs", "I, D's"),
        ("WiFi, PIN, OK", "WiFi, pin, okay"),
        ("STOP! It is NOT important.", "stop! It is not important."),
        ("HDMI or ADSL", "H, D, M, I or A, D, S, L"),
        ("you & me", "you and me"),
        ("AT&T", "A, T and T"),
        ("yes/no and/or", "yes or no and or"),
        ("w/ n/a", "with not applicable"),
        ("a->b, x=y, ~5", "a to b, x equals y, about five"),
        ('He said "no" (really)…', "He said no really,"),
        ("J. Smith", "J. Smith"),
    ],
)
def test_abbreviations_capitals_and_signs(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("**Bold**, _it_ and `code`", "Bold, it and code"),
        ("# Title\ntext", "Title. text"),
        ("- one\n- two", "one. two."),
        ("> quote", "quote."),
        ("see [our page](https://example.com/x).", "see our page."),
        ("![picture](x.png) text", "text"),
        ("| a | b |\n|---|---|\n| 1 | $2 |", "a, b. one, two dollars."),
        ("one\n---\ntwo", "one two"),
        ("- [ ] todo", "todo."),
        ("~~old~~ new", "old new"),
        ("```py\nx = 1\n```\nDone.", "Done."),
        ("```py\nx = 1", ""),
        ("Great! 🎉 ✅ 👍🏽 Done", "Great! Done"),
        ("Hi <b>there</b> <!-- x -->", "Hi there"),
        ("maybe – or — not", "maybe, or, not"),
    ],
)
def test_marks_are_not_spoken(written: str, said: str) -> None:
    assert say(written) == said


@pytest.mark.parametrize(
    "silent",
    [
        '{"name": "look_up", "arguments": {"id": "B}7429"}}',
        '[{"a": 1}, {"b": "\\"]"}]',
        '<tool_call>{"name": "x"} and more</tool_call>',
        "<|python_tag|>",
        "functions.look_up(order)",
        "[tool: look_up]",
        "{id: 4}",
    ],
)
def test_tool_calls_and_json_are_never_spoken(silent: str) -> None:
    assert say(f"Hello. {silent} Goodbye.") == "Hello. Goodbye."
    assert len(spoken(f"Hello. {silent} Goodbye.")) == len(f"Hello. {silent} Goodbye.".split())


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_no_json_object_is_spoken(value: object) -> None:
    assert say(json.dumps({"arguments": value})) == ""


def test_words_written_apart_keep_their_own_tokens() -> None:
    assert spoken("Nov 24 at 3 pm") == (
        Token("Nov", "November"),
        Token("24", "twenty-fourth"),
        Token("at", "at"),
        Token("3", "three"),
        Token("pm", "PM"),
    )
    assert [token.spoken for token in spoken("**Call** 🎉 555 0142")] == [
        "Call",
        "",
        "five five five,",
        "zero one four two",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$62.50", "sesenta y dos dólares con cincuenta centavos"),
        ("62,50 € o 21 €.", "sesenta y dos euros con cincuenta céntimos o veintiún euros."),
        ("$1,250.00", "mil doscientos cincuenta dólares"),
        ("$1", "un dólar"),
        ("$1,000,000", "un millón de dólares"),
        ("£21", "veintiuna libras"),
        ("el 24 de noviembre a las 3:30 pm", "el veinticuatro de noviembre a las tres y media de la tarde"),
        ("a las 15:30", "a las tres y media de la tarde"),
        ("a las 3:00 de la tarde", "a las tres de la tarde"),
        ("9:15", "nueve y cuarto"),
        ("a la 1 p.m. del lunes", "a la una de la tarde del lunes"),
        ("2026-11-01", "primero de noviembre de dos mil veintiséis"),
        ("24/12/2026", "veinticuatro de diciembre de dos mil veintiséis"),
        ("1 de mayo", "primero de mayo"),
        ("555-0142", "cinco cinco cinco, cero uno cuatro dos"),
        ("B7429", "be, siete cuatro dos nueve"),
        ("B 7 4", "be, siete cuatro"),
        ("jo.smith@example.com", "jo punto smith arroba example punto com"),
        ("¿Vive el Sr. López aquí?", "¿Vive el señor López aquí?"),
        ("3,5 GB y 1 km", "tres coma cinco gigas y un kilómetro"),
        ("10% o 9-17", "diez por ciento o nueve a diecisiete"),
        ("1º y 2ª", "primero y segunda"),
        ("1.250.321", "un millón doscientos cincuenta mil trescientos veintiuno"),
        ("24/7 DSL NUNCA & más", "las veinticuatro horas de, ese, ele nunca y más"),
        ("**hola** 🎉", "hola"),
    ],
)
def test_spanish_is_said_in_spanish(written: str, said: str) -> None:
    assert say(written, "es-MX") == said


def test_other_languages_leave_numbers_to_their_voice_but_not_ids_or_marks() -> None:
    assert say("**Votre** facture B7429: 62,50 € 🎉 au 555-0142 à 15:30, réf 004217", "fr") == (
        "Votre facture B, 7 4 2 9, 62,50 € au 5 5 5, 0 1 4 2 à 15:30, réf 0 0 4 2 1 7"
    )


WRITTEN = (
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "$62.50",
                "**",
                "`",
                "{",
                '{"a":',
                "}",
                "#",
                "|",
                "B7429",
                "Nov",
                "24",
                "pm",
                "3:30",
                "🎉",
                "-",
                "–",
                "½",
                "\n",
                "[x](",
                ")",
                "555",
                "0142",
                "(",
                "St.",
                "e.g.",
                "A",
                "DSL",
                "1/0",
                "99/99",
                "-$",
                "%",
                "٣",
                "²",
                "0",
                "/",
                "x",
                "+1",
                "\u200d",
                "<b>",
                "<",
                "jo@example.com",
                "Sat",
                "$",
                "US$5",
                "1,2,3",
                "5–10%",
                "€",
                "K",
                "24/7",
            ]
        ),
        max_size=10,
    ).map(" ".join)
    | st.text(alphabet="0123456789$.,:/-+%#ABkpm ", max_size=30)
)
FORBIDDEN = set('*#`{}[]<>|\\~^"_')


@given(text=WRITTEN, language=st.sampled_from(["en", "es", "fr", "ja"]))
@example("1⁄0", "en")
@example("$1M5", "en")
def test_every_written_word_has_a_token_and_no_voice_gets_a_mark(text: str, language: str) -> None:
    tokens = spoken(text, language)
    assert [token.written for token in tokens] == text.split()
    said = text_for_voice(tokens)
    if language in ("en", "es"):
        assert not [c for c in said if not (c.isalpha() or c in " .,?!;'-¿¡" or c >= "\u0300")]
        assert not any(map(str.isdigit, said))
    assert not FORBIDDEN & set(said) or language not in ("en", "es")
    assert not [c for c in said if c in "*#`{}[]<>|" or (ord(c) >= 0x1F000 and not c.isalpha())]
