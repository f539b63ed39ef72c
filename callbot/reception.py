"""Where calls are taken: gives each its session, its recording and its place in the records."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from callbot.call import Call, Disposition, EndedBy
from callbot.conversation.effects import Effect, HandedOff, TurnEnded
from callbot.conversation.events import Event, LanguageHeard, Pressed, ReplyFailed
from callbot.conversation.transcript import slots_as_json
from callbot.session import Equipment, Line, Observer, Session
from callbot.store.recorder import Recorder
from callbot.store.recording import StereoRecording
from callbot.store.records import CallBegan, CallEnded, HandoffMade, Happened, TurnTaken

MOST_REMEMBERED: Final = 1_000

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
    ) -> None:
        self.live: dict[str, Session] = {}
        self._equip = equip
        self._recorder = recorder
        self._recordings = recordings
        self._observers = observers
        self._finished = finished
        self._earlier: dict[str, tuple[int, int]] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="recording")

    def close(self) -> None:
        """After the last call: let go of the disk."""
        self._disk.shutdown()

    @asynccontextmanager
    async def call(self, call: Call, line: Line) -> AsyncIterator[Session]:
        """A session for an authenticated call; on leaving, its record is complete and on its way."""
        equipment = self._equip(call)
        path = self._recordings / f"{call.sid}.wav" if self._recordings is not None else None
        recording = StereoRecording(path, executor=self._disk) if path is not None else None
        turns, entries = self._earlier.pop(call.sid, (0, 0))
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
        try:
            yield session
        finally:
            self.live.pop(call.sid, None)
            self._remember(call.sid, session.conversation.turns, call_log.entries)
            self._end(session, await recording.close() if recording is not None else None)

    def _remember(self, call_sid: str, turns: int, entries: int) -> None:
        """Should the call come back on another stream, its turns are numbered on from here."""
        self._earlier[call_sid] = (turns, entries)
        while len(self._earlier) > MOST_REMEMBERED:
            del self._earlier[next(iter(self._earlier))]

    def _end(self, session: Session, recording: Path | None) -> None:
        transcript = session.conversation.transcript
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
        record = transcript.as_json(session.call.sid)
        self._finished(record | {"recording": where, "events": session.events})


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
            case LanguageHeard() | Pressed() | ReplyFailed():
                self.entries += 1
                data = {} if isinstance(news, Pressed) else asdict(news)
                kind = type(news).__name__
                self._recorder.put(Happened(call_sid, self.entries, round(now * 1000), kind, data))
