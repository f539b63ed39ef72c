import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from callbot.cli.call import measured, percentile, summary
from callbot.cli.local import Rung
from callbot.exchange.result import Warned
from tests.cli.conftest import Command
from tests.cli.rings import RECORD, rung

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio"


# --- the numbers and the table -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7], 50, 7),
        ([7], 95, 7),
        ([3, 1, 2], 50, 2),
        ([4, 3, 2, 1], 50, 2),
        (list(range(1, 101)), 95, 95),
        (list(range(1, 21)), 95, 19),
        (list(range(1, 20)), 95, 19),
        ([1, 2], 0, 1),
        ([1, 2], 100, 2),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[int], percent: int, expected: int | None) -> None:
    assert percentile(values, percent) == expected


def test_measured_is_what_the_exchange_heard() -> None:
    call = rung(responses_ms=[400, 300, 900], barge_ins_ms=[210], warnings=[Warned(31921, "closed")])
    assert measured(call) == {
        "responses_ms": [400, 300, 900],
        "response_p50_ms": 400,
        "response_p95_ms": 900,
        "barge_ins_ms": [210],
        "duration_ms": 61_400,
        "warnings": ["31921 closed"],
    }


def told(call: Rung, json_path: Path | None = None) -> str:
    file = io.StringIO()
    summary(Console(file=file, width=80), call, json_path)
    return file.getvalue()


def test_the_summary_tells_what_happened() -> None:
    text = told(rung(responses_ms=[400, 300], barge_ins_ms=[210, 190]), Path("calls/call.json"))
    rows = " ".join(text.split())
    for row in (
        "ended resolved, by the caller, after 61 s",
        "agents support → sales",
        "turns 1 of the caller, 2 of the agents",
        "response at the ear p50 300 ms, p95 400 ms, over 2 answers",
        "interruptions 1 heard of it “Hello, how” of “Hello, how can I help?”",
        "silent after 210 ms, 190 ms from the caller's first sound",
        "failed elevenlabs:flash/abc (cut); hibari went on",
        "cost $0.0185 (tts $0.0060, carrier $0.0125) estimated",
        "done place order: order number L1001",
        "call record calls/call.json",
        "make call CALLER=YOUR.wav",
    ):
        assert row in rows
    assert "find product" not in rows


def test_the_summary_prints_brackets_as_they_are() -> None:
    assert "support → sales: you'd like to buy [/bold] something" in " ".join(told(rung()).split())


def test_a_long_path_can_be_copied_from_the_summary() -> None:
    assert RECORD["recording"] in told(rung())
    assert "call record" not in told(rung())


def test_the_summary_of_a_quiet_call_says_so() -> None:
    quiet = RECORD | {
        "turns": [],
        "handoffs": [],
        "tools": [],
        "failures": [],
        "usage": [],
        "recording": None,
    }
    rows = " ".join(told(rung(quiet)).split())
    assert "handoffs none" in rows
    assert "response at the ear none" in rows
    assert "interruptions 0" in rows
    assert "recording off (CALLBOT_RECORD)" in rows
    assert "on the left" not in rows


def test_a_call_that_was_not_answered_says_why() -> None:
    failed = rung({}, status="failed", detail="the webhook [502] failed", warnings=[Warned(11200, "[x] bad")])
    text = told(failed)
    assert "failed before it was answered: the webhook [502] failed." in text
    assert "11200 [x] bad" in text
    assert "The call failed before it was answered: busy." in told(rung({}, status="busy"))


# --- exit codes ----------------------------------------------------------------------------------


def test_a_file_that_is_no_audio_is_refused(
    callbot: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "noise[1].wav").write_bytes(b"this is no RIFF")
    assert callbot("call", "noise[1].wav") == 2
    assert "noise[1].wav" in capsys.readouterr().out


def test_a_sidecar_with_another_number_of_utterances_is_refused(
    callbot: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(AUDIO / "hangup.wav", tmp_path)
    (tmp_path / "hangup.yaml").write_text('utterances:\n- text: "One."\n- text: "Two."\n')
    assert callbot("call", "hangup.wav") == 2
    assert "hangup.yaml:1: 2 utterances are listed, but hangup.wav has 1" in capsys.readouterr().out


@pytest.mark.realtime
@pytest.mark.models
@pytest.mark.usefixtures("company")
def test_a_call_that_failed_is_shown_and_written_all_the_same_and_exits_with_1(
    callbot: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(AUDIO / "hangup.wav", tmp_path / "[b]caller.wav")
    (tmp_path / "[b]caller.yaml").write_text('from: "+15550163"\n')
    assert callbot("call", "[b]caller.wav", "--to", "+15550101", "--json", "made/on/the/way.json") == 1
    shown = capsys.readouterr().out
    assert "[b]caller.wav rings +15550101 from +15550163" in shown
    assert "Bob (broken)      Acme." in shown
    assert "caller            What are your hours?" in shown
    assert "the call is over: failed, ended by the agent" in shown
    record = json.loads(Path("made/on/the/way.json").read_text())
    assert (record["disposition"], record["agents"]) == ("failed", ["broken"])
    assert [turn["text"] for turn in record["turns"]] == ["Acme.", "What are your hours?", "Sorry."]


# --- the whole, as an operator runs it -----------------------------------------------------------

NUMBER = (int, float)
TURN = {"turn": int, "who": str, "text": str, "start_ms": int, "end_ms": int}
AGENTS = TURN | {"agent": str, "heard": str, "interrupted": bool, "response_ms": (int, type(None))}
SHAPE: dict[str, Any] = {
    "call_sid": str,
    "disposition": str,
    "ended_by": str,
    "ended_reason": str,
    "agents": list,
    "turns": list,
    "handoffs": list,
    "transfers": list,
    "recording": str,
    "events": int,
    "slots": dict,
    "tools": list,
    "cited": list,
    "failures": list,
    "noticed": list,
    "usage": list,
    "cost": dict,
    "measured": dict,
}


def assert_shape(given: dict[str, Any], shape: dict[str, Any]) -> None:
    assert set(given) == set(shape)
    for name, kind in shape.items():
        assert isinstance(given[name], kind), name


@pytest.mark.realtime
@pytest.mark.models
@pytest.mark.usefixtures("vectors")
def test_a_recorded_caller_is_answered_recorded_and_written_down(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("callbot")
    ended = subprocess.run(
        [command, "call", AUDIO / "hangup.wav", "--json", "call.json"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout
    shown = ended.stdout.splitlines()
    assert "hangup.wav rings +15550101 from +15550142" in shown
    answered = next(n for n, line in enumerate(shown) if "the call is answered by Sam (sales)" in line)
    who = [line[8:26].strip() for line in shown[answered + 1 : answered + 4]]
    assert who == ["Sam (sales)", "caller", "Sam (sales)"]

    record = json.loads((tmp_path / "call.json").read_text())
    assert_shape(record, SHAPE)
    for turn in record["turns"]:
        assert_shape(turn, AGENTS if turn["who"] == "agent" else TURN)
        assert 0 <= turn["start_ms"] <= turn["end_ms"]
    assert [turn["who"] for turn in record["turns"]] == ["agent", "caller", "agent"]
    assert record["turns"][1]["text"].lower() == "i'd like to buy a mesh kit."
    assert record["turns"][0]["response_ms"] is None
    assert 0 < record["turns"][2]["response_ms"] < 3000
    assert (record["disposition"], record["ended_by"]) == ("abandoned", "caller")
    assert (record["agents"], record["handoffs"], record["transfers"]) == (["sales"], [], [])
    assert record["slots"]["product"] == {"value": "mesh", "said_by": "caller", "confirmed": False, "turn": 1}
    assert set(record["tools"][0]) == {"tool", "arguments", "result", "changed"}
    assert len(record["measured"]["responses_ms"]) == 1
    assert record["measured"]["response_p50_ms"] == record["measured"]["responses_ms"][0]

    recording = tmp_path / record["recording"]
    assert recording.read_bytes()[20:22] == b"\x07\x00"  # mu-law
    assert int.from_bytes(recording.read_bytes()[22:24], "little") == 2
    seconds = (recording.stat().st_size - 58) / 2 / 8000
    assert seconds == pytest.approx(record["measured"]["duration_ms"] / 1000, abs=0.5)
    assert recording.stem == record["call_sid"]
