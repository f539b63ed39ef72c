"""What can go wrong, as one tree.

CallbotError
├── BadMessage            the carrier sent something that is not a message; counted and skipped
├── ConfigurationError    a setting, flow or scenario is wrong; says which, what, and what to write
├── ProviderError         an adapter's vendor or model failed (``retryable`` says if again may help)
│   └── ModelMissing      a local model's files are absent or not the ones we pinned
└── InvalidState          a bug of ours: a method was called when it must not be
"""


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
    """A vendor or a model failed, already translated from its own words."""

    def __init__(self, detail: str, *, retryable: bool) -> None:
        super().__init__(detail)
        self.retryable = retryable


class ModelMissing(ProviderError):
    """A local model cannot be loaded; the text names the package to install or the file that differs."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retryable=False)


class InvalidState(CallbotError):
    """Our own bug."""
