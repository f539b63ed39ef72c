"""The carrier's questions over HTTP: a call comes in, its stream was lost, how it ended.

https://www.twilio.com/docs/voice/twiml and https://www.twilio.com/docs/usage/webhooks/webhooks-security.
Each request proves that it is the carrier's before anything is read from it, looked up or remembered.
"""

import asyncio
import re
from datetime import UTC, datetime
from typing import assert_never
from urllib.parse import parse_qsl

import structlog
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from twilio.twiml.voice_response import Connect, Stream, VoiceResponse  # type: ignore[import-untyped]

from callbot.call import Call, Direction
from callbot.carriers.twilio.tokens import LONGEST_PARTY, Claims
from callbot.logs import call_context
from callbot.routing.intake import Busy, CallBack, Dial, Sorry
from callbot.services import Services, services_of
from callbot.store.records import CallbackRequested, StatusReported

MEDIA_PATH = "/twilio/media"
RESUME_PATH = "/twilio/resume"

SORRY_LATER = "We are sorry, we cannot take your call right now. Please try again in a few minutes."
SORRY_BUSY = "We are sorry, all our lines are busy right now. Please try again in a few minutes."
WILL_CALL_BACK = "We are sorry, all our lines are busy right now. We will call you back on this number."
PUTTING_THROUGH = "All our lines are busy right now. One moment, please, I'll put you through."
SORRY_RESUMED = "Sorry, the line was interrupted. One moment, please."
SORRY_LOST = "We are sorry, we have a technical problem. Please call again."

MOST_BODY = 64 * 1024
MOST_FIELDS = 200
BODY_WITHIN = 5.0

_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_PARTY = re.compile(
    rf"(?=.{{2,{LONGEST_PARTY}}}\Z)(?:\+[0-9]{{3,15}}|[0-9*#]{{2,15}}|(?:client|sip|sips):[\x21-\x7e]+)"
)
# Callers who withhold their number arrive under these "numbers": the words, keyed on a telephone.
_WITHHELD = frozenset({"+266696687", "+7378742833", "+86282452253", "+8656696", "+2562533", "+464"})

_STATUS_RANK = {
    "queued": 0,
    "initiated": 1,
    "ringing": 2,
    "in-progress": 3,
    "completed": 4,
    "busy": 4,
    "failed": 4,
    "no-answer": 4,
    "canceled": 4,
}
_OVER = 4

Form = ImmutableMultiDict[str, str]

log = structlog.get_logger(__name__)


async def voice(request: Request) -> Response:
    """A call comes in: answer with the stream to open. Asked again, answer the same."""
    services, form = await _read(request)
    call = _call(form)
    with call_context(call.sid):
        if (before := services.lifecycle.answer(call.sid, "voice")) is not None:
            return _twiml(before)
        if reasons := services.why_closed():
            services.counts.refused["closed"] += 1
            log.warning("a call was turned away", reasons=reasons)
            return _twiml(_goodbye(SORRY_LATER))
        answer = None
        full = services.why_full(asyncio.get_running_loop().time())
        if full is None or services.seats.standing(call.sid).streams:  # asked again: it has its seat already
            answer = _stream(services, Claims(call))
        if answer is None:
            return _twiml(_overflow(services, call, full))
        services.counts.admitted += 1
        services.lifecycle.answered(call.sid, "voice", answer)
        log.info("a call came in", direction=call.direction.value)
        return _twiml(answer)


async def resume(request: Request) -> Response:
    """The stream is over. If the conversation is not, the caller gets another stream, once."""
    services, form = await _read(request)
    call = _call(form)
    retry = request.headers.get("i-twilio-idempotency-token", "")
    with call_context(call.sid):
        standing = services.seats.standing(call.sid)
        if _STATUS_RANK.get(_one(form, "CallStatus"), 0) == _OVER or standing.ended:
            return _twiml(_hang_up())
        if retry and (before := services.lifecycle.answer(call.sid, f"resume {retry}")) is not None:
            return _twiml(before)
        claims = Claims(call, resumed=True)
        asked_before = standing.streams >= claims.stream
        answer = None
        if not services.why_closed() and (not asked_before or (retry and standing.expected)):
            answer = _stream(services, claims, first=SORRY_RESUMED)
        if answer is None:
            services.counts.lost += 1
            log.error("a call was lost")
            return _twiml(_goodbye(SORRY_LOST))
        services.counts.resumed += 1
        log.warning("a call lost its stream and gets another")
        if retry:
            services.lifecycle.answered(call.sid, f"resume {retry}", answer)
        return _twiml(answer)


async def status(request: Request) -> Response:
    """How the call stands. Reports come twice and out of order; the database keeps the most final."""
    services, form = await _read(request)
    sid, reported = _sid(form), _one(form, "CallStatus")
    if reported not in _STATUS_RANK:
        raise _refuse(400, "unknown CallStatus")
    if _STATUS_RANK[reported] == _OVER:
        services.seats.ended(sid)
    seconds = _one(form, "CallDuration")
    services.recorder.put(
        StatusReported(
            call_sid=sid,
            status=reported,
            rank=_STATUS_RANK[reported],
            seconds=int(seconds) if re.fullmatch("[0-9]{1,6}", seconds) else None,
        )
    )
    return Response(status_code=204)


async def fallback(request: Request) -> Response:
    """Asked by the carrier when one of the others failed."""
    _, form = await _read(request)
    error = _one(form, "ErrorCode")
    with call_context(_sid(form)):
        log.error("the carrier fell back", error_code=error if re.fullmatch("[0-9]{1,6}", error) else None)
    return _twiml(_goodbye(SORRY_LOST))


routes = [
    Route("/twilio/voice", voice, methods=["POST"]),
    Route(RESUME_PATH, resume, methods=["POST"]),
    Route("/twilio/status", status, methods=["POST"]),
    Route("/twilio/fallback", fallback, methods=["POST"]),
]


async def _read(request: Request) -> tuple[Services, Form]:
    """The form, once it is sure who sent it. Raises ``HTTPException``."""
    services = services_of(request)
    form = _parse(await _body(request))
    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    if not services.signatures.webhook(request.headers, target, form):
        raise _refuse(403, "signature")
    account = services.settings.twilio_account_sid
    if account is not None and form.getlist("AccountSid") != [account]:
        raise _refuse(403, "another account")
    return services, form


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BODY:
                    raise _refuse(413, "body too large")
    except TimeoutError:
        raise _refuse(408, "body too slow") from None
    except ClientDisconnect:
        raise _refuse(400, "body cut short") from None
    return bytes(body)


def _parse(body: bytes) -> Form:
    try:
        text = body.decode("ascii")  # everything else arrives percent-encoded
        return ImmutableMultiDict(
            parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        )
    except ValueError:
        raise _refuse(400, "not a form") from None


def _refuse(status_code: int, reason: str) -> HTTPException:
    log.warning("a webhook was refused", status=status_code, reason=reason)
    return HTTPException(status_code)


def _one(form: Form, name: str) -> str:
    """The value of a field that we act upon: given twice, it is nobody's."""
    given = form.getlist(name)
    if len(given) > 1:
        raise _refuse(400, f"{name} given twice")
    return str(given[0]) if given else ""


def _sid(form: Form) -> str:
    sid = _one(form, "CallSid")
    if not _CALL_SID.fullmatch(sid):
        raise _refuse(400, "no CallSid")
    return sid


def _call(form: Form) -> Call:
    sid, from_number, to_number = _sid(form), _one(form, "From"), _one(form, "To")
    if not _PARTY.fullmatch(to_number):
        raise _refuse(400, "no To")
    if not _PARTY.fullmatch(from_number) or from_number in _WITHHELD:
        from_number = "anonymous"
    outbound = _one(form, "Direction").startswith("outbound")
    return Call(sid, from_number, to_number, Direction.OUTBOUND if outbound else Direction.INBOUND)


def _stream(services: Services, claims: Claims, *, first: str | None = None) -> str | None:
    """Open our media socket; when it is over, for whatever reason, ask us how to go on. None: no seat is
    free."""
    token = services.admit(claims, asyncio.get_running_loop().time())
    if token is None:
        return None
    public_url = str(services.settings.public_url)
    stream = Stream(url=f"ws{public_url.removeprefix('http')}{MEDIA_PATH}")
    stream.parameter(name="token", value=token)
    connect = Connect()
    connect.append(stream)
    response = VoiceResponse()
    if first is not None:
        response.say(first)
    response.append(connect)
    response.redirect(f"{public_url}{RESUME_PATH}", method="POST")
    return str(response)


def _overflow(services: Services, call: Call, full: str | None) -> str:
    """No room: the way on that the number dialled has."""
    number = services.numbers.get(call.to_number)
    way = number.overflow if number is not None else Sorry()
    if isinstance(way, CallBack) and call.from_number == "anonymous":
        way = Sorry()  # nobody could keep that promise
    name = type(way).__name__.lower()
    services.counts.refused[name] += 1
    log.warning("a call overflowed", way=name, reason=full or "the last seat was taken")
    match way:
        case Dial(to, say):
            response = VoiceResponse()
            response.say(say or PUTTING_THROUGH)
            response.dial(to)
            return str(response)
        case CallBack(say):
            services.recorder.put(
                CallbackRequested(call.sid, call.from_number, call.to_number, datetime.now(UTC))
            )
            return _goodbye(say or WILL_CALL_BACK)
        case Busy():
            response = VoiceResponse()
            response.reject(reason="busy")
            return str(response)
        case Sorry(say):
            return _goodbye(say or SORRY_BUSY)
        case _:
            assert_never(way)


def _goodbye(line: str) -> str:
    response = VoiceResponse()
    response.say(line)
    response.hangup()
    return str(response)


def _hang_up() -> str:
    response = VoiceResponse()
    response.hangup()
    return str(response)


def _twiml(document: str) -> Response:
    return Response(document, media_type="text/xml", headers={"cache-control": "no-store"})
