import gzip
import json
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import wer
from bench.words import errors, words
from tests.providers.conftest import Say


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It's seven four two nine.", "it's 7429"),
        ("B, seven four two nine", "B7429"),
        ("sixty-two dollars and fifty cents", "$62.50"),
        ("one thousand two hundred and ninety nine dollars", "$1,299"),
        ("the twenty eighth of May", "the 28th of May"),
        ("five five five, oh one four two", "555 0142"),
        ("press one or two", "Press 1, or 2!"),
        ("press pound or star", "press # or *"),
        ("ten percent", "10%"),
        ("nine a.m.", "9 AM"),
        ("tom at example dot com", "tom@example.com"),
        ("three point five", "3.5"),
    ],
)
def test_however_it_is_written_it_is_the_same(one: str, other: str):
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("oh no", "zero no"), ("I am", "I'm"), ("fifteen", "fifty"), ("two", "to"), ("one hundred", "one")],
)
def test_what_differs_stays_different(one: str, other: str):
    assert words(one) != words(other)


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a c", "a b c", 1),
        ("a b c", "a x c", 1),
        ("", "a b", 2),
        ("log in to voice mail", "login to voicemail", 0),
        ("voicemail", "voice mail", 0),
        ("a b", "c d", 2),
    ],
)
def test_errors_are_words_changed_dropped_and_added(said: str, heard: str, wrong: int):
    assert errors(said.split(), heard.split()) == wrong


LETTERS = st.lists(st.sampled_from(["alpha", "beta", "gamma"]), max_size=8)


@given(LETTERS, LETTERS)
def test_the_errors_are_a_distance(one: list[str], other: list[str]):
    assert errors(one, other) == errors(other, one)
    assert (errors(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= errors(one, other) <= max(len(one), len(other))


@given(st.text(max_size=60))
def test_any_text_has_words(text: str):
    assert all(word and word == word.lower() for word in words(text))


def write_wav(path: Path, audio: bytes) -> None:
    from callbot.providers import mulaw

    pcm = (mulaw.decode(audio) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(pcm.tobytes())


@pytest.fixture
def callers(tmp_path: Path, say: Say) -> Path:
    write_wav(
        tmp_path / "bill.wav", say("I have a question about my bill.") + b"\xff" * 8000 + say("Thank you.")
    )
    (tmp_path / "bill.yaml").write_text(
        "utterances: [{text: 'I have a question about my bill.'}, {keys: '5', text: ''}, {text: 'Thank you'}]"
    )
    (tmp_path / "factura.yaml").write_text("language: es\nutterances: [{text: Hola}]")
    return tmp_path


@pytest.mark.models
def test_recorded_callers_are_measured(callers: Path, capsys: pytest.CaptureFixture[str]):
    assert wer.main([str(callers), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["wer"] == 0
    assert [(one["name"], one["words"]) for one in found["recordings"]] == [("bill", 9)]


@pytest.mark.models
def test_the_table_shows_what_was_said_and_what_was_heard(callers: Path, capsys: pytest.CaptureFixture[str]):
    (callers / "bill.yaml").write_text("utterances: [{text: 'I have a question about my dog. Thank you.'}]")
    assert wer.main([str(callers)]) == 0
    table = capsys.readouterr().out
    assert "said:  I have a question about my dog. Thank you." in table
    assert table.endswith("0 of 1 recordings have no error.\n")
    assert "9       1   11.1" in table


@pytest.mark.models
def test_prompts_are_chosen_by_the_rule(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    transcripts = tmp_path / "sounds.txt.gz"
    lines = [
        "; heading",
        "",
        "busy: All circuits are busy now.",
        "short: Thank you.",
        "beep: [one two three]",
    ]
    transcripts.write_bytes(
        gzip.compress("\n".join([*lines, "gone: This one is absent.", "long: a b c"]).encode())
    )
    for name in ("busy", "short", "beep"):
        write_wav(tmp_path / f"{name}.wav", say("All circuits are busy now."))
    write_wav(tmp_path / "long.wav", b"\xff" * 8000 * 31)
    monkeypatch.setattr(wer, "SOUNDS", tmp_path)
    monkeypatch.setattr(wer, "TRANSCRIPTS", transcripts)
    assert wer.main(["--human"]) == 0
    assert "1 of 1 recordings have no error." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--human"], ["{folder}"], ["--stt", "moonshien"]])
def test_what_is_missing_is_said_with_what_to_do(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(wer, "TRANSCRIPTS", tmp_path / "none")
    assert wer.main([argument.format(folder=tmp_path) for argument in arguments]) == 1
    said = capsys.readouterr().err
    assert "apt-get install" in said or "NAME.wav" in said or "did you mean moonshine" in said


@pytest.mark.models
@pytest.mark.skipif(not wer.TRANSCRIPTS.exists(), reason=f"needs recordings of people: {wer.INSTALL}")
def test_at_most_seven_words_in_a_hundred_of_human_speech_are_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On every fourth of the prompts, which takes a quarter of the time."""
    prompts = list(wer.human_prompts(wer.SOUNDS, wer.TRANSCRIPTS))
    monkeypatch.setattr(wer, "human_prompts", lambda sounds, transcripts: prompts[::4])
    assert wer.main(["--human", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["recordings"]) >= 60
    assert found["wer"] <= 0.07
