import importlib.util

import pytest

from callbot.exchange import ear
from callbot.exchange.sounds import level_db
from callbot.exchange.voice import HibariVoice, default_voice, hum


def test_without_the_package_a_quiet_tone_lasts_as_long_as_the_words_would(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    voice = default_voice()
    assert voice is hum
    assert len(voice("twice as long")) == 13 * 480
    assert -32 < level_db(voice("hello")) < -26
    assert voice("") == b""


@pytest.mark.models
def test_with_the_package_words_are_spoken():
    pytest.importorskip("hibari")
    voice = default_voice()
    assert isinstance(voice, HibariVoice)
    audio = voice("Hello, you have reached the exchange.")
    assert 1.5 < len(audio) / 8000 < 5
    assert sum(segment.end_ms - segment.start_ms for segment in ear.speech(audio)) > 1000
