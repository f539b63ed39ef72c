import asyncio
from pathlib import Path
from typing import Any

import pytest

from callbot.cli import local as module
from callbot.cli.local import Local, Records, local, local_settings
from callbot.errors import ConfigurationError
from callbot.exchange.callers import SilentCaller
from tests.cli.rings import rung

RESULT = rung().result


def record(disposition: str, call_sid: str = "CA1") -> dict[str, Any]:
    return {"call_sid": call_sid, "disposition": disposition}


async def test_a_record_that_comes_after_the_carriers_end_is_waited_for() -> None:
    records = Records()
    waiting = asyncio.create_task(records.of(RESULT))
    await asyncio.sleep(0)
    records.put(record("failed", "CA2"))
    await asyncio.sleep(0)
    assert not waiting.done()
    records.put(record("resolved"))
    assert await waiting == record("resolved")


@pytest.mark.virtual_time
async def test_a_stream_that_the_bot_refused_has_no_record() -> None:
    assert await Records().of(RESULT) == {}


def test_the_carriers_secrets_are_made_for_the_occasion(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://bot.example.com")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-real-one-of-the-account")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "1" * 32)
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    one, other = local_settings(tmp_path), local_settings()
    assert one.public_url == module.PUBLIC_URL
    assert one.twilio_account_sid is None
    tokens = {settings.twilio_auth_token.get_secret_value() for settings in (one, other)}  # type: ignore[union-attr]
    assert len(tokens) == 2
    assert "the-real-one-of-the-account" not in tokens
    assert one.log_level == "ERROR"
    assert (one.data, other.data) == (tmp_path, Path("calls"))


@pytest.mark.models
@pytest.mark.usefixtures("company")
async def test_a_carrier_with_another_secret_is_not_let_in(tmp_path: Path) -> None:
    loaded: list[str] = []
    async with local(local_settings(), loading=loaded.append) as bot:
        stranger = Local(local_settings(), bot._port, bot._records, bot.services)
        rung = await stranger.ring(SilentCaller(1), from_number="+15550142", to_number="+15550100")
    assert rung.record == {}
    assert rung.result.status == "failed"
    assert rung.result.stream_sids == ()
    assert "the business" in loaded


@pytest.mark.usefixtures("company")
async def test_a_setting_that_cannot_be_is_told_before_anything_rings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CALLBOT_STT", "moonshien")
    with pytest.raises(ConfigurationError, match=r"did you mean moonshine\?"):
        async with local(local_settings()):
            pass
