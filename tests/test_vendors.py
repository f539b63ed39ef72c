import pytest

from callbot.config import load
from callbot.errors import ConfigurationError
from callbot.vendors import NO_KEY, VENDORS, Account, Accounts, Unconfigured


def test_a_vendor_without_a_key_says_what_to_set() -> None:
    for name, vendor in VENDORS.items():
        with pytest.raises(Unconfigured, match=vendor.key_setting):
            Accounts()[name]


def test_a_key_makes_an_account_at_the_vendors_own_address() -> None:
    accounts = load(None, deepgram_api_key="dg-4f3e2d1c0b").accounts
    assert list(accounts.given) == ["deepgram"]
    assert accounts["deepgram"].url == "https://api.deepgram.com"
    assert accounts["deepgram"].socket_url == "wss://api.deepgram.com"


@pytest.mark.parametrize("name", VENDORS)
def test_every_vendor_has_its_settings_and_its_key_is_a_secret(name: str) -> None:
    settings = load(None, **{f"{name}_api_key": "key-4f3e2d1c0b", f"{name}_base_url": "http://127.0.0.1:9/"})
    assert settings.accounts[name] == Account(name, "http://127.0.0.1:9", "key-4f3e2d1c0b")
    assert "key-4f3e2d1c0b" in set(settings.secrets())
    fields = type(settings).model_fields
    assert fields[f"{name}_api_key"].validation_alias == VENDORS[name].key_setting
    assert fields[f"{name}_base_url"].validation_alias == VENDORS[name].url_setting
    with pytest.raises(ConfigurationError, match=VENDORS[name].url_setting):
        load(None, **{f"{name}_base_url": "not an address"})


@pytest.mark.parametrize(
    ("name", "written", "url", "socket"),
    [
        ("deepgram", "https://api.example.com/v1/", "https://api.example.com", "wss://api.example.com"),
        ("elevenlabs", "https://eu.example.com//", "https://eu.example.com", "wss://eu.example.com"),
        ("cartesia", "HTTPS://api.example.com", "HTTPS://api.example.com", "wss://api.example.com"),
        ("openai", "http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "ws://127.0.0.1:8000/v1"),
        (
            "openai",
            "https://proxy.example.com/ai",
            "https://proxy.example.com/ai",
            "wss://proxy.example.com/ai",
        ),
    ],
)
def test_an_address_is_a_base_however_it_is_written(name: str, written: str, url: str, socket: str) -> None:
    account = load(None, **{f"{name}_api_key": "key-4f3e2d1c0b", f"{name}_base_url": written}).accounts[name]
    assert (account.url, account.socket_url) == (url, socket)


def test_a_server_of_ones_own_needs_no_key() -> None:
    account = load(None, openai_base_url="http://localhost:11434/v1/").accounts["openai"]
    assert (account.url, account.key) == ("http://localhost:11434/v1", NO_KEY)
    assert account.socket_url == "ws://localhost:11434/v1"


def test_a_key_does_not_show_when_an_account_is_printed() -> None:
    settings = load(None, openai_api_key="sk-9a8b7c6d5e4f")
    assert "sk-9a8b7c6d5e4f" not in repr(settings.accounts)
    assert "sk-9a8b7c6d5e4f" in set(settings.secrets())
