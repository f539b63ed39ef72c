"""Is this request the carrier's? Signatures of webhooks and of the media socket's upgrade.

Checked over the address in PUBLIC_URL, never over what ``Host`` or ``X-Forwarded-*`` claim.
https://www.twilio.com/docs/usage/security and https://www.twilio.com/docs/voice/media-streams.

The computation is the SDK's ``RequestValidator``; its ``validate`` is not used: for ``wss`` it tries port
80 where 443 belongs, and it compares in time that depends on the length.
"""

import hmac
from typing import Self
from urllib.parse import urlsplit

from starlette.datastructures import Headers, ImmutableMultiDict
from twilio.request_validator import (  # type: ignore[import-untyped]
    HMAC_SHA1,
    HMAC_SHA256,
    RequestValidator,
    get_signature_algorithm,
)

from callbot.config import Settings

_SIGNATURE = "x-twilio-signature"
_SETTINGS = "x-twilio-webhooks-signature-settings"
_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}

NO_PARAMETERS: ImmutableMultiDict[str, str] = ImmutableMultiDict()


class Signatures:
    """Checks what arrives at one public address. Without an address or a secret, nothing passes.

    ``signing_key`` is the id and the secret of a shared key.
    """

    def __init__(
        self, public_url: str | None, auth_token: str | None, *, signing_key: tuple[str, str] | None = None
    ) -> None:
        url = urlsplit(public_url or "")
        self._scheme = url.scheme
        self._host = url.netloc if url.port is None else url.netloc.rpartition(":")[0]
        self._port = url.port
        self._by_token = RequestValidator(auth_token) if public_url and auth_token else None
        self._key_id = signing_key[0] if signing_key else None
        self._by_key = RequestValidator(signing_key[1]) if public_url and signing_key else None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        token, key_id, key = (
            settings.twilio_auth_token,
            settings.twilio_signing_key_id,
            settings.twilio_signing_key,
        )
        return cls(
            settings.public_url,
            token.get_secret_value() if token else None,
            signing_key=(key_id, key.get_secret_value()) if key_id and key else None,
        )

    def webhook(self, headers: Headers, target: str, form: ImmutableMultiDict[str, str]) -> bool:
        """``target``: path and query exactly as requested; ``form``: every parameter of the body."""
        return self._signed(self._scheme, headers, target, form)

    def upgrade(self, headers: Headers, target: str) -> bool:
        """The media socket's: signed over the ``wss`` address, with no parameters."""
        return self._signed("wss" if self._scheme == "https" else "ws", headers, target, NO_PARAMETERS)

    def _signed(self, scheme: str, headers: Headers, target: str, form: ImmutableMultiDict[str, str]) -> bool:
        given = headers.getlist(_SIGNATURE)
        settings = headers.getlist(_SETTINGS)
        if len(given) != 1 or len(settings) > 1:
            return False
        validator, algorithm = self._validator(settings[0] if settings else "")
        if validator is None:
            return False
        # The carrier signs now with the port and now without it. Both are computed, matching or not.
        port = self._port or _DEFAULT_PORTS[scheme]
        matches = [
            hmac.compare_digest(
                validator.compute_signature(f"{scheme}://{origin}{target}", form, algorithm).encode(),
                given[0].encode(),
            )
            for origin in (self._host, f"{self._host}:{port}")
        ]
        return any(matches)

    def _validator(self, settings: str) -> tuple[RequestValidator | None, str]:
        """Which secret signs: a named key signs with SHA-256, and no header means the auth token."""
        if not settings:
            return self._by_token, HMAC_SHA1
        fields = dict(part.strip().split("=", 1) for part in settings.split(",") if "=" in part)
        named = fields.get("key") == self._key_id and get_signature_algorithm(settings).upper() == HMAC_SHA256
        return (self._by_key if named else None), HMAC_SHA256
