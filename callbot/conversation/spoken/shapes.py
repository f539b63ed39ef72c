"""The shapes of written things that every language reads in its own words."""

import re
from collections.abc import Sequence

from callbot.conversation.spoken.written import Written

EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
URL = re.compile(
    r"(?:https?://)?(?:www\.)?(?P<host>(?:[a-z0-9-]+\.)+"
    r"(?:com|org|net|edu|gov|io|co|uk|us|es|de|fr|it|mx|ca|eu|info|app|dev|me|test|example|tv))"
    r"(?P<port>:\d+)?(?P<path>/[^\s?#]*)?(?:[?#]\S*)?",
    re.IGNORECASE,
)
MONEY = re.compile(
    r"(?P<minus>-)?(?P<sign>US\$|[$€£])\s?(?P<whole>\d[\d.,]*?)(?:[.,](?P<cents>\d\d))?(?P<scale>[kKMB])?"
)
MONEY_AFTER = re.compile(r"(?P<minus>-)?(?P<whole>\d[\d.,]*?)(?:[.,](?P<cents>\d\d))?(?P<sign>[€£$])")
ISO_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?P<half>[ap]\.?m\.?)?", re.IGNORECASE)
HOUR = re.compile(r"(?P<hour>1[0-2]|0?[1-9])(?P<half>[ap]\.?m\.?)", re.IGNORECASE)
NUMBER = re.compile(r"(?P<minus>-)?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<fraction>\d+))?")
MIXED = re.compile(r"(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]{2,}")
CHUNK = re.compile(r"[A-Za-z]+|\d+")
_PHONE = re.compile(r"(?:\+?1-?)?(?:\d{3}-)?\d{3}-\d{4}|\+1(?:\d{7}|\d{10})")
_FOREIGN_PHONE = re.compile(r"\+\d[\d-]{6,16}\d")
_PHONE_PART = re.compile(r"\+?\d[\d.-]*")


def phone_at(words: Sequence[Written], place: int) -> list[list[str]] | None:
    """The groups of digits of a telephone number that begins at ``place``, for each word it takes.

    A North American number loses its country code; seven digits are 3 + 4, ten 3 + 3 + 4.
    """
    for length in (4, 3, 2, 1):
        cores = [word.core.replace(".", "-") for word in words[place : place + length]]
        if len(cores) < length or not all(_PHONE_PART.fullmatch(core) for core in cores):
            continue
        if any(word.tail in ("?", "!", ".") for word in words[place : place + length - 1]):
            continue
        if _PHONE.fullmatch("-".join(cores)):
            return _north_american(cores)
        if _FOREIGN_PHONE.fullmatch("-".join(cores)):
            return [core.split("-") for core in cores]
    return None


def _north_american(cores: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for core in cores:
        if core in ("+1", "1"):
            groups.append([])
        elif "-" in core:
            parts = core.split("-")
            groups.append([part for part in parts if part not in ("+1", "1")])
        else:
            digits = core.removeprefix("+1") if len(core) > 7 else core
            groups.append([digits] if len(core) <= 4 else grouped(digits))
    return groups


def grouped(digits: str) -> list[str]:
    """Seven digits as 3 + 4, ten as 3 + 3 + 4, others in threes with up to four at the end."""
    if len(digits) <= 4:
        return [digits]
    return [digits[:3], *grouped(digits[3:])]


def host_and_path(url: str) -> str | None:
    """What of a web address is worth saying: no scheme, ``www.``, port or query."""
    match = URL.fullmatch(url)
    if match is None:
        return None
    return match["host"] + (match["path"] or "").rstrip("/")
