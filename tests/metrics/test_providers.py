"""Failures, switches and units, from the calls to the page."""

import pytest

from callbot.errors import ProviderError, Trouble
from callbot.metrics.instruments import Metrics
from callbot.metrics.providers import ProviderMeter
from callbot.providers.accounting import Failed, Port, Unit, Used
from callbot.providers.breaker import Breakers
from tests.metrics.page import Page

VOICE = {"port": "tts", "provider": "vendor:voice"}


def test_what_is_expected_is_on_the_page_from_the_start():
    metrics = Metrics()
    metrics.expect(Port.TTS, ["vendor:voice"])
    page = Page.of(metrics)
    for trouble in Trouble:
        assert page("callbot_provider_failures_total", trouble=trouble.value, **VOICE) == 0
    assert page("callbot_provider_switches_total", **VOICE) == 0
    assert page("callbot_provider_breaker_open", **VOICE) == 0
    assert page("callbot_provider_units_total", unit="characters_spoken", **VOICE) == 0
    assert page.total("callbot_provider_units_total") == 0


@pytest.mark.parametrize(("instead", "switches"), [("hibari", 1), ("vendor:voice", 0), ("", 0)])
def test_a_failure_is_counted_and_a_switch_when_another_went_on(instead: str, switches: int):
    metrics = Metrics()
    metrics.expect(Port.TTS, ["vendor:voice", "hibari"])
    ProviderMeter(metrics).told(Failed(Port.TTS, "vendor:voice", instead, Trouble.CUT, "closed with 1011"))
    page = Page.of(metrics)
    assert page("callbot_provider_failures_total", trouble="cut", **VOICE) == 1
    assert page.total("callbot_provider_failures_total") == 1
    assert page("callbot_provider_switches_total", **VOICE) == switches
    assert page.total("callbot_provider_switches_total") == switches


def test_units_add_up():
    metrics = Metrics()
    meter = ProviderMeter(metrics)
    for seconds in (1.5, 2.25):
        meter.told(Used(Port.STT, "vendor", Unit.SECONDS_HEARD, seconds))
    page = Page.of(metrics)
    assert page("callbot_provider_units_total", port="stt", provider="vendor", unit="seconds_heard") == 3.75


def test_breakers_are_shown_as_they_stand():
    metrics, breakers = Metrics(), Breakers()
    meter = ProviderMeter(metrics)
    breakers.of(Port.TTS, "hibari")
    wrong_key = ProviderError("401", retryable=False, trouble=Trouble.AUTH)
    breakers.of(Port.TTS, "vendor:voice").failed(wrong_key, 0.0)
    meter.stand(breakers.standings(1.0))
    page = Page.of(metrics)
    assert page("callbot_provider_breaker_open", **VOICE) == 1
    assert page("callbot_provider_breaker_open", port="tts", provider="hibari") == 0
    breakers.of(Port.TTS, "vendor:voice").succeeded(asked_at=400.0)
    meter.stand(breakers.standings(400.0))
    assert Page.of(metrics)("callbot_provider_breaker_open", **VOICE) == 0
