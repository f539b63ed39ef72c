"""Why an answer could not be used, in a sentence an agent can say before asking again."""

from collections.abc import Sequence
from datetime import date, datetime

from callbot.agents.slots.identifiers import given, id_digits
from callbot.agents.slots.kinds import Kind
from callbot.agents.slots.languages import primary
from callbot.agents.slots.languages import vocabulary as words_of
from callbot.agents.slots.parsing import Options, option_name, parse
from callbot.agents.slots.replies import choices
from callbot.agents.slots.vocabulary import Vocabulary
from callbot.agents.slots.words import Word, split_words

_ENGLISH = {
    "few": "I got only {count} digits, {digits}.",
    "one": "I got only one digit, {digits}.",
    "many": "I got {count} digits, which is too many.",
    "no letter": "I got the digits {digits}, but not the letter before them.",
    "no digits": "I got the letter {letter}, but not the four digits after it.",
    "id digits": "I got {letter} and {count} digits; there should be four.",
    "id one digit": "I got {letter} and one digit; there should be four.",
    "only at": "I didn't get the whole address, with the part after the at sign.",
    "no day": "I didn't catch the day.",
    "no time": "I got {day}, but not the time.",
    "no hour": "I didn't catch the time.",
    "no date": "I got {hour}, but not the day.",
    "which": "I wasn't sure whether you meant {options}.",
    "or": " or ",
}
_SPANISH = {
    "few": "Solo entendí {count} cifras, {digits}.",
    "one": "Solo entendí una cifra, {digits}.",
    "many": "Entendí {count} cifras, y son demasiadas.",
    "no letter": "Entendí las cifras {digits}, pero no la letra que va delante.",
    "no digits": "Entendí la letra {letter}, pero no las cuatro cifras.",
    "id digits": "Entendí {letter} y {count} cifras; deberían ser cuatro.",
    "id one digit": "Entendí {letter} y una cifra; deberían ser cuatro.",
    "only at": "No entendí la dirección completa, con la parte que va después de la arroba.",
    "no day": "No entendí el día.",
    "no time": "Entendí {day}, pero no la hora.",
    "no hour": "No entendí la hora.",
    "no date": "Entendí la hora, {hour}, pero no el día.",
    "which": "No sé si se refiere a {options}.",
    "or": " o a ",
}
_COUNTS = {
    "en": [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ],
    "es": [
        "cero",
        "una",
        "dos",
        "tres",
        "cuatro",
        "cinco",
        "seis",
        "siete",
        "ocho",
        "nueve",
        "diez",
        "once",
        "doce",
    ],
}


def problem(
    kind: Kind,
    text: str,
    *,
    language: str = "en",
    today: date,
    options: Options | None = None,
    digits: str = "",
) -> str | None:
    """What was missing in an answer to a question for ``kind``; ``None`` when nothing was.

    ``""`` when nothing in it was of use: ask again with other words.
    """
    parsed = parse(kind, text, language=language, today=today, options=options, digits=digits)
    sentences = _SPANISH if primary(language) == "es" else _ENGLISH
    if parsed is not None:
        return _missing_half(parsed.value, parsed.spoken, sentences) if parsed.partial else None
    words = split_words(text)
    vocabulary = words_of(language)
    match kind:
        case Kind.ORDER_ID | Kind.PHONE:
            return _incomplete(kind, words, vocabulary, language, digits.partition("#")[0], sentences)
        case Kind.EMAIL:
            return sentences["only at"] if words else ""
        case Kind.DATE | Kind.TIME | Kind.DATETIME:
            return sentences["no hour" if kind is Kind.TIME else "no day"] if words else ""
        case Kind.CHOICE if options:
            found = choices(words, vocabulary, options)
            names = sentences["or"].join(option_name(option, options) for option in found)
            return sentences["which"].format(options=names) if found else ""
        case _:
            return ""


def _missing_half(value: object, spoken: str, sentences: dict[str, str]) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return sentences["no time"].format(day=spoken)
    return sentences["no date"].format(hour=spoken)


def _incomplete(
    kind: Kind,
    words: Sequence[Word],
    vocabulary: Vocabulary,
    language: str,
    keyed: str,
    sentences: dict[str, str],
) -> str:
    heard = given(words, vocabulary)
    digits = keyed or heard.digits
    letter = heard.letters[:1].upper()
    if kind is Kind.ORDER_ID and not letter:
        digits = id_digits(digits, vocabulary)
    counts = _COUNTS.get(primary(language), _COUNTS["en"])
    count = counts[len(digits)] if len(digits) < len(counts) else str(len(digits))
    if kind is Kind.ORDER_ID and letter and digits:
        sentence = "id one digit" if len(digits) == 1 else "id digits"
    elif kind is Kind.ORDER_ID and letter:
        sentence = "no digits"
    elif len(digits) <= 1 and not keyed:
        return ""  # rather the "one" of "I don't have one"
    elif kind is Kind.ORDER_ID and len(digits) == 4:
        sentence = "no letter"
    elif len(digits) > (4 if kind is Kind.ORDER_ID else 7):
        sentence = "many"
    else:
        sentence = "one" if len(digits) == 1 else "few"
    return sentences[sentence].format(count=count, digits=" ".join(digits), letter=letter)
