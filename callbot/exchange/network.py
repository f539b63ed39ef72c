"""The exchange: one caller rings, the bot's documents are executed, its media stream is connected."""

import asyncio
import email.utils
import math
import secrets
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx

from callbot.exchange import dtmf, ear
from callbot.exchange.callers import Caller
from callbot.exchange.errors import SoundError
from callbot.exchange.media import MediaStream
from callbot.exchange.result import CallResult, Log, Observer
from callbot.exchange.signing import SharedKey, Signer
from callbot.exchange.sounds import RATE, SILENCE, decode_wav
from callbot.exchange.telephone import Announcement, Nobody, Telephone
from callbot.exchange.twiml import (
    DocumentFetched,
    End,
    EndedBy,
    Event,
    FarSideHungUp,
    Fetch,
    FetchFailed,
    Interpreter,
    Pause,
    Perform,
    Play,
    Say,
    Stream,
    TimeUp,
    VerbFinished,
)
from callbot.exchange.voice import Voice, default_voice
from callbot.exchange.webhooks import RETRIEVAL_FAILED, Route, Webhooks
from callbot.exchange.wire import Messages

_API_VERSION = "2010-04-01"
_TONE_MS, _TONE_GAP_MS, _TONE_PAUSE_MS = 120, 80, 500


class Exchange:
    """A telephone network with one account on it. It may carry many calls at once.

    ``say`` speaks for ``<Say>``; ``sounds`` are files for ``<Play>`` by their URL, as WAV or mu-law, which
    are then not fetched; with ``key``, requests are signed with HMAC-SHA256 instead of the auth token.
    """

    def __init__(
        self,
        *,
        auth_token: str,
        account_sid: str,
        say: Voice | None = None,
        sounds: Mapping[str, bytes] | None = None,
        key: SharedKey | None = None,
        webhook_seconds: float = 15.0,
    ) -> None:
        self.account_sid = account_sid
        self.signer = Signer(auth_token, key)
        self.say = say or default_voice()
        self.sounds = dict(sounds or {})
        self.webhook_seconds = webhook_seconds

    async def call(
        self,
        voice_url: str,
        caller: Caller,
        *,
        from_number: str,
        to_number: str,
        connect_to: tuple[str, int] | None = None,
        fallback_url: str | None = None,
        status_url: str | None = None,
        on_event: Observer | None = None,
        longest: float = 900.0,
    ) -> CallResult:
        """Ring the number whose webhook is ``voice_url`` and stay until the call is over.

        All URLs of the bot's may be its public ones: signatures are over those, and ``connect_to`` says
        where it really listens, in plain HTTP. ``longest`` is the most seconds from answer to end.
        """
        client = httpx.AsyncClient(
            timeout=httpx.Timeout(self.webhook_seconds, connect=5.0),
            headers={"User-Agent": "TwilioProxy/1.1"},
            trust_env=False,
        )
        async with client:
            call = _Call(
                exchange=self,
                webhooks=Webhooks(client, self.signer, Route(connect_to), self.webhook_seconds),
                telephone=Telephone(caller.script(), Log(on_event), longest),
                interpreter=Interpreter(voice_url),
                from_number=from_number,
                to_number=to_number,
                fallback_url=fallback_url,
                status_url=status_url,
            )
            return await call.run()


@dataclass(slots=True)
class _Call:
    """One call from ringing to its end."""

    exchange: Exchange
    webhooks: Webhooks
    telephone: Telephone
    interpreter: Interpreter
    from_number: str
    to_number: str
    fallback_url: str | None
    status_url: str | None
    sid: str = field(default_factory=lambda: "CA" + secrets.token_hex(16))
    streams: list[MediaStream] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)

    @property
    def log(self) -> Log:
        return self.telephone.log

    async def run(self) -> CallResult:
        self.log.add("ringing", call_sid=self.sid, from_number=self.from_number, to_number=self.to_number)
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            ticking: asyncio.Task[None] | None = None
            step = self.interpreter.begin()
            while not isinstance(step, End):
                if self.interpreter.answered and ticking is None:
                    began = time.monotonic()
                    self.log.add("answered")
                    ticking = tasks.create_task(self.telephone.run(), name="telephone")
                event = await self._do(step)
                known = len(self.interpreter.warnings)
                step = self.interpreter.handle(event)
                for code, detail in self.interpreter.warnings[known:]:
                    self.log.warn(code, detail)
            if ticking is not None:
                ticking.cancel()
        self.log.add("ended", by=str(step.ended_by), detail=step.detail)
        status = self._final_status(step)
        await self._report(status, time.monotonic() - began if self.interpreter.answered else 0.0)
        return self._result(step, status)

    # --- one step --------------------------------------------------------------------------------

    async def _do(self, step: Fetch | Perform) -> Event:
        """Do it, unless the call ends first."""
        match step:
            case Perform(Stream() as stream):
                event: Event = await self._connect(stream)
            case Perform(Say() | Play() | Pause() as verb):
                event = await self._unless_over(self._announce(verb))
            case Fetch(url, method):
                event = await self._unless_over(self._fetch(url, method))
        if self.telephone.over.is_set():
            return TimeUp() if self.telephone.time_up else FarSideHungUp()
        return event

    async def _unless_over(self, work: Coroutine[None, None, Event]) -> Event:
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work, name="working")
            over = tasks.create_task(self.telephone.over.wait(), name="over")
            await asyncio.wait({working, over}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            over.cancel()
        return FarSideHungUp() if working.cancelled() else working.result()

    async def _connect(self, stream: Stream) -> Event:
        messages = Messages(self.exchange.account_sid, self.sid, "MZ" + secrets.token_hex(16))
        media = MediaStream(stream, messages, self.telephone)
        self.streams.append(media)
        try:
            return await media.run(signer=self.exchange.signer, route=self.webhooks.route)
        finally:
            self.telephone.party = Nobody()

    async def _announce(self, verb: Say | Play | Pause) -> Event:
        match verb:
            case Say(text):
                self.log.add("say", text=text)
                audio, times = await asyncio.to_thread(self.exchange.say, text), verb.loop
            case Play():
                self.log.add("play", url=verb.url, digits=verb.digits)
                audio, times = await self._sound(verb), verb.loop
            case Pause(seconds):
                self.log.add("pause", seconds=seconds)
                audio, times = SILENCE * int(seconds * RATE), 1
                if not self.interpreter.answered:  # the telephone rings for so much longer
                    await asyncio.sleep(seconds)
                    return VerbFinished()
        if audio:
            announcement = Announcement(audio, times)
            self.telephone.party = announcement
            await announcement.finished.wait()
            self.telephone.party = Nobody()
        return VerbFinished()

    async def _sound(self, play: Play) -> bytes:
        """The audio to play; a file that cannot be had is a warning, and the next verb runs."""
        if play.digits:
            return tones(play.digits)
        url = urljoin(self.interpreter.url, play.url)
        try:
            data = self.exchange.sounds.get(play.url) or self.exchange.sounds.get(url)
            if data is None:
                data = await self.webhooks.sound(url)
            return await asyncio.to_thread(decode_wav, data) if data[:4] == b"RIFF" else data
        except SoundError as error:
            self.log.warn(RETRIEVAL_FAILED, f"<Play>{play.url}: {error}")
            return b""

    # --- webhooks --------------------------------------------------------------------------------

    async def _fetch(self, url: str, method: str) -> Event:
        self.log.add("webhook", url=url)
        event = await self.webhooks.fetch(url, self._form(), method=method)
        if isinstance(event, FetchFailed) and self.fallback_url is not None:
            self.log.warn(event.code, event.detail)
            self.log.add("webhook", url=self.fallback_url)
            trouble = [("ErrorCode", str(event.code)), ("ErrorUrl", url)]
            event = await self.webhooks.fetch(self.fallback_url, [*self._form(), *trouble])
        if isinstance(event, DocumentFetched):
            self.documents.append(event.text)
            self.log.add("twiml", url=event.url, text=event.text)
        return event

    def _form(self, status: str | None = None) -> list[tuple[str, str]]:
        """The parameters of every voice webhook. What the carrier does not know it sends blank."""
        form = [
            ("CallSid", self.sid),
            ("AccountSid", self.exchange.account_sid),
            ("From", self.from_number),
            ("To", self.to_number),
            ("Caller", self.from_number),
            ("Called", self.to_number),
            ("CallStatus", status or ("in-progress" if self.interpreter.answered else "ringing")),
            ("ApiVersion", _API_VERSION),
            ("Direction", "inbound"),
        ]
        for party in ("From", "To", "Caller", "Called"):
            form += [(party + place, "") for place in ("City", "State", "Zip", "Country")]
        return form

    async def _report(self, status: str, seconds: float) -> None:
        """The final status callback."""
        if self.status_url is None:
            return
        form = [
            *self._form(status),
            ("CallDuration", str(math.ceil(seconds))),
            ("Duration", str(math.ceil(seconds / 60))),
            ("Timestamp", email.utils.formatdate(usegmt=True)),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", "0"),
        ]
        failed = await self.webhooks.report(self.status_url, form)
        if failed is not None:
            self.log.warn(failed.code, failed.detail)

    # --- the end ---------------------------------------------------------------------------------

    def _final_status(self, end: End) -> str:
        if self.interpreter.answered:
            return "completed"
        if end.rejected:
            return "busy" if end.rejected == "busy" else "no-answer"
        return "failed" if end.ended_by is EndedBy.CARRIER else "no-answer"

    def _result(self, end: End, status: str) -> CallResult:
        said, heard = bytes(self.telephone.said), bytes(self.telephone.heard)
        return CallResult(
            call_sid=self.sid,
            stream_sids=tuple(media.messages.stream_sid for media in self.streams if media.opened),
            status=status,
            ended_by=end.ended_by,
            detail=end.detail,
            said=said,
            heard=heard,
            events=tuple(self.log.entries),
            warnings=tuple(self.log.warnings),
            documents=tuple(self.documents),
            marks=tuple(mark for media in self.streams for mark in media.marks),
            dtmf="".join(digit for media in self.streams for digit in media.digits),
            duration_ms=len(said) * 1000 // RATE,
            hearing=ear.measure(said, heard),
        )


def tones(digits: str) -> bytes:
    """``<Play digits>``: the keys' tones with gaps; ``w`` waits half a second."""
    pause = SILENCE * (_TONE_PAUSE_MS * RATE // 1000)
    gap = SILENCE * (_TONE_GAP_MS * RATE // 1000)
    return b"".join(
        pause if digit in "wW" else dtmf.tone(digit, milliseconds=_TONE_MS) + gap for digit in digits
    )
