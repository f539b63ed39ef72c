"""Accounts with vendors: where each is reached, and with which key.

The only place that knows which settings a vendor has. Adapters are given an ``Account``; they never read
settings, and the names of their models stand in the chain that names them (``deepgram:nova-3``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from callbot.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Account:
    """``url`` is the base of the vendor's REST interface, without a slash at its end."""

    vendor: str
    url: str
    key: str = field(repr=False)

    @property
    def socket_url(self) -> str:
        """The same for WebSockets."""
        scheme, _, rest = self.url.partition("://")
        return f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}"


@dataclass(frozen=True, slots=True)
class Vendor:
    """``key_setting`` and ``url_setting`` are what the SDKs of the vendor read, too."""

    title: str
    key_setting: str
    url_setting: str
    url: str

    def base(self, url: str) -> str:
        """``url`` as it was set, as a base. Those who have no path of their own name it in each request, and
        may have been given the beginning of it."""
        url = url.strip().rstrip("/")
        return url if self.url.endswith("/v1") else url.removesuffix("/v1")


VENDORS: Final[Mapping[str, Vendor]] = {
    "openai": Vendor("OpenAI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "elevenlabs": Vendor(
        "ElevenLabs", "ELEVENLABS_API_KEY", "ELEVENLABS_BASE_URL", "https://api.elevenlabs.io"
    ),
    "deepgram": Vendor("Deepgram", "DEEPGRAM_API_KEY", "DEEPGRAM_BASE_URL", "https://api.deepgram.com"),
    "cartesia": Vendor("Cartesia", "CARTESIA_API_KEY", "CARTESIA_BASE_URL", "https://api.cartesia.ai"),
}

NO_KEY: Final = "none"
"""What a server of one's own is sent, which asks for no key."""


class Unconfigured(ConfigurationError):
    """A vendor is named whose key is not set."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """``given`` is by vendor, and holds those that are configured."""

    given: Mapping[str, Account] = field(default_factory=dict)

    @classmethod
    def of(cls, keys: Mapping[str, str | None], urls: Mapping[str, str | None]) -> "Accounts":
        """From what is set, by vendor. A server of one's own (a URL without a key) is an account too."""
        given = {}
        for name, vendor in VENDORS.items():
            key, url = keys.get(name), urls.get(name)
            if key or url:
                given[name] = Account(name, vendor.base(url or vendor.url), key or NO_KEY)
        return cls(given)

    def __contains__(self, vendor: str) -> bool:
        return vendor in self.given

    def __getitem__(self, vendor: str) -> Account:
        """Raises ``Unconfigured``, which says what to set."""
        if vendor not in self.given:
            about = VENDORS[vendor]
            raise Unconfigured(
                f"{about.title} is named, but {about.key_setting} is not set. Write it into .env"
            )
        return self.given[vendor]
