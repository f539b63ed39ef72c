import pytest

from callbot.exchange.errors import ScenarioError
from callbot.exchange.scenario import (
    Clip,
    Cue,
    HangUp,
    Interrupt,
    PlayClip,
    PressKeys,
    Scenario,
    Sidecar,
    StaySilent,
    WaitForSpeech,
    WaitForStop,
    read_scenario,
    read_sidecar,
)

HEAD = "name: a caller\nto: +15550100\nfrom: +15550142\nsteps:\n"


@pytest.fixture
def write(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")

    def write(text: str):
        path = tmp_path / "scenario.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_step_is_read(write, tmp_path):
    path = write(
        HEAD
        + """
  - play: a.wav
  - play: {file: a.wav, utterance: 3}
  - wait: bot_stopped
  - wait: bot_speaking
  - wait: {seconds: 2}
  - press: "5"
  - press: 012
  - press: 42
  - interrupt: {play: a.wav, after_ms: 600}
  - silence: 10
  - silence: 0.5
  - hang_up
expect: {agents: [support], max_response_ms: 900}
"""
    )
    clip = tmp_path / "a.wav"
    assert read_scenario(path) == Scenario(
        path,
        "a caller",
        "+15550100",
        "+15550142",
        (
            PlayClip(Clip(clip)),
            PlayClip(Clip(clip, 3)),
            WaitForStop(),
            WaitForSpeech(),
            StaySilent(2.0),
            PressKeys("5"),
            PressKeys("012"),
            PressKeys("42"),
            Interrupt(Clip(clip), 600),
            StaySilent(10.0),
            StaySilent(0.5),
            HangUp(),
        ),
        {"agents": ["support"], "max_response_ms": 900},
    )


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "write name, to, from, steps"),
        ("- a", 1, "write name, to, from, steps"),
        ("name: [", 1, "not YAML"),
        ("name: x\nname: y", 2, "name is given twice"),
        (HEAD, 4, "write a list of steps"),
        (HEAD.replace("name: a caller\n", "") + "  - hang_up", 1, "'name' is a required property"),
        (HEAD.replace("+15550100", "12") + "  - hang_up", 2, "E.164"),
        (HEAD + "  - hang_up\nextra: 1", 1, "'extra' was unexpected"),
        (HEAD + "  - hang_up\n  - sing: a.wav", 6, "play, wait, press, interrupt, silence or hang_up"),
        (HEAD + "  - wave", 5, "play, wait, press"),
        (HEAD + "  - {play: a.wav, press: 5}", 5, "play, wait, press"),
        (HEAD + "  - play: 3", 5, "write a WAV file's name"),
        (HEAD + "  - play: {file: a.wav, utterance: 0}", 5, "write a WAV file's name"),
        (HEAD + "  - play: b.wav", 5, "there is no b.wav beside the scenario"),
        (HEAD + "  - wait: a bit", 5, "write bot_stopped, bot_speaking or {seconds: 2}"),
        (HEAD + "  - press: E", 5, "write keys in quotes"),
        (HEAD + "  - interrupt: {play: a.wav}", 5, "write {play: clip.wav, after_ms: 600}"),
        (
            HEAD + "  - interrupt:\n      play: a.wav\n      after_ms: soon",
            7,
            "write a number of milliseconds",
        ),
        (HEAD + "  - silence: long", 5, "write a number of seconds"),
        (HEAD + "  - hang_up: now", 5, "write hang_up alone"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_to_write(write, text, line, why):
    path = write(text)
    with pytest.raises(ScenarioError) as raised:
        read_scenario(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert why in str(raised.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"gone\.yaml: cannot be read"):
        read_scenario(tmp_path / "gone.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match=r"x\.yaml: cannot be read"):
        read_scenario(tmp_path / "x.yaml")
    (tmp_path / "x.yaml").write_bytes(b"name: \x07")
    with pytest.raises(ScenarioError, match=r"x\.yaml:1: not YAML"):
        read_scenario(tmp_path / "x.yaml")


def test_a_sidecars_cues_are_read_and_what_is_for_others_is_left_alone(write):
    path = write(
        "licence: CC0\nfrom: +15550177\nutterances:\n"
        '  - text: "Hello."\n    voice: x\n'
        '  - {text: "Wait.", when: {interrupt_after_ms: 600}}\n'
        '  - {text: "No.", when: {straight_after_ms: 300}}\nthen: hang_up\n'
    )
    assert read_sidecar(path) == Sidecar(
        path,
        (Cue("Hello."), Cue("Wait.", interrupt_after_ms=600), Cue("No.", straight_after_ms=300)),
        from_number="+15550177",
        hangs_up=True,
        utterances_line=3,
    )


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("utterances:\n  - Hello", 2, 'write - text: "what is said"'),
        ("utterances:\n  - text: a\n    when: {after: 3}", 3, "write {interrupt_after_ms: 600}"),
        ("then: sing", 1, "write hang_up"),
    ],
)
def test_a_wrong_cue_is_named_with_its_line(write, text, line, why):
    path = write(text)
    with pytest.raises(ScenarioError) as raised:
        read_sidecar(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert why in str(raised.value)
