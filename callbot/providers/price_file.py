"""Reads ``prices.yaml`` and the user's own; what is wrong with an entry is said with its name."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import yaml

from callbot.errors import ConfigurationError
from callbot.providers.accounting import Unit
from callbot.providers.prices import Price, Prices, Table

FILE: Final = Path(__file__).parent / "prices.yaml"

_TIMES: Final = {"second": Decimal(1), "minute": Decimal(60), "hour": Decimal(3600)}
_NUMBERS: Final = {"one": Decimal(1), "thousand": Decimal(1_000), "million": Decimal(1_000_000)}
_PER: Final[Mapping[Unit, Mapping[str, Decimal]]] = {
    Unit.SECONDS_HEARD: _TIMES,
    Unit.MINUTES_CARRIED: {"minute": Decimal(1), "hour": Decimal(60)},
    Unit.TOKENS_READ: _NUMBERS,
    Unit.TOKENS_CACHED: _NUMBERS,
    Unit.TOKENS_WRITTEN: _NUMBERS,
    Unit.AUDIO_TOKENS_READ: _NUMBERS,
    Unit.AUDIO_TOKENS_CACHED: _NUMBERS,
    Unit.AUDIO_TOKENS_WRITTEN: _NUMBERS,
    Unit.CHARACTERS_SPOKEN: _NUMBERS,
}
_UNITS: Final = frozenset(Unit)
_KEYS: Final = frozenset({"vendor", "model", "per", "page", "dated", "estimate", "whole"})


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 0.1 is 0.1."""


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | str:
    text = str(node.value)
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:  # .inf and .nan
        return text


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def load(own: Path | None = None) -> Prices:
    """The shipped prices, and on top of them those of the user's file ``own``.

    Raises ``ConfigurationError``: one line for each problem, with the entry that has it.
    """
    shipped = _read(FILE)
    if own is None:
        return Prices((shipped,))
    theirs = _read(own)
    if theirs.currency != shipped.currency:
        raise ConfigurationError(
            f"{own.name}: the currency is {theirs.currency}, and the other prices are in {shipped.currency}; "
            f"write your prices in {shipped.currency}"
        )
    return Prices((theirs, shipped))


def _read(path: Path) -> Table:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path.name}: there is no such file in {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name}: it cannot be read: {error}") from None
    return parse(text, path.name)


def parse(text: str, file: str) -> Table:
    """One file's text; ``file`` is the name to show in errors."""
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        raise ConfigurationError(f"{file}: this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{file}: write 'prices:' and under it a list of entries")
    problems = [
        f"{file}: there is no key {key!r}; write one of: currency, free, prices"
        for key in data
        if key not in ("currency", "free", "prices")
    ]
    free, entries = data.get("free") or [], data.get("prices") or []
    if not isinstance(free, list) or not all(isinstance(pattern, str) for pattern in free):
        problems.append(f"{file}: free: write a list of providers' names")
        free = []
    if not isinstance(entries, list):
        problems.append(f"{file}: prices: write a list of entries")
        entries = []
    prices: dict[tuple[str, str, Unit], Price] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{file}: {_title(number, entry)}"
        try:
            for price in _prices(entry):
                if (price.vendor, price.model, price.unit) in prices:
                    raise _Wrong(f"{price.unit} of {price.model} has a price already; remove one of them")
                prices[price.vendor, price.model, price.unit] = price
        except _Wrong as wrong:
            problems.append(f"{where}: {wrong}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Table(str(data.get("currency", "USD")), tuple(prices.values()), tuple(free))


class _Wrong(Exception):
    """What is wrong with an entry, and what to write."""


def _title(number: int, entry: object) -> str:
    if not isinstance(entry, dict) or not (
        named := [entry[key] for key in ("vendor", "model") if key in entry]
    ):
        return f"entry {number}"
    return f"entry {number} ({' '.join(str(name) for name in named)})"


def _prices(entry: object) -> Iterator[Price]:
    if not isinstance(entry, dict):
        raise _Wrong("write vendor, model, per, page, dated and at least one unit with its price")
    unknown = [key for key in entry if key not in _KEYS and key not in _UNITS]
    if unknown:
        raise _Wrong(f"there is no key {unknown[0]!r}; units are {', '.join(Unit)}")
    units = [unit for unit in Unit if unit in entry]
    if not units:
        raise _Wrong(f"no unit has a price; write at least one of: {', '.join(Unit)}")
    models = entry.get("model")
    for model in models if isinstance(models, list) and models else [models]:
        for unit in units:
            yield Price(
                vendor=_text(entry, "vendor"),
                model=_pattern(model),
                unit=unit,
                price=_price(entry[unit], unit),
                per=_per(entry.get("per"), unit),
                dated=_date(entry.get("dated")),
                page=_text(entry, "page"),
                estimate=_truth(entry, "estimate"),
                whole=_truth(entry, "whole"),
            )


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise _Wrong(f"{key} is missing; add a line '{key}: ...'")
    return value


def _pattern(model: object) -> str:
    if isinstance(model, Decimal | int) or not model:
        raise _Wrong('model is missing, or a number; write a name in quotes, or "*" for all')
    return str(model)


def _price(value: object, unit: Unit) -> Decimal:
    try:
        price = Decimal(value) if isinstance(value, Decimal | int | str) else None
    except InvalidOperation:
        price = None
    if price is None or isinstance(value, bool) or not price.is_finite() or price < 0:
        raise _Wrong(f"{unit}: {value!r} is no price; write a number like 0.75")
    return price


def _per(value: object, unit: Unit) -> Decimal:
    known = _PER[unit]
    if value not in known:
        raise _Wrong(f"{unit} has no price per {value!r}; write 'per: ' and one of: {', '.join(known)}")
    return known[str(value)]


def _date(value: object) -> date:
    if not isinstance(value, date):
        raise _Wrong("dated is missing, or no date; write the day on which you saw the price: 2026-11-26")
    return value


def _truth(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise _Wrong(f"{key}: {value!r}; write true or false")
    return value
