"""How English reads written words aloud.

``read`` looks at the words from one place on and returns what is said for each of as many of them as
belong together: "November" and "24", "3:30" and "pm", "555" and "0142".
"""

import re
from collections.abc import Callable, Sequence

from callbot.conversation.spoken import english_numbers as numbers
from callbot.conversation.spoken import english_tables as tables
from callbot.conversation.spoken import shapes
from callbot.conversation.spoken.written import Written

Said = tuple[str, ...]
Rule = Callable[[Sequence[Written], int], Said | None]

_ORDINAL = re.compile(r"(\d{1,4})(?:st|nd|rd|th)", re.IGNORECASE)
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?")
_MIXED_FRACTION = re.compile(r"(\d+)\+(\d+/\d+)")
_RANGE = re.compile(r"(.+?)(?:–|—|-|\.\.)(.+)")
_NUMBER_AND_UNIT = re.compile(r"(-?\d[\d,]*(?:\.\d+)?)([A-Za-z°%][A-Za-z/]*)")
_VERSION = re.compile(r"\d+(?:\.\d+){2,}")
_CAPITALS = re.compile(r"([A-Z]{2,})('?s)?")
_JOINTS = re.compile(r"(–|—|->|/|&|\+|=|<|>|~|@|:|_|\||-(?=\d)|(?<=\d)-)")
_HALF_OF_DAY = frozenset({"am", "pm", "a.m", "p.m", "a.m.", "p.m."})


def read(words: Sequence[Written], place: int) -> Said:
    """What is said for the words at ``place``: at least one."""
    for rule in _RULES:
        said = rule(words, place)
        if said is not None:
            return said
    return (_in_parts(words[place].core),)


def _one(core: str) -> str:
    """What is said for ``core`` standing alone."""
    return read((Written(core),), 0)[0]


def _in_parts(core: str) -> str:
    """A word that no rule knows: cut where signs join its parts, each part read by itself."""
    parts = [part for part in _JOINTS.split(core) if part]
    if len(parts) == 1:
        return _chunks(core) if any(map(str.isdigit, core)) else core
    said = []
    for place, part in enumerate(parts):
        if not _JOINTS.fullmatch(part):
            said.append(_one(part))
        elif part == "/":
            after = parts[place + 1] if place + 1 < len(parts) else ""
            said.append("per" if tables.PER_WORDS.fullmatch(after) else "or" if said and after else "")
        elif part == "->":
            said.append("to")
        elif part in ("–", "—"):
            said.append(",")
        elif part in ("&", "+", "=", "@", "~"):
            said.append(tables.SYMBOLS[part])
    return re.sub(r"\s+,", ",", " ".join(filter(None, said)))


def _chunks(core: str) -> str:
    """Letters and digits in a row: letters as they are, digits as numbers."""
    return re.sub(r"\d+", lambda match: f" {_digits(match[0])} ", core).strip()


def _digits(text: str) -> str:
    if len(text) > 2 or text.startswith("0"):
        return numbers.digits(text)
    return numbers.cardinal(int(text))


def _core(words: Sequence[Written], place: int) -> str:
    return words[place].core if 0 <= place < len(words) else ""


def _joined(words: Sequence[Written], place: int) -> bool:
    """Whether the word at ``place`` continues the one before: no full stop between them."""
    return 0 < place < len(words) and words[place - 1].tail not in (".", "?", "!")


# --- dates and times -------------------------------------------------------------------------------


def _written_date(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    if match := shapes.ISO_DATE.fullmatch(core):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        said = f"{_month_and_day(month, day)}, {numbers.year(year)}"
        return (said + (f" at {_clock(int(match[4]), int(match[5]), '')}" if match[4] else ""),)
    match = _SLASHED.fullmatch(core)
    if match is None or core in tables.WITHOUT_DOT:
        return None
    month, day = int(match[1]), int(match[2])
    if not (1 <= month <= 12 and 1 <= day <= 31) or (match[3] is None and day <= 12):
        return None
    said = _month_and_day(month, day)
    if match[3]:
        year = int(match[3]) if len(match[3]) == 4 else 2000 + int(match[3])
        said += f", {numbers.year(year)}"
    return (said,)


def _month_and_day(month: int, day: int) -> str:
    return f"{tables.MONTHS[month - 1]} {numbers.ordinal(day)}"


def _named_date(words: Sequence[Written], place: int) -> Said | None:
    """As in "November 24, 2026", "Nov. 24th", "24 November"."""
    core = words[place].core
    if core in tables.MONTH_NAMES and _joined(words, place + 1):
        day = _DAY.fullmatch(_core(words, place + 1))
        if day and 1 <= int(day[1]) <= 31:
            said = (tables.MONTH_NAMES[core], numbers.ordinal(int(day[1])))
            return said + _year_at(words, place + 2)
        if _YEAR.fullmatch(_core(words, place + 1)):
            return tables.MONTH_NAMES[core], *_year_at(words, place + 1)
    day = _DAY.fullmatch(core)
    if day and _joined(words, place + 1) and _core(words, place + 1) in tables.MONTH_NAMES:
        after_the = _core(words, place - 1).lower() == "the"
        said_day = f"{'' if after_the else 'the '}{numbers.ordinal(int(day[1]))} of"
        return said_day, tables.MONTH_NAMES[_core(words, place + 1)], *_year_at(words, place + 2)
    return None


def _year_at(words: Sequence[Written], place: int) -> Said:
    if _joined(words, place) and _YEAR.fullmatch(_core(words, place)):
        return (numbers.year(int(words[place].core)),)
    return ()


def _named_day(words: Sequence[Written], place: int) -> Said | None:
    """A day's short name; "Sat" where a number or a range says that it is the day."""
    core = words[place].core.rstrip(".")
    if core not in tables.DAY_NAMES:
        return None
    if core in tables.AMBIGUOUS_DAYS and not words[place].tail and len(words) > 1:
        following = _core(words, place + 1)
        if not (following[:1].isdigit() or following in tables.MONTH_NAMES or not following):
            return None
    return (tables.DAY_NAMES[core],)


def _time(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    match = shapes.CLOCK.fullmatch(core) or shapes.HOUR.fullmatch(core)
    following = _core(words, place + 1).lower()
    half_follows = following in _HALF_OF_DAY and _joined(words, place + 1)
    if match is None and half_follows and re.fullmatch(r"1[0-2]|0?[1-9]", core):
        return numbers.cardinal(int(core)), following.replace(".", "").upper()
    if match is None:
        return None
    hour, minute = int(match["hour"]), int(match.groupdict().get("minute") or 0)
    if half_follows:
        return numbers.clock(hour % 12 or 12, minute), following.replace(".", "").upper()
    return (_clock(hour, minute, match["half"] or "", zero=core.startswith("0")),)


def _clock(hour: int, minute: int, half: str, *, zero: bool = False) -> str:
    """A time: as written with am or pm, and so too when only a clock of 24 hours shows it."""
    half = half.replace(".", "").upper()
    if not half and (hour > 12 or hour == 0 or zero):
        half = "AM" if hour % 24 < 12 else "PM"
    face = numbers.clock(hour % 12 or 12, minute)
    if half:
        return f"{face} {half}"
    return face if minute else f"{face} o'clock"


# --- numbers ---------------------------------------------------------------------------------------


def _phone(words: Sequence[Written], place: int) -> Said | None:
    groups = shapes.phone_at(words, place)
    if groups is None:
        if _core(words, place).isdecimal() and len(_core(words, place)) in (7, 10, 11):
            digits = words[place].core
            return None if digits.endswith("000") else (_groups(shapes.grouped(digits)),)
        return None
    said = [_groups(group) for group in groups]
    return *(f"{text}," if text else "" for text in said[:-1]), said[-1]


def _groups(groups: Sequence[str]) -> str:
    return ", ".join(
        ("plus " if group.startswith("+") else "") + numbers.digits(group.lstrip("+")) for group in groups
    )


def _money(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    match = shapes.MONEY.fullmatch(core) or shapes.MONEY_AFTER.fullmatch(core)
    if match is None:
        if core == "USD" and shapes.NUMBER.fullmatch(_core(words, place + 1)):
            return "", f"{_one(_core(words, place + 1))} dollars"
        return None
    many = tables.CURRENCIES[match["sign"]][1]
    whole = int(re.sub(r"\D", "", match["whole"]))
    minus = "minus " if match["minus"] else ""
    scale = _core(words, place + 1)
    if scale in tables.SCALE_WORDS and _joined(words, place + 1):
        fraction = re.fullmatch(r"(\d+)[.,](\d+)", core.lstrip("US$€£-"))
        number = numbers.decimal(fraction[1], fraction[2]) if fraction else numbers.cardinal(whole)
        return minus + number, f"{scale} {many}"
    if match.groupdict().get("scale"):
        return (f"{minus}{numbers.cardinal(whole)} {tables.SCALES[match['scale']]} {many}",)
    return (minus + _sum(whole, int(match["cents"] or 0), match["sign"]),)


def _sum(whole: int, cents: int, sign: str) -> str:
    one, many, cent, cents_name = tables.CURRENCIES[sign]
    dollars = f"{numbers.cardinal(whole)} {one if whole == 1 else many}"
    small = f"{numbers.cardinal(cents)} {cent if cents == 1 else cents_name}"
    if cents and whole:
        return f"{dollars} and {small}"
    return small if cents else dollars


def _range(words: Sequence[Written], place: int) -> Said | None:
    """As in "8-10", "9am–5pm", "$30-$40", "5–10%", "Mon-Fri"; in three words when the dash stands alone."""
    core = words[place].core
    if core in ("-", "–", "—") and _is_limit(_core(words, place - 1)) and _is_limit(_core(words, place + 1)):
        return ("to",)
    match = _RANGE.fullmatch(core)
    if match is None or shapes.URL.fullmatch(core):
        return None
    first, last = match[1], match[2]
    opens, closes = shapes.CLOCK.fullmatch(first), shapes.CLOCK.fullmatch(last)
    if opens and closes and not closes["half"] and int(closes["hour"]) > 12:
        both = (_clock(int(each["hour"]), int(each["minute"]), "", zero=True) for each in (opens, closes))
        return (" to ".join(both),)
    if not (_is_limit(first) and _is_limit(last)):
        return None
    if first.isdigit() and last.isdigit() and len(first) > 4:
        return None
    return (f"{_one(first)} to {_one(last)}",)


def _is_limit(core: str) -> bool:
    """Whether ``core`` can be the beginning or end of a range."""
    shape = (shapes.CLOCK, shapes.HOUR, shapes.MONEY, shapes.NUMBER, _NUMBER_AND_UNIT, _ORDINAL)
    named = {*tables.DAY_NAMES, *tables.DAY_NAMES.values(), *tables.MONTH_NAMES}
    return core in named or any(pattern.fullmatch(core) for pattern in shape)


def _measure(words: Sequence[Written], place: int) -> Said | None:
    """As in "500 Mbps", "16GB", "12.5%", "100 %"."""
    core = words[place].core
    attached = _NUMBER_AND_UNIT.fullmatch(core)
    if attached and attached[2] in tables.ATTACHED_UNITS:
        one, many = tables.ATTACHED_UNITS[attached[2]]
        return (f"{_one(attached[1])} {one if attached[1] == '1' else many}",)
    unit = _core(words, place + 1)
    if shapes.NUMBER.fullmatch(core) and unit in tables.UNITS and _joined(words, place + 1):
        one, many = tables.UNITS[unit]
        return _one(core), one if core == "1" else many
    return None


def _per(words: Sequence[Written], place: int) -> Said | None:
    """As in "$30/month", "/mo"."""
    head, slash, unit = words[place].core.rpartition("/")
    if not slash or (head and not head[0].isdigit() and not shapes.MONEY.fullmatch(head)):
        return None
    if unit not in tables.PER and not tables.PER_WORDS.fullmatch(unit):
        return None
    said = f"per {tables.PER.get(unit, unit)}"
    return (f"{_one(head)} {said}" if head else said,)


def _fraction(words: Sequence[Written], place: int) -> Said | None:
    """As in "1/2", "2½"."""
    core = words[place].core
    if mixed := _MIXED_FRACTION.fullmatch(core):
        fraction = _fraction((Written(mixed[2]),), 0)
        return (f"{numbers.cardinal(int(mixed[1]))} and {_a(fraction[0])}",) if fraction else None
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})", core)
    if match is None or not 2 <= int(match[2]) <= 10 or int(match[1]) >= int(match[2]):
        return None
    upper, lower = int(match[1]), int(match[2])
    one, many = tables.FRACTIONS.get(lower, (numbers.ordinal(lower), numbers.ordinal(lower) + "s"))
    return (f"{numbers.cardinal(upper)} {one if upper == 1 else many}",)


def _a(fraction: str) -> str:
    return "a" + fraction.removeprefix("one") if fraction.startswith("one ") else fraction


def _ordinal(words: Sequence[Written], place: int) -> Said | None:
    match = _ORDINAL.fullmatch(words[place].core)
    return (numbers.ordinal(int(match[1])),) if match else None


def _plain_number(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    if re.fullmatch(r"#\d+|No\.", core):
        return ("number" if core == "No." else f"number {_one(core[1:])}",)
    if _VERSION.fullmatch(core):
        return (" point ".join(_digits(part) for part in core.split(".")),)
    match = shapes.NUMBER.fullmatch(core)
    if match is None:
        return None
    minus = "minus " if match["minus"] else ""
    whole = match["whole"]
    figures = whole.replace(",", "")
    if match["fraction"] is not None:
        return (minus + numbers.decimal(figures, match["fraction"]),)
    if "," not in whole and _is_read_out(words, place, figures):
        return (minus + _groups(shapes.grouped(figures) if len(figures) > 4 else [figures]),)
    if _YEAR.fullmatch(core):
        return (numbers.year(int(core)),)
    return (minus + numbers.cardinal(int(figures)),)


def _is_read_out(words: Sequence[Written], place: int, figures: str) -> bool:
    """Whether ``figures`` are a code, to be read digit by digit."""
    if len(figures) > 1 and figures.startswith("0"):
        return True
    if len(figures) > 4 and not figures.endswith("00"):
        return True
    previous = _core(words, place - 1).lower()
    before_that = _core(words, place - 2).lower()
    named = tables.DIGITWISE_AFTER.fullmatch(previous) or (
        previous in ("number", "no.", "is", "in") and tables.DIGITWISE_AFTER.fullmatch(before_that)
    )
    return bool(named) and len(figures) > 2


# --- letters ---------------------------------------------------------------------------------------


def _address(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    if shapes.EMAIL.fullmatch(core):
        return (_spelled_address(core),)
    location = shapes.host_and_path(core)
    return (_spelled_address(location),) if location else None


def _spelled_address(address: str) -> str:
    names = {".": " dot ", "@": " at ", "_": " underscore ", "-": " dash ", "/": " slash ", "+": " plus "}
    said = "".join(names.get(character, character) for character in address)
    said = re.sub(r"\d+", lambda match: f" {_digits(match[0])} ", said)
    return " ".join(said.split())


def _identifier(words: Sequence[Written], place: int) -> Said | None:
    """Reads "B7429" as "B, seven four two nine"; "MP3", "5G", "4K"."""
    core = words[place].core
    if not shapes.MIXED.fullmatch(core) or _ORDINAL.fullmatch(core):
        return None
    chunks = shapes.CHUNK.findall(core)
    if not all(chunk.isdigit() or chunk.isupper() or len(chunk) == 1 for chunk in chunks):
        return None
    figures = _digits if len(chunks) == 2 else numbers.digits
    said = [figures(chunk) if chunk.isdigit() else ", ".join(chunk.upper()) for chunk in chunks]
    if chunks[0].isdigit() and len(chunks) == 2:
        return (" ".join(said),)
    return (", ".join(said),)


def _spelling(words: Sequence[Written], place: int) -> Said | None:
    """Single letters and digits in a row: "B 7 4 2 9". A letter needs a comma to be read as one."""
    core = words[place].core
    if len(core) != 1 or not (core.isupper() and core.isascii()):
        return None
    following = [_core(words, place + ahead) for ahead in (1, 2)]
    alone = [len(each) == 1 and (each.isdigit() or each.isupper()) for each in following]
    previous = _core(words, place - 1)
    continues = len(previous) == 1 and previous.isupper()
    spells = alone[0] and (all(alone) or core not in "AI")
    return (f"{core},",) if spells or (continues and core not in "AI" and not words[place].tail) else None


def _abbreviation(words: Sequence[Written], place: int) -> Said | None:
    core = words[place].core
    lower = core.lower()
    if lower == "st.":
        following = _core(words, place + 1)
        is_saint = following[:1].isupper() and not _core(words, place - 1)[:1].isupper()
        return ("Saint" if is_saint else "Street",)
    if lower in tables.ABBREVIATIONS:
        return (tables.ABBREVIATIONS[lower],)
    if lower in tables.WITHOUT_DOT:
        return (tables.WITHOUT_DOT[lower],)
    if core == "x" and _core(words, place - 1)[-1:].isdigit() and _core(words, place + 1)[-1:].isdigit():
        return ("times",)
    return (tables.SYMBOLS[core],) if core in tables.SYMBOLS else None


def _capitals(words: Sequence[Written], place: int) -> Said | None:
    """Reads "DSL" letter by letter; "PIN" and what is merely shouted as words."""
    core = words[place].core
    match = _CAPITALS.fullmatch(core)
    if match is None:
        return None
    letters, plural = match[1], "'s" if match[2] else ""
    if letters in tables.CAPITALS_AS_WORDS:
        return (tables.CAPITALS_AS_WORDS[letters] + ("s" if plural else ""),)
    if tables.SHOUTED.fullmatch(letters) or (len(letters) > 3 and _can_be_said(letters)):
        return (letters.lower() + (match[2] or ""),)
    return (", ".join(letters) + plural,)


def _can_be_said(letters: str) -> bool:
    """Whether a row of capitals looks like a word: vowels, and no three consonants that none has."""
    if letters in tables.SPELLED or not re.search(r"[AEIOUY]", letters):
        return False
    return len(letters) > 4 or not re.search(r"[^AEIOUY]{3}|^[^AEIOUYSTCPGBFKDQW][^AEIOUY]", letters)


_RULES: tuple[Rule, ...] = (
    _written_date,
    _named_date,
    _time,
    _phone,
    _money,
    _abbreviation,
    _address,
    _range,
    _measure,
    _per,
    _fraction,
    _ordinal,
    _plain_number,
    _named_day,
    _identifier,
    _spelling,
    _capitals,
)
