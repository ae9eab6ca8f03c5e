"""Signatures, ours beside those of the vendors' own libraries: the recorded callbacks, and many others."""

import json
import tomllib
import warnings
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plivo.utils import signature_v3 as plivo
from twilio.request_validator import RequestValidator
from vonage_http_client.auth import Auth

from tests.contract.gateways import samples
from tests.contract.gateways.samples import Called
from watchword.gateways import forms, sigv4
from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Callback, Request
from watchword.gateways.facts import Signature

KEY = "the-callback-key"
NOW = datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)
URL = "https://us.example/receipts/a"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NAMES = st.text(st.sampled_from("abcXYZ_-019"), min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FFF), max_size=12)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=6)
PLAIN = st.dictionaries(NAMES, st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), max_size=4)
MANY = settings(deadline=None, max_examples=30)
VECTORS = tomllib.loads(Path(__file__).with_name("sigv4.toml").read_text("utf-8"))["vector"]


def account(gateway: str, **options: str) -> Account:
    return Account(id="a", gateway=gateway, url="https://p.example", options=options, secrets={"callback": KEY})


def believed(gateway: str, callback: Callback, **options: str) -> bool:
    return GATEWAYS[gateway].verify(callback, account(gateway, **options), NOW)


def recorded(gateway: str, signature: Signature) -> list[Called]:
    found = [each for each in samples.callbacks() if each.gateway == gateway and each.signature is signature]
    assert found
    return found


def test_twilio_itself_believes_what_is_recorded() -> None:
    for called in recorded("twilio", Signature.BODY):
        headers, callback = called.callback.headers, called.callback
        settings_header = headers.get("X-Twilio-Webhooks-Signature-Settings", "")
        fields = dict(forms.parsed(callback.body.decode()))
        assert RequestValidator(called.account.secrets["callback"]).validate(
            callback.url,
            fields,
            headers["X-Twilio-Signature"],
            "HMAC_SHA256" if "SHA256" in settings_header else None,
        )


@MANY
@given(
    fields=FIELDS,
    query=FIELDS,
    port=st.sampled_from(["", ":443", ":8443"]),
    algorithm=st.sampled_from([None, "HMAC_SHA256"]),
)
def test_what_twilio_signs_is_believed_and_nothing_else(
    fields: dict[str, str], query: dict[str, str], port: str, algorithm: str | None
) -> None:
    url = URL.replace("us.example", f"us.example{port}") + (f"?{urlencode(query)}" if query else "")
    signature = RequestValidator(KEY).compute_signature(url, fields, algorithm)
    headers = FORM | {"X-Twilio-Signature": signature}
    if algorithm:
        headers["X-Twilio-Webhooks-Signature-Settings"] = f"key=k,algorithm={algorithm}"
    body = urlencode(fields).encode()
    assert believed("twilio", Callback("POST", url, headers, body))
    assert not believed("twilio", Callback("POST", url, headers, body + b"&More=1"))


def test_vonage_itself_believes_what_is_recorded() -> None:
    for called in recorded("vonage", Signature.BODY_AND_TIME):
        auth = Auth(api_key="k", signature_secret=called.account.secrets["callback"], signature_method="sha256")
        body = called.callback.body.decode()
        told = json.loads(body) if body.startswith("{") else forms.parsed(body or forms.query_of(called.callback.url))
        assert auth.check_signature(dict(told))


@MANY
@given(fields=FIELDS, method=st.sampled_from(["sha256", "sha512", "sha1", "md5"]))
def test_what_vonage_signs_is_believed_and_nothing_else(fields: dict[str, str], method: str) -> None:
    told = fields | {"timestamp": str(int(NOW.timestamp()))}
    signature = Auth(api_key="k", signature_secret=KEY, signature_method=method).sign_params(dict(told))
    url = f"{URL}?{urlencode(told | {'sig': signature})}"
    assert believed("vonage", Callback("GET", url, {}, b""), signature_method=method)
    assert not believed("vonage", Callback("GET", f"{url}&more=1", {}, b""), signature_method=method)


def test_plivo_itself_believes_what_is_recorded() -> None:
    for called in recorded("plivo", Signature.BODY):
        callback = called.callback
        assert plivo.validate_v3_signature(
            "POST",
            callback.url,
            callback.headers["X-Plivo-Signature-V3-Nonce"],
            called.account.secrets["callback"],
            callback.headers["X-Plivo-Signature-V3"],
            dict(forms.parsed(callback.body.decode())),
        )


@MANY
@given(fields=FIELDS, query=PLAIN, nonce=st.text(st.sampled_from("0123456789"), min_size=1, max_size=20))
def test_what_plivo_signs_is_believed_and_nothing_else(
    fields: dict[str, str], query: dict[str, str], nonce: str
) -> None:
    url = URL + (f"?{urlencode(query)}" if query else "")
    signature = plivo.get_signature_v3(KEY, plivo.construct_post_url(url, dict(fields)).decode(), nonce).decode()
    headers = {"X-Plivo-Signature-V3": f"other,{signature}", "X-Plivo-Signature-V3-Nonce": nonce}
    body = urlencode(fields).encode()
    assert believed("plivo", Callback("POST", url, headers, body))
    assert not believed("plivo", Callback("POST", url, headers, body + b"&More=1"))


@pytest.fixture(scope="module")
def sinch() -> Any:
    """Sinch's validation. It comes with all of its library, which takes seconds to import and warns when compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("sinch.domains.authentication.sinch_events.v1.authentication_validation")


def test_sinch_itself_believes_what_is_recorded(sinch: Any) -> None:
    for called in recorded("sinch", Signature.BODY_AND_TIME):
        headers, body = dict(called.callback.headers), called.callback.body.decode()
        assert sinch.validate_sinch_event_signature_with_nonce(called.account.secrets["callback"], headers, body)


@MANY
@given(body=VALUES, nonce=NAMES)
def test_what_sinch_signs_is_believed_lately_and_nothing_else(sinch: Any, body: str, nonce: str) -> None:
    at = str(int(NOW.timestamp()))
    signature = sinch.calculate_sinch_event_signature(sinch.compute_signed_data(body, nonce, at), KEY)
    name = "X-Sinch-Webhook-Signature"
    callback = Callback("POST", URL, {name: signature, f"{name}-Nonce": nonce, f"{name}-Timestamp": at}, body.encode())
    assert believed("sinch", callback)
    assert not believed("sinch", Callback("POST", URL, callback.headers, body.encode() + b" "))
    late = NOW + timedelta(seconds=301)
    assert not GATEWAYS["sinch"].verify(callback, account("sinch"), late)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["url"]))
def test_aws_requests_are_signed_as_botocore_signs_them(vector: dict[str, str]) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "PinpointSMSVoiceV2.SendTextMessage"}
    signer = sigv4.Signer("AKIDEXAMPLE", vector["secret"], vector["region"], "sms-voice")
    request = sigv4.signed(Request("POST", vector["url"], headers, vector["body"].encode()), signer, NOW)
    assert request.headers["Authorization"] == vector["authorization"]
    assert request.headers["X-Amz-Date"] == "20261026T061320Z"
