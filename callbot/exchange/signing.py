"""How the carrier proves that a request is its own.

Written from its manual ("Security", "Webhooks security") with nothing but ``hmac``, so that the bot's
checks are tested against a second opinion.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SIGNATURE = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"

Form = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A signing key instead of the auth token: requests are then signed with HMAC-SHA256."""

    key_id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as one account does: HMAC-SHA1 by its auth token, HMAC-SHA256 when it has a key."""

    auth_token: str
    key: SharedKey | None = None

    def webhook(self, url: str, form: Form = ()) -> dict[str, str]:
        """The headers of a request to ``url`` (exact, query string included) with this form."""
        text = url + "".join(name + value for name, value in _distinct(form))
        return self._headers(text, SIGNATURE)

    def upgrade(self, url: str) -> dict[str, str]:
        """The headers of a WebSocket handshake; ``url`` is as in the TwiML, ``wss`` and all.

        The name of the header is documented as all lower case here.
        """
        return self._headers(url, SIGNATURE.lower())

    def _headers(self, text: str, name: str) -> dict[str, str]:
        if self.key is None:
            return {name: _digest(self.auth_token, text, "sha1")}
        settings = f"key={self.key.key_id},algorithm=HMAC_SHA256"
        return {name: _digest(self.key.secret, text, "sha256"), SETTINGS: settings}


def with_body_hash(url: str, body: bytes) -> str:
    """The URL of a webhook whose body is JSON: the body's hash joins the query and so the signature."""
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}bodySHA256={hashlib.sha256(body).hexdigest()}"


def _distinct(form: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(set(form))


def _digest(secret: str, text: str, algorithm: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), algorithm)).decode()
