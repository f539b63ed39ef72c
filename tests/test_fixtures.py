"""The recorded callers are what their files beside them say."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from callbot.exchange.callers import RecordedCaller, read_recording
from callbot.exchange.sounds import to_mulaw, to_samples
from fixtures import make

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
DEMO = Path(__file__).parents[1] / "callbot" / "demo"
CALLERS = sorted(path.stem for path in AUDIO.glob("*.yaml"))
BOT_VOICES = {"hibari", "espeak"}


def described(name: str) -> dict[str, Any]:
    data = yaml.safe_load((AUDIO / f"{name}.yaml").read_text("utf-8"))
    assert isinstance(data, dict)
    return data


every_caller = pytest.mark.parametrize("name", CALLERS)


def test_every_recording_is_described_and_every_description_recorded() -> None:
    assert sorted(path.stem for path in AUDIO.glob("*.wav")) == CALLERS
    assert sorted(path.stem for path in AUDIO.glob("*.txt")) == CALLERS


def test_there_are_enough_callers_for_every_habit_of_a_caller() -> None:
    habits = {"barge_in", "backchannel", "hesitation", "correction", "noise", "long_silence", "dtmf"}
    assert habits | {"tour", "numbers_spelled", "email", "spanish", "silent", "hangup"} <= set(CALLERS)
    assert len(CALLERS) >= 14


def test_the_callers_have_several_voices_and_none_is_the_bots() -> None:
    voices = {described(name)["voice"] for name in CALLERS}
    assert len(voices) >= 2
    assert not voices & BOT_VOICES


def test_all_recordings_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in AUDIO.glob("*.wav")) < 6_000_000


@every_caller
def test_a_recording_is_mulaw_at_8_khz_with_one_channel(name: str) -> None:
    data = (AUDIO / f"{name}.wav").read_bytes()
    form = struct.unpack_from("<4sI4s4sIHHIIHH", data)
    assert form[:1] + form[2:4] == (b"RIFF", b"WAVE", b"fmt ")
    assert form[5:] == (7, 1, 8000, 8000, 1, 8)
    assert form[1] == len(data) - 8


@every_caller
def test_a_recording_says_whose_voice_it_is_and_under_which_licence(name: str) -> None:
    data = described(name)
    assert data["voice"] in make.VOICES
    assert "Apache-2.0" in data["licence"]
    assert data["voice"] in data["licence"] or "Kokoro" in data["licence"]
    assert "make.py" in data["made_with"]
    assert data["description"]


@every_caller
def test_the_transcript_is_what_the_description_says(name: str) -> None:
    said = [utterance["text"] for utterance in described(name)["utterances"]]
    assert (AUDIO / f"{name}.txt").read_text("utf-8").splitlines() == said


@every_caller
def test_a_recording_splits_into_the_utterances_that_are_listed(name: str) -> None:
    caller = RecordedCaller(AUDIO / f"{name}.wav")
    listed = described(name)["utterances"]
    assert len(caller.recording.utterances) == len(listed)
    for speech, utterance in zip(caller.recording.utterances, listed, strict=True):
        assert "".join(key.digit for key in speech.keys) == utterance.get("keys", "")
        pause_s = utterance.get("pause_before_s", 0.0)
        assert speech.silent_before_ms == pytest.approx(pause_s * 1000, abs=150)


@every_caller
def test_speech_is_loud_enough_and_never_clipped(name: str) -> None:
    for speech in read_recording(AUDIO / f"{name}.wav").utterances:
        if not speech.keys:  # the exchange takes the tones out and leaves silence
            assert 0.1 < np.abs(to_samples(speech.audio) / 32768).max() < 0.95


def test_the_line_is_never_digitally_silent() -> None:
    """A detector that only ever heard zeros between words would be tested on something no line does."""
    for name in CALLERS:
        quiet = read_recording(AUDIO / f"{name}.wav").whole.audio[:2000]
        assert np.abs(to_samples(quiet) / 32768).mean() > 1e-4


# --- what is expected of the bot fits the demo business -------------------------------------------


def slots_of(agent: str) -> Mapping[str, Any]:
    flow = yaml.safe_load((DEMO / "agents" / f"{agent}.yaml").read_text("utf-8"))["flow"]
    slots = dict(flow.get("slots", {}))
    for shared in flow.get("include", []):
        slots |= yaml.safe_load((DEMO / shared).read_text("utf-8")).get("slots", {})
    return slots


@every_caller
def test_the_number_called_is_one_of_the_business(name: str) -> None:
    business = yaml.safe_load((DEMO / "business.yaml").read_text("utf-8"))
    assert described(name)["to"] in business["numbers"]


@every_caller
def test_the_slots_expected_are_slots_of_the_agents_expected(name: str) -> None:
    expected = described(name)["expect"]
    known = {slot for agent in expected["agents"] for slot in slots_of(agent)}
    assert set(expected["slots"]) <= known
    assert expected["handoffs"] == len(expected["agents"]) - 1
    assert expected["disposition"] in {"resolved", "abandoned"}


# --- the maker ------------------------------------------------------------------------------------


def write(folder: Path, text: str) -> Path:
    path = folder / "someone.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("voice: joe: kumo", "someone.yaml"),
        ("- text", "mapping"),
        ("voice: hibari", "write one of joe"),
        ("voice: joe\nutterances: [{say: hello}]", "utterance 1 needs text"),
        ("voice: joe\nutterances: [{text: hello, loud: true}]", "may have"),
        ("voice: joe\nutterances: [{text: keys, keys: 5x}]", "write keys among"),
        ("voice: joe\nutterances: hello", "a list"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(make.CallerFileError, match=reason):
        make.read_caller(write(tmp_path, text))


def test_the_makers_mulaw_is_the_telephones() -> None:
    pcm = np.arange(-32767, 32768, 7, dtype=np.int16)
    assert make.mulaw(pcm / 32767) == to_mulaw(pcm)


def test_a_written_pause_is_silence_of_that_length_between_the_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beep(script: make.Script) -> make.Samples:
        return np.ones(800 * len(script.words.split()))

    monkeypatch.setitem(make.VOICES, "beep", beep)  # type: ignore[arg-type]
    path = write(tmp_path, 'voice: beep\nutterances: [{text: x, say: "one two, [0.7] three"}]')
    (utterance,) = make.read_caller(path).utterances
    sound = make.speak(utterance, "beep")
    assert len(sound) == 2 * 800 + 5600 + 800
    assert not sound[1600:7200].any()


def test_noise_has_the_level_that_is_asked_for() -> None:
    caller = make.Caller("someone", "joe", (), length_s=4.0, noise_db=21.0)
    level = 20 * np.log10(np.sqrt(np.mean(make.record(caller) ** 2)))
    assert level == pytest.approx(make.SPEECH_DBFS - 21.0, abs=0.3)
