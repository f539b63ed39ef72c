"""A recogniser while it is open, and whoever listens to it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from callbot.errors import ProviderError, Trouble
from callbot.providers.ports import SpeechToText, Transcribed

log = structlog.get_logger(__name__)


class Owner(Protocol):
    def heard(self, recogniser: "Recogniser", event: Transcribed) -> None: ...
    def broke(self, recogniser: "Recogniser", error: ProviderError) -> None: ...


class Recogniser:
    """``name`` is as in settings. ``since`` is when it was opened, on the loop's clock."""

    def __init__(self, name: str, ears: SpeechToText, owner: Owner) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.ears = ears
        self.since = loop.time()
        self.unpaid = 0
        """Bytes that it was given and nobody was told of."""
        self._owner: Owner | None = owner
        self._listening = loop.create_task(self._listen(), name=f"ears {name}: listening")

    def send(self, audio: bytes) -> None:
        self.ears.send(audio)
        self.unpaid += len(audio)

    def close(self, closed: Callable[["asyncio.Task[None]"], None]) -> "asyncio.Task[None]":
        """From now on its owner hears nothing of it. Its goodbye, which may take a second, keeps nobody
        waiting; ``closed`` is called with the task that says it."""
        self._owner = None
        closing = asyncio.get_running_loop().create_task(self._close(), name=f"ears {self.name}: closing")
        closing.add_done_callback(closed)
        return closing

    async def _listen(self) -> None:
        try:
            async for event in self.ears.events():
                if self._owner is not None:
                    self._owner.heard(self, event)
            error = failure(self.name, Trouble.CUT, "it stopped listening")
        except ProviderError as its_own:
            error = its_own
        except Exception as bug:  # in an adapter: others may hear this call
            log.exception("an adapter broke", provider=self.name)
            error = ProviderError(f"{self.name}: {type(bug).__name__}", retryable=False, provider=self.name)
        if self._owner is not None:
            self._owner.broke(self, error)

    async def _close(self) -> None:
        try:
            await self.ears.aclose()
        except ProviderError as error:
            log.warning("a recogniser was not closed well", provider=self.name, reason=str(error))
        finally:
            self._listening.cancel()
            await asyncio.wait([self._listening])


def failure(provider: str, trouble: Trouble, what: str) -> ProviderError:
    """What we found out ourselves."""
    return ProviderError(f"{provider}: {what}", retryable=True, trouble=trouble, provider=provider)
