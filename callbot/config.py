"""The settings: read once from the environment and ``.env``, checked, handed down.

``load`` is the only reader. What it refuses, it refuses with a ``ConfigurationError`` that names the
setting, says what was wrong and what to write; a secret's value never stands in that text.
"""

import difflib
import importlib.util
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from callbot.errors import ConfigurationError
from callbot.vendors import VENDORS, Accounts


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


_DRIVERS = {
    "postgres": "postgresql+asyncpg",  # what hosting platforms hand out
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}


class Settings(BaseSettings):
    """Everything that can be set; ``.env.example`` explains each."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    env: Environment = Field(Environment.DEVELOPMENT, validation_alias="CALLBOT_ENV")
    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(8000, ge=0, le=65535, validation_alias="PORT")
    web_concurrency: int = Field(1, ge=1, le=64, validation_alias="WEB_CONCURRENCY")
    workers: int = Field(
        default_factory=lambda fields: fields["web_concurrency"],
        ge=1,
        le=64,
        examples=["2"],
        validation_alias="CALLBOT_WORKERS",
    )
    max_calls: int = Field(100, ge=1, le=10_000, validation_alias="CALLBOT_MAX_CALLS")
    public_url: str | None = Field(None, validation_alias="PUBLIC_URL")

    twilio_account_sid: str | None = Field(None, validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: SecretStr | None = Field(None, validation_alias="TWILIO_AUTH_TOKEN")
    twilio_signing_key_id: str | None = Field(None, validation_alias="TWILIO_SIGNING_KEY_ID")
    twilio_signing_key: SecretStr | None = Field(None, validation_alias="TWILIO_SIGNING_KEY")

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    elevenlabs_api_key: SecretStr | None = Field(None, validation_alias="ELEVENLABS_API_KEY")
    elevenlabs_base_url: str | None = Field(None, validation_alias="ELEVENLABS_BASE_URL")
    deepgram_api_key: SecretStr | None = Field(None, validation_alias="DEEPGRAM_API_KEY")
    deepgram_base_url: str | None = Field(None, validation_alias="DEEPGRAM_BASE_URL")
    cartesia_api_key: SecretStr | None = Field(None, validation_alias="CARTESIA_API_KEY")
    cartesia_base_url: str | None = Field(None, validation_alias="CARTESIA_BASE_URL")

    prices: Path | None = Field(None, validation_alias="CALLBOT_PRICES")
    budget_per_call: Decimal | None = Field(
        None, gt=0, examples=["2.50"], validation_alias="CALLBOT_BUDGET_PER_CALL"
    )
    budget_per_day: Decimal | None = Field(
        None, gt=0, examples=["100"], validation_alias="CALLBOT_BUDGET_PER_DAY"
    )

    data: Path = Field(Path("calls"), validation_alias="CALLBOT_DATA")
    database_url: str = Field(
        default_factory=lambda fields: f"sqlite+aiosqlite:///{fields['data'] / 'callbot.db'}",
        validation_alias="DATABASE_URL",
    )
    company: Path | None = Field(None, validation_alias="CALLBOT_COMPANY")
    stt: str = Field("auto", validation_alias="CALLBOT_STT")
    llm: str = Field("auto", validation_alias="CALLBOT_LLM")
    tts: str = Field("auto", validation_alias="CALLBOT_TTS")
    speech_to_speech: str = Field("auto", validation_alias="CALLBOT_SPEECH_TO_SPEECH")
    whisper: Path | None = Field(None, validation_alias="CALLBOT_WHISPER")
    record: bool = Field(True, validation_alias="CALLBOT_RECORD")
    max_call_seconds: int = Field(3600, ge=10, le=86_400, validation_alias="CALLBOT_MAX_CALL_SECONDS")

    metrics_token: SecretStr | None = Field(None, min_length=16, validation_alias="CALLBOT_METRICS_TOKEN")

    log_level: LogLevel = Field(LogLevel.INFO, validation_alias="LOG_LEVEL")
    log_format: LogFormat = Field(LogFormat.CONSOLE, validation_alias="LOG_FORMAT")

    @property
    def accounts(self) -> Accounts:
        """The vendors that are configured."""
        return Accounts.of(
            {vendor: key.get_secret_value() for vendor, key in self._keys().items()},
            {vendor: getattr(self, f"{vendor}_base_url") for vendor in VENDORS},
        )

    def _keys(self) -> dict[str, SecretStr]:
        """Those that are set, by vendor."""
        keys = {vendor: getattr(self, f"{vendor}_api_key") for vendor in VENDORS}
        return {vendor: key for vendor, key in keys.items() if key is not None}

    @property
    def recordings(self) -> Path:
        return self.data / "recordings"

    @property
    def cache(self) -> Path:
        return self.data / "cache"

    @property
    def spool(self) -> Path:
        """Where records wait while the database is down."""
        return self.data / "spool.jsonl"

    def secrets(self) -> Iterator[str]:
        """The values that no log line may hold."""
        ours = (self.twilio_auth_token, self.twilio_signing_key, self.metrics_token)
        for secret in (*ours, *self._keys().values()):
            if secret is not None:
                yield secret.get_secret_value()
        if password := make_url(self.database_url).password:
            yield str(password)

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        advice = "Write scheme and host alone: PUBLIC_URL=https://bot.example.com"
        try:
            url = urlsplit(value)
            url.port  # noqa: B018 - raises on a port that is none
        except ValueError as error:
            raise ValueError(f"is not a URL ({error}). {advice}") from None
        if url.scheme not in ("https", "http") or not url.hostname:
            raise ValueError(f"is not a web address. {advice}")
        if url.path not in ("", "/") or url.query or url.fragment or url.username is not None:
            raise ValueError(f"has more than scheme, host and port. {advice}")
        if not value.isascii() or re.search(r"\s", value):
            raise ValueError(f"has characters that no host name has. {advice}")
        return value.removesuffix("/")

    @field_validator(*(f"{vendor}_base_url" for vendor in VENDORS))
    @classmethod
    def _is_a_base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in ("https", "http") or not url.hostname or url.query or url.fragment:
            raise ValueError(
                "is not the address of an interface. Write it with its path: http://localhost:11434/v1"
            )
        return value.removesuffix("/")

    @field_validator("twilio_account_sid")
    @classmethod
    def _is_an_account(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"AC[0-9a-f]{32}", value):
            raise ValueError("is not an account's id: AC and 32 hexadecimal digits. Copy it from the console")
        return value

    @field_validator("database_url")
    @classmethod
    def _has_a_driver(cls, value: str) -> str:
        advice = "Write sqlite:///path/to/file.db or postgresql://user:password@host/name"
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            raise ValueError(f"is not a database's URL. {advice}") from None
        if url.drivername not in _DRIVERS:
            raise ValueError(f"names a database we do not speak to ({url.drivername}). {advice}")
        url = url.set(drivername=_DRIVERS[url.drivername])
        _check_database(url, advice)
        return url.render_as_string(hide_password=False)

    @field_validator("company")
    @classmethod
    def _is_a_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("is not a folder. Write the path of your company's data, or nothing")
        return value

    @field_validator("prices")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("is not a file. Write the path of your own prices, or nothing")
        return value

    @field_validator("whisper")
    @classmethod
    def _is_a_models_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("is not a folder. Write the path of a Whisper model for CTranslate2, or nothing")
        return value

    @model_validator(mode="after")
    def _groups_are_whole(self) -> Self:
        _all_or_none(PUBLIC_URL=self.public_url, TWILIO_AUTH_TOKEN=self.twilio_auth_token)
        _all_or_none(
            TWILIO_SIGNING_KEY_ID=self.twilio_signing_key_id, TWILIO_SIGNING_KEY=self.twilio_signing_key
        )
        for name, value in (
            ("TWILIO_ACCOUNT_SID", self.twilio_account_sid),
            ("TWILIO_SIGNING_KEY_ID", self.twilio_signing_key_id),
        ):
            if value is not None and self.twilio_auth_token is None:
                raise ValueError(
                    f"{name} is set, but TWILIO_AUTH_TOKEN and PUBLIC_URL are not. Set all of them, or none"
                )
        return self

    @model_validator(mode="after")
    def _production_is_safe(self) -> Self:
        if self.env is not Environment.PRODUCTION:
            return self
        if self.public_url is not None and not self.public_url.startswith("https://"):
            raise ValueError(
                "PUBLIC_URL is not https, and CALLBOT_ENV is production. "
                "Write PUBLIC_URL=https://..., with the certificate the carrier will see"
            )
        for name, secret in (
            ("TWILIO_AUTH_TOKEN", self.twilio_auth_token),
            ("TWILIO_SIGNING_KEY", self.twilio_signing_key),
            ("CALLBOT_METRICS_TOKEN", self.metrics_token),
        ):
            if secret is not None and _is_placeholder(secret.get_secret_value()):
                raise ValueError(
                    f"{name} is a placeholder, not a secret, and CALLBOT_ENV is production. "
                    "Copy the real one from Twilio's console"
                )
        return self


def load(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:
    """The settings: ``overrides`` (by field name), then the environment, then ``env_file``.

    A file that does not exist is no error. Raises ``ConfigurationError`` with one line per fault.
    """
    _refuse_unknown_names(env_file)
    given = {str(Settings.model_fields[name].validation_alias): value for name, value in overrides.items()}
    reader: dict[str, Any] = {"_env_file": env_file, "_env_file_encoding": "utf-8"}
    try:
        return Settings(**reader, **given)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_lines(error))) from None


def names() -> dict[str, str]:
    """Every setting: the environment's name -> the field's."""
    return {str(field.validation_alias): name for name, field in Settings.model_fields.items()}


def _lines(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_context=False):
        if fault["type"] == "default_factory_not_called":  # the fault it depends on is reported already
            continue
        message = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:  # a group's fault names its settings itself
            yield message + "."
            continue
        name = str(fault["loc"][0])
        secret = "SecretStr" in str(Settings.model_fields[names()[name]].annotation) or name == "DATABASE_URL"
        shown = name if secret else f"{name}={fault['input']}"
        if fault["type"] == "value_error":
            yield f"{shown} {message}."
        else:
            field = Settings.model_fields[names()[name]]
            default = field.examples[0] if field.examples else field.get_default()
            yield f"{shown} cannot be used: {message[0].lower()}{message[1:]}. For example {name}={default}."


def _all_or_none(**group: object) -> None:
    unset = [name for name, value in group.items() if value is None]
    if unset and len(unset) < len(group):
        given = next(name for name in group if name not in unset)
        raise ValueError(f"{given} is set, but {' and '.join(unset)} is not. Set both, or neither")


def _check_database(url: URL, advice: str) -> None:
    if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise ValueError(f"keeps nothing: an SQLite database needs a file. {advice}")
    if url.drivername == "postgresql+asyncpg" and importlib.util.find_spec("asyncpg") is None:
        raise ValueError("needs a driver that is not installed. Run: pip install asyncpg")


_PLACEHOLDERS = ("change", "placeholder", "example", "your", "secret", "token", "xxxx", "todo", "12345678")


def _is_placeholder(secret: str) -> bool:
    text = secret.lower()
    return len(text) < 16 or len(set(text)) < 6 or any(word in text for word in _PLACEHOLDERS)


def _refuse_unknown_names(env_file: Path | None) -> None:
    """A misspelt CALLBOT_ setting would otherwise be ignored in silence."""
    ours = names()
    written: dict[str, str] = dict.fromkeys(os.environ, "the environment")
    if env_file is not None and env_file.is_file():
        written |= {name: str(env_file) for name in dotenv_values(env_file, encoding="utf-8")}
    for name, place in written.items():
        if name.upper().startswith("CALLBOT_") and name.upper() not in ours:
            close = difflib.get_close_matches(name.upper(), ours, n=1)
            meant = f"Did you mean {close[0]}?" if close else "Remove it; .env.example lists every setting."
            raise ConfigurationError(f"{name} (in {place}) is not a setting. {meant}")
