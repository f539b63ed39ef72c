import pytest
from twilio.request_validator import RequestValidator, get_signature_algorithm

from callbot.exchange.signing import SETTINGS, SharedKey, Signer, with_body_hash

SIGNER = Signer("12345")
FORM = [
    ("CallSid", "CA" + "0" * 32),
    ("CallStatus", "ringing"),
    ("From", "+15005550001"),
    ("To", "+15005550006"),
]


def test_an_upgrade_is_signed_over_the_exact_wss_url_without_parameters():
    assert SIGNER.upgrade("wss://example.com/media") == {"x-twilio-signature": "7PR3qMkpDyEJtMrVOY/LDyNq8J8="}


@pytest.mark.parametrize(
    ("url", "form", "signature"),
    [
        ("https://example.com/voice/incoming", FORM, "o1Cw08WD/KkGuckCJu2htXk93S0="),
        ("https://example.com/voice/incoming?a=1&b=2", [], "RSkQatXWONrGl1q7FzPMGtzE1Ug="),
    ],
)
def test_a_webhook_is_signed_over_its_url_and_sorted_parameters(url, form, signature):
    assert SIGNER.webhook(url, form) == {"X-Twilio-Signature": signature}
    assert SIGNER.webhook(url, form[::-1]) == {"X-Twilio-Signature": signature}


def test_a_json_webhook_carries_the_hash_of_its_body_in_the_query():
    url = with_body_hash("https://example.com/j", b'{"CallSid":"CA1"}')
    assert url.endswith("?bodySHA256=85264246de8d570722726062407cde49dc5bb2c2569c179765b178e3ffe30825")
    assert SIGNER.webhook(url) == {"X-Twilio-Signature": "75fzkpsAvAP5SyAZH5GOxksPS9w="}


@pytest.mark.parametrize("url", ["https://example.com/voice?x=%20y", "https://example.com:8443/voice"])
def test_the_carriers_own_library_accepts_what_we_sign(url):
    form = [("From", "+15550142"), ("Blank", ""), ("Name", "Zoë & Søn")]
    headers = SIGNER.webhook(url, form)
    assert RequestValidator("12345").validate(url, dict(form), headers["X-Twilio-Signature"])


def test_with_a_shared_key_the_signature_is_sha256_and_names_the_key():
    headers = Signer("12345", SharedKey("KY1", "secret")).webhook("https://example.com/voice", FORM)
    assert headers[SETTINGS] == "key=KY1,algorithm=HMAC_SHA256"
    validator = RequestValidator("secret")
    algorithm = get_signature_algorithm(headers[SETTINGS])
    assert validator.validate(
        "https://example.com/voice", dict(FORM), headers["X-Twilio-Signature"], algorithm
    )


def test_a_parameter_given_twice_with_one_value_is_signed_once():
    assert SIGNER.webhook("https://a.example.com", [("A", "1"), ("A", "1"), ("A", "0")]) == SIGNER.webhook(
        "https://a.example.com", [("A", "0"), ("A", "1")]
    )
