"""Ears made of ears: when a recogniser fails, the next hears the utterance from its beginning.

A recogniser has failed when it says so, when it is deaf (there is speech and no text), and when a final does
not come. Then what was said is not lost: it is kept, and sent again. The same is done when there is no more
money for the one that hears, in the midst of an utterance as well: it is asked for a few seconds at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from callbot.errors import ProviderError, Trouble
from callbot.providers.accounting import Mending, Most, Port, Report, Unit, Used
from callbot.providers.breaker import Breakers
from callbot.providers.budget import UNLIMITED, Allowance, Hold
from callbot.providers.chain import Attempts, Chain, over_budget
from callbot.providers.deadlines import STT, EarDeadlines
from callbot.providers.ports import SpeechToText, Transcribed
from callbot.providers.registry import Hearing
from callbot.providers.stt.keeping import KeptUtterance
from callbot.providers.stt.opened import Recogniser, failure

REMEMBERED: Final = 4
"""Utterances: the present one, those whose final is awaited, and those that a final may come of twice."""
PROVEN_AFTER: Final = 5.0
"""Seconds. A connection that lasted so long and is cut while nobody speaks was cut for being idle."""
BACK_AFTER: Final = 10.0
"""Seconds from a recogniser's failure until the same call prefers it again, if its breaker allows it."""
AHEAD: Final = 5.0
"""Seconds of audio for which money is set aside at a time."""
CLOCK_STEP: Final = 0.002

Open = Callable[[], SpeechToText]


class FallbackHearing:
    """A ``Hearing`` that holds some, by name as in settings, the preferred one first.

    Made for each call, which is told by ``report``; ``breakers`` are the process's, and ``allowance`` is
    asked for the seconds to be heard. ``only_finals`` names those that tell nothing before they are flushed,
    which are not deaf for that.
    """

    def __init__(
        self,
        hearings: Mapping[str, Hearing],
        *,
        breakers: Breakers,
        report: Report,
        allowance: Allowance = UNLIMITED,
        deadlines: EarDeadlines = STT,
        only_finals: Collection[str] = (),
    ) -> None:
        self._hearings = hearings
        self._breakers = breakers
        self._allowance = allowance
        self._report = report
        self._deadlines = deadlines
        self._only_finals = only_finals

    def for_call(self, languages: Sequence[str]) -> SpeechToText:
        links: dict[str, Open] = {
            name: partial(hearing.for_call, languages) for name, hearing in self._hearings.items()
        }
        chain = Chain(
            Port.STT, links, breakers=self._breakers, report=self._report, allowance=self._allowance
        )
        return FallbackEars(chain, deadlines=self._deadlines, only_finals=self._only_finals)


class FallbackEars:
    """Hears one call. On the event loop's thread.

    The first recogniser is opened at once, others when they are needed. An utterance begins with the
    recogniser that is open, unless one that is preferred to it may be well again. A cut is answered by
    connecting to the same recogniser again, once in an utterance, anything else by the next.

    When all have failed, ``events`` raises, after what is known of the utterance was told as a final. It may
    be called again then: the next utterance is tried with whoever may be asked.
    """

    def __init__(
        self, chain: Chain[Open], *, deadlines: EarDeadlines = STT, only_finals: Collection[str] = ()
    ) -> None:
        self._chain = chain
        self._deadlines = deadlines
        self._only_finals = only_finals
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Transcribed | ProviderError | None] = asyncio.Queue()
        self._utterances: dict[int, KeptUtterance] = {}
        self._now: KeptUtterance | None = None
        self._recogniser: Recogniser | None = None
        self._attempts: Attempts[Open] | None = None
        self._given_up = False
        self._hold: Hold | None = None
        self._held = 0
        """Bytes that the present recogniser may be given before money is asked for again."""
        self._failed_at: dict[str, float] = {}
        self._suspects: list[tuple[str, ProviderError]] = []
        """Who heard nothing in this utterance. It may have been noise: they are to blame only when another
        hears something."""
        self._broke_at: float | None = None
        """When one failed, until another has text."""
        self._replayed = 0.0
        """Seconds of audio that the one that is open was given again."""
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._begin_attempts()
        if self._attempts is not None:
            self._open()

    # --- the port --------------------------------------------------------------------------------

    @property
    def cuts(self) -> bool:
        return self._recogniser is not None and self._recogniser.ears.cuts

    def start(self, utterance: int) -> None:
        if self._closed:
            return
        if not any(earlier.owed for earlier in self._utterances.values()):
            self._broke_at = None  # it was over what had no words
        self._remember(KeptUtterance(utterance))
        self._suspects.clear()
        self._given_up = False
        before = self._recogniser
        if not self._begin_attempts():
            self._retire()
            return
        if before is not None and self._attempts is not None and before.name == self._attempts.name:
            before.ears.start(utterance)
        else:
            self._retire()
            self._open()

    def send(self, audio: bytes) -> None:
        now = self._now
        if self._closed or now is None or self._given_up:
            return
        now.feed(audio)
        if self._attempts is not None:
            self._attempts.goes_on(self._loop.time())
        if self._recogniser is None:
            self._open()
        elif not self._paid_for(self._recogniser, len(audio)):
            self._go_on(over_budget(self._recogniser.name))
        else:
            self._recogniser.send(audio)
        self._look_for_deafness(now)

    def flush(self) -> None:
        now = self._now
        if self._closed or now is None or self._given_up:
            return
        if self._attempts is not None:
            self._attempts.goes_on(self._loop.time())
        now.flushed(self._loop.time() + self._deadlines.final)
        if self._recogniser is None:
            self._open()
        else:
            self._recogniser.ears.flush()
        self._set_timer()

    async def events(self) -> AsyncIterator[Transcribed]:
        while not self._closed:
            event = await self._told.get()
            if isinstance(event, ProviderError):
                raise event
            if event is not None:
                yield event

    async def aclose(self) -> None:
        self._closed = True
        self._told.put_nowait(None)  # wakes who waits
        if self._timer is not None:
            self._timer.cancel()
        self._retire()
        if self._closing:
            await asyncio.wait(self._closing)

    # --- recognisers come and go -----------------------------------------------------------------

    def _begin_attempts(self) -> bool:
        """Who hears the next utterance; False when nobody may be asked."""
        at = self._recogniser.name if self._recogniser else None
        now = self._loop.time()
        shunned = [name for name, failed_at in self._failed_at.items() if now < failed_at + BACK_AFTER]
        try:
            self._attempts = Attempts(self._chain, now, self._most(), at=at, shunned=shunned)
        except ProviderError as error:
            self._attempts = None
            if self._now is not None:
                self._give_up(error)
        return self._attempts is not None

    def _open(self) -> None:
        """The one whose turn it is, and lets it catch up."""
        attempts, now = self._attempts, self._loop.time()
        if attempts is None:
            return
        attempts.most = self._most()
        if not self._chain.permits(attempts.name, attempts.most):
            self._go_on(over_budget(attempts.name))
            return
        try:
            ears = attempts.provider()
        except ProviderError as error:
            self._go_on(error)
            return
        recogniser = self._recogniser = Recogniser(attempts.name, ears, self)
        self._set_aside(attempts.name, attempts.most)
        self._replayed = 0.0
        for utterance in self._utterances.values():
            if utterance.owed or utterance is self._now:
                seconds = utterance.replay(recogniser)
                self._replayed += seconds
                if utterance.owed:
                    utterance.due = now + self._deadlines.final + self._deadlines.catching_up * seconds
        self._set_timer()

    def _retire(self) -> None:
        """Nothing more is taken from the one that is open."""
        recogniser, self._recogniser = self._recogniser, None
        if recogniser is not None:
            self._settle(recogniser)
            self._closing.add(recogniser.close(self._closing.discard))

    def broke(self, recogniser: Recogniser, error: ProviderError) -> None:
        """For the recogniser to call."""
        proven = self._loop.time() - recogniser.since > PROVEN_AFTER
        if self._idle and proven and error.trouble is Trouble.CUT and self._attempts is not None:
            self._retire()  # it is opened again when there is something to hear
            self._attempts.tell(error, recogniser.name, self._loop.time())
        else:
            self._go_on(error)

    @property
    def _idle(self) -> bool:
        """Nothing was said that is not in a final."""
        if any(utterance.owed for utterance in self._utterances.values()):
            return False
        return self._now is None or not self._now.open

    def _go_on(self, error: ProviderError) -> None:
        """With the next recogniser, as the present one has failed."""
        self._retire()
        attempts, now = self._attempts, self._loop.time()
        if attempts is None:
            return
        self._failed_at[attempts.name] = now
        if self._broke_at is None:
            self._broke_at = now
        heard_nothing = error.trouble in (Trouble.DEAF, Trouble.STALLED)
        if heard_nothing:
            self._suspects.append((attempts.name, error))
        again = error.trouble is Trouble.CUT
        blame = not heard_nothing and error.trouble is not Trouble.BUDGET
        attempts.most = self._most()
        if attempts.failed(error, now, same_first=again, blame=blame):
            self._open()
        else:
            self._give_up(error)

    def _give_up(self, error: ProviderError) -> None:
        for utterance in self._utterances.values():
            if utterance.owed and not self._force(utterance):
                utterance.waive()
        self._given_up = True
        self._broke_at = None
        self._told.put_nowait(error)

    # --- what they tell --------------------------------------------------------------------------

    def heard(self, recogniser: Recogniser, event: Transcribed) -> None:
        """For the recogniser to call."""
        utterance = self._utterances.get(event.utterance)
        if utterance is None:  # long past
            if event.final:
                self._told.put_nowait(event)
            return
        text = event.text.strip()
        if event.final and not text and utterance.speech >= self._deadlines.wordless:
            error = failure(recogniser.name, Trouble.DEAF, "nothing was heard in what is speech")
            if self._can_go_on(error, utterance):
                self._go_on(error)
                return
        if text and self._attempts is not None:
            self._blame_suspects(recogniser.name)
            self._put_right(self._attempts)
            if event.final:
                self._attempts.answered()
        if utterance.told(event):
            self._told.put_nowait(event)
        elif event.final and self._attempts is not None:
            self._attempts.mended(Mending.DUPLICATE)
        if event.final:
            self._settle(recogniser)
            self._set_timer()

    def _put_right(self, attempts: Attempts[Open]) -> None:
        """There is text again."""
        if self._broke_at is not None:
            gap, self._broke_at = self._loop.time() - self._broke_at, None
            attempts.mended(Mending.STT_RESUMED, gap, replayed_ms=round(self._replayed * 1000))

    def _blame_suspects(self, hearing: str) -> None:
        """There was something to hear, for another hears it."""
        for name, error in self._suspects:
            if name != hearing and self._attempts is not None:
                self._attempts.blame(name, error, self._loop.time())
        self._suspects.clear()

    def _look_for_deafness(self, now: KeptUtterance) -> None:
        recogniser = self._recogniser
        if recogniser is None or recogniser.name in self._only_finals or now.excused:
            return
        if now.unanswered >= self._deadlines.deaf:
            trouble = Trouble.STALLED if now.text else Trouble.DEAF
            error = failure(recogniser.name, trouble, f"{now.unanswered:.1f} s of speech and no text")
            if self._can_go_on(error, now):
                self._go_on(error)

    def _can_go_on(self, error: ProviderError, utterance: KeptUtterance) -> bool:
        """Else the recogniser is kept, and in this utterance no more suspected: it may be only noise."""
        attempts = self._attempts
        if attempts is None or utterance.excused:
            return False
        if not attempts.can_go_on(error, self._loop.time()):
            attempts.tell(error, attempts.name, self._loop.time())
            utterance.excused = True
        return not utterance.excused

    # --- finals that do not come -----------------------------------------------------------------

    def _set_timer(self) -> None:
        due = [u.due for u in self._utterances.values() if u.owed and u.due is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due and not self._closed:
            self._timer = self._loop.call_at(min(due), self._late)

    def _late(self) -> None:
        self._timer = None
        now = self._loop.time()
        for utterance in list(self._utterances.values()):
            recogniser, attempts = self._recogniser, self._attempts
            if not utterance.owed or utterance.due is None or utterance.due > now + CLOCK_STEP:
                continue
            utterance.due = None
            if recogniser is None or attempts is None:
                continue
            error = failure(recogniser.name, Trouble.SLOW, "no final after a flush")
            if self._force(utterance):
                attempts.blame(recogniser.name, error, now)
                attempts.tell(error, recogniser.name, now)
            elif self._can_go_on(error, utterance):
                self._go_on(error)
                return
        self._set_timer()

    def _force(self, utterance: KeptUtterance) -> bool:
        final = utterance.forced()
        if final is not None:
            self._told.put_nowait(final)
        return final is not None

    # --- books -----------------------------------------------------------------------------------

    def _remember(self, utterance: KeptUtterance) -> None:
        for past in self._utterances.values():
            if not past.owed:
                past.audio.clear()
        self._utterances[utterance.number] = self._now = utterance
        while len(self._utterances) > REMEMBERED:
            del self._utterances[next(iter(self._utterances))]

    def _most(self) -> Most:
        """What the next recogniser is given to hear, before money is asked for again."""
        waiting = sum(len(u.audio) for u in self._utterances.values() if u.owed or u is self._now)
        return {Unit.SECONDS_HEARD: waiting / 8000 + AHEAD}

    def _paid_for(self, recogniser: Recogniser, size: int) -> bool:
        """Whether it may be given so many bytes more; there may be money to be set aside for them."""
        if recogniser.unpaid + size <= self._held:
            return True
        self._settle(recogniser)
        most = {Unit.SECONDS_HEARD: max(AHEAD, size / 8000)}
        if not self._chain.permits(recogniser.name, most):
            return False
        self._set_aside(recogniser.name, most)
        return True

    def _set_aside(self, name: str, most: Most) -> None:
        self._hold = self._chain.allowance.hold(name, most)
        self._held = round(8000 * most[Unit.SECONDS_HEARD])

    def _settle(self, recogniser: Recogniser) -> None:
        if self._hold is not None:
            self._hold.release()
            self._hold, self._held = None, 0
        if recogniser.unpaid:
            seconds = recogniser.unpaid / 8000
            self._chain.report(Used(Port.STT, recogniser.name, Unit.SECONDS_HEARD, seconds))
            recogniser.unpaid = 0
