"""What every request and every call of one process shares, built once when the process starts."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from callbot.carriers.twilio.lifecycle import Lifecycle
from callbot.carriers.twilio.signatures import Signatures
from callbot.carriers.twilio.tokens import Tokens
from callbot.config import Settings
from callbot.reception import Reception
from callbot.store.recorder import Recorder


@dataclass(slots=True, kw_only=True)
class Services:
    """``missing`` names what is not loaded yet, in words for an operator; empty means ready for calls.

    Times given to ``tokens`` are the running loop's ``time()``.
    """

    settings: Settings
    recorder: Recorder
    reception: Reception
    missing: Callable[[], tuple[str, ...]]
    signatures: Signatures
    tokens: Tokens = field(default_factory=Tokens)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    titles: Mapping[str, str] = field(default_factory=dict)
    """Agents' names to what callers know them as."""
    draining: bool = False

    def why_not_ready(self) -> tuple[str, ...]:
        draining = ("draining: this process finishes its calls and takes no more",) if self.draining else ()
        return draining + self.missing()


ServicesFactory = Callable[[Settings], AbstractAsyncContextManager[Services]]


def services_of(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services
