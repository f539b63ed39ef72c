"""A finished call's news on a screen: as plain lines, and on a terminal."""

import io
import re

import pytest
from rich.console import Console

from callbot.agents.brain import Answer, Cited, Did, Greet, Say
from callbot.call import Disposition, EndedBy, EndedReason
from callbot.cli.view import CallView
from callbot.conversation.effects import (
    ClearAudio,
    Effect,
    FlushHearing,
    HandedOff,
    HangUp,
    ReleaseReply,
    StartReply,
    StopReply,
    TurnEnded,
)
from callbot.conversation.events import Acted, CallStarted, Event, Marked, Meant, Told
from callbot.conversation.transcript import Handoff, Turn
from callbot.errors import Trouble
from callbot.media_stream.vad import SpeechStarted, SpeechStopped
from callbot.providers.accounting import Failed, Port
from callbot.providers.ports import Transcribed
from callbot.routing.handoff import ContextPacket

TITLES = {"support": "Maya", "sales": "Sam"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def caller(number: int, text: str, start: float = 1.0) -> TurnEnded:
    return TurnEnded(Turn(number, "caller", text, start, start + 1))


def agent(
    number: int,
    text: str,
    start: float = 3.0,
    *,
    name: str = "support",
    heard: str | None = None,
    interrupted: bool = False,
    response_ms: int | None = None,
) -> TurnEnded:
    turn = Turn(
        number,
        "agent",
        text,
        start,
        start + 2,
        agent=name,
        heard=text if heard is None else heard,
        interrupted=interrupted,
        response_ms=response_ms,
    )
    return TurnEnded(turn)


def handed_off(at: float = 9.0) -> HandedOff:
    return HandedOff(Handoff(at, ContextPacket("support", "sales", "you'd like to buy something")))


OVER = HangUp(Disposition.RESOLVED, EndedBy.CALLER, EndedReason.CALLER_HUNG_UP)

CALL: list[tuple[float, Event | Effect]] = [
    (0.0, CallStarted("support")),
    (0.0, StartReply(1, "support", Greet())),
    (0.1, Meant(1, "Hello, how can I help?")),
    (2.0, agent(1, "Hello, how can I help?", 0.04)),
    (3.0, SpeechStarted(3.0)),
    (3.5, Transcribed(1, "what are", final=False)),
    (4.0, SpeechStopped(4.0)),
    (4.1, Transcribed(1, "What are your hours?", final=True)),
    (4.2, caller(2, "What are your hours?", 3.0)),
    (4.2, StartReply(3, "support", Answer("What are your hours?"))),
    (4.2, Acted(3, Cited("opening hours", "", 0.9))),
    (4.3, Meant(3, "We open at eight every day but Sunday.")),
    (6.0, ClearAudio()),
    (6.3, agent(3, "We open at eight every day but Sunday.", 4.3, heard="We open at", interrupted=True)),
    (61.9, caller(4, "I want a router.", 6.0)),
    (61.9, handed_off()),
    (62.0, agent(5, "Hi, this is Sam.", 62.0, name="sales", response_ms=312)),
    (63.0, Acted(5, Did("find_product", {}, {"price": "$49.00"}))),
    (63.0, Acted(5, Did("place_order", {}, {"order": "L1001", "lines": [1], "count": 2}, changed=True))),
    (119.97, OVER),
]


def shown(news: list[tuple[float, Event | Effect]], *, terminal: bool = False, width: int = 120) -> str:
    file = io.StringIO()
    view = CallView(Console(file=file, width=width, force_terminal=terminal))
    view.titles = TITLES
    with view:
        for now, each in news:
            view.observe("CA1", now, each)
    return file.getvalue()


def lines(*news: Event | Effect) -> list[str]:
    return shown([(1.0, each) for each in news]).splitlines()


def test_a_whole_call_as_plain_lines() -> None:
    assert shown(CALL).splitlines() == [
        "0:00.0                    · the call is answered by Maya (support)",
        "0:00.0  Maya (support)    Hello, how can I help?",
        "0:03.0  caller            What are your hours?",
        "0:04.2                    · answered from the document 'opening hours'",
        "0:06.0                    · the caller speaks: we fall silent",
        "0:04.3  Maya (support)    We open at [cut; not heard: eight every day but Sunday.]",
        "0:06.0  caller            I want a router.",
        "1:01.9                    · Maya (support) hands over to Sam (sales): you'd like to buy something",
        "1:02.0  Sam (sales)       Hi, this is Sam.  312 ms",
        "1:03.0                    · place order: order L1001, count 2",
        "2:00.0                    · the call is over: resolved, ended by the caller",
    ]


def test_plain_lines_have_no_escape_codes_and_are_as_long_as_they_must() -> None:
    words = "word " * 60
    plain = shown([(1.0, agent(1, words.strip()))], width=80)
    assert "\x1b" not in plain
    assert plain == f"0:03.0  Maya (support)    {words.strip()}\n"


def test_a_terminal_shows_the_same_lines_in_colour() -> None:
    screen = shown(CALL, terminal=True)
    assert "\x1b[1;36mMaya (support)" in screen
    assert "\x1b[1;35mSam (sales)" in screen
    text = ESCAPES.sub("", screen)
    for line in shown(CALL).splitlines():
        assert line in text


def test_a_terminal_shows_what_is_being_said_meanwhile() -> None:
    text = ESCAPES.sub("", shown([*CALL[:3]], terminal=True))
    assert re.search(r"\.\.\. +Maya \(support\) +Hello, how can I help\?", text)
    text = ESCAPES.sub("", shown([*CALL[:5]], terminal=True))
    assert re.search(r"\.\.\. +caller +\(speaking\)", text)
    text = ESCAPES.sub("", shown([*CALL[:6]], terminal=True))
    assert re.search(r"\.\.\. +caller +what are", text)


def test_on_a_terminal_long_words_go_on_below_their_beginning() -> None:
    words = " ".join(f"word{n}" for n in range(40))
    rows = ESCAPES.sub("", shown([(1.0, agent(1, words))], terminal=True, width=80)).splitlines()
    rows = [row.replace("\r", "").rstrip() for row in rows if "word" in row]
    assert rows[0].startswith("0:03.0  Maya (support)    word0 word1")
    assert len(rows) > 3
    for row in rows[1:]:
        assert row.startswith(" " * 26 + "word")
        assert len(row) <= 80
    assert " ".join(" ".join(rows).split()[3:]) == words


def test_a_caller_who_goes_on_is_printed_once_and_whole() -> None:
    assert lines(
        caller(2, "My number is"),
        StartReply(3, "support", Answer("My number is")),
        Acted(3, Cited("numbers", "", 0.9)),
        ClearAudio(),
        caller(2, "My number is five five five."),
        agent(5, "Thank you."),
    ) == [
        "0:01.0  caller            My number is five five five.",
        "0:03.0  Maya (support)    Thank you.",
    ]


def test_until_then_the_terminal_keeps_the_callers_line_below() -> None:
    screen = ESCAPES.sub(
        "", shown([(1.0, caller(2, "My number is")), (1.0, SpeechStarted(1.0))], terminal=True)
    )
    assert re.search(r"0:01\.0 +caller +My number is\s+\.\.\. +caller +\(speaking\)", screen)


def test_of_a_turn_that_is_printed_already_only_the_rest_is_printed() -> None:
    assert lines(
        caller(2, "I want a router"), handed_off(), caller(2, "I want a router for my house."), OVER
    ) == [
        "0:01.0  caller            I want a router",
        "0:01.0                    · Maya (support) hands over to Sam (sales): you'd like to buy something",
        "0:01.0  caller            … for my house.",
        "0:01.0                    · the call is over: resolved, ended by the caller",
    ]


def test_two_turns_of_the_caller_are_two_lines() -> None:
    told = lines(caller(2, "Hello?"), caller(3, "Anybody?"), OVER)
    assert [line.split(maxsplit=2)[2] for line in told[:2]] == ["Hello?", "Anybody?"]


@pytest.mark.parametrize(
    "follows",
    [agent(3, "Yes."), handed_off(), OVER, Acted(3, Did("place_order", {}, {"order": "L1"}, changed=True))],
)
def test_the_callers_line_stands_above_what_follows_it(follows: Event | Effect) -> None:
    told = lines(caller(2, "Hello?"), follows)
    assert len(told) == 2
    assert told[0].endswith("Hello?")


def test_a_view_that_is_left_in_mid_call_prints_what_the_caller_said() -> None:
    assert lines(caller(2, "Hello?")) == ["0:01.0  caller            Hello?"]


@pytest.mark.parametrize("terminal", [False, True])
def test_square_brackets_in_what_is_said_are_printed_as_they_are(terminal: bool) -> None:
    said = "press [red] or [/bold] or [link=x]"
    news: list[tuple[float, Event | Effect]] = [
        (1.0, caller(2, said)),
        (1.0, agent(3, said)),
        (1.0, Acted(3, Cited("[blue]", "", 0.9))),
        (1.0, HandedOff(Handoff(1.0, ContextPacket("a[b]", "[c]", "[d]")))),
    ]
    text = ESCAPES.sub("", shown(news, terminal=terminal))
    assert text.count(said) == 2
    assert "'[blue]'" in text
    assert "a[b] hands over to [c]: [d]" in text


def test_all_of_it_heard_before_the_interruption_leaves_nothing_unheard() -> None:
    (line,) = lines(agent(1, "Hello  there.", heard="Hello there.", interrupted=True))
    assert line == "0:03.0  Maya (support)    Hello there."


def test_nothing_of_it_heard_says_so() -> None:
    (line,) = lines(agent(1, "Hello.", heard="", interrupted=True))
    assert line.endswith("[cut; not heard: Hello.]")


def test_an_agent_without_a_title_goes_by_its_name_however_long() -> None:
    (line,) = lines(agent(1, "Hello.", name="installation_and_returns"))
    assert line == "0:03.0  installation_and_returns  Hello."


@pytest.mark.parametrize(
    "news", [FlushHearing(1.0), Marked("1.1"), Acted(1, Say("x")), Acted(1, Did("t", {}, {}))]
)
def test_what_nobody_needs_to_see_is_not_printed(news: Event | Effect) -> None:
    assert lines(news) == []


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [(0.0, "0:00.0"), (59.94, "0:59.9"), (59.97, "1:00.0"), (600.0, "10:00.0"), (3599.99, "60:00.0")],
)
def test_the_clock_never_shows_sixty_seconds(seconds: float, clock: str) -> None:
    assert shown([(seconds, OVER)]).startswith(f"{clock} ")


# --- replies that are thought ahead, and providers that fail -------------------------------------


def test_what_is_thought_ahead_is_told_when_it_is_the_answer_and_never_else() -> None:
    assert lines(
        StartReply(3, "support", Answer("hello"), ahead=True),
        Meant(3, "Thrown away."),
        Acted(3, Cited("hours", "opening hours", 0.9)),
        StopReply(3, unheard=True),
        StartReply(3, "support", Answer("hello there"), ahead=True),
        Meant(3, "Good morning."),
        Acted(3, Cited("bills", "paying a bill", 0.9)),
        caller(2, "Hello there."),
        ReleaseReply(3),
        OVER,
    ) == [
        "0:01.0  caller            Hello there.",
        "0:01.0                    · answered from the document 'paying a bill'",
        "0:01.0                    · the call is over: resolved, ended by the caller",
    ]


def test_a_provider_that_fails_is_told_with_who_goes_on() -> None:
    assert lines(
        Told(Failed(Port.TTS, "elevenlabs:flash/abc", "openai:mini/marin", Trouble.CUT, "closed")),
        Told(Failed(Port.STT, "deepgram:nova-3", "deepgram:nova-3", Trouble.CUT, "closed")),
        Told(Failed(Port.LLM, "openai:x", "", Trouble.AUTH, "401")),
    ) == [
        "0:01.0                    · elevenlabs failed (cut): openai goes on",
        "0:01.0                    · deepgram failed (cut) and is asked again",
        "0:01.0                    · openai failed (auth): there is nobody else",
    ]
