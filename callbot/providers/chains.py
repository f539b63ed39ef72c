"""Which providers a process uses, first choice first: from what settings name, and what keys there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from callbot.errors import ConfigurationError
from callbot.providers.accounting import Port
from callbot.vendors import VENDORS, Accounts

AUTO: Final = "auto"

_BY_KEY: Final[dict[Port, tuple[tuple[str, str], ...]]] = {
    Port.STT: (("deepgram", "deepgram"), ("openai", "openai"), ("elevenlabs", "elevenlabs")),
    Port.LLM: (("openai", "openai"),),
    Port.TTS: (
        ("elevenlabs", "elevenlabs"),
        ("cartesia", "cartesia"),
        ("openai", "openai"),
        ("deepgram", "deepgram"),
    ),
}
"""By port: the vendor whose key makes an adapter a choice, the best for calls first."""
_OF_VENDOR: Final = {
    "cartesia": "cartesia",
    "deepgram": "deepgram",
    "deepgram-flux": "deepgram",
    "elevenlabs": "elevenlabs",
    "elevenlabs-http": "elevenlabs",
    "openai": "openai",
    "openai-file": "openai",
    "openai-realtime": "openai",
    "openai-responses": "openai",
}
_OF_THIS_MACHINE: Final = frozenset(
    {
        *("espeak", "hibari", "hibari-bright", "hibari-low"),
        *("moonshine", "moonshine+whisper", "whisper", "fake"),
    }
)
USUAL: Final[dict[Port, dict[str, str]]] = {
    Port.STT: {
        "deepgram": "nova-3",
        "deepgram-flux": "flux-general-en",
        "elevenlabs": "scribe_v2_realtime",
        "openai": "gpt-live-transcribe",
        "openai-file": "gpt-transcribe",
    },
    Port.LLM: {
        "openai": "gpt-5.4-mini",
        "openai-realtime": "gpt-realtime-2.1/marin",
        "openai-responses": "gpt-5.4-mini",
    },
    Port.TTS: {
        "cartesia": "sonic-3/6ccbfb76-1fc6-48f7-b71d-91ac6298247b",
        "deepgram": "aura-2-thalia-en",
        "elevenlabs": "eleven_flash_v2_5/JBFqnCBsd6RMkjVDRZzb",
        "elevenlabs-http": "eleven_flash_v2_5/JBFqnCBsd6RMkjVDRZzb",
        "openai": "gpt-4o-mini-tts/marin",
        "openai-realtime": "gpt-realtime-2.1/marin",
    },
}
"""By port: the model, and voice, of a vendor's adapter that is named without."""
_DEEPGRAM_SPEAKS: Final = {
    "de": "aura-2-viktoria-de",
    "en": "aura-2-thalia-en",
    "es": "aura-2-celeste-es",
    "fr": "aura-2-agathe-fr",
    "it": "aura-2-livia-it",
    "ja": "aura-2-izanami-ja",
    "nl": "aura-2-rhea-nl",
}
"""Each of that vendor's voices speaks one language, which ends its name."""
_SETTING: Final = {Port.STT: "CALLBOT_STT", Port.LLM: "CALLBOT_LLM", Port.TTS: "CALLBOT_TTS"}


@dataclass(frozen=True, slots=True)
class Choice:
    """``names`` are adapters' names as in settings, first choice first. ``passed_over`` were named, and
    cannot be used: each with what is missing."""

    names: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...] = ()


def vendor_of(name: str) -> str | None:
    """The vendor that an adapter needs an account with; None for those of this machine, and for third
    parties', which look after their keys themselves."""
    return _OF_VENDOR.get(name.partition(":")[0])


def of_this_machine(name: str) -> bool:
    """Whether an adapter needs nobody else: then nobody is paid for it, and no line of its can break."""
    return name.partition(":")[0] in _OF_THIS_MACHINE


def choose(port: Port, setting: str, accounts: Accounts, *, local: Iterable[str] = ()) -> Choice:
    """What ``setting`` (``auto``, or names with commas between them) comes to. ``local`` is what this
    machine can do by itself, for the end of an ``auto`` chain.

    Raises ``ConfigurationError`` when something is named and nothing of it can be used.
    """
    if setting.strip() == AUTO:
        keyed = [
            name for vendor, name in _BY_KEY[port] if vendor in accounts and _fits(port, vendor, accounts)
        ]
        return Choice((*(whole(port, name) for name in keyed), *local))
    choice = usable(names_in(setting), accounts, port=port)
    if not choice.names:
        missing = "; ".join(f"{name}: {why}" for name, why in choice.passed_over) or "it names nothing"
        raise ConfigurationError(f"{_SETTING[port]}={setting} leaves nothing to use. {missing}")
    return choice


def choose_speech_to_speech(setting: str, accounts: Accounts) -> Choice:
    """Likewise the model that hears and speaks by itself, for the agents that think with one: of those that
    are named the first that can be used, and none for ``none``.

    Raises ``ConfigurationError`` when one is named and cannot be used.
    """
    named = names_in(setting)
    if named == ("none",):
        return Choice(())
    if named == (AUTO,):
        own = not _fits(Port.STT, "openai", accounts) if "openai" in accounts else True
        return Choice(() if own else (whole(Port.LLM, "openai-realtime"),))
    choice = usable(named, accounts, port=Port.LLM)
    if not choice.names:
        missing = "; ".join(f"{name}: {why}" for name, why in choice.passed_over) or "it names nothing"
        raise ConfigurationError(f"CALLBOT_SPEECH_TO_SPEECH={setting} leaves nothing to use. {missing}")
    return Choice(choice.names[:1], choice.passed_over)


def _fits(port: Port, vendor: str, accounts: Accounts) -> bool:
    """A server of one's own that speaks OpenAI's protocol answers; it seldom hears or speaks."""
    own = vendor == "openai" and accounts[vendor].url != VENDORS[vendor].url
    return port is Port.LLM or not own


def names_in(setting: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in setting.split(",") if name.strip())


def whole(port: Port, name: str) -> str:
    """The name with its model, so that records and prices know which it was."""
    usual = USUAL[port].get(name)
    return f"{name}:{usual}" if usual is not None else name


def usable(names: Iterable[str], accounts: Accounts, *, port: Port) -> Choice:
    """Those whose vendor there is an account with, each once."""
    good: list[str] = []
    passed_over: list[tuple[str, str]] = []
    for name in dict.fromkeys(whole(port, name) for name in names):
        vendor = vendor_of(name)
        if vendor is None or vendor in accounts:
            good.append(name)
        else:
            passed_over.append((name, f"{VENDORS[vendor].key_setting} is not set"))
    return Choice(tuple(good), tuple(passed_over))


def in_language(name: str, language: str) -> str | None:
    """The name of a voice as it speaks ``language`` (ISO 639-1): ``elevenlabs:model/voice/es``. None for a
    vendor's voice that cannot."""
    adapter, _, rest = name.partition(":")
    if adapter == "deepgram":
        if rest.rpartition("-")[2] == language:
            return name
        voice = _DEEPGRAM_SPEAKS.get(language)
        return voice and f"{adapter}:{voice}"
    parts = rest.split("/")
    if vendor_of(name) is None or language == "en" or len(parts) > 2:  # it says so itself
        return name
    return f"{adapter}:{'/'.join([*parts, '', ''][:2])}/{language}"


def voices_in(language: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those that can speak it, each once, with the names by which they do."""
    known = (in_language(name, language) for name in names)
    return tuple(dict.fromkeys(name for name in known if name))
