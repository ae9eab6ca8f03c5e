"""The two languages of the carriers, byte by byte."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.simulator import page, wire
from watchword.simulator.wire import Message, Report
from watchword.simulator.world import Sms

NOW = datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)
REPORT = Report(id="north-1", client_ref="r&1", state="delivered", code="000", network="00101", at=NOW)


@pytest.mark.parametrize("told,read", [("+919876543210", "+919876543210"), ("919876543210", "+919876543210")])
def test_number_is_read_with_or_without_its_plus(told: str, read: str) -> None:
    assert wire.number(told) == read


@pytest.mark.parametrize(
    "told", ["", "12345", "+", "+9198765432101234", "98765x3210", "\u0661" * 10, "+91 98765 43210"]
)
def test_what_is_no_number_is_none(told: str) -> None:
    assert wire.number(told) == ""


def test_echo_message_is_read() -> None:
    body = b'{"client_ref":"r","to":"+919876543210","text":"1234","sender":"S","validity_s":60}'
    assert wire.echo_message(body) == Message("r", "+919876543210", "1234", "S", 60)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"\xff\xfe", b'{"client_ref":"","to":"+1","text":"x"}', b'{"client_ref":1}', b"[" * 9_999],
)
def test_echo_message_that_is_none_is_refused(body: bytes) -> None:
    assert wire.echo_message(body) is None


def test_form_is_read() -> None:
    told = wire.blind_message(b"key=k%26&to=919876543210&text=caf%C3%A9+1234&from=S&ref=r&ttl=60")
    assert told == (Message("r", "919876543210", "caf\u00e9 1234", "S", 60), "k&")


@pytest.mark.parametrize(
    "body", [b"", b"to=1", b"to=1&text=%FF", b"\xff", b"to=1&to=2&text=x", b"to=1&text=x&ttl=soon"]
)
def test_form_that_is_none_is_refused(body: bytes) -> None:
    assert wire.blind_message(body) == (None, "")


@given(body=st.binary(max_size=200))
def test_no_bytes_upset_either_language(body: bytes) -> None:
    assert wire.echo_message(body) is None
    assert wire.blind_message(body)[0] is None or b"text=" in body


def test_receipts_are_signed_over_time_and_body() -> None:
    body, headers = wire.echo_receipts([REPORT], "secret", NOW)
    assert body == (
        b'{"events":[{"id":"north-1","client_ref":"r&1","state":"delivered","code":"000","network":"00101",'
        b'"at":"2026-10-26T06:13:20Z"}]}'
    )
    # openssl dgst -sha256 -hmac secret, over "1792995200." and the body
    mac = "3287b30a52099defc3a5b6a415ed9ee5c7b9d003b1abe86d8489246d1691abea"
    assert headers["X-Echo-Signature"] == f"t={int(NOW.timestamp())},v1={mac}"


def test_form_receipt_is_escaped_and_carries_the_secret() -> None:
    body, headers = wire.blind_receipt(REPORT, "secret")
    assert body == b"ref=r%261&id=north-1&status=DELIVRD&err=000&net=00101&done=2026-10-26T06%3A13%3A20%2B00%3A00"
    assert headers["X-Carrier-Secret"] == "secret"


def test_phone_page_shows_text_as_text() -> None:
    shown = page.phone("+919876543210", [Sms(NOW, "<script>alert('1234')</script>", "<b>", "north", "r")])
    assert "&lt;script&gt;alert(&#x27;1234&#x27;)&lt;/script&gt;" in shown
    assert "&lt;b&gt;" in shown
    assert "<script" not in shown
    assert "http://" not in shown
    assert "https://" not in shown
