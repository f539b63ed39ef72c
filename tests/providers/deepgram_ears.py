"""What the tests of Deepgram's two recognisers have in common."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callbot.errors import ProviderError
from callbot.providers.inference import InferencePool
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Models, hearing
from callbot.providers.stt.deepgram import DeepgramDialect
from callbot.providers.stt.deepgram_flux import FluxDialect
from callbot.vendors import Accounts
from tests.doubles.deepgram import DeepgramDouble
from tests.doubles.plan import Fault, Plan
from tests.providers.deepgram_audio import LOUD, QUIET, WORD_BYTES, hear

TWO, FOUR = LOUD * 2 * WORD_BYTES, LOUD * 4 * WORD_BYTES
PAUSE = QUIET * 800
KEY = "dg-key"


@dataclass(frozen=True, slots=True)
class Recogniser:
    """``name`` is as in settings, ``endpoint`` the double's."""

    name: str
    endpoint: str
    dialect: type[DeepgramDialect] | type[FluxDialect]

    @asynccontextmanager
    async def call(
        self,
        pool: InferencePool,
        *faults: Fault,
        name: str = "",
        languages: tuple[str, ...] = ("en",),
        key: str = KEY,
        **conduct: Any,
    ) -> AsyncIterator[tuple[SpeechToText, Plan]]:
        """One call's ears; after it the double has seen that they have left."""
        plan = Plan()
        plan.add(self.endpoint, *faults)
        async with DeepgramDouble(plan, hear=hear, **conduct) as double:
            accounts = Accounts.of({"deepgram": key}, {"deepgram": double.url})
            models = Models(pool, cache=Path(), accounts=accounts)
            ears = hearing(name or self.name, models).for_call(languages)
            try:
                yield ears, plan
            finally:
                await ears.aclose()
                await gone(plan)

    async def failure(self, ears: SpeechToText) -> ProviderError:
        with pytest.raises(ProviderError) as failed:
            await next_final(ears)
        assert failed.value.provider == self.name
        assert KEY not in str(failed.value)
        return failed.value


LISTEN = Recogniser("deepgram:nova-3", "listen", DeepgramDialect)
FLUX = Recogniser("deepgram-flux:flux-general-en", "flux", FluxDialect)


async def gone(plan: Plan) -> None:
    """The double has seen that its clients have left."""
    async with asyncio.timeout(2):
        while plan.open:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def send(ears: SpeechToText, audio: bytes) -> None:
    for at in range(0, len(audio), 480):
        ears.send(audio[at : at + 480])


async def next_final(ears: SpeechToText) -> Transcribed:
    async with asyncio.timeout(5):
        async for event in ears.events():
            if event.final:
                return event
    raise AssertionError("closed")
