import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from callbot.cli.simulate import EXPECTATIONS, overall, read, unmet
from callbot.errors import ConfigurationError
from callbot.exchange.callers import RecordedCaller, ScriptedCaller
from tests.cli.conftest import Command
from tests.cli.rings import RECORD, rung

ROOT = Path(__file__).parents[2]
AUDIO = ROOT / "fixtures" / "audio"
SCENARIOS = sorted((ROOT / "tests" / "calls").glob("*.yaml"))

WRONG_NUMBER = """\
name: "wrong [b] number"
to: "+15550100"
from: "+15550142"
steps:
- wait: bot_speaking
- hang_up
"""


# --- what was expected and was not ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "problems"),
    [
        ({}, []),
        ({"agents": ["support", "sales"]}, []),
        ({"agents": ["sales"]}, ["agents: ['support', 'sales'], expected ['sales']"]),
        ({"disposition": "resolved"}, []),
        ({"disposition": "failed"}, ["disposition: resolved, expected failed"]),
        ({"handoffs": 1}, []),
        ({"handoffs": 0}, ["handoffs: 1, expected 0"]),
        ({"slots": {"product": "mesh"}}, []),
        ({"slots": {"product": "pro"}}, ["slot product: mesh, expected pro"]),
        ({"slots": {"email": "a@example.com"}}, ["slot email: None, expected a@example.com"]),
        ({"heard": ["HELLO, how", "l1001"]}, []),
        ({"heard": ["how can I help"]}, ["not heard: 'how can I help'"]),  # meant, but cut off
        ({"heard": ["a mesh kit"]}, ["not heard: 'a mesh kit'"]),  # the caller's own words
        ({"max_response_ms": 900}, []),
        ({"max_response_ms": 899}, ["slowest response 900 ms, expected at most 899"]),
        (
            {"agents": [], "handoffs": 2, "heard": ["x y", "goodbye", "z"]},
            [
                "agents: ['support', 'sales'], expected []",
                "handoffs: 1, expected 2",
                "not heard: 'x y'",
                "not heard: 'z'",
            ],
        ),
    ],
)
def test_what_is_not_as_expected_is_said(expect: dict[str, Any], problems: list[str]) -> None:
    assert unmet(expect, rung(responses_ms=[300, 900])) == problems


def test_a_call_without_responses_is_never_too_slow() -> None:
    assert unmet({"max_response_ms": 1}, rung()) == []


def test_a_call_that_was_not_answered_meets_nothing() -> None:
    assert unmet({}, rung({}, status="busy")) == ["the call was not answered: busy"]
    assert unmet({}, rung({}, status="failed", detail="502")) == ["the call was not answered: 502"]


@pytest.mark.parametrize("days", range(7))
def test_a_date_meets_its_weekday(days: int) -> None:
    day = date(2026, 11, 9) + timedelta(days)  # a Monday
    names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    call = rung(RECORD | {"slots": {"day": {"value": day.isoformat()}}})
    for name in names:
        expected = [] if name == names[days] else [f"slot day: {day.isoformat()}, expected {name.title()}"]
        assert unmet({"slots": {"day": name.title()}}, call) == expected


def test_what_is_no_date_meets_no_weekday() -> None:
    call = rung(RECORD | {"slots": {"day": {"value": "soon"}}})
    assert unmet({"slots": {"day": "monday"}}, call) == ["slot day: soon, expected monday"]


def test_the_percentiles_are_over_all_calls() -> None:
    one = {"responses_ms": [100, 200], "barge_ins_ms": []}
    other = {"responses_ms": [300, 400], "barge_ins_ms": [150]}
    assert overall([one, other]) == (
        "response at the ear: p50 200 ms, p95 400 ms (4 answers); "
        "barge-in to silence: p50 150 ms (1 interruptions)"
    )
    assert "p50 -, p95 - (0 answers)" in overall([])


# --- reading -------------------------------------------------------------------------------------


def test_a_scenario_is_read() -> None:
    ringing = read(ROOT / "tests" / "calls" / "wrong_number.yaml")
    assert isinstance(ringing.caller, ScriptedCaller)
    assert (ringing.name, ringing.from_number, ringing.to_number) == (
        "wrong number",
        "+15550142",
        "+15550101",
    )
    assert ringing.expect["disposition"] == "abandoned"


def test_a_recording_is_read_with_its_sidecar() -> None:
    ringing = read(AUDIO / "dtmf.wav")
    assert isinstance(ringing.caller, RecordedCaller)
    assert (ringing.name, ringing.from_number, ringing.to_number) == ("dtmf", "+15550150", "+15550102")
    assert ringing.expect["slots"] == {"account_phone": "+15550163"}


def test_a_recording_without_a_sidecar_rings_the_main_line(tmp_path: Path) -> None:
    shutil.copy(AUDIO / "hangup.wav", tmp_path / "CALLER.WAV")
    ringing = read(tmp_path / "CALLER.WAV")
    assert (ringing.from_number, ringing.to_number) == ("+15550142", "+15550100")
    assert ringing.expect == {}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_scenario_of_ours_can_be_read(path: Path) -> None:
    assert read(path).expect


WRONG = {
    "dispositon: resolved": "dispositon cannot be checked; write agents, disposition",
    "{b: 1, a: 2, 3: 4}": "3, a, b cannot be checked",
    "agents: support": r"agents: 'support' cannot be; write a list of the agents .* \[support, sales\]",
    "disposition: done": "disposition: 'done' cannot be; write one of resolved, transferred",
    "slots: [mesh]": r"slots: \['mesh'\] cannot be; write a mapping",
    "handoffs: none": "handoffs: 'none' cannot be; write how many",
    "handoffs: true": "handoffs: True cannot be",
    "handoffs: -1": "handoffs: -1 cannot be",
    "heard: goodbye": "heard: 'goodbye' cannot be; write a list",
    "heard: [1]": r"heard: \[1\] cannot be",
    "max_response_ms: 0.9": "max_response_ms: 0.9 cannot be; write the slowest response in milliseconds",
}


@pytest.mark.parametrize(("written", "said"), WRONG.items())
def test_an_expectation_that_cannot_be_checked_is_refused(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{WRONG_NUMBER}expect:\n  {written}\n")
    with pytest.raises(ConfigurationError, match=said) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: expect: ")


@pytest.mark.parametrize("written", ["[resolved]", "", "resolved"])
def test_a_sidecar_whose_expectations_are_no_mapping_is_refused(tmp_path: Path, written: str) -> None:
    shutil.copy(AUDIO / "hangup.wav", tmp_path)
    (tmp_path / "hangup.yaml").write_text(f"expect: {written}\n")
    with pytest.raises(ConfigurationError, match=r"hangup\.yaml: expect: write a mapping"):
        read(tmp_path / "hangup.wav")


def test_what_to_write_can_be_written() -> None:
    assert list(EXPECTATIONS) == [
        "agents",
        "disposition",
        "slots",
        "handoffs",
        "heard",
        "max_response_ms",
    ]


def test_one_scenario_that_cannot_be_read_stops_them_all(
    callbot: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.yaml").write_text(WRONG_NUMBER)
    (tmp_path / "bad.yaml").write_text(f"{WRONG_NUMBER}expect: {{heard: goodbye}}\n")
    (tmp_path / "worse.yaml").write_text("steps: [")
    assert callbot("simulate", "good.yaml", "bad.yaml") == 2
    assert "bad.yaml: expect: heard: 'goodbye' cannot be" in capsys.readouterr().out
    assert callbot("simulate", "worse.yaml", "good.yaml") == 2
    assert "worse.yaml:1: not YAML" in capsys.readouterr().out


# --- calls ---------------------------------------------------------------------------------------


@pytest.mark.realtime
@pytest.mark.models
@pytest.mark.usefixtures("vectors")
def test_our_scenarios_meet_their_expectations(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOT_STT", "moonshine")  # nobody speaks Spanish here
    code = callbot("simulate", *SCENARIOS, "--json", "made/calls.json")
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert f"{len(SCENARIOS)} passed, 0 failed" in shown
    records = {record["name"]: record for record in json.loads(Path("made/calls.json").read_text())}
    assert set(records) == {"impatient", "wrong number"}
    impatient = records["impatient"]
    assert impatient["unmet"] == []
    assert [turn["text"] for turn in impatient["turns"] if turn["who"] == "caller"][-1] == "5550163"
    greeting = impatient["turns"][0]
    assert greeting["interrupted"]
    assert greeting["text"].startswith(greeting["heard"])
    assert len(impatient["measured"]["barge_ins_ms"]) >= 1


@pytest.mark.realtime
@pytest.mark.models
@pytest.mark.usefixtures("company")
def test_a_call_that_is_not_as_expected_is_named_with_what_it_lacked(
    callbot: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.yaml").write_text(f"{WRONG_NUMBER}expect: {{agents: [desk], disposition: abandoned}}\n")
    (tmp_path / "bad.yaml").write_text(f"{WRONG_NUMBER}expect: {{agents: [sales], heard: [goodbye]}}\n")
    assert callbot("simulate", "good.yaml", "bad.yaml") == 1
    shown = capsys.readouterr().out
    assert "[2/2] wrong [b] number" in shown
    assert "wrong [b] number: agents: ['desk'], expected ['sales']" in shown.splitlines()
    assert "wrong [b] number: not heard: 'goodbye'" in shown.splitlines()
    assert "1 passed, 1 failed" in shown
