"""Puts a process together from its settings: the business, the models, the voices, the records."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from callbot.agents.tools import Tools
from callbot.business import load as load_business
from callbot.carriers.twilio.signatures import Signatures
from callbot.config import Settings
from callbot.crew import hire
from callbot.daybook import DayBook
from callbot.demo import larkfield
from callbot.detection import Detection
from callbot.metrics.calls import CallMeter
from callbot.metrics.exposition import Exposition
from callbot.metrics.instruments import Metrics
from callbot.metrics.sampler import Sampler, Sources
from callbot.providers.inference import InferencePool
from callbot.reception import Finished, Reception
from callbot.services import Services
from callbot.session import Observer
from callbot.store.recorder import Recorder


@asynccontextmanager
async def assemble(
    settings: Settings,
    *,
    tools: Tools | None = None,
    observers: tuple[Observer, ...] = (),
    finished: Finished = lambda record: None,
    loading: Callable[[str], None] = lambda what: None,
) -> AsyncIterator[Services]:
    """Everything loaded and shared, until the process ends. ``tools`` are what the agents of a company of
    one's own may call; ``loading`` is told each part before it loads.

    Raises ``ConfigurationError`` or ``ModelMissing``.
    """
    loading("the business")
    business = larkfield() if settings.company is None else load_business(settings.company, tools or Tools())
    async with AsyncExitStack() as leaving:
        crew = await asyncio.to_thread(hire, settings, business, loading)
        leaving.push_async_callback(crew.aclose)
        loading("fixed phrases")
        await crew.warm()
        recorder = Recorder(settings.database_url, spool=settings.spool)
        await recorder.start()
        leaving.push_async_callback(recorder.aclose)
        book = DayBook(crew.purse, recorder, settings.database_url)
        await leaving.enter_async_context(book.open())
        recordings = settings.recordings if settings.record else None
        metrics = Metrics()
        meter = CallMeter(metrics)
        reception = Reception(
            crew.equip,
            recorder,
            recordings,
            observers=(meter.observe, *observers),
            finished=finished,
            prices=crew.purse.prices,
        )
        leaving.push_async_callback(reception.aclose)
        token = settings.metrics_token
        services = Services(
            exposition=Exposition(metrics, token=token.get_secret_value() if token is not None else None),
            settings=settings,
            recorder=recorder,
            reception=reception,
            missing=lambda: (),
            signatures=Signatures.of(settings),
            numbers=business.numbers,
            ringing=crew.ringing,
            queue=lambda: crew.models.pool.waiting / crew.models.pool.threads,
            titles={agent.name: agent.title for agent in business.agents.values()},
        )
        for port, names in crew.providers().items():
            metrics.expect(port, names)
        sources = replace(watched(services, crew.detection, crew.models.pool), breakers=crew.breakers)
        await leaving.enter_async_context(Sampler(metrics, meter, sources).running())
        yield services


def watched(services: Services, detection: Detection, inference: InferencePool) -> Sources:
    """Where the numbers of a process are."""
    reception, counts = services.reception, services.counts
    return Sources(
        live=lambda: {call_sid: session.pace for call_sid, session in reception.live.items()},
        past=reception.past,
        recorder=services.recorder,
        detection=detection,
        inference=inference,
        refused=counts.refused,
        bad_messages=counts.bad_messages,
        heard=services.load.heard,
        admitted=lambda: counts.admitted,
        resumed=lambda: counts.resumed,
        lost=lambda: counts.lost,
        recordings_disabled=lambda: reception.recordings_disabled,
        seats=lambda: services.seats.total,
        full=lambda: services.load.full(services.seats.live_calls()) is not None,
        draining=lambda: services.draining,
    )
