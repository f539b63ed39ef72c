import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import COMPANY, Command


def rows(shown: str) -> list[str]:
    return [" ".join(line.split()) for line in shown.splitlines()]


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://bot.example.com")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")


@pytest.mark.usefixtures("twilio")
def test_a_bot_that_can_take_calls_exits_with_0(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOT_COMPANY", str(COMPANY))
    monkeypatch.setenv("CALLBOT_DATA", "calls [b]")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///a/calls.db")
    assert callbot("doctor") == 0
    shown = rows(capsys.readouterr().out)
    assert "ok hears English by the package moonshine_voice" in shown
    assert "ok Twilio webhooks at https://bot.example.com/twilio/voice" in shown
    assert "ok records sqlite+aiosqlite:///a/calls.db" in shown
    assert "ok recordings calls [b]/recordings" in shown
    assert any(row.startswith("ok company") for row in shown)


def test_without_a_carrier_it_says_what_to_write_and_exits_with_1(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOT_RECORD", "0")
    assert callbot("doctor") == 1
    shown = " ".join(rows(capsys.readouterr().out))
    assert "-- Twilio not configured: write PUBLIC_URL and TWILIO_AUTH_TOKEN into .env" in shown
    assert "ok recordings off (CALLBOT_RECORD)" in shown
    assert "ok company the demo company (write CALLBOT_COMPANY for your own)" in shown


@pytest.mark.usefixtures("twilio")
@pytest.mark.parametrize(("extra", "package"), [("local", "hibari"), ("languages", "ctranslate2")])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(
    callbot: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert callbot("doctor") == (1 if extra == "local" else 0), "only English is needed for a call"
    assert f"not installed: pip install 'callbot[{extra}]'" in " ".join(rows(capsys.readouterr().out))


@pytest.mark.usefixtures("twilio")
def test_the_systems_espeak_will_do(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    shutil.copy("/bin/sh", tmp_path / "espeak-ng")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert callbot("doctor") == 0
    assert "ok speaks other languages by the system's espeak-ng" in rows(capsys.readouterr().out)


@pytest.mark.usefixtures("twilio")
def test_a_whisper_model_of_ones_own_is_shown_and_one_that_is_not_whole_with_what_it_lacks(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "small [int8]"
    folder.mkdir()
    monkeypatch.setenv("CALLBOT_WHISPER", str(folder))
    for name in ("model.bin", "config.json", "vocabulary.json"):
        (folder / name).touch()
    assert callbot("doctor") == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "-- Whisper model CALLBOT_WHISPER=" in shown
    assert "there is no tokenizer.json." in shown
    (folder / "tokenizer.json").touch()
    assert callbot("doctor") == 0
    shown = "".join(capsys.readouterr().out.split())
    assert "okWhispermodel" + "".join(str(folder).split()) in shown


def test_a_long_place_is_shown_whole(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "deep/" * 30
    monkeypatch.setenv("CALLBOT_DATA", place)
    callbot("doctor")
    assert place.removesuffix("/") in "".join(capsys.readouterr().out.split())


def company_that_thinks(thinking: str, folder: Path) -> Path:
    company = folder / "company"
    shutil.copytree(COMPANY, company)
    for agent in (company / "agents").glob("*.yaml"):
        agent.write_text(f"{agent.read_text(encoding='utf-8')}\nthinking: {thinking}\n", encoding="utf-8")
    return company


# --- what a key changes --------------------------------------------------------------------------

OPENAI = {"OPENAI_API_KEY": "sk-3f9c1e7a5b2d"}
ELEVENLABS = {"ELEVENLABS_API_KEY": "el-8d2b6c4f1a90"}
DEEPGRAM = {"DEEPGRAM_API_KEY": "dg-1c5e9a7b3d42"}
OWN_SERVER = {"OPENAI_BASE_URL": "http://localhost:11434/v1"}


def said(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> str:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    callbot("doctor")
    shown = " ".join(rows(capsys.readouterr().out))
    for name, value in env.items():
        assert not name.endswith("_KEY") or value not in shown, "a key is never printed"
    return shown


def test_with_no_key_this_machine_does_it_all_and_a_local_call_costs_nothing(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = said(callbot, capsys, monkeypatch, {})
    assert "ok hears moonshine+whisper on this machine" in shown
    assert "keys none, and none is needed; what else could be in .env: OPENAI_API_KEY, ELEVENLABS" in shown
    assert "ok thinks by flows and documents, on this machine" in shown
    assert "a model could answer what they do not understand: write OPENAI_API_KEY, or OPENAI_BASE" in shown
    assert "ok speaks Maya: hibari on this machine" in shown
    assert "a local call costs nothing" in shown


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (
            OPENAI,
            [
                "hears openai:gpt-live-transcribe (OpenAI), then moonshine+whisper on this machine",
                "keys OpenAI; what else could be in .env: ELEVENLABS_API_KEY, DEEPGRAM_API_KEY, CARTESIA",
                "thinks openai:gpt-5.4-mini (OpenAI) for Lucía, Sam, Maya, Theo, where their flows do not",
                "Maya: openai:gpt-4o-mini-tts/marin (OpenAI), then hibari on this machine",
            ],
        ),
        (
            OPENAI | ELEVENLABS,
            [
                "hears openai:gpt-live-transcribe (OpenAI), then elevenlabs:scribe_v2_realtime (ElevenLabs)",
                "Maya: elevenlabs:eleven_flash_v2_5/JBFqnCBsd6RMkjVDRZzb (ElevenLabs), then openai:",
            ],
        ),
        (
            DEEPGRAM | OWN_SERVER,
            [
                "hears deepgram:nova-3 (Deepgram), then moonshine+whisper on this machine",
                "thinks openai:gpt-5.4-mini (http://localhost:11434/v1)",
                "-- thinks say which model your server has: CALLBOT_LLM=openai:MODEL",
                "keys Deepgram; what else",
                "Maya: deepgram:aura-2-thalia-en (Deepgram), then hibari on this machine",
                "Lucía: deepgram:aura-2-celeste-es (Deepgram), then espeak:es on this machine",
            ],
        ),
    ],
)
def test_a_key_changes_what_is_used_first_and_this_machine_stays_the_last(
    callbot: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    expected: list[str],
) -> None:
    shown = said(callbot, capsys, monkeypatch, env)
    for line in expected:
        assert line in shown
    assert "costs about $0.0" in shown


@pytest.mark.parametrize(
    ("thinking", "said_of_it"),
    [
        ("flow", "thinks openai:gpt-5.4-mini (OpenAI) for no agent yet: write thinking: flow_first"),
        ("model", "thinks openai:gpt-5.4-mini (OpenAI) for Bob, Ada"),
    ],
)
def test_for_whom_a_model_thinks_is_told_and_for_nobody_it_costs_nothing(
    callbot: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    thinking: str,
    said_of_it: str,
) -> None:
    monkeypatch.setenv("CALLBOT_COMPANY", str(company_that_thinks(thinking, tmp_path)))
    shown = said(callbot, capsys, monkeypatch, OPENAI)
    assert said_of_it in shown
    assert ("thinks $" in shown) == (thinking == "model")


def test_agents_that_need_a_model_and_have_none_are_named(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CALLBOT_COMPANY", str(company_that_thinks("model", tmp_path)))
    shown = said(callbot, capsys, monkeypatch, {})
    assert "should think with a model, and there is none: write OPENAI_API_KEY" in shown


def test_what_is_named_without_its_key_is_told(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = said(callbot, capsys, monkeypatch, {"CALLBOT_STT": "deepgram,moonshine"})
    assert "-- hears deepgram:nova-3 is named and not used: DEEPGRAM_API_KEY is not set" in shown
    assert "ok hears moonshine on this machine" in shown


def test_a_chain_of_which_nothing_can_be_used_is_told(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = said(callbot, capsys, monkeypatch, {"CALLBOT_TTS": "elevenlabs"})
    assert "CALLBOT_TTS=elevenlabs leaves nothing to use" in shown


# --- a model that hears and speaks by itself -----------------------------------------------------


@pytest.fixture
def by_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company whose agents think with such a model."""
    monkeypatch.setenv("CALLBOT_COMPANY", str(company_that_thinks("speech", tmp_path)))


@pytest.mark.usefixtures("by_speech")
def test_a_model_that_does_all_by_itself_is_told_with_its_price(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = said(callbot, capsys, monkeypatch, OPENAI)
    name = "openai-realtime:gpt-realtime-2.1/marin"
    assert f"{name} (OpenAI) hears, thinks and speaks; the above if it fails" in shown
    assert f"a minute, and the carrier, where {name} hears, thinks and speaks" in shown


@pytest.mark.usefixtures("by_speech")
def test_without_a_key_for_it_what_goes_on_instead_is_told(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = said(callbot, capsys, monkeypatch, {})
    assert "should hear and speak by one model: write OPENAI_API_KEY" in shown


@pytest.mark.usefixtures("by_speech")
def test_one_that_cannot_be_is_told(
    callbot: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = said(callbot, capsys, monkeypatch, {"CALLBOT_SPEECH_TO_SPEECH": "openai-realtime"})
    assert "CALLBOT_SPEECH_TO_SPEECH=openai-realtime leaves nothing to use" in shown
