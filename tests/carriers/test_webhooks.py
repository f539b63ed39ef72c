import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette
from starlette.testclient import TestClient

from callbot.app import create_app
from callbot.carriers.twilio import webhooks
from callbot.carriers.twilio.lifecycle import Lifecycle
from callbot.carriers.twilio.webhooks import (
    PUTTING_THROUGH,
    SORRY_BUSY,
    SORRY_LATER,
    SORRY_LOST,
    SORRY_RESUMED,
    WILL_CALL_BACK,
)
from callbot.routing.intake import Busy, CallBack, Dial, Number, Overflow, Sorry
from callbot.services import Services
from callbot.store.calls import get_call
from callbot.store.engine import open_engine
from callbot.store.tables import Callback
from tests.serving import CALL, CALL_SID, PUBLIC_URL, carrier, services_with, settings_in

PATHS = ["/twilio/voice", "/twilio/resume", "/twilio/status", "/twilio/fallback"]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        yield client


def services(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def ask(
    client: TestClient,
    path: str,
    form: Sequence[tuple[str, str]] = CALL,
    *,
    headers: dict[str, str] | None = None,
    signed_url: str | None = None,
) -> Response:
    """Post ``form`` as the carrier does, signed over ``signed_url`` (the public one)."""
    return client.post(
        path,
        content=urlencode(form),
        headers={
            "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
            **carrier.webhook(signed_url or PUBLIC_URL + path, form),
            **(headers or {}),
        },
    )


def changed(**fields: str | None) -> list[tuple[str, str]]:
    """The call's form with other values; ``None`` leaves a field out."""
    form = dict(CALL) | fields
    return [(name, value) for name, value in form.items() if value is not None]


def verbs(response: Response) -> list[str]:
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/xml")
    return [verb.tag for verb in ElementTree.fromstring(response.text)]


def said(response: Response) -> str | None:
    return ElementTree.fromstring(response.text).findtext("Say")


def token(response: Response) -> str:
    parameter = ElementTree.fromstring(response.text).find("Connect/Stream/Parameter[@name='token']")
    assert parameter is not None
    return parameter.attrib["value"]


def test_an_incoming_call_is_answered_with_our_stream_and_a_way_on(client: TestClient) -> None:
    answer = ask(client, "/twilio/voice")
    assert verbs(answer) == ["Connect", "Redirect"]
    document = ElementTree.fromstring(answer.text)
    stream = document.find("Connect/Stream")
    assert stream is not None
    assert stream.attrib == {"url": "wss://bot.example.com/twilio/media"}
    redirect = document.find("Redirect")
    assert redirect is not None
    assert (redirect.text, redirect.attrib) == (PUBLIC_URL + "/twilio/resume", {"method": "POST"})


async def test_the_token_in_the_answer_carries_the_call(tmp_path: Path) -> None:
    now = asyncio.get_running_loop().time()
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        mine = token(ask(client, "/twilio/voice"))
        other = token(ask(client, "/twilio/voice", changed(CallSid="CA" + "f" * 32)))
        assert mine != other
        claims = services(client).tokens.redeem(mine, CALL_SID, now)
    assert claims is not None
    assert not claims.resumed
    assert (claims.call.sid, claims.call.from_number, claims.call.to_number) == (
        CALL_SID,
        "+15550142",
        "+15550100",
    )


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("+15550142", "+15550142"),
        ("client:browser-7", "client:browser-7"),
        ("sip:me@pbx.example.com", "sip:me@pbx.example.com"),
        ("anonymous", "anonymous"),
        ("Restricted", "anonymous"),
        ("+266696687", "anonymous"),
        ("", "anonymous"),
        (None, "anonymous"),
        ("+1 555 0142\r\nX: y", "anonymous"),
        ("client:" + "x" * 500, "anonymous"),
    ],
)
def test_a_caller_who_withholds_the_number_is_anonymous(
    client: TestClient, given: str | None, taken: str
) -> None:
    answer = ask(client, "/twilio/voice", changed(From=given))
    claims = services(client).tokens.redeem(token(answer), CALL_SID, 0.0)
    assert claims is not None
    assert claims.call.from_number == taken


def test_a_call_that_we_placed_is_outbound(client: TestClient) -> None:
    answer = ask(client, "/twilio/voice", changed(Direction="outbound-api"))
    claims = services(client).tokens.redeem(token(answer), CALL_SID, 0.0)
    assert claims is not None
    assert claims.call.direction == "outbound"


# --- SECURITY 2: forged webhooks -----------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_security_2_a_webhook_without_or_with_a_wrong_signature_is_refused(
    client: TestClient, path: str
) -> None:
    body = urlencode(CALL)
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers in (form, form | {"x-twilio-signature": "AAAA"}, form | {"x-twilio-signature": ""}):
        refused = client.post(path, content=body, headers=headers)
        assert (refused.status_code, refused.text) == (403, "Forbidden")
    assert services(client).seats.taken() == 0
    assert services(client).recorder.waiting == 0


@pytest.mark.parametrize(
    "signed_url",
    [
        "http://bot.example.com/twilio/voice",
        "https://www.bot.example.com/twilio/voice",
        "https://bot.example.com:8443/twilio/voice",
        "https://bot.example.com/twilio/voice/",
        "https://bot.example.com/twilio/status",
        "https://testserver/twilio/voice",
    ],
)
def test_security_2_a_signature_for_another_address_is_refused(client: TestClient, signed_url: str) -> None:
    assert ask(client, "/twilio/voice", signed_url=signed_url).status_code == 403


def test_security_2_the_usual_port_and_a_query_are_part_of_the_signed_address(client: TestClient) -> None:
    with_port = ask(client, "/twilio/voice", signed_url="https://bot.example.com:443/twilio/voice")
    assert with_port.status_code == 200
    queried = ask(client, "/twilio/voice?tenant=a%20b&x=%C3%A9")
    assert queried.status_code == 200
    assert ask(client, "/twilio/voice?a=1", signed_url=PUBLIC_URL + "/twilio/voice").status_code == 403


@pytest.mark.parametrize(
    "tampered",
    [
        [*CALL, ("Extra", "")],
        [*CALL, ("To", "+15550199")],
        [(name, value.replace("0142", "0199")) for name, value in CALL],
        list(CALL[1:]),
    ],
    ids=["one more", "one twice", "one changed", "one less"],
)
def test_security_2_every_parameter_is_signed(client: TestClient, tampered: list[tuple[str, str]]) -> None:
    headers = carrier.webhook(PUBLIC_URL + "/twilio/voice", CALL)
    headers["content-type"] = "application/x-www-form-urlencoded"
    refused = client.post("/twilio/voice", content=urlencode(tampered), headers=headers)
    assert refused.status_code == 403


def test_security_2_another_account_is_refused_when_ours_is_set(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, twilio_account_sid="AC" + "0" * 32)
    with TestClient(create_app(settings, services=services_with())) as client:
        assert ask(client, "/twilio/voice", changed(AccountSid="AC" + "1" * 32)).status_code == 403
        assert ask(client, "/twilio/voice", changed(AccountSid=None)).status_code == 403
        assert ask(client, "/twilio/voice").status_code == 200


def test_security_36_without_a_carrier_configured_every_webhook_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, public_url=None, twilio_auth_token=None)
    with TestClient(create_app(settings, services=services_with())) as client:
        assert ask(client, "/twilio/voice").status_code == 403


# --- SECURITY 3: replayed webhooks ---------------------------------------------------------------


def test_security_3_a_webhook_asked_again_gets_the_same_answer(client: TestClient) -> None:
    first = ask(client, "/twilio/voice", headers={"I-Twilio-Idempotency-Token": "one"})
    again = ask(client, "/twilio/voice", headers={"I-Twilio-Idempotency-Token": "one"})
    assert again.text == first.text
    replayed = ask(client, "/twilio/voice", headers={"I-Twilio-Idempotency-Token": "two"})
    assert replayed.text == first.text, "that header is not signed: another one changes nothing"


def test_security_3_a_webhook_replayed_a_hundred_times_at_once_gives_one_token(client: TestClient) -> None:
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: ask(client, "/twilio/voice").text, range(100)))
    assert len(set(answers)) == 1
    assert services(client).seats.taken() == 1


def test_security_3_a_replayed_resume_gives_one_stream(client: TestClient) -> None:
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: ask(client, "/twilio/resume"), range(100)))
    assert sorted(verbs(answer) for answer in answers).count(["Say", "Connect", "Redirect"]) == 1
    assert services(client).seats.taken() == 1


# --- SECURITY 4: what a header claims ------------------------------------------------------------


@pytest.mark.parametrize(
    "spoofed",
    [
        {"host": "evil.example.com"},
        {"x-forwarded-host": "evil.example.com"},
        {"x-forwarded-proto": "http"},
        {"x-forwarded-port": "8443"},
        {"forwarded": "host=evil.example.com;proto=http"},
        {"x-original-url": "/twilio/status"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_security_4_no_header_changes_the_address_that_is_checked_or_given(
    client: TestClient, spoofed: dict[str, str]
) -> None:
    answer = ask(client, "/twilio/voice", headers=spoofed)
    assert "evil" not in answer.text
    assert "wss://bot.example.com/twilio/media" in answer.text
    for claimed in ("https://evil.example.com/twilio/voice", "http://bot.example.com/twilio/voice"):
        assert ask(client, "/twilio/voice", headers=spoofed, signed_url=claimed).status_code == 403


# --- what is no proper question ------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_webhooks_are_posted(client: TestClient, path: str, method: str) -> None:
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sid", [None, "", "CA1", "MZ" + "0" * 32, "CA" + "g" * 32, "CA" + "0" * 33])
def test_a_webhook_without_a_call_is_a_bad_request(client: TestClient, path: str, sid: str | None) -> None:
    refused = ask(client, path, changed(CallSid=sid))
    assert (refused.status_code, refused.text) == (400, "Bad Request")


@pytest.mark.parametrize("name", ["CallSid", "From", "To", "Direction"])
def test_a_field_given_twice_is_a_bad_request(client: TestClient, name: str) -> None:
    value = dict(CALL)[name]
    for second in (value, value[:-1] + "9"):
        assert ask(client, "/twilio/voice", [*CALL, (name, second)]).status_code == 400


def test_fields_that_we_do_not_use_may_come_twice_or_be_new(client: TestClient) -> None:
    assert ask(client, "/twilio/voice", [*CALL, ("New", "1"), ("New", "2")]).status_code == 200


@pytest.mark.parametrize("to", [None, "", "somebody", "+1555<script>"])
def test_a_call_to_nowhere_is_a_bad_request(client: TestClient, to: str | None) -> None:
    assert ask(client, "/twilio/voice", changed(To=to)).status_code == 400


def test_a_name_of_two_hundred_kilobytes_is_too_large(client: TestClient) -> None:
    assert ask(client, "/twilio/voice", changed(CallerName="x" * 200_000)).status_code == 413
    assert ask(client, "/twilio/voice", changed(CallerName="x" * 60_000)).status_code == 200


def test_a_body_that_never_ends_is_cut_off_at_the_limit(client: TestClient) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1024

    assert client.post("/twilio/voice", content=endless()).status_code == 413


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", "é=1".encode(), b"&".join([b"a=1"] * 201), b"a=%ff", b'{"CallSid": "CA"}', b""]
)
def test_a_body_that_is_no_form_is_refused(client: TestClient, body: bytes) -> None:
    refused = client.post(
        "/twilio/voice", content=body, headers=carrier.webhook(PUBLIC_URL + "/twilio/voice")
    )
    assert refused.status_code in (400, 403)
    assert len(refused.text) < 20


def test_a_body_that_stops_half_way_is_given_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BODY_WITHIN", 0.05)
    stalled = asyncio.Event()

    async def app() -> int:
        sent: list[int] = []

        async def receive() -> dict[str, object]:
            await stalled.wait()
            raise AssertionError

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                sent.append(int(str(message["status"])))

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/twilio/voice",
            "raw_path": b"/twilio/voice",
            "query_string": b"",
            "headers": [],
            "state": {},
        }
        await client.app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]

    assert asyncio.run(app()) == 408


def test_security_35_an_error_of_ours_shows_nothing_of_its_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(webhooks, "_stream", broken)
    app = create_app(settings_in(tmp_path), services=services_with())
    with TestClient(app, raise_server_exceptions=False) as client:
        failed = ask(client, "/twilio/voice")
    assert (failed.status_code, failed.text) == (500, "Internal Server Error")


# --- turned away, resumed, ended -----------------------------------------------------------------


def test_a_call_that_cannot_be_taken_is_told_so_and_may_ask_again(tmp_path: Path) -> None:
    missing: list[str] = ["the voice is loading"]
    app = create_app(settings_in(tmp_path), services=services_with(lambda: tuple(missing)))
    with TestClient(app) as client:
        sorry = ask(client, "/twilio/voice")
        assert (verbs(sorry), said(sorry)) == (["Say", "Hangup"], SORRY_LATER)
        missing.clear()
        assert verbs(ask(client, "/twilio/voice")) == ["Connect", "Redirect"]


def test_a_call_that_comes_while_we_drain_is_told_so(client: TestClient) -> None:
    services(client).drain()
    assert said(ask(client, "/twilio/voice")) == SORRY_LATER


# --- FAULTS 75, 76: no room --------------------------------------------------------------------------


def overflowing(tmp_path: Path, overflow: Overflow, seats: int = 1) -> Starlette:
    numbers = {"+15550100": Number("+15550100", "Main line", "support", overflow=overflow)}

    def set_up(services: Services) -> None:
        services.numbers = numbers

    settings = settings_in(tmp_path, max_calls=seats)
    return create_app(settings, services=services_with(), joined=set_up)


def another(n: int, **fields: str | None) -> list[tuple[str, str]]:
    return changed(CallSid=f"CA{n:032x}", **fields)


@pytest.mark.parametrize(
    ("overflow", "tags", "says"),
    [
        (Sorry(), ["Say", "Hangup"], SORRY_BUSY),
        (Sorry("Call tomorrow."), ["Say", "Hangup"], "Call tomorrow."),
        (Dial("+15550199"), ["Say", "Dial"], PUTTING_THROUGH),
        (Dial("+15550199", "One moment."), ["Say", "Dial"], "One moment."),
        (CallBack(), ["Say", "Hangup"], WILL_CALL_BACK),
        (CallBack("We ring you."), ["Say", "Hangup"], "We ring you."),
        (Busy(), ["Reject"], None),
    ],
)
def test_faults_76_a_call_for_which_there_is_no_seat_goes_the_numbers_overflow_path(
    tmp_path: Path, overflow: Overflow, tags: list[str], says: str | None
) -> None:
    with TestClient(overflowing(tmp_path, overflow)) as client:
        assert verbs(ask(client, "/twilio/voice", another(1))) == ["Connect", "Redirect"]
        turned_away = ask(client, "/twilio/voice", another(2))
        assert (verbs(turned_away), said(turned_away)) == (tags, says)
        document = ElementTree.fromstring(turned_away.text)
        assert document.findtext("Dial") == ("+15550199" if "Dial" in tags else None)
        if tags == ["Reject"]:
            assert document[0].attrib == {"reason": "busy"}
        counts = services(client).counts
        assert (counts.admitted, counts.refused) == (1, {type(overflow).__name__.lower(): 1})
        assert verbs(ask(client, "/twilio/voice", another(1))) == ["Connect", "Redirect"], "it has its seat"


def test_faults_76_a_full_worker_turns_new_calls_away_and_takes_back_one_that_it_lost(tmp_path: Path) -> None:
    with TestClient(overflowing(tmp_path, Sorry(), seats=9)) as client:
        token(ask(client, "/twilio/voice", another(1)))
        services(client).seats.report(0.0, full="the event loop is 80 ms late")
        assert said(ask(client, "/twilio/voice", another(2))) == SORRY_BUSY
        assert said(ask(client, "/twilio/resume", another(1))) == SORRY_RESUMED
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["full: the event loop is 80 ms late"])
        services(client).seats.report(0.0)
        assert client.get("/readyz").status_code == 200
        assert verbs(ask(client, "/twilio/voice", another(2))) == ["Connect", "Redirect"]


async def test_a_callback_is_promised_once_and_stored_and_never_to_a_caller_without_a_number(
    tmp_path: Path,
) -> None:
    with TestClient(overflowing(tmp_path, CallBack())) as client:
        ask(client, "/twilio/voice", another(1))
        for _ in range(3):
            assert said(ask(client, "/twilio/voice", another(2))) == WILL_CALL_BACK
        assert said(ask(client, "/twilio/voice", another(3, From="anonymous"))) == SORRY_BUSY
    engine = open_engine(settings_in(tmp_path).database_url)
    async with AsyncSession(engine) as session:
        rows = (await session.execute(select(Callback))).scalars().all()
    await engine.dispose()
    assert [(row.call_sid, row.number, row.dialled) for row in rows] == [
        (f"CA{2:032x}", "+15550142", "+15550100")
    ]


def test_a_number_that_nobody_configured_is_told_that_the_lines_are_busy(tmp_path: Path) -> None:
    with TestClient(overflowing(tmp_path, Busy())) as client:
        ask(client, "/twilio/voice", another(1))
        assert said(ask(client, "/twilio/voice", another(2, To="+15550177"))) == SORRY_BUSY


def test_a_retry_that_reaches_another_worker_gets_an_answer_as_good_for_the_same_seat(
    tmp_path: Path,
) -> None:
    """Another worker: it shares seats and secret, and remembers no answer."""
    with TestClient(overflowing(tmp_path, Sorry())) as client:
        first = token(ask(client, "/twilio/voice"))
        services(client).lifecycle = Lifecycle()
        again = token(ask(client, "/twilio/voice"))
        assert services(client).seats.taken() == 1
        assert services(client).tokens.redeem(again, CALL_SID, 0.0) is not None
        assert services(client).tokens.redeem(first, CALL_SID, 0.0) is None
        retry = {"I-Twilio-Idempotency-Token": "one"}
        ask(client, "/twilio/resume", headers=retry)
        services(client).lifecycle = Lifecycle()
        resumed = ask(client, "/twilio/resume", headers=retry)
        assert said(resumed) == SORRY_RESUMED
        assert services(client).tokens.redeem(token(resumed), CALL_SID, 0.0) is not None
        services(client).lifecycle = Lifecycle()
        assert said(ask(client, "/twilio/resume", headers=retry)) == SORRY_LOST


def test_a_call_that_ended_in_order_is_hung_up(client: TestClient) -> None:
    ask(client, "/twilio/voice")
    services(client).seats.ended(CALL_SID)
    assert verbs(ask(client, "/twilio/resume", changed(CallStatus="in-progress"))) == ["Hangup"]


def test_a_call_that_the_carrier_says_is_over_is_hung_up(client: TestClient) -> None:
    assert verbs(ask(client, "/twilio/resume", changed(CallStatus="completed"))) == ["Hangup"]


def test_a_call_whose_status_was_final_gets_no_other_stream(client: TestClient) -> None:
    ask(client, "/twilio/status", changed(CallStatus="completed"))
    assert verbs(ask(client, "/twilio/resume", changed(CallStatus="in-progress"))) == ["Hangup"]


def test_a_call_that_lost_its_stream_is_reconnected_once_with_an_apology(client: TestClient) -> None:
    ask(client, "/twilio/voice")
    again = ask(client, "/twilio/resume", headers={"I-Twilio-Idempotency-Token": "one"})
    assert (verbs(again), said(again)) == (["Say", "Connect", "Redirect"], SORRY_RESUMED)
    retried = ask(client, "/twilio/resume", headers={"I-Twilio-Idempotency-Token": "one"})
    assert retried.text == again.text
    claims = services(client).tokens.redeem(token(again), CALL_SID, 0.0)
    assert claims is not None
    assert claims.resumed
    third = ask(client, "/twilio/resume", headers={"I-Twilio-Idempotency-Token": "two"})
    assert (verbs(third), said(third)) == (["Say", "Hangup"], SORRY_LOST)


def test_a_call_of_a_process_that_died_is_taken_up_by_the_next(client: TestClient) -> None:
    assert verbs(ask(client, "/twilio/resume")) == ["Say", "Connect", "Redirect"]


def test_a_call_that_falls_back_hears_an_apology(client: TestClient) -> None:
    sorry = ask(client, "/twilio/fallback", [*CALL, ("ErrorCode", "11200"), ("ErrorUrl", PUBLIC_URL)])
    assert (verbs(sorry), said(sorry)) == (["Say", "Hangup"], SORRY_LOST)


# --- FAULTS 57: status callbacks come twice and out of order -------------------------------------


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[AsyncSession]:
    engine = open_engine(settings_in(tmp_path).database_url)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


async def test_faults_57_duplicate_and_reordered_statuses_leave_one_row_with_the_final_one(
    tmp_path: Path, session: AsyncSession
) -> None:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        for state in ("ringing", "completed", "in-progress", "completed", "ringing", "failed"):
            form = [*changed(CallStatus=state), ("CallDuration", "42"), ("SequenceNumber", "1")]
            assert ask(client, "/twilio/status", form).status_code == 204
    stored = await get_call(CALL_SID, session=session)
    assert stored is not None
    assert (stored.call.carrier_status, stored.call.carrier_seconds) == ("completed", 42)


@pytest.mark.parametrize("state", ["", "exploded", "Completed"])
def test_a_status_that_there_is_not_is_a_bad_request(client: TestClient, state: str) -> None:
    assert ask(client, "/twilio/status", changed(CallStatus=state)).status_code == 400


async def test_a_duration_that_is_none_is_left_out(tmp_path: Path, session: AsyncSession) -> None:
    with TestClient(create_app(settings_in(tmp_path), services=services_with())) as client:
        form = [*changed(CallStatus="busy"), ("CallDuration", "9" * 5000)]
        assert ask(client, "/twilio/status", form).status_code == 204
    stored = await get_call(CALL_SID, session=session)
    assert stored is not None
    assert (stored.call.carrier_status, stored.call.carrier_seconds) == ("busy", None)


def test_security_22_no_number_and_no_token_is_logged(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = token(ask(client, "/twilio/voice"))
    ask(client, "/twilio/voice", changed(From="+15550142", CallSid=None))
    ask(client, "/twilio/voice", signed_url="https://evil.example.com/")
    logged = "".join(capsys.readouterr())
    assert "a call came in" in logged
    assert answer not in logged
    assert not re.search("15550142", logged)
