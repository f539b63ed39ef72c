"""Where calls are taken: gives each its session, its recording and its place in the records."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from callbot.billing import Bill
from callbot.call import Call, Disposition, EndedBy, EndedReason
from callbot.conversation.effects import Effect, HandedOff, HangUp, Noted, TurnEnded
from callbot.conversation.events import Event, HearingFailed, LanguageHeard, Pressed, ReplyFailed
from callbot.conversation.transcript import Noticing, slots_as_json
from callbot.media_stream.pace import Tally
from callbot.providers.prices import Prices
from callbot.session import Equipment, Line, Observer, Session
from callbot.store.disk import Disk
from callbot.store.recorder import Recorder
from callbot.store.recording import StereoRecording
from callbot.store.records import CallBegan, CallEnded, HandoffMade, Happened, TurnTaken

MOST_REMEMBERED: Final = 1_000
NUMBERS_APART: Final = 10_000
"""The turns of a call that comes back to another process are numbered on from so far."""
CLOSING_LIMIT: Final = 20.0
"""Seconds for calls to store what they have; longer than a recording waits for its disk."""

log = structlog.get_logger(__name__)

Finished = Callable[[dict[str, Any]], None]
"""Told the record of a finished call (DESIGN.md's JSON)."""


class Reception:
    """Takes the calls of one process. ``observers`` see all that happens in each of them."""

    def __init__(
        self,
        equip: Callable[[Call], Equipment],
        recorder: Recorder,
        recordings: Path | None,
        *,
        observers: tuple[Observer, ...] = (),
        finished: Finished = lambda record: None,
        prices: Prices | None = None,
    ) -> None:
        self.live: dict[str, Session] = {}
        self.past = Tally()
        """The frames of the calls that are over."""
        self.recordings_disabled = 0
        self._equip = equip
        self._recorder = recorder
        self._recordings = recordings
        self._observers = observers
        self._finished = finished
        self._prices = prices
        self._papers: dict[Session, _Papers] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._earlier: dict[str, tuple[int, int]] = {}
        self._disk = Disk()

    async def aclose(self) -> None:
        """After the last call: wait for the end of those that are ending, and let go of the disk."""
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=CLOSING_LIMIT)
            for task in stuck:
                log.error("a call does not end and is cut off")
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
        self._disk.shutdown()

    def take(self, call: Call, line: Line, *, stream: int = 1) -> Session:
        """A session for an authenticated call, on the ``stream`` of it that has started. ``end`` it when its
        ``run`` has returned."""
        equipment = self._equip(call)
        path = self._recordings / f"{call.sid}.wav" if self._recordings is not None else None
        recording = StereoRecording(path, executor=self._disk) if path is not None else None
        # what an earlier stream had in another process is not known here: its rows must stay
        apart = (stream - 1) * NUMBERS_APART
        turns, entries = self._earlier.pop(call.sid, (apart, apart))
        call_log = _CallLog(self._recorder, entries)
        session = Session(
            call,
            line,
            equipment,
            recording=recording,
            observers=(call_log.observe, *self._observers),
            turns_before=turns,
        )
        self._recorder.put(
            CallBegan(
                call.sid,
                call.from_number,
                call.to_number,
                call.direction,
                equipment.first_agent,
                datetime.now(UTC),
            )
        )
        self.live[call.sid] = session
        self._papers[session] = _Papers(recording, call_log, stream)
        return session

    def attend(self, serving: Coroutine[Any, Any, None]) -> None:
        """Run a call's task; ``aclose`` waits for it."""
        task = asyncio.get_running_loop().create_task(serving, name="call")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, session: Session) -> None:
        """The call is over: its record is complete and on its way."""
        papers = self._papers.pop(session)
        if self.live.get(session.call.sid) is session:
            del self.live[session.call.sid]
        self.past.add(session.pace)
        transcript = session.conversation.transcript
        if transcript.disposition is None:  # a bug of ours broke it
            over = HangUp(Disposition.FAILED, EndedBy.SYSTEM, EndedReason.SYSTEM_BROKE)
            transcript.disposition, transcript.ended_by = over.disposition, over.ended_by
            transcript.ended_reason = over.reason
            papers.log.observe(session.call.sid, session.now, over)
        self._remember(session.call.sid, session.conversation.turns, papers.log.entries)
        recording = await papers.recording.close() if papers.recording is not None else None
        self.recordings_disabled += papers.recording is not None and not papers.recording.enabled
        self._record(session, recording, papers.stream)

    def _remember(self, call_sid: str, turns: int, entries: int) -> None:
        """Should the call come back on another stream, its turns are numbered on from here."""
        self._earlier[call_sid] = (turns, entries)
        while len(self._earlier) > MOST_REMEMBERED:
            del self._earlier[next(iter(self._earlier))]

    def _record(self, session: Session, recording: Path | None, stream: int) -> None:
        transcript = session.conversation.transcript
        bill = Bill(self._prices, transcript, seconds=session.now)
        where = str(recording) if recording is not None else None
        self._recorder.put(
            CallEnded(
                session.call.sid,
                transcript.disposition or Disposition.FAILED,
                transcript.ended_by or EndedBy.SYSTEM,
                round(session.now * 1000),
                tuple(transcript.agents),
                slots_as_json(transcript.slots),
                where,
            )
        )
        for used in bill.rows(session.call.sid, stream):
            self._recorder.put(used)
        record = transcript.as_json(session.call.sid)
        self._finished(record | {"cost": bill.as_json(), "recording": where, "events": session.events})


@dataclass(frozen=True, slots=True)
class _Papers:
    """What is written about a call while it lasts."""

    recording: StereoRecording | None
    log: "_CallLog"
    stream: int


class _CallLog:
    """Writes what happens in one call to the records."""

    def __init__(self, recorder: Recorder, entries: int) -> None:
        self.entries = entries
        self._recorder = recorder

    def observe(self, call_sid: str, now: float, news: Event | Effect) -> None:
        match news:
            case TurnEnded(turn):
                fields = turn.as_json()
                self._recorder.put(TurnTaken(call_sid=call_sid, **fields))
            case HandedOff(handoff):
                fields = handoff.as_json()
                self._recorder.put(
                    HandoffMade(
                        call_sid,
                        fields["from"],
                        fields["to"],
                        fields["reason"],
                        fields["at_ms"],
                        fields["context"],
                    )
                )
            case Noted(noted):
                kind = "Noticed" if isinstance(noted, Noticing) else "ProviderFailed"
                self._note(call_sid, now, kind, noted.as_json())
            case HangUp():
                self._note(call_sid, now, "Ended", asdict(news))
            case HearingFailed() | LanguageHeard() | Pressed() | ReplyFailed():
                data = {} if isinstance(news, Pressed) else asdict(news)
                self._note(call_sid, now, type(news).__name__, data)

    def _note(self, call_sid: str, now: float, kind: str, data: dict[str, Any]) -> None:
        self.entries += 1
        self._recorder.put(Happened(call_sid, self.entries, round(now * 1000), kind, data))
