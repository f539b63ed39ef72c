"""Numbers in Spanish words."""

_SMALL = [
    "cero",
    "uno",
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
    "trece",
    "catorce",
    "quince",
    "dieciséis",
    "diecisiete",
    "dieciocho",
    "diecinueve",
    "veinte",
    "veintiuno",
    "veintidós",
    "veintitrés",
    "veinticuatro",
    "veinticinco",
    "veintiséis",
    "veintisiete",
    "veintiocho",
    "veintinueve",
]
_TENS = ["-", "-", "-", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"]
_HUNDREDS = [
    "-",
    "ciento",
    "doscientos",
    "trescientos",
    "cuatrocientos",
    "quinientos",
    "seiscientos",
    "setecientos",
    "ochocientos",
    "novecientos",
]


def cardinal(number: int) -> str:
    """Any whole number, masculine; from a million millions on, digit by digit."""
    if number < 0:
        return "menos " + cardinal(-number)
    if number < 30:
        return _SMALL[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return _TENS[tens] + (f" y {_SMALL[unit]}" if unit else "")
    if number == 100:
        return "cien"
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return _HUNDREDS[hundreds] + (f" {cardinal(rest)}" if rest else "")
    if number < 10**6:
        thousands, rest = divmod(number, 1000)
        head = "mil" if thousands == 1 else f"{before_noun(thousands)} mil"
        return head + (f" {cardinal(rest)}" if rest else "")
    if number >= 10**12:
        return digits(str(number))
    millions, rest = divmod(number, 10**6)
    head = "un millón" if millions == 1 else f"{before_noun(millions)} millones"
    return head + (f" {cardinal(rest)}" if rest else "")


def before_noun(number: int) -> str:
    """Before a masculine noun "uno" loses its end: "veintiún dólares"."""
    words = cardinal(number)
    if words.endswith("veintiuno"):
        return words[: -len("veintiuno")] + "veintiún"
    return words[:-1] if words.endswith("uno") else words


def digits(text: str) -> str:
    return " ".join(_SMALL[int(digit)] for digit in text)


def decimal(whole: str, fraction: str) -> str:
    """As in "Tres coma uno cuatro"."""
    return f"{cardinal(int(whole or 0))} coma {digits(fraction)}" if fraction else cardinal(int(whole))


def clock(hour: int, minute: int) -> str:
    """The face of the clock: "tres y media", "tres y cuarto", "tres y diez"."""
    name = "una" if hour == 1 else cardinal(hour)
    match minute:
        case 0:
            return name
        case 15:
            return f"{name} y cuarto"
        case 30:
            return f"{name} y media"
        case _:
            return f"{name} y {cardinal(minute)}"
