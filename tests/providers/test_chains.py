from collections.abc import Mapping

import pytest

from callbot.errors import ConfigurationError
from callbot.providers.accounting import Port
from callbot.providers.chains import (
    USUAL,
    Choice,
    choose,
    choose_speech_to_speech,
    in_language,
    of_this_machine,
    usable,
    vendor_of,
    voices_in,
)
from callbot.providers.registry import LLM, SPEECH_TO_SPEECH, STT, TTS
from callbot.vendors import Accounts


def accounts(*vendors: str, url: str | None = None) -> Accounts:
    return Accounts.of(dict.fromkeys(vendors, "key-4f3e2d1c0b"), {"openai": url})


def test_without_keys_this_machine_does_it_all() -> None:
    assert choose(Port.STT, "auto", accounts(), local=["moonshine"]) == Choice(("moonshine",))
    assert choose(Port.TTS, "auto", accounts()) == Choice(())
    assert choose(Port.LLM, "auto", accounts()) == Choice(())


def test_a_key_puts_its_vendor_first_and_this_machine_last() -> None:
    choice = choose(Port.STT, "auto", accounts("openai", "deepgram"), local=["moonshine"])
    assert choice.names == ("deepgram:nova-3", "openai:gpt-live-transcribe", "moonshine")
    voices = choose(Port.TTS, "auto", accounts("cartesia", "elevenlabs", "openai")).names
    assert [name.partition(":")[0] for name in voices] == ["elevenlabs", "cartesia", "openai"]


def test_a_server_of_ones_own_thinks_and_does_not_hear_or_speak() -> None:
    own = accounts(url="http://localhost:11434/v1")
    assert choose(Port.LLM, "auto", own).names == ("openai:gpt-5.4-mini",)
    assert choose(Port.STT, "auto", own, local=["moonshine"]).names == ("moonshine",)
    assert choose(Port.TTS, "auto", own).names == ()


def test_what_is_named_is_used_in_the_order_given() -> None:
    named = "deepgram:nova-3, openai ,moonshine"
    assert choose(Port.STT, named, accounts("openai", "deepgram")).names == (
        "deepgram:nova-3",
        "openai:gpt-live-transcribe",
        "moonshine",
    )


def test_what_is_named_without_its_key_is_passed_over_and_told() -> None:
    choice = choose(Port.STT, "deepgram,moonshine", accounts())
    assert choice == Choice(("moonshine",), (("deepgram:nova-3", "DEEPGRAM_API_KEY is not set"),))


@pytest.mark.parametrize("setting", ["elevenlabs", "elevenlabs:eleven_flash_v2_5/abc,openai", " , "])
def test_a_chain_of_which_nothing_is_left_says_what_is_missing(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOT_TTS=.*leaves nothing to use"):
        choose(Port.TTS, setting, accounts())


def test_an_adapter_is_used_once() -> None:
    assert usable(["moonshine", "moonshine"], accounts(), port=Port.STT).names == ("moonshine",)


def test_a_vendors_adapter_is_known_with_its_model() -> None:
    named = usable(["openai", "openai:gpt-transcribe"], accounts("openai"), port=Port.STT).names
    assert named == ("openai:gpt-live-transcribe", "openai:gpt-transcribe")


def test_every_adapter_of_a_vendor_is_known_to_need_its_key() -> None:
    local = {
        "fake",
        "moonshine",
        "moonshine+whisper",
        "whisper",
        "espeak",
        "hibari",
        "hibari-bright",
        "hibari-low",
    }
    for name in {*STT, *LLM, *TTS, *SPEECH_TO_SPEECH} - local:
        assert vendor_of(name) is not None, name
        assert not of_this_machine(name)
    for name in local:
        assert vendor_of(name) is None
        assert of_this_machine(f"{name}:es")
    assert not of_this_machine("parrot")  # a third party's: nobody knows what stands behind it


@pytest.mark.parametrize(
    ("port", "table"), [(Port.STT, STT), (Port.LLM, LLM | SPEECH_TO_SPEECH), (Port.TTS, TTS)]
)
def test_every_adapter_of_a_vendor_has_a_model_that_is_used_when_none_is_named(
    port: Port, table: Mapping[str, str]
) -> None:
    assert {name for name in table if vendor_of(name)} == set(USUAL[port])


# --- voices and languages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "language", "spoken"),
    [
        ("elevenlabs:m/v", "es", "elevenlabs:m/v/es"),
        ("elevenlabs:m/v", "en", "elevenlabs:m/v"),
        ("elevenlabs:m/v/fr", "es", "elevenlabs:m/v/fr"),
        ("openai:m", "es", "openai:m//es"),
        ("deepgram:aura-2-thalia-en", "en", "deepgram:aura-2-thalia-en"),
        ("deepgram:aura-2-thalia-en", "es", "deepgram:aura-2-celeste-es"),
        ("deepgram:aura-2-nestor-es", "es", "deepgram:aura-2-nestor-es"),
        ("deepgram:aura-2-nestor-es", "en", "deepgram:aura-2-thalia-en"),
        ("deepgram:aura-2-thalia-en", "pl", None),
        ("espeak:es", "es", "espeak:es"),
    ],
)
def test_a_voice_is_named_as_it_speaks_a_language_and_one_that_cannot_is_not(
    name: str, language: str, spoken: str | None
) -> None:
    assert in_language(name, language) == spoken
    assert voices_in(language, [name, name]) == ((spoken,) if spoken else ())


# --- a model that hears and speaks by itself ---------------------------------------------------------

REALTIME = "openai-realtime:gpt-realtime-2.1/marin"


def test_a_key_brings_a_model_that_hears_and_speaks_by_itself() -> None:
    assert choose_speech_to_speech("auto", accounts("openai", "deepgram")) == Choice((REALTIME,))
    assert choose_speech_to_speech("auto", accounts("deepgram")) == Choice(())
    assert choose_speech_to_speech("auto", accounts(url="http://localhost:11434/v1")) == Choice(())
    assert choose_speech_to_speech("none", accounts("openai")) == Choice(())


def test_the_first_that_is_named_and_can_be_used_is_it() -> None:
    named = "openai-realtime:gpt-realtime-1.5/cedar, openai-realtime"
    choice = choose_speech_to_speech(named, accounts("openai"))
    assert choice.names == ("openai-realtime:gpt-realtime-1.5/cedar",)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        choose_speech_to_speech("openai-realtime", accounts())
    with pytest.raises(ConfigurationError, match="it names nothing"):
        choose_speech_to_speech(" ", accounts("openai"))
