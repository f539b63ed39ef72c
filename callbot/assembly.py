"""Puts a process together from its settings: the business, the models, the voices, the records."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from callbot.agents.tools import Tools
from callbot.business import load as load_business
from callbot.carriers.twilio.signatures import Signatures
from callbot.config import Settings
from callbot.crew import hire
from callbot.demo import larkfield
from callbot.reception import Finished, Reception
from callbot.services import Services
from callbot.session import Observer
from callbot.store.recorder import Recorder


@asynccontextmanager
async def assemble(
    settings: Settings,
    *,
    observers: tuple[Observer, ...] = (),
    finished: Finished = lambda record: None,
    loading: Callable[[str], None] = lambda what: None,
) -> AsyncIterator[Services]:
    """Everything loaded and shared, until the process ends. ``loading`` is told each part before it loads.

    Raises ``ConfigurationError`` or ``ModelMissing``.
    """
    loading("the business")
    business = larkfield() if settings.company is None else load_business(settings.company, Tools())
    async with AsyncExitStack() as leaving:
        crew = await asyncio.to_thread(hire, settings, business, loading)
        leaving.push_async_callback(crew.aclose)
        loading("fixed phrases")
        await crew.warm()
        recorder = Recorder(settings.database_url, spool=settings.spool)
        await recorder.start()
        leaving.push_async_callback(recorder.aclose)
        recordings = settings.recordings if settings.record else None
        reception = Reception(crew.equip, recorder, recordings, observers=observers, finished=finished)
        leaving.callback(reception.close)
        yield Services(
            settings=settings,
            recorder=recorder,
            reception=reception,
            missing=lambda: (),
            signatures=Signatures.of(settings),
            titles={agent.name: agent.title for agent in business.agents.values()},
        )
