"""Many callers at once, as the carrier connects them: ``python -m bench.generator --spec SPEC.json``.

A process of its own, because it must not share the bot's time. It makes ``calls`` calls in real time
against whatever speaks the carrier's media protocol, tells how it is going on stderr, and at the end
prints one JSON object on stdout: what the callers found, and how well the generator itself kept time.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import random
import resource
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import uvloop
from picows import WSError, ws_connect

from bench.carrier import Call, Pacer
from bench.clips import Clip, clips, line
from bench.statistics import Summary, summary
from bench.subscriber import FRAME_SECONDS, Example, Fault, Subscriber, Tally
from callbot.exchange.errors import SoundError
from callbot.exchange.signing import Signer
from callbot.exchange.twiml import End, Interpreter, Perform, Stream
from callbot.exchange.webhooks import Route, Webhooks
from callbot.exchange.wire import Messages

LATE_MS: Final = 10.0
"""A generator whose 99th percentile of lateness is above this was late."""

_OPENING_SECONDS: Final = 10.0
_CLOSING_SECONDS: Final = 5.0
_HANGING_UP_SECONDS: Final = 2.0
_PROGRESS_SECONDS: Final = 5.0
_SETTLING_SECONDS: Final = 0.2
_LARGEST_MESSAGE: Final = 16 * 1024 * 1024


class SpecError(Exception):
    """The spec cannot be run; the text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to do. Either ``webhook`` or ``stream`` says where the bot is.

    ``webhook`` is asked for TwiML for each call, signed with ``auth_token`` for ``public_url`` and the
    webhook's path; the stream that the TwiML names is opened on the webhook's host and port. ``stream`` is
    opened as it is. The calls start evenly over ``ramp_seconds``; then they are measured for
    ``hold_seconds``. ``line_noise_dbfs`` is what is heard of a caller who says nothing; ``null`` is silence.
    """

    webhook: str | None = None
    stream: str | None = None
    public_url: str | None = None
    auth_token: str | None = None
    account_sid: str = "AC" + "0" * 32
    from_number: str = "+15550142"
    to_number: str = "+15550100"
    calls: int = 1
    ramp_seconds: float = 1.0
    hold_seconds: float = 60.0
    barge_ins_per_minute: float = 1.0
    line_noise_dbfs: float | None = -70.0
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.webhook is None) == (self.stream is None):
            raise ValueError("webhook, stream: give one of them")
        if self.webhook is not None and urlsplit(self.webhook).scheme != "http":
            raise ValueError(f"webhook: must begin with http://, not {self.webhook!r}")
        if self.webhook is not None and self.auth_token is None:
            raise ValueError("auth_token: is needed to sign what is sent to the webhook")
        if self.stream is not None and urlsplit(self.stream).scheme != "ws":
            raise ValueError(f"stream: must begin with ws://, not {self.stream!r}")
        if self.calls < 1:
            raise ValueError(f"calls: must be at least 1, not {self.calls}")
        if self.hold_seconds <= 0:
            raise ValueError(f"hold_seconds: must be above 0, not {self.hold_seconds:g}")
        for name in ("ramp_seconds", "barge_ins_per_minute"):
            if (value := getattr(self, name)) < 0:
                raise ValueError(f"{name}: must not be negative, and is {value:g}")
        if self.line_noise_dbfs is not None and self.line_noise_dbfs > 0:
            raise ValueError(f"line_noise_dbfs: must be at most 0, not {self.line_noise_dbfs:g}")


def read_spec(text: bytes) -> Spec:
    """Raises ``SpecError``."""
    try:
        names = set(msgspec.json.decode(text, type=dict[str, object]))
        spec = msgspec.json.decode(text, type=Spec)
    except msgspec.DecodeError as error:
        raise SpecError(str(error)) from error
    known = {entry.name for entry in dataclasses.fields(Spec)}
    if unknown := sorted(names - known):
        raise SpecError(f"{unknown[0]}: is no field of a spec; those are {', '.join(sorted(known))}")
    return spec


@dataclass(frozen=True, slots=True)
class Result:
    """``faults`` holds every kind, also those that did not happen; times are in ms.

    ``frames_sent`` are those of all calls from beginning to end; all else but what was refused, lost or
    no message is of the hold.
    """

    calls: int
    ramp_seconds: float
    hold_seconds: float
    barge_ins_per_minute: float
    seed: int
    calls_started: int
    calls_held: int
    frames_sent: int
    replies: int
    response_ms: Summary
    barge_in_ms: Summary
    faults: Mapping[str, int]
    underrun_total_ms: float
    barge_ins_moot: int
    examples: Mapping[str, Sequence[Example]]
    generator_cpu_seconds: float
    generator_cpu_ms_per_call_second: float | None
    generator_late_ms: Summary
    generator_late: bool
    """It was so late that what it found may be its own fault."""
    clips: Sequence[str]
    responses_ms: Sequence[float] = field(repr=False)
    barge_ins_ms: Sequence[float] = field(repr=False)


# --- the run -------------------------------------------------------------------------------------


class _Refused(Exception):
    """The bot would not take the call."""


@dataclass(frozen=True, slots=True)
class _Held:
    """The calls that were on to the end of the hold, and what the generator spent in it."""

    calls: int
    cpu_seconds: float
    call_seconds: float
    late_ms: Summary

    @property
    def cpu_ms_per_call_second(self) -> float | None:
        return round(self.cpu_seconds * 1000 / self.call_seconds, 4) if self.call_seconds else None


class Run:
    """All calls of one spec."""

    def __init__(self, spec: Spec, said: Sequence[Clip]) -> None:
        self.spec = spec
        self.pacer = Pacer()
        self.tally = Tally()
        self._clips = said
        self._line = line(spec.line_noise_dbfs, seed=spec.seed)
        self._calls: list[Call] = []
        self._began = time.monotonic()

    def _subscriber(self, number: int, messages: Messages, began: float) -> Subscriber:
        return Subscriber(
            call=number,
            call_sid=messages.call_sid,
            stream_sid=messages.stream_sid,
            clips=self._clips,
            line=self._line,
            uniform=random.Random(f"{self.spec.seed} {number}").uniform,
            tally=self.tally,
            began=began,
            barge_ins_per_minute=self.spec.barge_ins_per_minute,
        )

    async def run(self) -> Result:
        """Dial, hold, hang up."""
        async with asyncio.TaskGroup() as tasks:
            pacing = tasks.create_task(self.pacer.run(), name="pacer")
            progress = tasks.create_task(self._tell(), name="progress")
            await self._dial_all()
            held = await self._hold()
            await self._hang_up_all()
            pacing.cancel()
            progress.cancel()
        return self._result(held)

    # --- dialling --------------------------------------------------------------------------------

    async def _dial_all(self) -> None:
        client = httpx.AsyncClient(
            timeout=_OPENING_SECONDS,
            # each call's request may reach another worker, as from the carrier's many hosts
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            headers={"User-Agent": "TwilioProxy/1.1"},
            trust_env=False,
        )
        async with client, asyncio.TaskGroup() as tasks:
            for number in range(self.spec.calls):
                due = self._began + number * self.spec.ramp_seconds / self.spec.calls
                await asyncio.sleep(due - time.monotonic())
                tasks.create_task(self._dial(number, client), name=f"dial {number}")

    async def _dial(self, number: int, client: httpx.AsyncClient) -> None:
        messages = Messages(self.spec.account_sid, "CA" + secrets.token_hex(16), "MZ" + secrets.token_hex(16))
        try:
            await self._connect(number, messages, client)
        except (_Refused, WSError, OSError, TimeoutError) as error:
            what = str(error) if isinstance(error, _Refused) else f"no stream: {error!r:.200}"
            self.tally.fault(Fault.REFUSED, Example(number, messages.call_sid, 0.0, what))

    async def _connect(self, number: int, messages: Messages, client: httpx.AsyncClient) -> None:
        headers: dict[str, str] = {"User-Agent": "Twilio.TmeWs/1.0"}
        if self.spec.stream is not None:
            url, parameters = self.spec.stream, {}
        else:
            assert self.spec.webhook is not None
            assert self.spec.auth_token is not None
            signer = Signer(self.spec.auth_token)
            stream = await self._ask(messages.call_sid, signer, client)
            public = urlsplit(stream.url)
            headers |= {"Host": public.netloc} | signer.upgrade(stream.url)
            url = urlunsplit(("ws", urlsplit(self.spec.webhook).netloc, public.path, "", ""))
            parameters = dict(stream.parameters)
        async with asyncio.timeout(_OPENING_SECONDS):
            _, call = await ws_connect(
                lambda: Call(
                    number,
                    messages=messages,
                    parameters=parameters,
                    pacer=self.pacer,
                    subscribe=partial(self._subscriber, number, messages),
                ),
                url,
                extra_headers=headers,
                max_redirects=0,
                max_frame_size=_LARGEST_MESSAGE,
                websocket_handshake_timeout=_OPENING_SECONDS,
            )
        assert isinstance(call, Call)
        self._calls.append(call)

    async def _ask(self, call_sid: str, signer: Signer, client: httpx.AsyncClient) -> Stream:
        """The stream that the webhook wants. Raises ``_Refused`` when it wants anything else."""
        assert self.spec.webhook is not None
        place = urlsplit(self.spec.webhook)
        public = urlsplit(self.spec.public_url or self.spec.webhook)
        url = urlunsplit((public.scheme, public.netloc, place.path, place.query, ""))
        webhooks = Webhooks(client, signer, Route((place.hostname or "", place.port or 80)))
        interpreter = Interpreter(url)
        step = interpreter.handle(await webhooks.fetch(url, self._form(call_sid)))
        match step:
            case Perform(Stream() as stream):
                return stream
            case End(detail=detail):
                raise _Refused(detail)
            case other:
                raise _Refused(f"no stream, but {other}")

    def _form(self, call_sid: str) -> list[tuple[str, str]]:
        return [
            ("CallSid", call_sid),
            ("AccountSid", self.spec.account_sid),
            ("From", self.spec.from_number),
            ("To", self.spec.to_number),
            ("Caller", self.spec.from_number),
            ("Called", self.spec.to_number),
            ("CallStatus", "ringing"),
            ("ApiVersion", "2010-04-01"),
            ("Direction", "inbound"),
        ]

    # --- holding ---------------------------------------------------------------------------------

    async def _hold(self) -> _Held:
        gc.collect()
        gc.freeze()  # what lives through the ramp lives to the end: don't look at it again
        await asyncio.sleep(_SETTLING_SECONDS)  # that took time, which is nobody's lateness
        self.pacer.late_ms.clear()
        cpu, frames = time.process_time(), self.pacer.frames
        self.tally.measured_from = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.spec.hold_seconds):
                await self.pacer.empty.wait()
        self.tally.measured_until = time.monotonic()
        cpu = time.process_time() - cpu
        gc.unfreeze()
        return _Held(
            self.pacer.calls,
            cpu_seconds=cpu,
            call_seconds=(self.pacer.frames - frames) * FRAME_SECONDS,
            late_ms=summary(self.pacer.late_ms),
        )

    def _result(self, held: _Held) -> Result:
        spec, tally = self.spec, self.tally
        return Result(
            calls=spec.calls,
            ramp_seconds=spec.ramp_seconds,
            hold_seconds=spec.hold_seconds,
            barge_ins_per_minute=spec.barge_ins_per_minute,
            seed=spec.seed,
            calls_started=len(self._calls),
            calls_held=held.calls,
            frames_sent=self.pacer.frames,
            replies=tally.replies,
            response_ms=summary(tally.responses_ms),
            barge_in_ms=summary(tally.barge_ins_ms),
            faults={fault: tally.faults[fault] for fault in Fault},
            underrun_total_ms=round(tally.underrun_ms, 3),
            barge_ins_moot=tally.moot_barge_ins,
            examples={fault: tally.examples.get(fault, []) for fault in Fault if tally.faults[fault]},
            generator_cpu_seconds=round(held.cpu_seconds, 3),
            generator_cpu_ms_per_call_second=held.cpu_ms_per_call_second,
            generator_late_ms=held.late_ms,
            generator_late=(held.late_ms.p99 or 0.0) > LATE_MS,
            clips=[clip.name for clip in self._clips],
            responses_ms=[round(sample, 2) for sample in tally.responses_ms],
            barge_ins_ms=[round(sample, 2) for sample in tally.barge_ins_ms],
        )

    async def _hang_up_all(self) -> None:
        """Not all in the same moment, which would be a test of something else."""
        on = [call for call in self._calls if not call.ended.is_set()]
        over = min(self.spec.ramp_seconds, _HANGING_UP_SECONDS)
        began = time.monotonic()
        for index, call in enumerate(on):
            await asyncio.sleep(began + index * over / len(on) - time.monotonic())
            if not call.ended.is_set():
                call.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                for call in on:
                    await call.ended.wait()
        for call in self._calls:
            call.abort()
            await call.result()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            seconds = time.monotonic() - self._began
            faults = ", ".join(f"{count} {fault}" for fault, count in self.tally.faults.items())
            replies = f"{self.tally.replies} replies" if self.tally.replies else "not yet measured"
            print(
                f"{seconds:.0f} s: {self.pacer.calls} calls, {replies}, {faults or 'no faults'}",
                file=sys.stderr,
                flush=True,
            )


def _allow_sockets(calls: int) -> None:
    """Raises ``SpecError`` when this machine lets no process have so many."""
    needed = 2 * calls + 64  # a call's webhook may still be open beside its stream
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SpecError(f"calls: {calls} need {needed} open files, and the limit is {hard} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def generate(spec: Spec) -> Result:
    """Make the calls, in this process. Raises ``SpecError`` or, without its recordings, ``SoundError``."""
    _allow_sockets(spec.calls)
    said = clips()

    async def run() -> Result:
        return await Run(spec, said).run()

    return uvloop.run(run())


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.generator", description="Many telephone calls at once."
    )
    parser.add_argument("--spec", type=Path, required=True, help="what to do: a JSON file")
    asked = parser.parse_args(argv)
    try:
        result = generate(read_spec(asked.spec.read_bytes()))
    except OSError as error:
        print(f"{asked.spec}: cannot be read ({error.strerror})", file=sys.stderr)
        return 2
    except (SpecError, SoundError) as error:
        print(f"{asked.spec}: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.encode(result).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
