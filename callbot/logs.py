"""Logs: a fixed sentence plus fields, for people or for machines, with nobody's secrets in them.

Every line, ours or a library's, goes through one redactor before it is rendered, so that no handler
can be forgotten. Callers' words belong in no sentence and no field; the redactor takes out what may
slip in all the same: telephone numbers, credentials and control characters.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from callbot.config import LogFormat, Settings

_SECRET_NAMES = re.compile(
    r"token|secret|password|passwd|api_?key|signing_key$|authorization|cookie|signature", re.I
)

# Seven digits or more, as people and carriers write them; no dates, no IP addresses. A number inside an
# id (CA12345678...) touches letters and is left alone.
_PHONE_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.])(?!\d{4}-\d\d-\d\d(?!\d))(?!\d{1,3}(?:\.\d{1,3}){3}(?![\d.]))"
    r"\+?\(?\d(?:[ ().\-]{0,2}\d){6,14}(?![0-9A-Za-z])"
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/._=\-]{8,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_DEEPEST = 6


class Redactor:
    """A structlog processor. ``secrets`` are the configured values, taken out wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        longest_first = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {self._text(name): self._field(name, value) for name, value in event.items()}

    def _field(self, name: str, value: Any, depth: int = 0) -> Any:
        if _SECRET_NAMES.search(name) and isinstance(value, str | bytes):
            return "[secret]"
        if name == "exception" and isinstance(value, str):  # a traceback keeps its lines
            return "\n".join(self._text(line) for line in value.split("\n"))
        return self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self._text(value)
            case bytes() | bytearray() | memoryview():
                return f"[{len(value)} bytes]"
            case _ if depth == _DEEPEST:
                return "[deeper]"
            case Mapping():
                return {
                    self._text(str(name)): self._field(str(name), item, depth + 1)
                    for name, item in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self._value(item, depth + 1) for item in value]
            case _:
                return self._text(str(value))

    def _text(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub("[secret]", text)
        text = _URL_PASSWORD.sub(r"\1[secret]@", text)
        text = _BEARER.sub(r"\1 [secret]", text)
        text = _PHONE_NUMBER.sub("[number]", text)
        return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send every log line of this process to ``stream`` (standard error) in the format set."""
    stream = sys.stderr if stream is None else stream
    redact = Redactor(settings.secrets())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor
    if settings.log_format is LogFormat.JSON:
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                structlog.processors.TimeStamper(fmt="iso", utc=True),  # after: a time is no telephone number
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.value)
    for name in ("uvicorn", "uvicorn.error"):  # their own "started", "shutting down": we say it ourselves
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            redact,  # here too, for handlers that others attach
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def call_context(call_sid: str) -> AbstractContextManager[None]:
    """Lines logged inside, by this task and the tasks it starts, carry ``call_sid``."""
    return structlog.contextvars.bound_contextvars(call_sid=call_sid)
