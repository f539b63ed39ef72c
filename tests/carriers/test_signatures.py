from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.datastructures import Headers, ImmutableMultiDict

from callbot.carriers.twilio.signatures import NO_PARAMETERS, Signatures
from callbot.exchange.signing import Form, SharedKey, Signer
from tests.serving import CALL, TOKEN, settings_in

MEDIA = "/twilio/media"
ORIGIN = "bot.example.com"

# Made with the carrier's own library and auth token "12345".
VECTORS: list[tuple[str, Form, str]] = [
    (
        "/voice/incoming",
        [
            ("CallSid", "CA" + "0" * 32),
            ("CallStatus", "ringing"),
            ("From", "+15005550001"),
            ("To", "+15005550006"),
        ],
        "o1Cw08WD/KkGuckCJu2htXk93S0=",
    ),
    ("/voice/incoming?a=1&b=2", [], "RSkQatXWONrGl1q7FzPMGtzE1Ug="),
]


def signed(signature: str) -> Headers:
    return Headers({"x-twilio-signature": signature})


def form_of(*fields: tuple[str, str]) -> ImmutableMultiDict[str, str]:
    return ImmutableMultiDict(fields)


@pytest.mark.parametrize(("target", "form", "signature"), VECTORS)
def test_the_carriers_own_signature_of_a_webhook_passes(target: str, form: Form, signature: str) -> None:
    ours = Signatures("https://example.com", "12345")
    assert ours.webhook(signed(signature), target, form_of(*form))
    assert not ours.webhook(signed(signature), target + "/", form_of(*form))
    assert not ours.webhook(signed(signature[:-2] + "A="), target, form_of(*form))


def test_the_carriers_own_signature_of_an_upgrade_passes() -> None:
    ours = Signatures("https://example.com", "12345")
    assert ours.upgrade(signed("7PR3qMkpDyEJtMrVOY/LDyNq8J8="), "/media")


@pytest.mark.parametrize("configured", ["", ":443"])
@pytest.mark.parametrize("written", ["", ":443"])
def test_the_usual_port_may_be_written_or_not(configured: str, written: str) -> None:
    ours = Signatures(f"https://{ORIGIN}{configured}", TOKEN)
    carrier = Signer(TOKEN)
    assert ours.upgrade(Headers(carrier.upgrade(f"wss://{ORIGIN}{written}{MEDIA}")), MEDIA)
    url = f"https://{ORIGIN}{written}/twilio/voice"
    assert ours.webhook(Headers(carrier.webhook(url, CALL)), "/twilio/voice", form_of(*CALL))


@pytest.mark.parametrize("url", [f"wss://{ORIGIN}:8443{MEDIA}", f"wss://{ORIGIN}{MEDIA}"])
def test_another_port_may_be_left_out_of_the_signature_too(url: str) -> None:
    ours = Signatures(f"https://{ORIGIN}:8443", TOKEN)
    assert ours.upgrade(Headers(Signer(TOKEN).upgrade(url)), MEDIA)


def test_a_local_exchange_signs_plain_http() -> None:
    ours = Signatures("http://127.0.0.1:8123", TOKEN)
    assert ours.upgrade(Headers(Signer(TOKEN).upgrade(f"ws://127.0.0.1:8123{MEDIA}")), MEDIA)
    assert not ours.upgrade(Headers(Signer(TOKEN).upgrade(f"wss://127.0.0.1:8123{MEDIA}")), MEDIA)


def test_an_ipv6_address_keeps_its_brackets() -> None:
    ours = Signatures("http://[::1]:8123", TOKEN)
    assert ours.upgrade(Headers(Signer(TOKEN).upgrade(f"ws://[::1]:8123{MEDIA}")), MEDIA)
    assert ours.upgrade(Headers(Signer(TOKEN).upgrade(f"ws://[::1]{MEDIA}")), MEDIA)


@pytest.mark.parametrize(
    "url",
    [
        f"https://{ORIGIN}{MEDIA}",
        f"ws://{ORIGIN}{MEDIA}",
        f"wss://{ORIGIN}{MEDIA}/",
        f"wss://{ORIGIN}:80{MEDIA}",
        f"wss://{ORIGIN}:8443{MEDIA}",
        f"wss://www.{ORIGIN}{MEDIA}",
        "wss://evil.example.com/twilio/media",
        f"wss://{ORIGIN}/",
    ],
)
def test_an_upgrade_signed_for_any_other_address_is_refused(url: str) -> None:
    ours = Signatures(f"https://{ORIGIN}", TOKEN)
    assert not ours.upgrade(Headers(Signer(TOKEN).upgrade(url)), MEDIA)


def test_an_upgrade_with_a_query_is_another_address() -> None:
    ours = Signatures(f"https://{ORIGIN}", TOKEN)
    headers = Headers(Signer(TOKEN).upgrade(f"wss://{ORIGIN}{MEDIA}"))
    assert ours.upgrade(headers, MEDIA)
    assert not ours.upgrade(headers, f"{MEDIA}?token=1")


def test_a_webhooks_signature_does_not_open_the_media_socket() -> None:
    ours = Signatures(f"https://{ORIGIN}", TOKEN)
    assert not ours.upgrade(Headers(Signer(TOKEN).webhook(f"https://{ORIGIN}{MEDIA}")), MEDIA)


@pytest.mark.parametrize(
    "change",
    [
        lambda form: form[:-1],
        lambda form: [*form, ("Extra", "1")],
        lambda form: [("From", "+15550199") if name == "From" else (name, value) for name, value in form],
        lambda form: [*form, ("CallSid", "CA" + "f" * 32)],
    ],
    ids=["one less", "one more", "one changed", "one twice"],
)
def test_every_parameter_is_signed(change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> None:
    ours = Signatures(f"https://{ORIGIN}", TOKEN)
    headers = Headers(Signer(TOKEN).webhook(f"https://{ORIGIN}/twilio/voice", CALL))
    assert ours.webhook(headers, "/twilio/voice", form_of(*CALL))
    assert not ours.webhook(headers, "/twilio/voice", form_of(*change(list(CALL))))


def test_repeated_names_blank_values_and_other_alphabets_are_signed_as_the_carrier_does() -> None:
    form = [("Digit", "2"), ("Digit", "1"), ("Digit", "2"), ("Blank", ""), ("CallerName", "Zoë 🙂")]
    ours = Signatures(f"https://{ORIGIN}", TOKEN)
    headers = Headers(Signer(TOKEN).webhook(f"https://{ORIGIN}/x", form))
    assert ours.webhook(headers, "/x", form_of(*form))


def test_a_shared_key_signs_with_sha256() -> None:
    carrier = Signer(TOKEN, SharedKey("webhooks_key", "the shared key"))
    ours = Signatures(f"https://{ORIGIN}", TOKEN, signing_key=("webhooks_key", "the shared key"))
    headers = carrier.webhook(f"https://{ORIGIN}/twilio/voice", CALL)
    assert ours.webhook(Headers(headers), "/twilio/voice", form_of(*CALL))
    assert ours.upgrade(Headers(carrier.upgrade(f"wss://{ORIGIN}{MEDIA}")), MEDIA)
    assert ours.upgrade(Headers(Signer(TOKEN).upgrade(f"wss://{ORIGIN}{MEDIA}")), MEDIA), (
        "the token still signs"
    )


@pytest.mark.parametrize(
    "settings",
    [
        "key=another,algorithm=HMAC_SHA256",
        "algorithm=HMAC_SHA256",
        "key=webhooks_key",
        "key=webhooks_key,algorithm=HMAC_SHA1",
        "key=webhooks_key,algorithm=none",
        "nonsense",
    ],
)
def test_a_key_or_algorithm_that_is_not_configured_is_refused(settings: str) -> None:
    carrier = Signer(TOKEN, SharedKey("webhooks_key", "the shared key"))
    headers = carrier.upgrade(f"wss://{ORIGIN}{MEDIA}") | {"X-Twilio-Webhooks-Signature-Settings": settings}
    with_key = Signatures(f"https://{ORIGIN}", TOKEN, signing_key=("webhooks_key", "the shared key"))
    assert not with_key.upgrade(Headers(headers), MEDIA)
    assert not Signatures(f"https://{ORIGIN}", TOKEN).upgrade(Headers(headers), MEDIA)


def test_a_sha256_signature_without_its_header_is_refused() -> None:
    headers = Signer(TOKEN, SharedKey("k", "the shared key")).upgrade(f"wss://{ORIGIN}{MEDIA}")
    ours = Signatures(f"https://{ORIGIN}", TOKEN, signing_key=("k", "the shared key"))
    assert not ours.upgrade(signed(headers["x-twilio-signature"]), MEDIA)


def test_a_signature_missing_empty_doubled_or_unreadable_is_refused() -> None:
    ours = Signatures(f"https://{ORIGIN}", TOKEN)
    right = Signer(TOKEN).upgrade(f"wss://{ORIGIN}{MEDIA}")["x-twilio-signature"].encode()
    name = b"x-twilio-signature"
    assert ours.upgrade(Headers(raw=[(name, right)]), MEDIA)
    for raw in (
        [],
        [(name, b"")],
        [(name, right), (name, right)],
        [(name, b"\xff\x00")],
        [(name, right + b" ")],
    ):
        assert not ours.upgrade(Headers(raw=raw), MEDIA)


def test_without_a_secret_or_an_address_nothing_passes() -> None:
    for ours in (Signatures(None, None), Signatures(f"https://{ORIGIN}", None), Signatures(None, TOKEN)):
        for url in (f"wss://{ORIGIN}{MEDIA}", f"ws://{MEDIA}", MEDIA):
            for secret in (TOKEN, ""):
                assert not ours.upgrade(Headers(Signer(secret).upgrade(url)), MEDIA)
                assert not ours.webhook(Headers(Signer(secret).webhook(url)), MEDIA, NO_PARAMETERS)


def test_signatures_are_set_up_from_the_settings(tmp_path: Path) -> None:
    settings = settings_in(
        tmp_path,
        twilio_signing_key_id="k",
        twilio_signing_key="the shared key",
    )
    ours = Signatures.of(settings)
    for carrier in (Signer(TOKEN), Signer(TOKEN, SharedKey("k", "the shared key"))):
        assert ours.upgrade(Headers(carrier.upgrade(f"wss://{ORIGIN}{MEDIA}")), MEDIA)
