"""What can go wrong, as one tree.

CallbotError
├── BadMessage            the carrier sent something that is not a message; counted and skipped
├── ConfigurationError    a setting, flow or scenario is wrong; says which, what, and what to write
├── ProviderError         a vendor or a model failed (``trouble`` says how, ``retryable`` if again may help)
│   └── ModelMissing      a local model's files are absent or not the ones we pinned
└── InvalidState          a bug of ours: a method was called when it must not be
"""

from enum import StrEnum


class Trouble(StrEnum):
    """How a provider failed, in one word for counters and records."""

    AUTH = "auth"
    """The key is wrong, or may not do this: no retry helps."""
    QUOTA = "quota"
    """The money is spent: no retry helps."""
    BUDGET = "budget"
    """Our own: it would have cost more than may be spent."""
    RATE_LIMITED = "rate_limited"
    """Too many requests, or too many at once; ``retry_after`` says when to come back, if it was told."""
    UNAVAILABLE = "unavailable"
    """The vendor says that it has trouble (5xx)."""
    REJECTED = "rejected"
    """It does not take this request: a model that is not there, a bad argument (4xx)."""
    TOO_LONG = "too_long"
    """The request holds more than the model can read."""
    CONNECT = "connect"
    """No connection, or none in time."""
    SLOW = "slow"
    """Connected, and the first piece did not come in time."""
    STALLED = "stalled"
    """It had begun, and the next piece did not come in time."""
    CUT = "cut"
    """The connection broke before the end."""
    EMPTY = "empty"
    """It ended without having given anything."""
    BAD_FORMAT = "bad_format"
    """What came is not what the vendor documents."""
    DEAF = "deaf"
    """Speech was sent, and no word came back."""
    FAILED = "failed"
    """Anything else, a bug in a local model for instance."""


class CallbotError(Exception):
    """The root: catch it at an edge, never in the middle."""


class BadMessage(CallbotError):
    """The peer's fault. ``kind`` is one short word for the counter: ``json``, ``base64``, ``binary``..."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class ConfigurationError(CallbotError):
    """A human wrote something we cannot use. The text says where, what was wrong and what to write."""


class ProviderError(CallbotError):
    """A vendor or a model failed, already translated from its own words.

    ``retryable``: the same request may succeed if it is made again. ``retry_after`` is in seconds, from
    the vendor. ``provider`` is the adapter's name, as in settings.
    """

    def __init__(
        self,
        detail: str,
        *,
        retryable: bool,
        trouble: Trouble = Trouble.FAILED,
        retry_after: float | None = None,
        provider: str = "",
    ) -> None:
        super().__init__(detail)
        self.retryable = retryable
        self.trouble = trouble
        self.retry_after = retry_after
        self.provider = provider


class ModelMissing(ProviderError):
    """A local model cannot be loaded; the text names the package to install or the file that differs."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retryable=False)


class InvalidState(CallbotError):
    """Our own bug."""
