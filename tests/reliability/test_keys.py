"""What keys alone choose: a call with nothing else in ``.env``, and what ``callbot doctor`` says of it.

The doubles stand where the vendors do: their addresses are patched in, not set, for a server of one's own is
something else.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from callbot.cli.doctor import examine
from callbot.vendors import VENDORS
from tests.doubles.openai_chat import OpenAiChatDouble
from tests.doubles.openai_chat_wire import Answer
from tests.doubles.plan import Plan
from tests.reliability.conftest import Making
from tests.reliability.judging import misheard
from tests.reliability.stage import ANSWER, KEYS, Engines, Stage, Told, stage, steps

pytestmark = [pytest.mark.reliability, pytest.mark.asyncio(loop_scope="session")]

FLOW: Final = "We are open from eight to six."
_PATCHED: Final = asyncio.Lock()
"""Vendors' addresses are the process's."""


@dataclass(frozen=True, slots=True)
class Env:
    """``.env``: the vendors whose key is in it; ``server``: and the address of a server of one's own that
    thinks."""

    vendors: tuple[str, ...]
    server: bool = False

    @property
    def making(self) -> Making:
        async def ring(engines: Engines, folder: Path) -> Rung:
            async with self._stage(engines, folder) as it:
                told = await it.ring(*steps("barge_in 1", "barge_in 1"))
                doctor = {line.what: line.text for line in examine(it.bot.services.settings) if line.what}
                return Rung(told, doctor)

        ring.__name__ = f"with_keys_of_{'_and_'.join(self.vendors) or 'nobody'}"
        return ring

    @asynccontextmanager
    async def _stage(self, engines: Engines, folder: Path) -> AsyncIterator[Stage]:
        keys = {f"{name}_api_key": SecretStr(KEYS[name]) if name in self.vendors else None for name in KEYS}
        settings: dict[str, Any] = {**keys, **{f"{name}_base_url": None for name in KEYS}}
        async with OpenAiChatDouble(
            Plan(), think=lambda request: Answer(text=ANSWER), local=True, model="llama-3"
        ) as own:
            llm = "auto"
            if self.server:
                settings["openai_base_url"], llm = own.url, "openai:llama-3"
            async with self._opened(engines, folder, llm, settings) as it:
                yield it

    @asynccontextmanager
    async def _opened(
        self, engines: Engines, folder: Path, llm: str, settings: Mapping[str, Any]
    ) -> AsyncIterator[Stage]:
        def at(vendor: str, url: str) -> None:
            VENDORS[vendor] = replace(VENDORS[vendor], url=url)  # type: ignore[index]

        async with _PATCHED:
            with patch.dict("callbot.vendors.VENDORS"):
                async with stage(
                    engines, folder, stt="auto", llm=llm, tts="auto", settings=settings, placed=at
                ) as it:
                    yield it


@dataclass(frozen=True, slots=True)
class Rung:
    told: Told
    doctor: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who hears, thinks and speaks, by the beginning of their names; nobody thinks where the flow does."""

    env: Env
    hears: str
    thinks: str
    speaks: str


CASES: Final = (
    Chosen(Env(("openai",)), "openai:gpt-live-transcribe", "openai:gpt-5.4-mini", "openai:gpt-4o-mini-tts"),
    Chosen(Env(("elevenlabs", "openai")), "openai:gpt-live-transcribe", "openai:gpt-5.4-mini", "elevenlabs:"),
    Chosen(Env(("deepgram",), server=True), "deepgram:nova-3", "openai:llama-3", "deepgram:aura-2"),
    Chosen(Env(()), "moonshine", "", "hibari"),
)
MAKINGS: Final = {case: case.env.making for case in CASES}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=making.__name__, marks=pytest.mark.call(by=making))
        for case, making in MAKINGS.items()
    ],
)
async def test_a_call_with_these_keys_alone(case: Chosen, told: Rung, report: Any) -> None:
    call = told.told
    assert call.caller == ["What are your opening hours?"] * 2
    answer = ANSWER if case.thinks else FLOW
    for turn in call.record["turns"]:
        assert turn["who"] == "caller" or misheard(turn["heard"], answer) <= 0.1 or turn["turn"] == 1
    assert misheard(call.heard(), call.said) <= 0.15
    assert call.failures == []
    assert max(call.responses_ms) < 2_000
    used = {each["port"]: each["provider"] for each in call.record["usage"]}
    paid = {"stt": case.hears, "llm": case.thinks, "tts": case.speaks}
    assert used.keys() == {port for port, name in paid.items() if ":" in name}
    assert all(provider.startswith(paid[port]) for port, provider in used.items())
    assert told.doctor["hears"].startswith(case.hears)
    assert told.doctor["thinks"].startswith(case.thinks)
    assert told.doctor["speaks"].startswith(f"Maya: {case.speaks}")
    assert "a minute" in told.doctor["costs"]
    named = ", ".join(case.env.vendors) or "none"
    report(
        f"keys: {named}{', own server' if case.env.server else ''}",
        "nothing: no setting but these keys",
        call,
        injected=", ".join(VENDORS[name].key_setting for name in case.env.vendors) or "no key",
        heard="the answers",
        recorded=f"heard by {case.hears}, thought by {case.thinks or 'the flow'}, spoken by {case.speaks}",
    )
