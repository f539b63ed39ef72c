"""How Spanish reads written words aloud: money, dates, times, numbers, ids and addresses."""

import re
from collections.abc import Callable, Sequence

from callbot.conversation.spoken import shapes
from callbot.conversation.spoken import spanish_numbers as numbers
from callbot.conversation.spoken.written import Written

Said = tuple[str, ...]
Rule = Callable[[Sequence[Written], int], Said | None]

ABBREVIATIONS = {
    "sr.": "señor",
    "sra.": "señora",
    "srta.": "señorita",
    "dr.": "doctor",
    "dra.": "doctora",
    "ud.": "usted",
    "uds.": "ustedes",
    "etc.": "etcétera",
    "aprox.": "aproximadamente",
    "av.": "avenida",
    "tel.": "teléfono",
    "núm.": "número",
    "ej.": "ejemplo",
    "p.ej.": "por ejemplo",
    "a.m.": "de la mañana",
    "p.m.": "de la tarde",
}
_MONTHS = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
_LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [
            "a",
            "be",
            "ce",
            "de",
            "e",
            "efe",
            "ge",
            "hache",
            "i",
            "jota",
            "ka",
            "ele",
            "eme",
            "ene",
            "o",
            "pe",
            "cu",
            "erre",
            "ese",
            "te",
            "u",
            "uve",
            "uve-doble",
            "equis",
            "i-griega",
            "zeta",
        ],
        strict=True,
    )
)
_CURRENCIES = {
    "$": ("dólar", "dólares", "centavo", "centavos"),
    "US$": ("dólar", "dólares", "centavo", "centavos"),
    "€": ("euro", "euros", "céntimo", "céntimos"),
    "£": ("libra", "libras", "penique", "peniques"),
}
_UNITS = {
    "%": ("por ciento", "por ciento"),
    "€": ("euro", "euros"),
    "$": ("dólar", "dólares"),
    "GB": ("giga", "gigas"),
    "MB": ("mega", "megas"),
    "Mbps": ("megabit por segundo", "megabits por segundo"),
    "Gbps": ("gigabit por segundo", "gigabits por segundo"),
    "km": ("kilómetro", "kilómetros"),
    "kg": ("kilo", "kilos"),
    "cm": ("centímetro", "centímetros"),
    "min": ("minuto", "minutos"),
    "h": ("hora", "horas"),
}
_NUMBER = re.compile(r"(?P<minus>-)?(?P<whole>\d{1,3}(?:\.\d{3})+|\d+)(?:[,.](?P<fraction>\d+))?")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})(?:/(\d{4}))?")
_ORDINAL = re.compile(r"(\d{1,2})\.?[ºªoa]")
_NUMBER_AND_UNIT = re.compile(r"(-?\d[\d.]*(?:,\d+)?)(%|[A-Za-z]+)")
_RANGE = re.compile(r"(\d+(?:[:,.]\d+)?)[–-](\d+(?:[:,.]\d+)?%?)")
_ORDINALS = [
    "primero",
    "segundo",
    "tercero",
    "cuarto",
    "quinto",
    "sexto",
    "séptimo",
    "octavo",
    "noveno",
    "décimo",
]
_JOINTS = re.compile(r"(–|—|/|&|\+|=|<|>|~|@|:|_|\|)")
_SIGNS = {
    "&": "y",
    "+": "más",
    "=": "igual a",
    "@": "arroba",
    "%": "por ciento",
    "/": "o",
    "–": ",",
    "—": ",",
}


def read(words: Sequence[Written], place: int) -> Said:
    """What is said for the words at ``place``: at least one."""
    for rule in _RULES:
        said = rule(words, place)
        if said is not None:
            return said
    return (_in_parts(words[place].core),)


def _one(core: str) -> str:
    return read((Written(core),), 0)[0]


def _in_parts(core: str) -> str:
    parts = [part for part in _JOINTS.split(core) if part]
    if len(parts) > 1:
        said = [_SIGNS.get(part, "") if _JOINTS.fullmatch(part) else _one(part) for part in parts]
        return re.sub(r"\s+,", ",", " ".join(filter(None, said)))
    return re.sub(r"\d+", lambda match: f" {_digits(match[0])} ", core).strip()


def _digits(text: str) -> str:
    if len(text) > 2 or text.startswith("0"):
        return numbers.digits(text)
    return numbers.cardinal(int(text))


def _core(words: Sequence[Written], place: int) -> str:
    return words[place].core if 0 <= place < len(words) else ""


def _date(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    if core == "24/7":
        return ("las veinticuatro horas",)
    if match := shapes.ISO_DATE.fullmatch(core):
        year, month, day, hour, minute = (int(part or 0) for part in match.groups())
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        said = _day_month(day, month, year)
        return (said + (f" a {_article(hour)} {_clock(hour, minute)}" if match[4] else ""),)
    match = _SLASHED.fullmatch(core)
    if match is None or not (1 <= int(match[1]) <= 31 and 1 <= int(match[2]) <= 12):
        return None
    if match[3] is None and int(match[1]) <= 12:
        return None
    return (_day_month(int(match[1]), int(match[2]), int(match[3] or 0)),)


def _day_month(day: int, month: int, year: int) -> str:
    said = f"{_day(day)} de {_MONTHS[month - 1]}"
    return f"{said} de {numbers.cardinal(year)}" if year else said


def _day(day: int) -> str:
    return "primero" if day == 1 else numbers.cardinal(day)


def _first_of_month(words: Sequence[Written], place: int) -> Said | None:
    following = (_core(words, place + 1), _core(words, place + 2).lower())
    if words[place].core == "1" and following[0] == "de" and following[1] in _MONTHS:
        return ("primero",)
    return None


def _article(hour: int) -> str:
    return "la" if hour % 12 == 1 else "las"


def _time(words: Sequence[Written], place: int) -> Said | None:
    match = shapes.CLOCK.fullmatch(words[place].core) or shapes.HOUR.fullmatch(words[place].core)
    half = _core(words, place + 1).lower()
    half_follows = half.replace(".", "") in ("am", "pm")
    if match is None and half_follows and re.fullmatch(r"1[0-2]|[1-9]", words[place].core):
        hour = _with_half(int(words[place].core), half)
        return numbers.clock(hour % 12 or 12, 0), _part_of_day(hour)
    if match is None:
        return None
    hour, minute = int(match["hour"]), int(match.groupdict().get("minute") or 0)
    if half_follows:
        return numbers.clock(hour % 12 or 12, minute), _part_of_day(_with_half(hour, half))
    if match["half"]:
        return (_clock(_with_half(hour, match["half"]), minute),)
    named = _core(words, place + 1).lower() in ("de", "por")
    twelve_hours = 1 <= hour <= 12 and not words[place].core.startswith("0")
    said = numbers.clock(hour % 12 or 12, minute) if named or twelve_hours else _clock(hour, minute)
    return (said,)


def _with_half(hour: int, half: str) -> int:
    return hour % 12 + (12 if half.lower().startswith("p") else 0)


def _clock(hour: int, minute: int) -> str:
    return f"{numbers.clock(hour % 12 or 12, minute)} {_part_of_day(hour % 24)}"


def _part_of_day(hour: int) -> str:
    if hour == 12:
        return "del mediodía"
    return f"de la {'mañana' if hour < 12 else 'tarde' if hour < 20 else 'noche'}"


def _phone(words: Sequence[Written], place: int) -> Said | None:
    groups = shapes.phone_at(words, place)
    if groups is None:
        return None
    said = [_groups(group) for group in groups]
    return *(f"{text}," if text else "" for text in said[:-1]), said[-1]


def _groups(groups: Sequence[str]) -> str:
    return ", ".join(
        ("más " if group.startswith("+") else "") + numbers.digits(group.lstrip("+")) for group in groups
    )


def _money(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    match = shapes.MONEY.fullmatch(core) or shapes.MONEY_AFTER.fullmatch(core)
    if match is None:
        after = re.fullmatch(r"(\d[\d.]*?)(?:,(\d\d))?", core)
        sign = _core(words, place + 1)
        if after is None or sign not in _CURRENCIES or words[place].tail:
            return None
        return _sum(int(after[1].replace(".", "")), int(after[2] or 0), sign), ""
    if match.groupdict().get("scale"):
        return None
    whole = int(re.sub(r"\D", "", match["whole"]))
    minus = "menos " if match["minus"] else ""
    return (minus + _sum(whole, int(match["cents"] or 0), match["sign"]),)


def _sum(whole: int, cents: int, sign: str) -> str:
    one, many, cent, cents_name = _CURRENCIES[sign]
    counted = numbers.before_noun(whole) if sign != "£" else re.sub("uno$", "una", numbers.cardinal(whole))
    of = "de " if whole and whole % 10**6 == 0 else ""
    units = f"{counted} {of}{one if whole == 1 else many}"
    small = f"{numbers.before_noun(cents)} {cent if cents == 1 else cents_name}"
    if cents and whole:
        return f"{units} con {small}"
    return small if cents else units


def _measure(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    attached = _NUMBER_AND_UNIT.fullmatch(core)
    if attached and attached[2] in _UNITS:
        return (" ".join(_counted(attached[1], attached[2])),)
    unit = _core(words, place + 1)
    if _NUMBER.fullmatch(core) and unit in _UNITS and not words[place].tail:
        return _counted(core, unit)
    return None


def _counted(number: str, unit: str) -> tuple[str, str]:
    one, many = _UNITS[unit]
    masculine = number.isdigit() and unit not in ("%", "h")
    said = numbers.before_noun(int(number)) if masculine else _one(number)
    return said, one if number == "1" else many


def _range(words: Sequence[Written], place: int) -> Said | None:
    match = _RANGE.fullmatch(words[place].core)
    return (f"{_one(match[1])} a {_one(match[2])}",) if match else None


def _ordinal(words: Sequence[Written], place: int) -> Said | None:
    match = _ORDINAL.fullmatch(words[place].core)
    if match is None or not 1 <= int(match[1]) <= 10:
        return None
    said = _ORDINALS[int(match[1]) - 1]
    return (said[:-1] + "a" if words[place].core[-1] in "ªa" else said,)


def _plain_number(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    match = _NUMBER.fullmatch(core)
    if match is None:
        return None
    minus = "menos " if match["minus"] else ""
    whole = match["whole"]
    figures = whole.replace(".", "")
    if match["fraction"] is not None:
        return (minus + numbers.decimal(figures, match["fraction"]),)
    code = len(figures) > 1 and figures.startswith("0")
    if whole == figures and (code or (len(figures) > 4 and not figures.endswith("00"))):
        return (minus + _groups(shapes.grouped(figures)),)
    return (minus + numbers.cardinal(int(figures)),)


def _address(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    location = core if shapes.EMAIL.fullmatch(core) else shapes.host_and_path(core)
    if location is None:
        return None
    names = {
        ".": " punto ",
        "@": " arroba ",
        "_": " guion bajo ",
        "-": " guion ",
        "/": " barra ",
        "+": " más ",
    }
    said = "".join(names.get(character, character) for character in location)
    said = re.sub(r"\d+", lambda match: f" {_digits(match[0])} ", said)
    return (" ".join(said.split()),)


def _identifier(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    if not shapes.MIXED.fullmatch(core):
        return None
    chunks = shapes.CHUNK.findall(core)
    if not all(chunk.isdigit() or chunk.isupper() or len(chunk) == 1 for chunk in chunks):
        return None
    return (", ".join(_digits(chunk) if chunk.isdigit() else _letters(chunk) for chunk in chunks),)


def _letters(text: str) -> str:
    return ", ".join(_LETTERS.get(letter, letter).replace("-", " ") for letter in text.upper())


def _spelling(words: Sequence[Written], place: int) -> Said | None:
    core, following = words[place].core, _core(words, place + 1)
    if core not in _LETTERS or len(following) != 1 or not (following.isdigit() or following in _LETTERS):
        return None
    return (f"{_letters(core)},",)


def _abbreviation(words: Sequence[Written], place: int) -> Said | None:
    lower = words[place].core.lower()
    if lower in ABBREVIATIONS:
        return (ABBREVIATIONS[lower],)
    return (_SIGNS[lower],) if lower in _SIGNS and lower != "/" else None


def _capitals(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    if not re.fullmatch(r"[A-Z]{2,}", core) or core in ("WIFI", "OK", "PIN", "SIM"):
        return None
    if re.search(r"[AEIOU]", core) and len(core) > 3:
        return (core.lower(),)
    return (_letters(core),) if len(core) > 2 else None


_RULES: tuple[Rule, ...] = (
    _date,
    _first_of_month,
    _time,
    _phone,
    _money,
    _abbreviation,
    _address,
    _range,
    _measure,
    _ordinal,
    _plain_number,
    _identifier,
    _spelling,
    _capitals,
)
