import pytest
from twilio.twiml.voice_response import Connect, VoiceResponse

from callbot.exchange.errors import TwimlError
from callbot.exchange.twiml import (
    DocumentFetched,
    End,
    EndedBy,
    FarSideHungUp,
    Fetch,
    FetchFailed,
    Hangup,
    Interpreter,
    Pause,
    Perform,
    Play,
    Redirect,
    Reject,
    Say,
    Stream,
    StreamClosed,
    TimeUp,
    VerbFinished,
    parse,
)

URL = "https://bot.example.com/twilio/voice"
STREAM = '<Connect><Stream url="wss://bot.example.com/media"/></Connect>'


def response(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{body}</Response>'


def run(body: str, *events, url: str = URL):
    """The steps from a document with this body and what happens after it."""
    interpreter = Interpreter(url)
    steps = [interpreter.begin(), interpreter.handle(DocumentFetched(url, response(body)))]
    steps += [interpreter.handle(event) for event in events]
    return interpreter, steps[1:]


def test_every_verb_that_the_carriers_builder_writes_is_read():
    built = VoiceResponse()
    built.say("Hello  there", voice="alice", language="en-GB", loop=2)
    built.play("https://example.com/a.wav")
    built.play(digits="1w2")
    built.pause(length=2)
    connect = Connect()
    stream = connect.stream(url="wss://example.com/media", name="main")
    stream.parameter(name="ctx", value="opaque")
    built.append(connect)
    built.redirect("/next", method="GET")
    built.hangup()
    built.reject(reason="busy")
    assert parse(str(built)).verbs == (
        Say("Hello there", "alice", "en-GB", 2),
        Play("https://example.com/a.wav"),
        Play(digits="1w2"),
        Pause(2.0),
        Stream("wss://example.com/media", "main", "inbound_track", {"ctx": "opaque"}),
        Redirect("/next", "GET"),
        Hangup(),
        Reject("busy"),
    )


@pytest.mark.parametrize(
    ("document", "code", "why"),
    [
        ("", 12100, "no element found"),
        ("hello", 12100, "syntax error"),
        ("<Response><Say>hello</Response>", 12100, "line 1"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><Response/>', 12100, "DOCTYPE"),
        ("<Answer/>", 12200, "<Answer>"),
        ("<Response>hello</Response>", 12200, "write <Say>"),
        (response("<Dial>+15550142</Dial>"), 12200, "<Dial> is not a verb of this exchange"),
        (response("<say>hello</say>"), 12200, "<say>"),
        (response("<Say></Say>"), 12200, "no text"),
        (response("<Play/>"), 12200, "either a URL or digits"),
        (response('<Play digits="1x"/>'), 12200, "digits='1x'"),
        (response('<Play loop="often">a.wav</Play>'), 12200, "loop='often'"),
        (response('<Pause length="long"/>'), 12200, "length='long'"),
        (response('<Redirect method="PUT">/a</Redirect>'), 12200, "'PUT'"),
        (response('<Reject reason="bored"/>'), 12200, "'bored'"),
        (response("<Hangup><Say>x</Say></Hangup>"), 12200, "cannot hold <Say>"),
        (response("<Connect/>"), 12200, "exactly one <Stream>"),
        (response("<Connect><Stream/></Connect>"), 12200, "needs a url"),
        (
            response('<Connect><Stream url="wss://a"><Parameter name="x"/></Stream></Connect>'),
            12200,
            "value=",
        ),
    ],
)
def test_a_document_that_cannot_be_executed_says_why_and_ends_the_call(document, code, why):
    with pytest.raises(TwimlError) as raised:
        parse(document)
    assert raised.value.code == code
    assert why in str(raised.value)
    interpreter = Interpreter(URL)
    step = interpreter.handle(DocumentFetched(URL, document))
    assert isinstance(step, End)
    assert step.ended_by is EndedBy.CARRIER
    assert [code for code, _ in interpreter.warnings] == [code]


def test_a_parameter_of_499_characters_passes_and_one_of_500_does_not():
    def connect(length: int) -> str:
        parameter = f'<Parameter name="ctx" value="{"x" * (length - 3)}"/>'
        return response(f'<Connect><Stream url="wss://a.example.com/m">{parameter}</Stream></Connect>')

    assert parse(connect(499)).verbs
    with pytest.raises(TwimlError, match="500 characters"):
        parse(connect(500))


def test_an_unknown_attribute_is_a_warning_and_the_verb_is_executed():
    interpreter, steps = run('<Say pitch="high">hello</Say>')
    assert steps == [Perform(Say("hello"))]
    assert interpreter.warnings == [(12200, "<Say> has no attribute pitch")]


def test_verbs_run_one_after_another_and_then_the_call_ends():
    _, steps = run("<Say>a</Say><Pause/><Play>b.wav</Play>", *[VerbFinished()] * 3)
    assert steps == [
        Perform(Say("a")),
        Perform(Pause(1.0)),
        Perform(Play("b.wav")),
        End(EndedBy.BOT, "no verb follows"),
    ]


def test_what_follows_connect_runs_when_the_server_has_closed_the_socket():
    _, steps = run(STREAM + "<Say>bye</Say>", StreamClosed(), VerbFinished())
    assert steps[0] == Perform(Stream("wss://bot.example.com/media"))
    assert steps[1] == Perform(Say("bye"))
    assert steps[2] == End(EndedBy.BOT, "no verb follows")


def test_when_nothing_follows_connect_the_call_ends():
    _, steps = run(STREAM, StreamClosed())
    assert steps[-1] == End(EndedBy.BOT, "no verb follows")


def test_a_hangup_after_a_lost_socket_is_the_carriers_doing():
    interpreter, steps = run(STREAM + "<Hangup/>", StreamClosed(31903, "the socket was lost"))
    assert steps[-1] == End(EndedBy.CARRIER, "<Hangup> after 31903: the socket was lost")
    assert interpreter.warnings == [(31903, "the socket was lost")]


def test_a_second_stream_that_closes_in_order_makes_the_first_ones_loss_forgotten():
    _, steps = run(STREAM * 2, StreamClosed(31903, "lost"), StreamClosed())
    assert steps[-1] == End(EndedBy.BOT, "no verb follows")


@pytest.mark.parametrize(
    ("url", "attributes", "code"),
    [
        ("wss://bot.example.com/media?x=1", "", 31920),
        ("ftp://bot.example.com/media", "", 31920),
        ("wss://bot.example.com/media", 'track="both_tracks"', 31941),
    ],
)
def test_a_stream_that_the_carrier_refuses_is_an_error_and_the_next_verb_runs(url, attributes, code):
    interpreter, steps = run(f'<Connect><Stream url="{url}" {attributes}/></Connect><Say>sorry</Say>')
    assert steps == [Perform(Say("sorry"))]
    assert [code for code, _ in interpreter.warnings] == [code]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/twilio/resume?n=1", "https://bot.example.com/twilio/resume?n=1"),
        ("resume", "https://bot.example.com/twilio/resume"),
        ("https://other.example.com/", "https://other.example.com/"),
        ("", URL),
    ],
)
def test_a_redirect_is_resolved_against_the_document(target, found):
    _, steps = run(f'<Redirect method="get">{target}</Redirect><Say>never</Say>')
    assert steps == [Fetch(found, "GET")]


def test_a_relative_stream_url_is_the_same_host_over_wss():
    _, steps = run('<Connect><Stream url="/media"/></Connect>')
    assert steps == [Perform(Stream("wss://bot.example.com/media"))]


def test_redirects_in_a_circle_end():
    interpreter = Interpreter(URL)
    for _ in range(100):
        assert interpreter.handle(DocumentFetched(URL, response("<Redirect/>"))) == Fetch(URL)
    step = interpreter.handle(DocumentFetched(URL, response("<Redirect/>")))
    assert isinstance(step, End)
    assert "circle" in step.detail


def test_reject_before_the_answer_is_told_and_after_it_is_a_hangup():
    assert run('<Reject reason="busy"/>')[1] == [End(EndedBy.BOT, "<Reject reason='busy'>", rejected="busy")]
    assert run("<Say>a</Say><Reject/>", VerbFinished())[1][-1] == End(EndedBy.BOT, "<Hangup>")


@pytest.mark.parametrize(
    ("body", "answered"), [("<Pause/>", False), ("<Reject/>", False), ("<Hangup/>", True)]
)
def test_a_leading_pause_or_reject_leaves_the_call_unanswered(body, answered):
    assert run(body)[0].answered is answered


def test_a_failed_fetch_ends_the_call_with_the_carriers_code():
    interpreter = Interpreter(URL)
    assert interpreter.handle(FetchFailed(11205, "no connection")) == End(
        EndedBy.CARRIER, "11205: no connection"
    )
    assert interpreter.warnings == [(11205, "no connection")]


@pytest.mark.parametrize(("event", "by"), [(FarSideHungUp(), EndedBy.CALLER), (TimeUp(), EndedBy.CARRIER)])
def test_once_ended_a_call_stays_ended(event, by):
    _, steps = run(STREAM + "<Say>a</Say>", event, StreamClosed(), VerbFinished())
    assert {step.ended_by for step in steps[1:]} == {by}
    assert len(set(steps[1:])) == 1
