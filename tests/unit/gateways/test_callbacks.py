"""Whom a gateway believes, beyond what the recorded callbacks show."""

import hmac
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from watchword.gateways.catalog import GATEWAYS
from watchword.gateways.contract import Account, Callback

NOW = datetime(2026, 10, 26, 6, 13, 20, tzinfo=UTC)
BODY = b'{"events":[]}'
URL = "https://us.example/receipts"
FORM = {"body": "to={to}", "receipt_format": "form", "receipt_ref": "ref", "receipt_state": "status"}
ECHO = Account(id="e", gateway="echo", url="https://echo.example", secrets={"callback": "k"})
TOLD = Account(id="t", gateway="template", url="https://t.example", secrets={"callback": "k"})


def signed(key: str, at: str) -> Callback:
    """An echo callback signed with `key` as of `at`."""
    mac = hmac.new(key.encode(), f"{at}.".encode() + BODY, "sha256").hexdigest()
    return Callback("POST", URL, {"x-echo-signature": f"t={at},v1={mac}"}, BODY)


def test_account_without_a_secret_believes_nobody_who_signs_with_nothing() -> None:
    at = str(int(NOW.timestamp()))
    assert GATEWAYS["echo"].verify(signed("k", at), ECHO, NOW)
    for secrets in ({}, {"callback": ""}):
        assert not GATEWAYS["echo"].verify(signed("", at), replace(ECHO, secrets=secrets), NOW)
        for where, callback in (
            ("header:X-Secret", Callback("POST", URL, {"X-Secret": ""}, b"")),
            ("header:X-Secret", Callback("POST", URL, {}, b"")),
            ("query:s", Callback("POST", f"{URL}?s=", {}, b"")),
        ):
            account = replace(TOLD, secrets=secrets, options={**FORM, "callback_secret": where})
            assert not GATEWAYS["template"].verify(callback, account, NOW)


@pytest.mark.parametrize("at", ["-1", "1e9", "", " 1792995200", "\u0661", "9" * 13])
def test_signature_dated_in_another_way_is_refused(at: str) -> None:
    assert not GATEWAYS["echo"].verify(signed("k", at), ECHO, NOW)


def test_template_account_that_says_not_where_the_secret_is_believes_nobody() -> None:
    callback = Callback("POST", f"{URL}?s=k&=k", {"X-Secret": "k", "": "k"}, b"")
    assert not GATEWAYS["template"].verify(callback, replace(TOLD, options=FORM), NOW)


def test_secret_told_several_times_is_refused() -> None:
    account = replace(TOLD, options={**FORM, "callback_secret": "query:s"})
    assert GATEWAYS["template"].verify(Callback("GET", f"{URL}?ref=1&s=k", {}, b""), account, NOW)
    for query in ("s=k&s=x", "s=x&s=k", "s=k&s=k", "S=k"):
        assert not GATEWAYS["template"].verify(Callback("GET", f"{URL}?{query}", {}, b""), account, NOW)


def test_form_with_too_many_fields_is_no_report() -> None:
    account = replace(TOLD, options=FORM)
    fields = b"&".join(b"f%d=1" % no for no in range(200))
    with pytest.raises(ValueError, match="fields"):
        GATEWAYS["template"].receipts(Callback("POST", URL, {}, b"ref=1&status=sent&" + fields), account)
    many = Callback("POST", f"{URL}?{fields.decode()}&s=k", {}, b"")
    assert not GATEWAYS["template"].verify(many, replace(account, options={**FORM, "callback_secret": "query:s"}), NOW)
